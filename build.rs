//! Tells the program which revision it is built from: from git where this is a checkout, else as the build is told.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// What is told where there is no git: in a container's build, or by whoever packages an archive.
const TOLD: &str = "OURA_EXPORTER_REVISION";
/// What makes the program; where it differs from the commit, the revision says so.
const SOURCES: &[&str] = &["src", "crates", "Cargo.toml", "Cargo.lock", "build.rs"];

fn main() {
    let directory = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    println!("cargo::rerun-if-env-changed={TOLD}");
    // A package of the exporter alone has no other crates.
    for source in SOURCES.iter().filter(|source| directory.join(source).exists()) {
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
}

/// The commit that is checked out in `directory`, else what is `told`, else that it is not known.
pub(crate) fn revision(directory: &Path, told: Option<&str>) -> String {
    let told = told.map(str::trim).filter(|told| !told.is_empty());
    commit(directory).unwrap_or_else(|| told.unwrap_or("unknown").to_owned())
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
