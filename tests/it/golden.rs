//! The whole page of two people at one moment, compared with the copy in `tests/golden/`.

use std::{env, fs, path::Path};

use crate::common::{NOON, Plan, moment, simulator_with};
use oura_exporter::{catalogue, clock::Clock};

#[tokio::test]
async fn the_page_at_one_moment_is_the_page_as_it_was() {
    let simulator = simulator_with(Clock::still_at(moment(NOON))).await;
    let page = Plan { people: &["alice", "bob"], ..Plan::default() }.still().ready(&simulator).await.page().await;
    let text = of_the_page(&page.text);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden/metrics.prom");
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &text).expect("the golden page can be written");
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    let changed: Vec<_> = golden.lines().zip(text.lines()).filter(|(old, new)| old != new).take(5).collect();
    assert!(
        golden == text,
        "first changes {changed:#?}; if they are meant, rewrite it with the UPDATE_DOCS line in CONTRIBUTING.md"
    );
}

/// The families of the board; the exporter's own counters and times differ from run to run.
fn of_the_page(page: &str) -> String {
    let names: Vec<_> = catalogue::of_the_page().iter().map(|entry| entry.definition.name).collect();
    let name = |line: &str| {
        let line = line.trim_start_matches("# HELP ").trim_start_matches("# TYPE ");
        line.split(['{', ' ']).next().unwrap_or_default().to_owned()
    };
    page.lines().filter(|line| names.contains(&name(line).as_str())).map(|line| format!("{line}\n")).collect()
}
