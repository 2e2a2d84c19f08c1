//! The landing page in a real browser: narrow and wide, light and dark, and as a screen reader meets it.

mod common;

use std::fs;

use common::{
    Exporter, NOON, Plan,
    browser::Browser,
    eventually,
    needs::{browser_is_there, there_is},
    servers::file,
    simulator_at,
};
use oura_exporter::simulator::{Fault, Scope};
use serde_json::{Value, json};

const WIDTHS: [u32; 2] = [400, 1280];
const SCHEMES: [&str; 2] = ["light", "dark"];
/// What axe-core finds, as one line a finding.
const AXE: &str = "axe.run().then(found => found.violations.map(v => \
                   v.id + ': ' + v.nodes.map(n => n.target + ' ' + n.failureSummary).join('; ')))";

/// axe-core's text; none where it is not installed, and then the test is named.
fn axe(test: &str) -> Option<String> {
    let text = fs::read_to_string(file("tests/web/node_modules/axe-core/axe.min.js")).ok();
    there_is(text.is_some(), "axe-core", "npm ci --prefix tests/web", test);
    text
}

async fn open(exporter: &Exporter) -> Browser {
    let browser = Browser::open(&format!("{}/", exporter.url).parse().expect("an address")).await;
    let there = async || {
        (browser.evaluate("document.readyState + !!document.querySelector('main')").await == "completetrue")
            .then_some(())
    };
    eventually("the page is there", there).await;
    browser
}

/// Shows the page as wide as that, in that scheme.
async fn look(browser: &Browser, width: u32, scheme: &str) {
    let metrics = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
    browser.order("Emulation.setDeviceMetricsOverride", metrics).await;
    let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
    browser.order("Emulation.setEmulatedMedia", features).await;
}

async fn assert_accessible(exporter: &Exporter, axe: &str) {
    let browser = open(exporter).await;
    browser.evaluate(&format!("{axe}; 0")).await;
    for (width, scheme) in WIDTHS.into_iter().flat_map(|width| SCHEMES.map(|scheme| (width, scheme))) {
        look(&browser, width, scheme).await;
        assert_eq!(browser.evaluate(AXE).await, json!([]), "{scheme} at {width} px");
        let overflows = browser.evaluate("document.documentElement.scrollWidth > window.innerWidth").await;
        assert_eq!(overflows, Value::Bool(false), "it must be scrolled sideways at {width} px");
    }
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    browser.close().await;
}

#[tokio::test]
async fn nobody_is_shut_out_whatever_the_state_of_things() {
    let test = "nobody_is_shut_out_whatever_the_state_of_things";
    let (true, Some(axe)) = (browser_is_there(test), axe(test)) else { return };
    let simulator = simulator_at(NOON).await;
    let exporter = Plan { people: &["alice", "bob"], ..Plan::default() }.ready(&simulator).await;
    assert_accessible(&exporter, &axe).await;
    exporter.stop().await;
    simulator.faults().set(Scope::collection("workout"), Fault::Status(500));
    simulator.faults().set(Scope::person("bob"), Fault::TokenDead);
    let exporter = Plan { people: &["alice", "bob"], ..Plan::default() }.ready(&simulator).await;
    assert_accessible(&exporter, &axe).await;
    exporter.stop().await;
}

#[tokio::test]
async fn the_page_tells_today_with_its_dates_and_loads_nothing() {
    let test = "the_page_tells_today_with_its_dates_and_loads_nothing";
    if !browser_is_there(test) {
        return;
    }
    let simulator = simulator_at(NOON).await;
    let exporter = Plan::default().ready(&simulator).await;
    let page = exporter.page().await;
    let browser = open(&exporter).await;
    let text = browser.evaluate("document.body.innerText").await;
    let text = text.as_str().expect("text");
    for (title, metric) in
        [("Readiness", "oura_readiness_score"), ("Sleep", "oura_sleep_score"), ("Activity", "oura_activity_score")]
    {
        let score = page.get(metric).expect("a score");
        let band = match score {
            85.0.. => "Optimal",
            70.0.. => "Good",
            _ => "Pay attention",
        };
        let card: Vec<_> =
            text.lines().skip_while(|line| *line != title).filter(|line| !line.is_empty()).take(4).collect();
        assert_eq!(card, [title, &score.to_string(), band, "today, 22 Nov"]);
    }
    assert!(text.contains("Collections: 18 of 18 as they should be"), "{text}");
    let loaded = browser.evaluate("performance.getEntriesByType('resource').length").await;
    assert_eq!(loaded, json!(0));
    browser.close().await;
    exporter.stop().await;
}
