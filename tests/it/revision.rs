//! Which revision a build says it is of.

#[allow(dead_code)] // its `main` is cargo's
#[path = "../../build.rs"]
mod build;

use std::{fs, path::Path, process::Command};

use crate::common::needs::there_are;
use tempfile::TempDir;

const TOLD: Option<&str> = Some("0123abc");

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

#[test]
fn the_container_passes_it_on() {
    let read = |name: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect(name);
    let dockerfile = read("Dockerfile");
    assert!(dockerfile.contains("ARG REVISION=unknown\nRUN OURA_EXPORTER_REVISION=\"$REVISION\" cargo build"));
    assert!(dockerfile.contains("COPY build.rs build.rs\n") && read(".dockerignore").contains("!build.rs\n"));
}
