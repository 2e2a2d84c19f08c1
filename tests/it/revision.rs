//! What a build says it is: its revision, in every way of building, and when and with what it was made.

#[allow(dead_code)] // its `main` is cargo's
#[path = "../../build.rs"]
mod build;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, UNIX_EPOCH},
};

use crate::common::{Program, needs::there_are, servers::ask};
use chrono::{NaiveDateTime, Utc};
use oura_exporter::version;
use tempfile::TempDir;

const TOLD: Option<&str> = Some("0123abc");
/// What git puts the commit in place of.
const PLACEHOLDER: &str = "$Format:%H$";

fn git(directory: &Path, arguments: &[&str]) -> String {
    let mut git = Command::new("git");
    git.arg("-C").arg(directory).args(["-c", "user.name=a", "-c", "user.email=a@example.com"]).args(arguments);
    let output = git.output().expect("git runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}

/// A source tree as an archive leaves it.
fn unpacked(directory: &Path) {
    fs::create_dir_all(directory.join("src")).expect("a directory");
    for name in ["Cargo.toml", "Cargo.lock", "build.rs", "src/lib.rs", "notes"] {
        fs::write(directory.join(name), "as released").expect("a file");
    }
}

#[test]
fn an_archive_says_what_its_build_was_told_or_that_it_does_not_know() {
    let directory = TempDir::new().expect("a directory");
    unpacked(directory.path());
    for (told, revision) in
        [(TOLD, "0123abc"), (Some(" 0123abc\n"), "0123abc"), (Some(""), "unknown"), (None, "unknown")]
    {
        assert_eq!(build::revision(directory.path(), told), revision);
    }
}

#[test]
fn a_checkout_says_its_commit_and_whether_the_program_differs_from_it() {
    if !there_are(&["git"], "a_checkout_says_its_commit_and_whether_the_program_differs_from_it") {
        return;
    }
    let directory = TempDir::new().expect("a directory");
    let path = directory.path();
    unpacked(path);
    git(path, &["init", "--quiet"]);
    git(path, &["add", "."]);
    git(path, &["commit", "--quiet", "--message=first"]);
    let commit = git(path, &["rev-parse", "HEAD"]);
    assert_eq!(build::revision(path, TOLD), commit, "git knows better");
    fs::write(path.join("notes"), "changed").expect("a file");
    assert_eq!(build::revision(path, None), commit, "no part of the program");
    fs::write(path.join("src/lib.rs"), "changed").expect("a file");
    assert_eq!(build::revision(path, None), format!("{commit}-dirty"));
    let tree = TempDir::new().expect("a directory");
    let tree = tree.path().join("tree");
    git(path, &["worktree", "add", "--quiet", "--detach", tree.to_str().expect("UTF-8")]);
    assert_eq!(build::revision(&tree, None), commit, "a worktree");
}

#[test]
fn an_archive_within_a_checkout_of_something_else_is_not_of_its_revision() {
    if !there_are(&["git"], "an_archive_within_a_checkout_of_something_else_is_not_of_its_revision") {
        return;
    }
    let directory = TempDir::new().expect("a directory");
    git(directory.path(), &["init", "--quiet"]);
    let inner = directory.path().join("vendor/oura-exporter");
    unpacked(&inner);
    git(directory.path(), &["add", "."]);
    git(directory.path(), &["commit", "--quiet", "--message=vendored"]);
    assert_eq!(build::revision(&inner, TOLD), "0123abc");
    assert_eq!(build::revision(&inner, None), "unknown");
}

/// A checkout of a crate with this project's build script and attributes; its path and its commit.
fn crate_in(directory: &Path) -> (PathBuf, String) {
    let path = directory.join("checkout");
    unpacked(&path);
    fs::write(path.join("Cargo.toml"), "[package]\nname = \"a\"\nversion = \"0.1.0\"\nedition = \"2024\"\n")
        .expect("a file");
    fs::write(path.join("src/lib.rs"), "//! Nothing.\n").expect("a file");
    fs::remove_file(path.join("Cargo.lock")).expect("a file");
    for name in ["build.rs", ".gitattributes"] {
        fs::write(path.join(name), read(name)).expect("a file");
    }
    fs::write(path.join(".git_archival.txt"), as_committed(&read(".git_archival.txt"))).expect("a file");
    git(&path, &["init", "--quiet"]);
    git(&path, &["add", "."]);
    git(&path, &["commit", "--quiet", "--message=first"]);
    let commit = git(&path, &["rev-parse", "HEAD"]);
    (path, commit)
}

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect(name)
}

/// What the file says before git makes an archive of it: these sources may come from one.
fn as_committed(archival: &str) -> String {
    let (begin, end) = ("node: ", "\n");
    let node = archival.strip_prefix(begin).and_then(|rest| rest.strip_suffix(end)).expect("one line");
    let is_commit = node.len() == 40 && node.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(is_commit || node == PLACEHOLDER, "{archival}");
    format!("{begin}{PLACEHOLDER}{end}")
}

fn untar(archive: &Path, into: &Path) {
    fs::create_dir_all(into).expect("a directory");
    let (is_good, said) = ask(Command::new("tar").arg("-xf").arg(archive).arg("-C").arg(into), "");
    assert!(is_good, "{said}");
}

#[test]
fn an_archive_that_git_made_knows_its_commit() {
    if !there_are(&["git"], "an_archive_that_git_made_knows_its_commit") {
        return;
    }
    let directory = TempDir::new().expect("a directory");
    let (checkout, commit) = crate_in(directory.path());
    let (archive, inside) = (directory.path().join("a.tar"), directory.path().join("unpacked"));
    git(&checkout, &["archive", "--output", archive.to_str().expect("UTF-8"), "HEAD"]);
    untar(&archive, &inside);
    assert_eq!(build::revision(&inside, None), commit);
    assert_eq!(build::revision(&inside, TOLD), "0123abc", "whoever packages it knows better");
    // Copied, not archived: the placeholder is no commit.
    fs::copy(checkout.join(".git_archival.txt"), inside.join(".git_archival.txt")).expect("a file");
    assert_eq!(build::revision(&inside, None), "unknown");
}

#[test]
fn a_package_of_a_registry_knows_its_commit_and_whether_it_differs() {
    if !there_are(&["git"], "a_package_of_a_registry_knows_its_commit_and_whether_it_differs") {
        return;
    }
    let directory = TempDir::new().expect("a directory");
    let (checkout, commit) = crate_in(directory.path());
    let packaged = |expected: &str, why: &str| {
        let target = directory.path().join("target");
        let mut cargo = Command::new(env::var_os("CARGO").expect("cargo runs this"));
        cargo.args(["package", "--offline", "--no-verify", "--allow-dirty", "--quiet", "--target-dir"]).arg(&target);
        let (is_good, said) = ask(cargo.current_dir(&checkout), "");
        assert!(is_good, "{said}");
        untar(&target.join("package/a-0.1.0.crate"), directory.path());
        let inside = directory.path().join("a-0.1.0");
        assert_eq!(build::revision(&inside, None), expected, "{why}");
        assert_eq!(build::revision(&inside, TOLD), "0123abc", "{why}: whoever packages it knows better");
    };
    packaged(&commit, "as committed");
    fs::write(checkout.join("src/lib.rs"), "//! Changed.\n").expect("a file");
    packaged(&format!("{commit}-dirty"), "changed");
}

#[test]
fn what_a_package_or_an_archive_says_of_itself_is_taken_only_if_it_is_a_commit() {
    for (file, text) in [
        (".cargo_vcs_info.json", "{"),
        (".cargo_vcs_info.json", r#"{"git": {"sha1": ""}}"#),
        (".cargo_vcs_info.json", r#"{"git": {"sha1": "main branch"}}"#),
        (".cargo_vcs_info.json", r#"{"git": {}, "path_in_vcs": "0123abcdef"}"#),
        (".git_archival.txt", "node: $Format:%H$\n"),
        (".git_archival.txt", "node:\n"),
        (".git_archival.txt", "0123abcdef\n"),
    ] {
        let directory = TempDir::new().expect("a directory");
        unpacked(directory.path());
        fs::write(directory.path().join(file), text).expect("a file");
        assert_eq!(build::revision(directory.path(), None), "unknown", "{file}: {text}");
    }
}

#[test]
fn a_build_says_the_time_that_it_is_told_so_that_it_can_be_repeated() {
    let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    for (told, seconds) in
        [(Some("1718783952"), 1_718_783_952), (Some(" 0\n"), 0), (Some(""), 1_700_000_000), (None, 1_700_000_000)]
    {
        assert_eq!(build::built_at(told, now), Ok(seconds), "{told:?}");
    }
    for wrong in ["today", "-1", "1.5"] {
        let mistake = build::built_at(Some(wrong), now).expect_err(wrong);
        assert!(mistake.starts_with("SOURCE_DATE_EPOCH: ") && mistake.contains(wrong), "{mistake}");
    }
}

#[test]
fn the_container_passes_it_on_and_falls_back_on_the_archives() {
    let dockerfile = read("Dockerfile");
    let (arguments, build) =
        ("ARG REVISION=\nARG SOURCE_DATE_EPOCH\n", "RUN OURA_EXPORTER_REVISION=\"$REVISION\" cargo build");
    assert!(dockerfile.contains(&format!("{arguments}{build}")), "{dockerfile}");
    let ignore = read(".dockerignore");
    for name in ["build.rs", ".git_archival.txt"] {
        assert!(dockerfile.contains(&format!("COPY {name} ")) || dockerfile.contains(&format!(" {name} ")), "{name}");
        assert!(ignore.contains(&format!("!{name}\n")), "{name}");
    }
}

#[tokio::test]
async fn version_and_page_say_the_same_and_what_git_and_the_compiler_say() {
    let program = env!("CARGO_BIN_EXE_oura-exporter");
    let (is_good, said) = ask(Command::new(program).arg("--version"), "");
    assert!(is_good, "{said}");
    let (revision, checkout) = (version::REVISION, Path::new(env!("CARGO_MANIFEST_DIR")));
    if build::revision(checkout, env::var("OURA_EXPORTER_REVISION").ok().as_deref()) != revision {
        // Whoever commits while it is being built has gone on, and what it is of is a commit all the same.
        git(checkout, &["cat-file", "-e", &format!("{}^{{commit}}", revision.trim_end_matches("-dirty"))]);
    }
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[0], format!("oura-exporter, version {} (revision: {revision})", env!("CARGO_PKG_VERSION")));
    let value = |number: usize, name: &str| {
        let line: &str = lines[number];
        line.strip_prefix(&format!("  {name}:")).unwrap_or_else(|| panic!("{name} in {line}")).trim().to_owned()
    };
    let date = NaiveDateTime::parse_from_str(&value(1, "build date"), "%Y%m%d-%H:%M:%S").expect("a date");
    assert!(date.and_utc() <= Utc::now() && date.and_utc().timestamp() > 1_700_000_000, "{said}");
    let (_, rustc) = ask(Command::new("rustc").arg("-vV"), "");
    let told = |key: &str| rustc.lines().find_map(|line| line.strip_prefix(key)).expect("a line").to_owned();
    assert_eq!(value(2, "rustc version"), told("rustc "), "{rustc}");
    assert_eq!(value(3, "platform"), told("host: "), "{rustc}");
    assert_eq!(lines.len(), 4, "{said}");

    let (_, short) = ask(Command::new(program).arg("-V"), "");
    assert_eq!(short, said);
    let demo = Program::start(tokio::process::Command::new(program).arg("demo")).await;
    let page = demo.get("/metrics").await.expect("a page");
    let info =
        format!("oura_exporter_build_info{{revision=\"{revision}\",version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"));
    assert!(page.lines().any(|line| line == info), "{info} is missing in:\n{page}");
}
