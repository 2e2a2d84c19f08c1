//! Real servers that keep what we publish: Prometheus and VictoriaMetrics on loopback, and promtool beside them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command as StdCommand, Stdio},
};

use chrono::{DateTime, Utc};
use oura_exporter::tls;
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    process::{Child, Command},
};

use super::{eventually, left_out};

/// A series as a store names it: every label, the metric's name among them.
pub(crate) type Labels = BTreeMap<String, String>;
/// Times in milliseconds, and values.
pub(crate) type Points = Vec<(i64, f64)>;

/// Whether all of `programs` are here; where one is missing, the test is named and left out, unless all must run.
pub(crate) fn have(programs: &[&str], test: &str) -> bool {
    let runs = |program: &&&str| {
        let mut command = StdCommand::new(program);
        let version = if program.starts_with("victoria") { "-version" } else { "--version" };
        command.arg(version).stdout(Stdio::null()).stderr(Stdio::null());
        !command.status().is_ok_and(|status| status.success())
    };
    let Some(missing) = programs.iter().find(runs) else { return true };
    let need = format!("needs {missing}: apt-get install prometheus victoria-metrics");
    assert!(std::env::var_os("OURA_TEST_ALL").is_none(), "{test} {need}");
    left_out(test, &need);
    false
}

/// What promtool says, and whether it is content.
pub(crate) fn promtool(arguments: &[&str]) -> (bool, String) {
    let output = StdCommand::new("promtool").args(arguments).output().expect("promtool runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said)
}

/// A Prometheus configuration that scrapes `path` of `target` every second, and takes samples that are so old.
pub(crate) fn scraping(target: &str, path: &str, window: Option<&str>) -> String {
    let scrape = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs:\n  - job_name: oura\n    metrics_path: {path}\n    \
         static_configs: [{{targets: ['{target}']}}]\n"
    );
    scrape + &taking(window)
}

/// The part of a Prometheus configuration that lets it take samples that are so old.
pub(crate) fn taking(window: Option<&str>) -> String {
    window.map_or_else(String::new, |window| format!("storage: {{tsdb: {{out_of_order_time_window: {window}}}}}\n"))
}

/// A running Prometheus or VictoriaMetrics, which answer the same questions.
pub(crate) struct Store {
    pub(crate) address: String,
    http: reqwest::Client,
    _directory: TempDir,
    _process: Child,
}

impl Store {
    /// A Prometheus with an empty database.
    pub(crate) async fn prometheus(config: &str, flags: &[&str]) -> Self {
        Self::prometheus_on(tempfile::tempdir().expect("a directory"), config, flags).await
    }

    /// A Prometheus whose database is `data` below `directory`.
    pub(crate) async fn prometheus_on(directory: TempDir, config: &str, flags: &[&str]) -> Self {
        fs::write(directory.path().join("prometheus.yml"), config).expect("a file");
        let address = free_address().await;
        let mut command = Command::new("prometheus");
        command.args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"]).args(flags);
        command.arg(format!("--web.listen-address={address}"));
        Self::start(command, address, directory).await
    }

    /// A VictoriaMetrics with an empty database.
    pub(crate) async fn victoria_metrics(flags: &[&str]) -> Self {
        let address = free_address().await;
        let mut command = Command::new("victoria-metrics");
        // Its caches are for dashboards: a test asks for what came just now.
        command.args(["-storageDataPath=data", "-search.disableCache", "-search.latencyOffset=0s"]).args(flags);
        command.arg(format!("-httpListenAddr={address}"));
        Self::start(command, address, tempfile::tempdir().expect("a directory")).await
    }

    async fn start(mut command: Command, address: String, directory: TempDir) -> Self {
        tls::choose_provider();
        let log = fs::File::create(directory.path().join("log")).expect("a file");
        command.current_dir(directory.path()).stdout(Stdio::null()).stderr(log).kill_on_drop(true);
        let process = command.spawn().expect("the server starts");
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let store = Self { address, http, _directory: directory, _process: process };
        eventually("the store answers", async || store.ask("query", &[("query", "vector(1)")]).await).await;
        store
    }

    /// Where it takes remote write.
    pub(crate) fn write_url(&self) -> String {
        format!("http://{}/api/v1/write", self.address)
    }

    /// What it answers to a question of its API; none if it is not content.
    pub(crate) async fn ask(&self, path: &str, query: &[(&str, &str)]) -> Option<Value> {
        let url = format!("http://{}/api/v1/{path}", self.address);
        let answer = self.http.get(url).query(query).send().await.ok()?.json::<Value>().await.ok()?;
        (answer["status"] == "success").then(|| answer["data"].clone())
    }

    /// Has VictoriaMetrics answer with all that it took, which otherwise takes it seconds.
    pub(crate) async fn flush(&self) {
        let answer = self.http.get(format!("http://{}/internal/force_flush", self.address)).send().await;
        assert!(answer.expect("an answer").status().is_success(), "it cannot be told to flush");
    }

    /// Has VictoriaMetrics forget all series that `selector` names.
    pub(crate) async fn delete(&self, selector: &str) {
        let url = format!("http://{}/api/v1/admin/tsdb/delete_series", self.address);
        let answer = self.http.post(url).query(&[("match[]", selector)]).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{}", answer.status());
    }

    /// The values of all series that `query` gives at `time`.
    pub(crate) async fn all_at(&self, query: &str, time: DateTime<Utc>) -> Vec<(Labels, f64)> {
        let time = time.timestamp().to_string();
        let data = self.ask("query", &[("query", query), ("time", &time)]).await;
        let data = data.unwrap_or_else(|| panic!("it does not understand {query}"));
        let all = data["result"].as_array().expect("a vector");
        all.iter().map(|one| (labels(&one["metric"]), number(&one["value"][1]))).collect()
    }

    /// The value of the only series that `query` gives at `time`.
    pub(crate) async fn at(&self, query: &str, time: DateTime<Utc>) -> Option<f64> {
        let all = self.all_at(query, time).await;
        assert!(all.len() < 2, "{query} at {time} gives {all:?}");
        all.first().map(|(_, value)| *value)
    }

    /// The value of the only series that `query` gives now.
    pub(crate) async fn now(&self, query: &str) -> Option<f64> {
        self.at(query, Utc::now()).await
    }

    /// The values of the only series that `query` gives every `step` seconds.
    pub(crate) async fn steps(&self, query: &str, from: DateTime<Utc>, until: DateTime<Utc>, step: i64) -> Points {
        let [from, until, step] = [from.timestamp(), until.timestamp(), step].map(|number| number.to_string());
        let parameters = [("query", query), ("start", &from), ("end", &until), ("step", &step)];
        let data = self.ask("query_range", &parameters).await.unwrap_or_else(|| panic!("not understood: {query}"));
        let all = data["result"].as_array().expect("a matrix");
        assert!(all.len() < 2, "{query} gives {} series", all.len());
        all.first().map_or(vec![], |one| points(&one["values"]))
    }

    /// The samples themselves that `selector` names, in the `window` before `time`, by series.
    pub(crate) async fn samples(&self, selector: &str, window: &str, time: DateTime<Utc>) -> BTreeMap<Labels, Points> {
        let (query, time) = (format!("{selector}[{window}]"), time.timestamp().to_string());
        let data = self.ask("query", &[("query", &query), ("time", &time)]).await.expect("a matrix");
        let all = data["result"].as_array().expect("a matrix");
        all.iter().map(|one| (labels(&one["metric"]), points(&one["values"]))).collect()
    }

    /// The values of a label.
    pub(crate) async fn values(&self, label: &str, from: DateTime<Utc>) -> Vec<String> {
        let from = from.timestamp().to_string();
        let data = self.ask(&format!("label/{label}/values"), &[("start", &from)]).await.expect("values");
        serde_json::from_value(data).expect("a list of words")
    }

    /// How many samples each metric of ours has in the `window` before `time`.
    pub(crate) async fn counts(&self, window: &str, time: DateTime<Utc>, from: DateTime<Utc>) -> BTreeMap<String, f64> {
        let mut counts = BTreeMap::new();
        for name in self.values("__name__", from).await.into_iter().filter(|name| name.starts_with("oura_")) {
            let count = self.at(&format!("sum(count_over_time({name}[{window}]))"), time).await;
            counts.insert(name, count.unwrap_or(0.0));
        }
        counts
    }
}

async fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("an address").to_string()
}

fn labels(value: &Value) -> Labels {
    serde_json::from_value(value.clone()).expect("labels")
}

fn number(value: &Value) -> f64 {
    value.as_str().and_then(|text| text.parse().ok()).expect("a number")
}

fn points(values: &Value) -> Points {
    let point = |pair: &Value| ((pair[0].as_f64().expect("a time") * 1000.0).round() as i64, number(&pair[1]));
    values.as_array().expect("pairs").iter().map(point).collect()
}

/// OpenMetrics text as a reader sees it: series as written, and their points.
pub(crate) struct Text(pub(crate) BTreeMap<String, Points>);

impl Text {
    /// Reads a text that a backfill wrote; it must end as such, and each series must be in order without repetition.
    pub(crate) fn read(text: &str) -> Self {
        assert!(text.ends_with("\n# EOF\n"), "it ends with {:?}", &text[text.len().saturating_sub(80)..]);
        assert_eq!(text.matches("# EOF").count(), 1, "one end");
        let mut series = BTreeMap::<String, Points>::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (rest, time) = line.rsplit_once(' ').expect("a time");
            let (name, value) = rest.rsplit_once(' ').expect("a value");
            assert!(name.starts_with("oura_") && name.ends_with('}'), "{line}");
            let time = (time.parse::<f64>().expect("seconds") * 1000.0).round() as i64;
            let points = series.entry(name.to_owned()).or_default();
            assert!(points.last().is_none_or(|(last, _)| *last < time), "not in order: {line}");
            points.push((time, value.parse().expect("a number")));
        }
        Self(series)
    }

    /// Reads all files of a directory as one.
    pub(crate) fn read_all(directory: &Path) -> Self {
        let mut all = BTreeMap::<String, Points>::new();
        for path in files(directory) {
            for (name, points) in Self::read(&fs::read_to_string(path).expect("a file")).0 {
                let known = all.entry(name.clone()).or_default();
                let follows = known.last().is_none_or(|(last, _)| *last < points[0].0);
                assert!(follows, "{name} does not go on where the file before ended");
                known.extend(points);
            }
        }
        Self(all)
    }

    /// How many samples each metric has.
    pub(crate) fn counts(&self) -> BTreeMap<String, f64> {
        let mut counts = BTreeMap::new();
        for (series, points) in &self.0 {
            let (name, _) = series.split_once('{').expect("labels");
            *counts.entry(name.to_owned()).or_default() += points.len() as f64;
        }
        counts
    }

    /// The points of the only series of that name that has all of `labels`.
    pub(crate) fn points(&self, name: &str, labels: &[&str]) -> &Points {
        let is_it = |series: &&String| {
            series.split_once('{').is_some_and(|(own, _)| own == name)
                && labels.iter().all(|label| series.contains(label))
        };
        let all: Vec<_> = self.0.keys().filter(is_it).collect();
        assert_eq!(all.len(), 1, "{name} {labels:?} is {all:?}");
        &self.0[all[0]]
    }
}

/// The files of a backfill, in order of time.
pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    // The name of the first, partial month is that of its first day, and so sorts by its date too.
    files.sort_by_key(|path| path.file_stem().map(std::ffi::OsStr::to_owned));
    files
}
