//! The container's build: what its context holds must be all that cargo needs.

use std::{env, fs, path::PathBuf, process::Command};

use tempfile::TempDir;

/// The sources that the Dockerfile stands in for, because its context has only the product's.
const STANDS_IN: [&str; 3] = ["benches/history.rs", "benches/page.rs", "crates/dashboards/src/lib.rs"];

/// The path of a file in the context, whose directories are there.
fn within(context: &TempDir, name: &str) -> PathBuf {
    let path = context.path().join(name);
    fs::create_dir_all(path.parent().expect("a directory")).expect("directories");
    path
}

#[test]
fn the_build_context_is_enough_for_cargo() {
    // Asked for when it runs: a checkout may be renamed after it was built.
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs this"));
    let dockerfile = fs::read_to_string(root.join("Dockerfile")).expect("Dockerfile");
    for name in STANDS_IN {
        assert!(dockerfile.contains(name), "the Dockerfile no longer makes {name}");
    }
    let ignore = fs::read_to_string(root.join(".dockerignore")).expect(".dockerignore");
    let context = tempfile::tempdir().expect("a directory");
    for name in ignore.lines().filter_map(|line| line.strip_prefix('!')) {
        let path = within(&context, name);
        std::os::unix::fs::symlink(root.join(name), path).expect("a link");
    }
    for name in STANDS_IN {
        fs::write(within(&context, name), "fn main() {}").expect("a file");
    }
    let mut cargo = Command::new(env::var_os("CARGO").expect("cargo runs this"));
    cargo.args(["metadata", "--locked", "--offline", "--no-deps", "--format-version=1"]).current_dir(context.path());
    let output = cargo.output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
