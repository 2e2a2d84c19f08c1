//! What is shipped beside the program: completions, man pages, licences, and what makes Debian's package of them.

mod debian;
mod helm;
mod licences;
mod releases;
mod shells;

use std::{env, fs};

use crate::common::servers::file;

/// That a file holds what is made of the program; with UPDATE_DOCS it is written.
fn assert_current(path: &str, made: &str) {
    let path = file(path);
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(&path, made).expect("it can be written");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    let differs = written.lines().zip(made.lines()).position(|(written, made)| written != made);
    let line = differs.unwrap_or_else(|| written.lines().count().min(made.lines().count()));
    assert!(
        written == made,
        "{}, line {}: {:?} is to be {:?}; rewrite it with the UPDATE_DOCS line in CONTRIBUTING.md",
        path.display(),
        line + 1,
        written.lines().nth(line),
        made.lines().nth(line),
    );
}
