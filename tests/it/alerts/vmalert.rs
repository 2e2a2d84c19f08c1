//! The same rules on vmalert with VictoriaMetrics.

use std::{fs, process::Command};

use super::{rule_files, test_files};
use crate::common::{
    needs::newer_are_there,
    servers::{self, Release, ask, file},
};

/// What only Prometheus can be asked: links come from external labels, which vmalert also puts on each alert, and in mornings
/// and accounts, which look every quarter of an hour, rules follow rules at the same moment, of which vmalert sees each a turn later.
const OF_PROMETHEUS: [&str; 3] = ["accounts", "links", "mornings"];
/// Whose rules follow rules: vmalert looks at them each minute, as in use, or every other, which costs half.
const TURNS: [(&str, &str); 3] = [("thresholds", "2m"), ("today", "2m"), ("values", "1m")];

/// The file as vmalert-tool reads it, which has another word for a query.
fn translated(stem: &str) -> String {
    let tests = fs::read_to_string(file(&format!("alerts/{stem}.test.yml"))).expect("tests");
    let tests = tests.replace("promql_expr_test", "metricsql_expr_test");
    let turn = TURNS.iter().find(|(turned, _)| *turned == stem);
    turn.map_or(tests.clone(), |(_, turn)| {
        let turn = format!("evaluation_interval: {turn}");
        tests.replace("evaluation_interval: 15m", &turn).replace("evaluation_interval: 5m", &turn)
    })
}

#[test]
fn the_tests_of_the_rules_hold_on_vmalert() {
    if !newer_are_there(&["vmalert", "vmalert-tool"], "the_tests_of_the_rules_hold_on_vmalert") {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    for stem in rule_files() {
        let name = format!("{stem}.rules.yml");
        let copy = directory.path().join(&name);
        fs::copy(file("alerts").join(name), &copy).expect("a copy");
        let rules = format!("-rule={}", servers::text(&copy));
        let (is_good, said) = ask(Command::new(Release::Newer.program("vmalert")).args(["-dryRun", &rules]), "");
        assert!(is_good, "{said}");
    }
    let mut held = 0;
    for stem in test_files().into_iter().filter(|stem| !OF_PROMETHEUS.contains(&stem.as_str())) {
        let tests = directory.path().join(format!("{stem}.test.yml"));
        fs::write(&tests, translated(&stem)).expect("a file");
        let mut tool = Command::new(Release::Newer.program("vmalert-tool"));
        tool.args(["unittest", "--disableAlertgroupLabel", "--files", servers::text(&tests)]);
        let (is_good, said) = ask(&mut tool, "");
        assert!(is_good && said.contains("SUCCESS"), "{stem}: {said}");
        held += 1;
    }
    assert_eq!(held, test_files().len() - OF_PROMETHEUS.len());
}
