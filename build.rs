//! Tells the program what it is built from, when, and with what: the revision comes from git where this is a checkout,
//! else from what the build is told, else from what a package or an archive says of itself.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

/// What is told where there is no git: in a container's build, or by whoever packages an archive.
const TOLD: &str = "OURA_EXPORTER_REVISION";
/// The time that a build is to say it was made at, in seconds, so that it can be repeated byte for byte.
const BUILT_AT: &str = "SOURCE_DATE_EPOCH";
/// What cargo writes into a package of a registry.
const OF_PACKAGE: &str = ".cargo_vcs_info.json";
/// What `git archive` fills in, and so every archive that a forge makes.
const OF_ARCHIVE: &str = ".git_archival.txt";
/// What makes the program; where it differs from the commit, the revision says so.
const SOURCES: &[&str] = &["src", "crates", "Cargo.toml", "Cargo.lock", "build.rs"];

fn main() {
    let directory = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    for variable in [TOLD, BUILT_AT] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    // A package of the exporter alone has no other crates.
    for source in SOURCES.iter().chain(&[OF_PACKAGE, OF_ARCHIVE]).filter(|source| directory.join(source).exists()) {
        println!("cargo::rerun-if-changed={source}");
    }
    // The files that change with a commit or a checkout. One that is not there would make every build begin anew.
    for name in ["HEAD", "logs/HEAD"] {
        let path = git(&directory, &["rev-parse", "--git-path", name]).map(|path| directory.join(path));
        if let Some(path) = path.filter(|path| path.exists()) {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    // By another name than it is told: cargo sets this one for what it runs as well, where it is no setting.
    println!("cargo::rustc-env=REVISION={}", revision(&directory, env::var(TOLD).ok().as_deref()));
    match built_at(env::var(BUILT_AT).ok().as_deref(), SystemTime::now()) {
        Ok(seconds) => println!("cargo::rustc-env=BUILT_AT={seconds}"),
        Err(mistake) => println!("cargo::error={mistake}"),
    }
    println!("cargo::rustc-env=RUSTC_VERSION={}", compiler().unwrap_or_else(|| "unknown".to_owned()));
    println!("cargo::rustc-env=PLATFORM={}", env::var("TARGET").unwrap_or_else(|_| "unknown".to_owned()));
}

/// The commit that is checked out in `directory`, else what is `told`, else what a package or an archive that was
/// unpacked there says, else that it is not known.
pub(crate) fn revision(directory: &Path, told: Option<&str>) -> String {
    let told = told.map(str::trim).filter(|told| !told.is_empty()).map(str::to_owned);
    let known = commit(directory).or(told).or_else(|| of_package(directory)).or_else(|| of_archive(directory));
    known.unwrap_or_else(|| "unknown".to_owned())
}

/// When the build says that it was made, in seconds: what is `told`, else `now`.
pub(crate) fn built_at(told: Option<&str>, now: SystemTime) -> Result<u64, String> {
    let now = now.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let Some(told) = told.map(str::trim).filter(|told| !told.is_empty()) else {
        return Ok(now);
    };
    told.parse()
        .map_err(|_| format!("{BUILT_AT}: {told:?} is no number of seconds; `git log -1 --format=%ct` gives one"))
}

/// The compiler's version without its name: `1.95.0 (59807616e 2026-04-14)`.
fn compiler() -> Option<String> {
    let output = Command::new(env::var_os("RUSTC")?).arg("--version").output().ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim().trim_start_matches("rustc ").to_owned())
}

fn of_package(directory: &Path) -> Option<String> {
    let text = fs::read_to_string(directory.join(OF_PACKAGE)).ok()?;
    let (_, commit) = text.split_once("\"sha1\":")?;
    let commit = commit.split('"').nth(1).filter(|commit| is_commit(commit))?;
    Some(if text.contains("\"dirty\": true") { format!("{commit}-dirty") } else { commit.to_owned() })
}

fn of_archive(directory: &Path) -> Option<String> {
    let text = fs::read_to_string(directory.join(OF_ARCHIVE)).ok()?;
    let commit = text.lines().find_map(|line| line.strip_prefix("node:"))?.trim();
    // Where git did not fill it in, it is still a placeholder.
    is_commit(commit).then(|| commit.to_owned())
}

fn is_commit(word: &str) -> bool {
    word.len() >= 7 && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn commit(directory: &Path) -> Option<String> {
    // An archive that was unpacked within a checkout of something else is not of that one's revision.
    let top = PathBuf::from(git(directory, &["rev-parse", "--show-toplevel"])?);
    if top.canonicalize().ok()? != directory.canonicalize().ok()? {
        return None;
    }
    let commit = git(directory, &["rev-parse", "HEAD"])?;
    let changes = git(directory, &[&["status", "--porcelain", "--"], SOURCES].concat());
    Some(if changes.is_some_and(|changes| changes.is_empty()) { commit } else { commit + "-dirty" })
}

/// What git prints; none where there is no git, or no checkout.
fn git(directory: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(directory).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
