//! What makes Debian's package: it fits the program and the unit in `deploy/`. packaging/try-deb lives through the rest.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use oura_exporter::config::VARIABLES;
use tempfile::TempDir;

use crate::{
    common::{
        needs::there_are,
        servers::{ask, file},
    },
    links::broken,
};

fn read(path: &str) -> String {
    fs::read_to_string(file(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

const UNIT: &str = "packaging/debian/oura-exporter.service";

#[test]
fn both_units_are_confined_alike() {
    let confined = |path: &str| {
        let text = read(path);
        let (_, rest) = text.split_once("UMask=0077\n").expect("a umask");
        let lines: Vec<_> = rest.lines().filter(|line| line.contains('=')).map(str::to_owned).collect();
        assert!(lines.len() > 20, "{path}: {lines:?}");
        lines
    };
    assert_eq!(confined(UNIT), confined("deploy/oura-exporter.service"));
}

#[test]
fn systemd_understands_the_packages_unit() {
    if !there_are(&["systemd-analyze"], "systemd_understands_the_packages_unit") {
        return;
    }
    let directory = TempDir::new().expect("a directory");
    let unit = directory.path().join("oura-exporter.service");
    let here = concat!("ExecStart=\"", env!("CARGO_BIN_EXE_oura-exporter"), "\"");
    fs::write(&unit, read(UNIT).replace("ExecStart=/usr/bin/oura-exporter", here)).expect("a file");
    let (is_good, said) = ask(Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit), "");
    assert!(is_good && !said.contains("oura-exporter.service:"), "{said}");
    let (is_good, said) =
        ask(Command::new("systemd-analyze").args(["security", "--offline=true", "--threshold=20"]).arg(&unit), "");
    assert!(is_good, "{said}");
}

#[test]
fn its_files_name_variables_and_paths_that_are_there() {
    let known: BTreeSet<_> = VARIABLES.iter().map(|variable| variable.name).collect();
    for path in ["packaging/debian/default", "packaging/debian/README.Debian", UNIT] {
        let text = read(path);
        let words = text.split(|c: char| !(c.is_ascii_uppercase() || c == '_'));
        let unknown: BTreeSet<_> = words.filter(|word| word.starts_with("OURA_") && !known.contains(word)).collect();
        assert!(unknown.is_empty(), "{path}: {unknown:?}");
    }
    let set: Vec<_> =
        read("packaging/debian/default").lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
    assert!(set.iter().all(String::is_empty), "it changes nothing until somebody writes into it: {set:?}");
}

/// What the package is made from, and where it puts it; of a link, which begins at the root, where it leads, and where it is.
fn assets() -> Vec<(String, String)> {
    let manifest = read("Cargo.toml");
    let (_, assets) = manifest.split_once("assets = [\n").expect("assets");
    let (assets, _) = assets.split_once("\n]").expect("their end");
    let lines = assets.lines().filter(|line| !line.trim_start().starts_with('#'));
    let texts = |line: &str| {
        let mut texts = line.split('"').skip(1).step_by(2).map(str::to_owned);
        (texts.next().expect("a source"), texts.next().expect("a destination"))
    };
    lines.map(texts).collect()
}

/// The start and the end of the names that a pattern means, and the directory they are in.
fn pattern(source: &str) -> Option<(&str, &str, &str)> {
    let (before, end) = source.split_once('*')?;
    let (directory, start) = before.rsplit_once('/').unwrap_or(("", before));
    Some((directory, start, end))
}

/// The files of the project that an asset is made from.
fn meant(source: &str) -> Vec<PathBuf> {
    let Some((directory, start, end)) = pattern(source) else { return vec![file(source)] };
    let entries = fs::read_dir(file(directory)).expect("a directory").flatten().map(|entry| entry.path());
    let is_meant = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        path.is_file() && name.starts_with(start) && name.ends_with(end)
    };
    entries.filter(is_meant).collect()
}

/// Puts what the package has, except the program, below `root`.
fn unpack(root: &Path) {
    for (source, destination) in assets() {
        let to = root.join(&destination);
        let directory = if destination.ends_with('/') { to.as_path() } else { to.parent().expect("a directory") };
        fs::create_dir_all(directory).expect("a directory");
        if let Some(target) = source.strip_prefix('/') {
            symlink(root.join(target), &to).expect("a link");
        } else if !source.starts_with("target/release/") {
            let files = meant(&source);
            assert!(!files.is_empty(), "there is no {source}");
            for from in files {
                let name = if destination.ends_with('/') { from.file_name() } else { to.file_name() };
                fs::copy(&from, directory.join(name.expect("a name")))
                    .unwrap_or_else(|error| panic!("{source}: {error}"));
            }
        }
    }
}

#[test]
fn what_its_documents_link_to_is_in_the_package() {
    let package = TempDir::new().expect("a directory");
    unpack(package.path());
    let documents = package.path().join("usr/share/doc/oura-exporter");
    let mut missing = Vec::new();
    for directory in [documents.clone(), documents.join("docs")] {
        let names = fs::read_dir(&directory).expect("documents").flatten().map(|entry| entry.file_name());
        for own in names.filter_map(|name| name.into_string().ok()).filter(|name| name.ends_with(".md")) {
            let text = fs::read_to_string(directory.join(&own)).expect("a document");
            missing.extend(broken(&directory, &own, &text));
        }
    }
    // Only whoever has the source needs these.
    let is_source =
        |link: &String| ["crates/", "tests/", "justfile", "deny.toml"].iter().any(|part| link.contains(part));
    missing.retain(|link| !is_source(link));
    assert!(missing.is_empty(), "{missing:#?}");
    for path in ["deploy/helm/files/alerts/values.rules.yml", "deploy/helm/files/dashboards/oura-today.json"] {
        assert!(documents.join(path).is_file(), "the chart has no {path}");
    }
}

#[test]
fn the_package_takes_no_password_along() {
    // cargo-deb's `*` means names that begin with a dot, too, and deploy/.env is such a one.
    let takes = |(source, _): &(String, String)| {
        let is_env = |(directory, start, end): (&str, &str, &str)| {
            directory == "deploy" && ".env".starts_with(start) && ".env".ends_with(end)
        };
        pattern(source).is_some_and(is_env) || source == "deploy/.env"
    };
    let taken: Vec<_> = assets().into_iter().filter(takes).collect();
    assert!(taken.is_empty(), "{taken:?}");
}
