//! A real Prometheus scrapes a real run, and promtool reads what we publish.

mod common;

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command as StdCommand, Stdio},
};

use common::{Page, Program, eventually};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    process::{Child, Command},
};

/// The server program, or none where it is missing: then the test is named and left out, unless all must run.
fn server(program: &str, test: &str) -> Option<String> {
    let found = StdCommand::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if found.is_ok_and(|status| status.success()) {
        return Some(program.to_owned());
    }
    assert!(std::env::var_os("OURA_TEST_ALL").is_none(), "{test} needs {program}: apt-get install prometheus");
    common::left_out(test, &format!("needs {program}, which is not installed"));
    None
}

async fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("an address").to_string()
}

/// The demo on a free port, ready.
async fn demo() -> Program {
    let demo = Program::start(Command::new(env!("CARGO_BIN_EXE_oura-exporter")).arg("demo")).await;
    demo.ready().await;
    demo
}

/// What promtool says of `input`, which it is given on standard input.
fn promtool(arguments: &[&str], input: &str) -> String {
    let mut child = StdCommand::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts");
    let mut pipe = child.stdin.take().expect("a pipe");
    pipe.write_all(input.as_bytes()).expect("promtool reads");
    drop(pipe);
    let output = child.wait_with_output().expect("promtool ends");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[tokio::test]
async fn promtool_has_nothing_to_say_of_the_page() {
    let Some(_) = server("promtool", "promtool_has_nothing_to_say_of_the_page") else { return };
    let page = demo().await.get("/metrics").await.expect("a page");
    assert_eq!(promtool(&["check", "metrics"], &page), "");
}

/// A Prometheus that scrapes `target` every second, as the README shows it otherwise.
struct Prometheus {
    address: String,
    _directory: TempDir,
    _process: Child,
}

impl Prometheus {
    async fn scraping(target: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let address = free_address().await;
        let config = readme_config().replace("localhost:10058", target).replace("1m", "1s");
        fs::write(directory.path().join("prometheus.yml"), config).expect("a file");
        let mut command = Command::new("prometheus");
        command.current_dir(directory.path()).args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"]);
        command.arg(format!("--web.listen-address={address}")).stderr(Stdio::null()).kill_on_drop(true);
        let process = command.spawn().expect("prometheus starts");
        Self { address, _directory: directory, _process: process }
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Option<Value> {
        let http = reqwest::Client::new();
        let answer = http.get(format!("http://{}/api/v1/{path}", self.address)).query(query).send().await.ok()?;
        Some(answer.json::<Value>().await.ok()?["data"].take())
    }

    async fn value(&self, query: &str) -> Option<f64> {
        let data = self.get("query", &[("query", query)]).await?;
        data["result"][0]["value"][1].as_str()?.parse().ok()
    }
}

/// The configuration that the README shows.
fn readme_config() -> String {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("README.md");
    let within = readme.lines().map(|line| line.strip_prefix("   ").unwrap_or(line));
    let block: Vec<_> =
        within.skip_while(|line| *line != "scrape_configs:").take_while(|line| *line != "```").collect();
    assert!(!block.is_empty(), "README.md shows no scrape_configs");
    block.join("\n") + "\n"
}

#[test]
fn the_scrape_block_of_the_readme_is_good() {
    let Some(_) = server("promtool", "the_scrape_block_of_the_readme_is_good") else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("prometheus.yml");
    fs::write(&path, readme_config()).expect("a file");
    let said = promtool(&["check", "config", path.to_str().expect("a path")], "");
    assert!(said.contains("SUCCESS") && !said.contains("FAILED"), "{said}");
}

#[tokio::test]
async fn a_real_prometheus_takes_every_series_of_the_page() {
    let Some(_) = server("prometheus", "a_real_prometheus_takes_every_series_of_the_page") else { return };
    let demo = demo().await;
    let prometheus = Prometheus::scraping(&demo.address).await;
    let scrapes = async || prometheus.value("count_over_time(up[1h])").await.filter(|count| *count >= 5.0);
    eventually("five scrapes", scrapes).await;
    assert_eq!(prometheus.value("min_over_time(up[1h])").await, Some(1.0), "up all the time");
    let page = demo.get("/metrics").await.expect("a page");
    let samples = Page::parse(&page).starting_with("").len() as f64;
    assert_eq!(prometheus.value("scrape_samples_scraped").await, Some(samples));
    assert_eq!(prometheus.value("scrape_samples_post_metric_relabeling").await, Some(samples));
    let names = prometheus.get("label/__name__/values", &[]).await.expect("names");
    let names: Vec<_> = names.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    let families = page.lines().filter_map(|line| line.strip_prefix("# TYPE oura_")?.split_once(' '));
    let mut count = 0;
    for (family, kind) in families {
        let name = if kind == "histogram" { format!("oura_{family}_count") } else { format!("oura_{family}") };
        assert!(names.contains(&name.as_str()), "{name} is not in Prometheus");
        count += 1;
    }
    assert!(count >= 85, "{count} families");
}
