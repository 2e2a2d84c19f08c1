//! What the boards cost: every query over two years of two people, on a real Prometheus, summed up for each snapshot.

use std::{
    collections::BTreeMap,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use chrono::{TimeDelta, Utc};
use oura_dashboards::{
    all,
    model::{Dashboard, OneOrMany, Panel, Target},
};
use oura_exporter::{
    documents::KINDS,
    simulator::{Settings, Simulator},
};
use reqwest::Client;
use tokio::runtime::Runtime;

/// How much history there is, in days.
const DAYS: i64 = 2 * 365;
/// How often each query is asked: the fastest answer counts, or what Prometheus worked for one, where others keep the machine
/// busy.
const TIMES: u32 = 3;
/// What the kernel counts a program's work in.
const TICK: Duration = Duration::from_millis(10);
/// A query must not take longer, nor a snapshot's all together.
const MOST: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];
/// Grafana asks for no more points than a panel is wide.
const WIDTH: i64 = 1_000;
const DAY: i64 = 86_400;

fn main() {
    if Command::new("prometheus").arg("--version").output().is_err() {
        println!("left out: there is no prometheus here");
        return;
    }
    let runtime = Runtime::new().expect("a runtime");
    let simulator = runtime.block_on(Simulator::start(Settings::default())).expect("a simulator");
    let directory = tempfile::tempdir().expect("a directory");
    for wearer in simulator.people() {
        bring_in(&simulator, wearer.name, &wearer.token, directory.path());
    }
    let prometheus = Prometheus::start(directory.path());
    runtime.block_on(prometheus.ready());
    let mut slow = vec![];
    for snapshot in all() {
        for (what, days) in [("as it opens", None), ("two years", Some(DAYS))] {
            slow.extend(runtime.block_on(prometheus.snapshot(&snapshot, what, days)));
        }
    }
    assert!(slow.is_empty(), "too slow:\n{}", slow.join("\n"));
}

/// The history of one person, into blocks.
fn bring_in(simulator: &Simulator, name: &str, token: &str, directory: &Path) {
    let from = (Utc::now() - TimeDelta::days(DAYS)).date_naive().to_string();
    let kinds = KINDS.iter().map(|kind| kind.name).filter(|name| !matches!(*name, "heartrate" | "tag"));
    let output = directory.join(name);
    let mut command = Command::new(env!("CARGO_BIN_EXE_oura-exporter"));
    command.env_clear().env("OURA_API_URL", simulator.url()).env("OURA_ACCESS_TOKEN", token);
    command.env("OURA_ACCOUNT", name).env("OURA_COLLECTIONS", kinds.collect::<Vec<_>>().join(","));
    command.env("OURA_STATE_DIR", directory.join("state")).stderr(Stdio::null());
    let ended = command.args(["backfill", "--from", &from, "--output"]).arg(&output).status().expect("it runs");
    assert!(ended.success(), "the backfill of {name}");
    for file in output.read_dir().expect("a directory").map(|file| file.expect("a file").path()) {
        if file.extension().is_some_and(|extension| extension == "om") {
            let mut promtool = Command::new("promtool");
            promtool.args(["tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=1500h"]);
            let read = promtool.arg(&file).arg(directory.join("data")).output().expect("promtool");
            assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
        }
    }
}

/// A Prometheus that ends with this program.
struct Prometheus {
    process: Child,
    url: String,
    http: Client,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Prometheus {
    fn start(directory: &Path) -> Self {
        oura_exporter::tls::choose_provider();
        std::fs::write(directory.join("prometheus.yml"), "global: {}\n").expect("a file");
        let address = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
        let mut command = Command::new("prometheus");
        command.current_dir(directory).stdout(Stdio::null()).stderr(Stdio::null());
        command.args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"]);
        command.args([&format!("--web.listen-address={address}"), "--storage.tsdb.retention.time=10y"]);
        let process = command.spawn().expect("it runs");
        let http = Client::builder().no_proxy().build().expect("a client");
        Self { process, url: format!("http://{address}/api/v1"), http }
    }

    async fn ready(&self) {
        let asks = || self.http.get(format!("{}/query?query=vector(1)", self.url)).send();
        while !asks().await.is_ok_and(|answer| answer.status().is_success()) {
            sleep(Duration::from_millis(50));
        }
    }

    /// For how long it has worked.
    fn work(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).expect("a process");
        let (_, fields) = stat.rsplit_once(") ").expect("a name");
        let ticks = fields.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<u32>().ok());
        TICK * ticks.sum::<u32>()
    }

    /// How long an answer takes.
    async fn time(&self, expr: &str, target: &Target, range: i64, step: i64) -> Duration {
        let now = Utc::now().timestamp();
        let end = if step >= DAY { now / DAY * DAY } else { now / step * step };
        let (start, end, step) = ((end - range).to_string(), end.to_string(), step.to_string());
        let query = ("query", expr);
        let (path, parameters) = match target.instant {
            true => ("query", vec![query, ("time", &end)]),
            false => ("query_range", vec![query, ("start", &start), ("end", &end), ("step", &step)]),
        };
        let (mut fastest, before) = (Duration::MAX, self.work());
        for _ in 0..TIMES {
            let begun = Instant::now();
            let answer = self.http.get(format!("{}/{path}", self.url)).query(&parameters).send().await;
            let answer = answer.expect("an answer");
            let is_good = answer.status().is_success();
            let text = answer.text().await.expect("a text");
            assert!(is_good, "{expr}: {text}");
            fastest = fastest.min(begun.elapsed());
        }
        fastest.min((self.work() - before + TICK) / TIMES)
    }

    /// Asks all queries of a snapshot, prints what they took, and names what took too long.
    async fn snapshot(&self, snapshot: &Dashboard, what: &str, days: Option<i64>) -> Vec<String> {
        let opens = seconds(snapshot.time.from.strip_prefix("now-").expect("a time until now"));
        let mut times = BTreeMap::new();
        for panel in &snapshot.panels {
            let range = panel.time_from.map_or_else(|| days.map_or(opens, |days| days * DAY), seconds);
            let step = panel.interval.map_or(15, seconds).max(range / WIDTH);
            for target in panel.targets.iter().flatten() {
                let expr = filled(snapshot, &target.expr, step, range);
                times.insert(name(snapshot, panel, target), self.time(&expr, target, range, step).await);
            }
        }
        let all: Duration = times.values().sum();
        let (slowest, longest) = times.iter().max_by_key(|(_, time)| **time).expect("queries");
        println!(
            "{}, {what}: {} queries in {:.0} ms; the slowest {:.0} ms ({slowest})",
            snapshot.uid,
            times.len(),
            all.as_secs_f64() * 1e3,
            longest.as_secs_f64() * 1e3
        );
        let slow = times.iter().filter(|(_, time)| **time > MOST[0]).map(|(name, time)| format!("{name}: {time:.0?}"));
        slow.chain((all > MOST[1]).then(|| format!("{}, {what}: {all:.0?} together", snapshot.uid))).collect()
    }
}

fn name(snapshot: &Dashboard, panel: &Panel, target: &Target) -> String {
    format!("{}: {}, {}", snapshot.uid, panel.title, target.ref_id)
}

/// A query with all wearers chosen, or one where the snapshot shows one, and other variables as they are when it opens.
fn filled(snapshot: &Dashboard, expr: &str, step: i64, range: i64) -> String {
    let shows_all = snapshot.templating.list.iter().any(|variable| variable.name == "account" && variable.include_all);
    let account = if shows_all { ".+" } else { "alice" };
    let mut expr = expr.replace("${account}", account).replace("$account", account);
    for variable in &snapshot.templating.list {
        let Some(choice) = &variable.current else { continue };
        if let (OneOrMany::One(value), OneOrMany::One(called)) = (&choice.value, &choice.text) {
            expr = expr.replace(&format!("${{{}:text}}", variable.name), called);
            expr = expr.replace(&format!("${{{}}}", variable.name), value);
            expr = expr.replace(&format!("${}", variable.name), value);
        }
    }
    let rate = (step + 15).max(60);
    for (name, value) in [("$__rate_interval", rate), ("$__interval", step), ("$__range", range)] {
        expr = expr.replace(name, &format!("{value}s"));
    }
    // "$1" of label_replace is no variable.
    let is_known = expr.split('$').skip(1).all(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    assert!(is_known, "an unknown variable: {expr}");
    expr
}

/// Seconds of a span as Grafana writes it, such as `30d`.
fn seconds(span: &str) -> i64 {
    let (number, unit) = span.split_at(span.len() - 1);
    let unit = match unit {
        "w" => 7 * DAY,
        "d" => DAY,
        "h" => 3_600,
        "m" => 60,
        "y" => 365 * DAY,
        _ => panic!("an unknown span: {span}"),
    };
    number.parse::<i64>().expect("a number") * unit
}
