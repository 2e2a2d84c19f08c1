//! What makes Debian's package: it fits the program and the unit in `deploy/`. packaging/try-deb lives through the rest.

use std::{collections::BTreeSet, fs, process::Command};

use oura_exporter::config::VARIABLES;
use tempfile::TempDir;

use crate::common::{
    needs::there_are,
    servers::{ask, file},
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
    let manifest = read("Cargo.toml");
    let (_, assets) = manifest.split_once("assets = [\n").expect("assets");
    let (assets, _) = assets.split_once("\n]").expect("their end");
    for line in assets.lines() {
        let source = line.split('"').nth(1).expect("a source");
        let source = source.split('*').next().unwrap_or_default();
        assert!(source.starts_with("target/release/") || file(source).exists(), "there is no {source}");
    }
}
