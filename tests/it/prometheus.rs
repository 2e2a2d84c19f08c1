//! A real Prometheus scrapes a real run, and promtool reads what we publish.

use std::fs;

use crate::common::{
    Page, Program, eventually,
    needs::{newer_are_there, there_are},
    servers::{Release, file, promtool, text},
    stores::Store,
};
use chrono::{TimeDelta, Utc};
use tokio::process::Command;

/// The demo on a free port, ready.
async fn demo() -> Program {
    let demo = Program::start(Command::new(env!("CARGO_BIN_EXE_oura-exporter")).arg("demo")).await;
    demo.ready().await;
    demo
}

#[tokio::test]
async fn promtool_has_nothing_to_say_of_the_page() {
    if !there_are(&["promtool"], "promtool_has_nothing_to_say_of_the_page") {
        return;
    }
    let demo = demo().await;
    let page = demo.get("/metrics").await.expect("a page");
    // The contract names this metric so, and promtool would have it in seconds.
    let of_days = "oura_document_age_days use base unit \"seconds\" instead of \"days\"\n";
    assert_eq!(promtool(&["check", "metrics"], &page), (false, of_days.to_owned()));
    let rest: Vec<_> = page.split_inclusive('\n').filter(|line| !line.contains("oura_document_age_days")).collect();
    assert!(rest.concat().contains("\noura_document_day_timestamp_seconds{"));
    assert_eq!(promtool(&["check", "metrics"], &rest.concat()), (true, String::new()));
    for query in ["", "?learnt=14d"] {
        let samples = demo.get(&format!("/metrics/samples{query}")).await.expect("a page");
        let lines = samples.lines().filter(|line| line.starts_with("oura_sample_")).count();
        assert!(lines > 1000, "{lines} lines");
        assert_eq!(promtool(&["check", "metrics"], &samples), (true, String::new()));
    }
}

/// A Prometheus that scrapes both pages of `target` every second, as the README shows it otherwise.
async fn scraping(release: Release, target: &str) -> Store {
    let often = readme_config().replace("localhost:10058", target).replace("15m", "1s").replace("1m", "1s");
    Store::prometheus_of(release, &often, &[]).await
}

/// The configuration that the README shows.
fn readme_config() -> String {
    let readme = fs::read_to_string(file("README.md")).expect("README.md");
    let blocks = readme.split("```yaml\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0));
    // A block within a list is indented like the list.
    let plain = |block: &str| {
        let indent = block.len() - block.trim_start().len();
        block.lines().map(|line| line.get(indent..).unwrap_or_default().to_owned() + "\n").collect()
    };
    let configs: Vec<String> =
        blocks.map(plain).filter(|block: &String| block.starts_with("scrape_configs:")).collect();
    let [config] = &configs[..] else { panic!("one block with both jobs, not {}", configs.len()) };
    config.clone()
}

#[test]
fn the_scrape_block_of_the_readme_is_good() {
    if !there_are(&["promtool"], "the_scrape_block_of_the_readme_is_good") {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("prometheus.yml");
    fs::write(&path, readme_config()).expect("a file");
    let (is_good, said) = promtool(&["check", "config", text(&path)], "");
    assert!(is_good && said.contains("SUCCESS") && !said.contains("FAILED"), "{said}");
}

#[tokio::test]
async fn a_real_prometheus_takes_every_series_of_the_page() {
    let test = "a_real_prometheus_takes_every_series_of_the_page";
    if !there_are(&["prometheus"], test) || !newer_are_there(&["prometheus"], test) {
        return;
    }
    let demo = demo().await;
    for release in Release::BOTH {
        takes_every_series(release, &demo).await;
    }
}

async fn takes_every_series(release: Release, demo: &Program) {
    let prometheus = scraping(release, &demo.address).await;
    let scrapes = async || prometheus.now("count_over_time(up{job=\"oura\"}[1h])").await.filter(|count| *count >= 5.0);
    eventually("five scrapes", scrapes).await;
    assert_eq!(prometheus.now("min(min_over_time(up[1h]))").await, Some(1.0), "up all the time");
    let page = demo.get("/metrics").await.expect("a page");
    let samples = Page::parse(&page).starting_with("").len() as f64;
    assert_eq!(prometheus.now("scrape_samples_scraped{job=\"oura\"}").await, Some(samples));
    assert_eq!(prometheus.now("scrape_samples_post_metric_relabeling{job=\"oura\"}").await, Some(samples));
    let names = prometheus.values("__name__", Utc::now() - TimeDelta::days(15)).await;
    let samples = demo.get("/metrics/samples").await.expect("a page");
    let families =
        page.lines().chain(samples.lines()).filter_map(|line| line.strip_prefix("# TYPE oura_")?.split_once(' '));
    let mut count = 0;
    for (family, kind) in families {
        let name = if kind == "histogram" { format!("oura_{family}_count") } else { format!("oura_{family}") };
        assert!(names.contains(&name), "{name} is not in Prometheus, {release:?}");
        count += 1;
    }
    assert!(count >= 85 + 65, "{count} families");
}
