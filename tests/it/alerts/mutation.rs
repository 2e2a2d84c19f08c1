//! The rules' tests notice every change of a rule.

use std::{collections::BTreeMap, fs, sync::Mutex, thread};

use super::{
    files::tests_hold,
    mutants::{self, Mutant},
    rule_files,
};
use crate::common::{
    needs::there_are,
    servers::{Release, file},
};

/// Which tests look at the rules of a file, the quickest first.
const TESTS: [(&str, &[&str]); 4] = [
    ("exporter", &["sign_in", "data", "weeks", "exporter"]),
    ("usual", &["usual"]),
    ("values", &["values"]),
    ("wearer", &["thresholds", "today"]),
];
/// What others of its file follow from; a change of it is tried alone.
const ROOT: &str = "account_collection_day:oura_document_age_days:today";
/// How many rounds are tried at a time.
const AT_A_TIME: usize = 2;

/// Changes that are tried together, one of each alert or series, and whose tests they are.
struct Round {
    stem: &'static str,
    mutants: Vec<Mutant>,
}

/// The changes in rounds: rules do not depend on each other, so that what fails is named after what was changed.
fn rounds() -> Vec<Round> {
    let mut rounds = vec![];
    for (stem, _) in TESTS {
        let text = fs::read_to_string(file(&format!("alerts/{stem}.rules.yml"))).expect("rules");
        let mut of_rules: BTreeMap<String, Vec<Mutant>> = BTreeMap::new();
        for mutant in mutants::of(&text) {
            of_rules.entry(mutant.rule.clone()).or_default().push(mutant);
        }
        let roots = of_rules.remove(ROOT).unwrap_or_default();
        rounds.extend(roots.into_iter().map(|mutant| Round { stem, mutants: vec![mutant] }));
        while of_rules.values().any(|mutants| !mutants.is_empty()) {
            rounds.push(Round { stem, mutants: of_rules.values_mut().filter_map(Vec::pop).collect() });
        }
    }
    rounds
}

impl Round {
    /// The changes that no test notices.
    fn unnoticed(&self) -> Vec<String> {
        let directory = tempfile::tempdir().expect("a directory");
        let place = |name: &str| directory.path().join(name);
        let rules = format!("{}.rules.yml", self.stem);
        let mut text = fs::read_to_string(file("alerts").join(&rules)).expect("rules");
        let mut mutants: Vec<_> = self.mutants.iter().collect();
        mutants.sort_by_key(|mutant| std::cmp::Reverse(mutant.place.start));
        for mutant in &mutants {
            text.replace_range(mutant.place.clone(), &mutant.text);
        }
        fs::write(place(&rules), text).expect("a file");
        let (_, tests) = TESTS.iter().find(|(stem, _)| *stem == self.stem).expect("tests");
        for stem in *tests {
            let name = format!("{stem}.test.yml");
            let tests = fs::read_to_string(file("alerts").join(&name)).expect("tests");
            if !mutants.iter().any(|mutant| tests.contains(&mutant.rule) || mutant.rule == ROOT) {
                continue;
            }
            fs::copy(file("alerts").join(&name), place(&name)).expect("a copy");
            let (holds, said) = tests_hold(Release::Installed, directory.path(), stem);
            assert!(
                holds || said.contains("exp:") || said.contains("err:"),
                "{rules} fails for another reason: {said}"
            );
            let is_named = |mutant: &Mutant| {
                let rule = &mutant.rule;
                let names = [format!("alertname: {rule},"), format!("alertname=\\\"{rule}\\\""), format!("\"{rule}")];
                rule == ROOT
                    || names.iter().any(|name| said.contains(name.as_str()))
                    || said.contains(&format!("({rule}"))
            };
            mutants.retain(|mutant| holds || !is_named(mutant));
        }
        mutants.iter().map(|mutant| format!("{}: {}", mutant.rule, mutant.what)).collect()
    }
}

#[test]
fn every_changed_threshold_and_every_missing_clause_fails_a_test() {
    if !there_are(&["promtool"], "every_changed_threshold_and_every_missing_clause_fails_a_test") {
        return;
    }
    assert!(TESTS.iter().map(|(stem, _)| *stem).eq(rule_files().iter().map(String::as_str)), "a file without tests");
    let rounds = rounds();
    let (count, changes) = (rounds.len(), rounds.iter().map(|round| round.mutants.len()).sum::<usize>());
    let (left, unnoticed) = (Mutex::new(rounds), Mutex::new(vec![]));
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some(round) = { left.lock().expect("no panic").pop() } {
                    let found = round.unnoticed();
                    unnoticed.lock().expect("no panic").extend(found);
                }
            });
        }
    });
    let unnoticed = unnoticed.into_inner().expect("no panic");
    println!("{changes} changes in {count} rounds, {} unnoticed", unnoticed.len());
    assert!(changes > 300, "{changes} changes");
    assert!(unnoticed.is_empty(), "no test fails with\n{}", unnoticed.join("\n"));
}
