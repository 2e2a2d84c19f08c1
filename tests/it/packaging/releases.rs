//! The scripts that make a release: whether a tag fits, and what is told of it.

use std::{fs, path::Path, process::Command};

use tempfile::TempDir;

use crate::common::{
    needs::there_are,
    servers::{ask, file},
};

/// A checkout with the scripts, of this version and with this heading in its changelog.
fn checkout(version: &str, heading: &str) -> TempDir {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path();
    for name in ["src", "packaging/debian"] {
        fs::create_dir_all(path.join(name)).expect("a directory");
    }
    for name in ["packaging/check-release", "packaging/changelog"] {
        fs::copy(file(name), path.join(name)).expect("a script");
    }
    let manifest = format!("[package]\nname = \"oura-exporter\"\nversion = \"{version}\"\nedition = \"2024\"\n");
    fs::write(path.join("Cargo.toml"), manifest).expect("a file");
    fs::write(path.join("src/lib.rs"), "//! Nothing.\n").expect("a file");
    let changelog =
        format!("# Changelog\n\n{heading}\n\n- [FEATURE] new\n\n## 0.1.0 / 2026-01-01\n\n- [FEATURE] old\n");
    fs::write(path.join("CHANGELOG.md"), changelog).expect("a file");
    fs::write(path.join("packaging/debian/changelog"), "oura-exporter (0.2.0-1) unstable\n").expect("a file");
    for arguments in [&["init", "--quiet"][..], &["add", "."], &["commit", "--quiet", "--message=first"]] {
        let mut git = Command::new("git");
        git.arg("-C").arg(path).args(["-c", "user.name=a", "-c", "user.email=a@example.com"]).args(arguments);
        let (is_good, said) = ask(&mut git, "");
        assert!(is_good, "{said}");
    }
    directory
}

fn run(directory: &Path, script: &str, tag: &str) -> (bool, String) {
    ask(Command::new("bash").arg(directory.join(script)).arg(tag), "")
}

#[test]
fn a_tag_is_released_only_if_version_changelog_and_commit_fit_it() {
    if !there_are(&["git"], "a_tag_is_released_only_if_version_changelog_and_commit_fit_it") {
        return;
    }
    let dated = "## 0.2.0 / 2026-12-01";
    for (version, heading, tag, words) in [
        ("0.2.0", dated, "v0.2.0", "v0.2.0 may be released"),
        ("0.1.0", dated, "v0.2.0", "the package's version 0.1.0: set version in Cargo.toml, or tag v0.1.0"),
        ("0.2.0", dated, "0.2.0", "the tag is 0.2.0"),
        ("0.3.0", "## 0.3.0 / 2026-12-01", "v0.3.0", "packaging/debian/changelog does not begin with 0.3.0-1"),
        ("0.2.0", "## 0.2.0 / unreleased", "v0.2.0", "CHANGELOG.md has no line \"## 0.2.0 / "),
        ("0.2.0", "## 0.2.01 / 2026-12-01", "v0.2.0", "CHANGELOG.md has no line \"## 0.2.0 / "),
        ("0.2.0", "## 0x2.0 / 2026-12-01", "v0.2.0", "CHANGELOG.md has no line \"## 0.2.0 / "),
    ] {
        let checkout = checkout(version, heading);
        let (may, said) = run(checkout.path(), "packaging/check-release", tag);
        assert!(said.contains(words) && may == words.ends_with("released"), "{version}, {heading}, {tag}: {said}");
    }
    let changed = checkout("0.2.0", dated);
    fs::write(changed.path().join("src/lib.rs"), "//! Changed.\n").expect("a file");
    let (may, said) = run(changed.path(), "packaging/check-release", "v0.2.0");
    assert!(!may && said.contains("the checkout differs from its commit"), "{said}");
}

#[test]
fn a_release_is_told_by_its_own_part_of_the_changelog() {
    if !there_are(&["git"], "a_release_is_told_by_its_own_part_of_the_changelog") {
        return;
    }
    let checkout = checkout("0.2.0", "## 0.2.0 / 2026-12-01");
    let told = |tag: &str| run(checkout.path(), "packaging/changelog", tag);
    assert_eq!(told("v0.2.0"), (true, "\n- [FEATURE] new\n\n".to_owned()));
    assert_eq!(told("v0.1.0"), (true, "\n- [FEATURE] old\n".to_owned()));
    for unknown in ["v0.2", "v9.9.9", "v"] {
        let (is_good, said) = told(unknown);
        assert!(!is_good && said.contains("has no heading for"), "{unknown}: {said}");
    }
}
