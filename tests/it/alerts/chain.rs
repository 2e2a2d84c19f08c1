//! What a message goes through: exporters, Prometheus with our rules, Alertmanager as we ship it, and a receiver.

use std::{
    convert::Infallible,
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

use crate::common::{
    eventually,
    servers::{Release, file, free_address, metric, start, yaml},
    signal,
    stores::Store,
};
use http_body_util::{BodyExt as _, Empty};
use hyper::{Request, Response, body::Bytes, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, process::Child};

/// How many groups of rules there are.
const GROUPS: f64 = 6.0;

/// What a receiver was told, message by message.
#[derive(Clone, Default)]
pub(super) struct Messages(Arc<Mutex<Vec<Value>>>);

impl Messages {
    /// Listens on a free port; the messages and the address.
    async fn listen() -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let messages = Self::default();
        let taking = messages.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let taking = taking.clone();
                let service = service_fn(move |request| taking.clone().take(request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        (messages, url)
    }

    async fn take(self, request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
        let body = request.into_body().collect().await.expect("a body").to_bytes();
        self.0.lock().expect("no panic").push(serde_json::from_slice(&body).expect("JSON"));
        Ok(Response::new(Empty::new()))
    }

    /// The messages about that account's days: what each said, sorted.
    pub(super) fn of(&self, account: &str) -> Vec<Vec<String>> {
        let messages = self.0.lock().expect("no panic");
        let about = messages.iter().filter(|message| message["groupLabels"]["account"] == account);
        let about = about.filter(|message| message["groupLabels"]["day"].is_string());
        about.map(said).collect()
    }

    /// Every alert that was told.
    pub(super) fn alerts(&self) -> Vec<Value> {
        let messages = self.0.lock().expect("no panic");
        messages.iter().filter_map(|message| message["alerts"].as_array()).flatten().cloned().collect()
    }
}

/// What the alerts of a message say.
fn said(message: &Value) -> Vec<String> {
    let alerts = message["alerts"].as_array().into_iter().flatten();
    let line = |alert: &Value| {
        let (status, labels) = (alert["status"].as_str().unwrap_or_default(), &alert["labels"]);
        let [level, day] = ["severity", "day"].map(|label| labels[label].as_str().unwrap_or_default());
        let summary = alert["annotations"]["summary"].as_str().unwrap_or_default();
        format!("{status} {level} {day}: {summary}")
    };
    let mut lines: Vec<_> = alerts.map(line).collect();
    lines.sort_unstable();
    lines
}

/// An exporter that is scraped, and what its job is called.
pub(super) struct Target {
    pub(super) address: String,
    pub(super) job: &'static str,
}

/// Prometheus and Alertmanager of one release, and what a receiver was told.
pub(super) struct Chain {
    release: Release,
    directory: TempDir,
    pub(super) messages: Messages,
    alertmanager: (String, Child),
    pub(super) prometheus: Store,
}

impl Chain {
    pub(super) async fn start(release: Release) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        for place in ["deploy", "alerts"] {
            fs::create_dir(directory.path().join(place)).expect("a directory");
        }
        for entry in fs::read_dir(file("alerts")).expect("alerts").flatten() {
            let text = fs::read_to_string(entry.path()).expect("rules");
            // A quarter of an hour is five seconds here; a day stays longer than the test.
            let text = text.replace("offset 15m", "offset 5s");
            fs::write(directory.path().join("alerts").join(entry.file_name()), text).expect("a file");
        }
        let (messages, url) = Messages::listen().await;
        shipped_alertmanager(directory.path(), &url);
        let alertmanager = alertmanager(release, directory.path(), &free_address().await).await;
        let prometheus = prometheus(release, directory.path(), &alertmanager.0).await;
        Self { release, directory, messages, alertmanager, prometheus }
    }

    /// What Prometheus scrapes from now on.
    pub(super) fn scrape(&self, targets: &[Target]) {
        let group = |target: &Target| json!({ "targets": [target.address], "labels": { "job": target.job } });
        let groups: Vec<_> = targets.iter().map(group).collect();
        let place = self.directory.path().join("deploy/exporters.json");
        fs::write(place, json!(groups).to_string()).expect("a file");
    }

    /// Prometheus ends as a crash ends it, and is started again.
    pub(super) async fn restart_prometheus(&mut self) {
        self.prometheus.end().await;
        self.prometheus = prometheus(self.release, self.directory.path(), &self.alertmanager.0).await;
    }

    /// Alertmanager is told to end, which writes down what was told, and is started again.
    pub(super) async fn restart_alertmanager(&mut self) {
        let (address, process) = &mut self.alertmanager;
        signal("TERM", &process.id().expect("it runs").to_string()).await;
        process.wait().await.expect("it ends");
        self.alertmanager = alertmanager(self.release, self.directory.path(), &address.clone()).await;
    }

    /// Waits until what the exporters show now has been scraped, judged twelve times by each rule, and been asked about in
    /// Alertmanager, for whom a morning's wait is two seconds here.
    pub(super) async fn settle(&self) {
        let scraped = async || {
            let count = self.prometheus.now("sum(count_over_time(up[10m]))").await?;
            Some((count, self.prometheus.now("count(up)").await?))
        };
        let judged = async || self.prometheus.own("prometheus_rule_group_iterations_total").await;
        let before = eventually("rules are looked at", async || Some((scraped().await?, judged().await?))).await;
        let ((scrapes, targets), rounds) = before;
        eventually("twelve more rounds", async || {
            let is_scraped = scraped().await?.0 >= scrapes + 3.0 * targets;
            (is_scraped && judged().await? >= rounds + 12.0 * GROUPS).then_some(())
        })
        .await;
        let asked = async || metric(&self.alertmanager.0, "alertmanager_nflog_queries_total").await;
        let known = async || metric(&self.alertmanager.0, "alertmanager_dispatcher_aggregation_groups").await;
        let (first, groups) = eventually("Alertmanager counts", async || Some((asked().await?, known().await?))).await;
        eventually("three rounds", async || (asked().await? >= first + 3.0 * groups).then_some(())).await;
    }
}

/// The configuration that we ship, told sooner and telling `url`.
fn shipped_alertmanager(directory: &Path, url: &str) {
    let mut config = yaml("deploy/alertmanager.yml");
    config["route"]["group_wait"] = json!("1s");
    config["route"]["group_interval"] = json!("1s");
    config["route"]["routes"][0]["group_wait"] = json!("2s");
    config["receivers"][0]["webhook_configs"] = json!([{ "url": url }]);
    config["receivers"][1]["webhook_configs"] = json!([{ "url": url, "send_resolved": false }]);
    fs::write(directory.join("alertmanager.yml"), config.to_string()).expect("a file"); // JSON is YAML
}

pub(super) async fn alertmanager(release: Release, directory: &Path, address: &str) -> (String, Child) {
    let listen = format!("--web.listen-address={address}");
    let arguments = ["--config.file=alertmanager.yml", "--storage.path=told", "--cluster.listen-address=", &listen];
    let process = start(release.program("prometheus-alertmanager"), directory, &arguments);
    eventually("Alertmanager is ready", async || metric(address, "alertmanager_alerts").await).await;
    (address.to_owned(), process)
}

/// The Prometheus that we ship with the rules that we ship, every second. An alert is good for a minute without word of it,
/// as it is for four in use.
async fn prometheus(release: Release, directory: &Path, alertmanager: &str) -> Store {
    let mut config = yaml("deploy/prometheus.yml");
    config["global"]["scrape_interval"] = json!("1s");
    config["global"]["evaluation_interval"] = json!("1s");
    config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"][0] = json!(alertmanager);
    let files = json!([{ "files": ["exporters.json"], "refresh_interval": "1s" }]);
    config["scrape_configs"] = json!([{ "job_name": "oura", "file_sd_configs": files }]);
    let home = directory.join("deploy");
    let flags = ["--rules.alert.resend-delay=15s"];
    Store::prometheus_of_in(release, &home, &config.to_string(), &flags).await
}
