//! The licences of the libraries in the program, as an image or a package has to carry them.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    env, fs,
    path::Path,
    process::Command,
};

use serde_json::Value;

use super::assert_current;
use crate::common::servers::{file, text};

const SHIPPED: &str = "LICENSES-THIRD-PARTY.txt";
/// What a release is built for.
const PLATFORMS: [&str; 3] = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", "armv7-unknown-linux-gnueabihf"];
/// How the files begin in which crates have their licence.
const FILES: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE"];

fn strings<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// Every crate that is in the program on one of the platforms.
fn packages() -> Vec<Value> {
    let mut cargo = Command::new(env::var_os("CARGO").expect("cargo runs this"));
    cargo.args([
        "metadata",
        "--locked",
        "--offline",
        "--format-version=1",
        "--manifest-path",
        text(&file("Cargo.toml")),
    ]);
    for platform in PLATFORMS {
        cargo.args(["--filter-platform", platform]);
    }
    let output = cargo.output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let linked = linked(&metadata["resolve"]);
    let Value::Array(packages) = metadata["packages"].take() else { panic!("no packages") };
    let mut packages: Vec<_> = packages.into_iter().filter(|package| linked.contains(strings(package, "id"))).collect();
    packages.sort_by_key(|package| (strings(package, "name").to_owned(), strings(package, "version").to_owned()));
    packages
}

/// The ids of what the program is linked with: its dependencies and theirs, but not those of builds and tests.
fn linked(resolve: &Value) -> BTreeSet<String> {
    let nodes = resolve["nodes"].as_array().expect("nodes");
    let by_id: BTreeMap<_, _> = nodes.iter().map(|node| (strings(node, "id"), node)).collect();
    let root = strings(resolve, "root");
    let (mut found, mut waiting) = (BTreeSet::new(), VecDeque::from([root]));
    while let Some(id) = waiting.pop_front() {
        for dependency in by_id[id]["deps"].as_array().into_iter().flatten() {
            let mut kinds = dependency["dep_kinds"].as_array().into_iter().flatten();
            if kinds.any(|kind| kind["kind"].is_null()) && found.insert(strings(dependency, "pkg").to_owned()) {
                waiting.push_back(strings(dependency, "pkg"));
            }
        }
    }
    found
}

/// The texts that a crate brings, each once.
fn texts(package: &Value) -> Vec<String> {
    let directory = Path::new(strings(package, "manifest_path")).parent().expect("a directory");
    let entries = fs::read_dir(directory).expect("a crate's directory");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a file").path()).collect();
    paths.sort();
    let is_licence = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        path.is_file() && FILES.iter().any(|begin| name.starts_with(begin)) && !name.ends_with(".RS")
    };
    let found = paths.into_iter().filter(|path| is_licence(path));
    found.map(|path| fs::read_to_string(path).expect("UTF-8").trim().replace("\r\n", "\n")).collect()
}

fn all() -> String {
    let packages = packages();
    let mut who: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut list = String::new();
    for package in &packages {
        let name = format!("{} {}", strings(package, "name"), strings(package, "version"));
        list += &format!("{name}: {}\n", strings(package, "license"));
        for text in texts(package) {
            who.entry(text).or_default().push(name.clone());
        }
    }
    let mut made = format!(
        "oura-exporter contains these libraries, each under its own licence. Their texts follow, with whose they are.\n\n{list}"
    );
    let mut texts: Vec<_> = who.into_iter().collect();
    texts.sort_by(|(_, one), (_, other)| one.cmp(other));
    for (text, names) in texts {
        made += &format!("\n{}\n{}\n\n{text}\n", "=".repeat(80), names.join(", "));
    }
    made
}

#[test]
fn the_shipped_licences_are_those_of_the_libraries() {
    assert_current(SHIPPED, &all());
}

#[test]
fn every_library_has_a_licence_and_what_asks_for_its_text_brings_it() {
    for package in packages() {
        let name = strings(&package, "name");
        assert!(!strings(&package, "license").is_empty() || !package["license_file"].is_null(), "{name}: under none");
        // Where a crate forgot its text, it must be one whose text another crate brings; MIT needs the holder's name.
        let is_bare = texts(&package).is_empty();
        assert!(!is_bare || strings(&package, "license").contains("Apache-2.0"), "{name}: no text of its licence");
    }
}
