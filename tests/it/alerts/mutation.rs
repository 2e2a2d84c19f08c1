//! The rules' tests notice every change of a rule.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::Mutex,
    thread,
};

use super::{
    files::tests_hold,
    mutants::{self, Mutant, named_in},
    rule_files,
};
use crate::common::{
    needs::there_are,
    servers::{Release, file, yaml},
};
use serde_json::{Value, json};

/// Which tests look at the rules of a file, the quickest first.
const TESTS: [(&str, &[&str]); 4] = [
    ("exporter", &["scale", "sign_in", "data", "weeks", "exporter"]),
    ("usual", &["usual", "before"]),
    ("values", &["values"]),
    ("wearer", &["thresholds", "today"]),
];
/// Files of tests whose rules look at nothing that rules have made: they need to look only when their tests ask.
const ASKED_AT: [(&str, &str); 2] = [("usual", "414h"), ("before", "498h")];
/// How many rounds are tried at a time.
const AT_A_TIME: usize = 2;

/// All changes of one rule, which one promtool tries, each under names of its own.
struct Round {
    stem: &'static str,
    mutants: BTreeMap<usize, Mutant>,
}

fn rounds() -> Vec<Round> {
    let mut rounds = vec![];
    for (stem, _) in TESTS {
        let text = fs::read_to_string(file(&format!("alerts/{stem}.rules.yml"))).expect("rules");
        let mut of_rules: BTreeMap<String, BTreeMap<usize, Mutant>> = BTreeMap::new();
        for (number, mutant) in mutants::of(&text).into_iter().enumerate() {
            of_rules.entry(mutant.rule.clone()).or_default().insert(number, mutant);
        }
        rounds.extend(of_rules.into_values().map(|mutants| Round { stem, mutants }));
    }
    rounds
}

impl Round {
    /// The changes that no test notices.
    fn unnoticed(mut self) -> Vec<String> {
        let (_, tests) = TESTS.iter().find(|(stem, _)| *stem == self.stem).expect("tests");
        for stem in *tests {
            while !self.mutants.is_empty() && self.tries(stem) {}
        }
        self.mutants.values().map(|mutant| format!("{}: {}", mutant.rule, mutant.what)).collect()
    }

    /// Takes out what these tests notice, and says whether to try the rest again: a rule that fails ends its test before others
    /// have been looked at.
    fn tries(&mut self, stem: &str) -> bool {
        let mut tests = self.tests(yaml(&format!("alerts/{stem}.test.yml")));
        if let Some((_, interval)) = ASKED_AT.iter().find(|(asked, _)| *asked == stem) {
            tests["evaluation_interval"] = json!(interval);
        }
        if tests["tests"].as_array().is_some_and(Vec::is_empty) {
            return false;
        }
        let directory = tempfile::tempdir().expect("a directory");
        let place = |name: String| directory.path().join(name);
        fs::write(place(format!("{stem}.test.yml")), tests.to_string()).expect("a file"); // JSON is YAML
        fs::write(place("changed.rules.yml".to_owned()), self.rules()).expect("a file");
        let (holds, said) = tests_hold(Release::Installed, directory.path(), stem);
        let noticed = named_in(&said);
        let is_sound = holds == noticed.is_empty() && !said.contains("could not parse");
        assert!(is_sound, "{} fails for another reason: {said}", self.stem);
        self.mutants.retain(|number, _| !noticed.contains(number));
        said.contains("err: ")
    }

    /// The rules as they are, which the changed ones may follow from, and the changed ones.
    fn rules(&self) -> String {
        let rules = fs::read_to_string(file(&format!("alerts/{}.rules.yml", self.stem))).expect("rules");
        let changed: String = self.mutants.iter().map(|(number, mutant)| mutant.rules(*number)).collect();
        let original = if self.stem == "values" { rules } else { "groups:\n".to_owned() };
        format!("{original}\n  - name: changed\n    rules:\n{changed}")
    }

    /// What the tests say of the rules, of each changed one instead; a test that says nothing of them is left out.
    fn tests(&self, mut tests: Value) -> Value {
        tests["rule_files"] = json!(["changed.rules.yml"]);
        tests["group_eval_order"] = json!(["oura-days", "changed"]);
        tests["tests"].as_array_mut().expect("tests").retain_mut(|test| {
            for kind in ["alert_rule_test", "promql_expr_test"] {
                let cases = test[kind].as_array().cloned().unwrap_or_default();
                test[kind] = cases.iter().flat_map(|case| self.of_each(case)).collect();
            }
            ["alert_rule_test", "promql_expr_test"].iter().any(|kind| test[kind] != json!([]))
        });
        tests
    }

    /// A case for each changed rule that it is about.
    fn of_each(&self, case: &Value) -> Vec<Value> {
        let about = ["alertname", "expr"].into_iter().find_map(|key| case[key].as_str()).expect("what it is about");
        let mutants = self.mutants.iter().filter(|(_, mutant)| mutant.is_in(about));
        let renamed = |(number, mutant): (&usize, &Mutant)| {
            let mut case = case.clone();
            for key in ["alertname", "expr"] {
                if let Some(text) = case[key].as_str() {
                    case[key] = json!(mutant.renamed(text, *number));
                }
            }
            for sample in case.get_mut("exp_samples").and_then(Value::as_array_mut).into_iter().flatten() {
                sample["labels"] = json!(mutant.renamed(sample["labels"].as_str().expect("labels"), *number));
            }
            case
        };
        mutants.map(renamed).collect()
    }
}

#[test]
fn every_changed_threshold_and_every_missing_clause_fails_a_test() {
    if !there_are(&["promtool"], "every_changed_threshold_and_every_missing_clause_fails_a_test") {
        return;
    }
    let files: BTreeSet<_> = TESTS.iter().map(|(stem, _)| (*stem).to_owned()).collect();
    assert_eq!(files, rule_files(), "a file without tests");
    let rounds = rounds();
    let changes: usize = rounds.iter().map(|round| round.mutants.len()).sum();
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
    println!("{changes} changes, {} unnoticed", unnoticed.len());
    assert!(changes > 300, "{changes} changes");
    assert!(unnoticed.is_empty(), "no test fails with\n{}", unnoticed.join("\n"));
}
