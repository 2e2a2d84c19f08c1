//! Promtool finds nothing wrong in the rules, and their tests hold, on Prometheus 2.42 and 3.5.

use std::{path::Path, process::Command, thread};

use super::{rule_files, test_files};
use crate::common::{
    needs::{newer_are_there, there_are},
    servers::{self, Release, ask, file},
};

/// Both releases' promtool are there.
pub(super) fn promtools_are_there(test: &str) -> bool {
    there_are(&["promtool"], test) && newer_are_there(&["promtool"], test)
}

/// Whether the promtool of that release is content, and what it says.
fn promtool(release: Release, arguments: &[&str]) -> (bool, String) {
    ask(Command::new(release.program("promtool")).args(arguments), "")
}

/// Whether those tests in `directory` hold.
pub(super) fn tests_hold(release: Release, directory: &Path, stem: &str) -> (bool, String) {
    let tests = directory.join(format!("{stem}.test.yml"));
    promtool(release, &["test", "rules", servers::text(&tests)])
}

#[test]
fn promtool_finds_nothing_wrong() {
    if !promtools_are_there("promtool_finds_nothing_wrong") {
        return;
    }
    assert!(!rule_files().is_empty());
    for release in Release::BOTH {
        for stem in rule_files() {
            let rules = file(&format!("alerts/{stem}.rules.yml"));
            let arguments = ["check", "rules", "--lint=all", "--lint-fatal", servers::text(&rules)];
            let (is_good, said) = promtool(release, &arguments);
            assert!(is_good, "{release:?}: {said}");
        }
    }
}

#[test]
fn the_tests_of_the_rules_hold_on_both_releases() {
    if !promtools_are_there("the_tests_of_the_rules_hold_on_both_releases") {
        return;
    }
    let of = |release| {
        move || -> Vec<String> {
            let failed = |stem: String| Some(tests_hold(release, &file("alerts"), &stem)).filter(|(holds, _)| !holds);
            test_files().into_iter().filter_map(failed).map(|(_, said)| format!("{release:?}: {said}")).collect()
        }
    };
    let failed = Release::BOTH.map(|release| thread::spawn(of(release))).map(|one| one.join().expect("no panic"));
    let failed = failed.concat();
    assert!(failed.is_empty(), "{}", failed.concat());
}
