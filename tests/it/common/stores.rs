//! Real servers that keep what we publish: Prometheus and VictoriaMetrics on loopback, and what they hold.

use std::{collections::BTreeMap, fs, path::Path, process::Command as StdCommand};

use chrono::{DateTime, Utc};
use oura_exporter::tls;
use reqwest::{Client, RequestBuilder};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Child;

use super::{
    eventually,
    servers::{Release, ask, free_address, start},
};

/// The flag by which Prometheus takes remote write.
pub(crate) const RECEIVING: &str = "--web.enable-remote-write-receiver";

/// A series as a store names it: every label, the metric's name among them.
pub(crate) type Labels = BTreeMap<String, String>;
/// Times in milliseconds, and values.
pub(crate) type Points = Vec<(i64, f64)>;

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
    url: String,
    http: Client,
    _process: Child,
    /// Where its database is, if the store is to remove it.
    _directory: Option<TempDir>,
}

impl Store {
    /// A Prometheus with an empty database.
    pub(crate) async fn prometheus(config: &str, flags: &[&str]) -> Self {
        Self::prometheus_of(Release::Installed, config, flags).await
    }

    /// A Prometheus of that release with an empty database.
    pub(crate) async fn prometheus_of(release: Release, config: &str, flags: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Self::prometheus_of_in(release, directory.path(), config, flags).await;
        Self { _directory: Some(directory), ..store }
    }

    /// A Prometheus whose database is `data` below `directory`.
    pub(crate) async fn prometheus_in(directory: &Path, config: &str, flags: &[&str]) -> Self {
        Self::prometheus_of_in(Release::Installed, directory, config, flags).await
    }

    /// A Prometheus of that release whose database is `data` below `directory`.
    pub(crate) async fn prometheus_of_in(release: Release, directory: &Path, config: &str, flags: &[&str]) -> Self {
        let address = free_address().await;
        let process = start_prometheus(release, directory, config, &address, flags);
        Self::answering(format!("http://{address}"), process).await
    }

    /// A Prometheus that answers over TLS only, by a `cert.pem` in `directory` that nobody trusts.
    pub(crate) async fn prometheus_with_tls(directory: &Path, config: &str, flags: &[&str]) -> Self {
        certify(directory);
        let address = free_address().await;
        let flags = [flags, &["--web.config.file=web.yml"]].concat();
        let process = start_prometheus(Release::Installed, directory, config, &address, &flags);
        Self::answering(format!("https://{}", address.replace("127.0.0.1", "localhost")), process).await
    }

    /// A VictoriaMetrics with an empty database.
    pub(crate) async fn victoria_metrics(flags: &[&str]) -> Self {
        Self::victoria_metrics_of(Release::Installed, flags).await
    }

    /// A VictoriaMetrics of that release with an empty database.
    pub(crate) async fn victoria_metrics_of(release: Release, flags: &[&str]) -> Self {
        let (address, directory) = (free_address().await, tempfile::tempdir().expect("a directory"));
        let listen = format!("-httpListenAddr={address}");
        // Its caches are for dashboards: a test asks for what came just now.
        let usual = ["-storageDataPath=data", "-search.disableCache", "-search.latencyOffset=0s", &listen];
        let process = start(release.program("victoria-metrics"), directory.path(), &[&usual, flags].concat());
        let store = Self::answering(format!("http://{address}"), process).await;
        Self { _directory: Some(directory), ..store }
    }

    /// The server at `url`, once it answers.
    async fn answering(url: String, process: Child) -> Self {
        tls::choose_provider();
        let http = Client::builder().no_proxy().tls_danger_accept_invalid_certs(true).build().expect("a client");
        let store = Self { url, http, _process: process, _directory: None };
        // A number is known before the database is open.
        eventually("the store answers", async || store.ask("query", &[("query", "up")]).await).await;
        store
    }

    /// Ends it as a crash would; its database is free for another one then.
    pub(crate) async fn stop(mut self) {
        self.end().await;
    }

    /// The same, of one that will be replaced.
    pub(crate) async fn end(&mut self) {
        self._process.kill().await.expect("it runs");
    }

    /// Where it takes remote write.
    pub(crate) fn write_url(&self) -> String {
        format!("{}/api/v1/write", self.url)
    }

    /// A question to its API.
    pub(crate) fn request(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}/api/v1/{path}", self.url))
    }

    /// What it answers to a question of its API; none if it is not content.
    pub(crate) async fn ask(&self, path: &str, query: &[(&str, &str)]) -> Option<Value> {
        let answer = self.request(path).query(query).send().await.ok()?.json::<Value>().await.ok()?;
        (answer["status"] == "success").then(|| answer["data"].clone())
    }

    /// Has VictoriaMetrics answer with all that it took, which otherwise takes it seconds.
    pub(crate) async fn flush(&self) {
        let answer = self.http.get(format!("{}/internal/force_flush", self.url)).send().await;
        assert!(answer.expect("an answer").status().is_success(), "it cannot be told to flush");
    }

    /// The values of all series that `query` gives at `time`.
    pub(crate) async fn all_at(&self, query: &str, time: DateTime<Utc>) -> Vec<(Labels, f64)> {
        let time = exact(time);
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

    /// The values of every series that `query` gives every `step` seconds.
    pub(crate) async fn range(
        &self,
        query: &str,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
        step: i64,
    ) -> Vec<(Labels, Points)> {
        let [from, until, step] = [from.timestamp(), until.timestamp(), step].map(|number| number.to_string());
        let parameters = [("query", query), ("start", &from), ("end", &until), ("step", &step), ("nocache", "1")];
        let data = self.ask("query_range", &parameters).await.unwrap_or_else(|| panic!("not understood: {query}"));
        let all = data["result"].as_array().expect("a matrix");
        all.iter().map(|one| (labels(&one["metric"]), points(&one["values"]))).collect()
    }

    /// The sum of a metric that the server tells of itself; none if it does not tell it.
    pub(crate) async fn own(&self, name: &str) -> Option<f64> {
        let page = self.http.get(format!("{}/metrics", self.url)).send().await.ok()?.text().await.ok()?;
        let lines = page.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).reduce(|sum, value| sum + value)
    }

    /// The samples themselves that `selector` names, in the `window` before `time`, by series.
    pub(crate) async fn samples(&self, selector: &str, window: &str, time: DateTime<Utc>) -> BTreeMap<Labels, Points> {
        let (query, time) = (format!("{selector}[{window}]"), exact(time));
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

fn start_prometheus(release: Release, directory: &Path, config: &str, address: &str, flags: &[&str]) -> Child {
    fs::write(directory.join("prometheus.yml"), config).expect("a file");
    let listen = format!("--web.listen-address={address}");
    let usual = ["--config.file=prometheus.yml", "--storage.tsdb.path=data", &listen];
    start(release.program("prometheus"), directory, &[&usual, flags].concat())
}

/// A certificate for localhost, and a configuration that uses it.
fn certify(directory: &Path) {
    let subject = "-newkey rsa:2048 -nodes -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout key.pem";
    let made = "-addext basicConstraints=critical,CA:FALSE -days 2 -out cert.pem";
    let mut openssl = StdCommand::new("openssl");
    openssl.current_dir(directory).args(["req", "-x509"]).args(subject.split(' ')).args(made.split(' '));
    let (is_good, said) = ask(&mut openssl, "");
    assert!(is_good, "a certificate: {said}");
    let web = "tls_server_config: { cert_file: cert.pem, key_file: key.pem }\n";
    fs::write(directory.join("web.yml"), web).expect("a file");
}

/// A moment to the millisecond: of whole seconds, what was scraped in the last one would not be seen yet.
fn exact(time: DateTime<Utc>) -> String {
    format!("{:.3}", time.timestamp_millis() as f64 / 1000.0)
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
