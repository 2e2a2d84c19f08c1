//! A bad night, from Oura's document to the message: exporter, Prometheus with our rules, Alertmanager, a webhook.

use std::{
    convert::Infallible,
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

use crate::common::{
    Plan, eventually,
    needs::there_are,
    servers::{file, free_address, metric, start, yaml},
    simulator_with,
    stores::Store,
};
use chrono::{DateTime, Days, NaiveTime, Utc};
use http_body_util::{BodyExt as _, Empty};
use hyper::{Request, Response, body::Bytes, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use oura_exporter::{
    clock::Clock,
    simulator::{Scope, Simulator},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, process::Child};

const TEST: &str = "a_bad_night_is_told_once_and_a_better_document_takes_it_back";

/// The next time that it is noon or one o'clock in Helsinki, where alice is up and her documents are there. Prometheus goes
/// by the real time, for which the document of a day that is about to begin is as good as one of today.
fn next_noon() -> DateTime<Utc> {
    let now = Utc::now();
    let ten = NaiveTime::from_hms_opt(10, 0, 0).expect("a time");
    let today = now.date_naive().and_time(ten).and_utc();
    if today < now { today + Days::new(1) } else { today }
}

/// Makes alice's readiness of the day what it is not.
fn readiness(simulator: &Simulator, day: DateTime<Utc>, score: u64) {
    let day = day.format("%F").to_string();
    simulator.faults().edit(Scope::person("alice").and_collection("daily_readiness"), move |documents| {
        documents.iter_mut().filter(|document| document["day"] == day).for_each(|d| d["score"] = json!(score));
    });
}

/// What a webhook was told.
#[derive(Clone, Default)]
struct Messages(Arc<Mutex<Vec<Value>>>);

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

    /// What was told of low readiness in that status.
    fn of(&self, status: &str) -> Vec<Value> {
        let messages = self.0.lock().expect("no panic");
        let alerts = messages.iter().filter_map(|message| message["alerts"].as_array()).flatten();
        let told = alerts.filter(|alert| alert["labels"]["alertname"] == "OuraLowReadiness");
        told.filter(|alert| alert["status"] == status).cloned().collect()
    }
}

/// The Alertmanager that we ship, told at once and telling `url`.
async fn alertmanager(directory: &Path, url: &str) -> (String, Child) {
    let mut config = yaml("deploy/alertmanager.yml");
    config["route"]["group_wait"] = json!("1s");
    config["route"]["group_interval"] = json!("1s");
    config["receivers"][0]["webhook_configs"] = json!([{ "url": url }]);
    fs::write(directory.join("alertmanager.yml"), config.to_string()).expect("a file"); // JSON is YAML
    let address = free_address().await;
    let listen = format!("--web.listen-address={address}");
    let arguments = ["--config.file=alertmanager.yml", "--storage.path=told", "--cluster.listen-address=", &listen];
    let process = start("prometheus-alertmanager", directory, &arguments);
    eventually("Alertmanager is ready", async || metric(&address, "alertmanager_alerts").await).await;
    (address, process)
}

/// The Prometheus that we ship with the rules that we ship, every second.
async fn prometheus(directory: &Path, exporter: &str, alertmanager: &str) -> Store {
    let mut config = yaml("deploy/prometheus.yml");
    config["global"] = json!({ "scrape_interval": "1s", "evaluation_interval": "1s" });
    config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"][0] = json!(alertmanager);
    config["scrape_configs"][0]["static_configs"][0]["targets"][0] = json!(exporter);
    config["scrape_configs"][1]["static_configs"][0]["targets"][0] = json!(exporter);
    // The rules lie beside the directory of the configuration, as in the repository.
    let home = directory.join("deploy");
    for place in [&home, &directory.join("alerts")] {
        fs::create_dir(place).expect("a directory");
    }
    fs::copy(file("alerts/oura.rules.yml"), directory.join("alerts/oura.rules.yml")).expect("a copy");
    Store::prometheus_in(&home, &config.to_string(), &["--rules.alert.resend-delay=1s"]).await
}

/// Waits until Alertmanager has asked itself five times more about each group whether it is to be told again.
async fn five_more_rounds(alertmanager: &str) {
    let rounds = async || {
        let asked = metric(alertmanager, "alertmanager_nflog_queries_total").await?;
        Some((asked, metric(alertmanager, "alertmanager_dispatcher_aggregation_groups").await?))
    };
    let (before, groups) = eventually("Alertmanager counts", rounds).await;
    assert!(groups >= 1.0, "there is a group");
    eventually("five more rounds", async || rounds().await.filter(|(asked, _)| *asked >= before + 5.0 * groups)).await;
}

#[tokio::test]
async fn a_bad_night_is_told_once_and_a_better_document_takes_it_back() {
    if !there_are(&["prometheus", "prometheus-alertmanager"], TEST) {
        return;
    }
    let noon = next_noon();
    let simulator = simulator_with(Clock::at(noon)).await;
    readiness(&simulator, noon, 55);
    let exporter = Plan::default().often().at_moment(noon).ready(&simulator).await;
    let (messages, url) = Messages::listen().await;
    let directory = tempfile::tempdir().expect("a directory");
    let (alertmanager, _process) = alertmanager(directory.path(), &url).await;
    let prometheus = prometheus(directory.path(), exporter.address(), &alertmanager).await;

    eventually("it is told", async || messages.of("firing").pop()).await;
    five_more_rounds(&alertmanager).await;
    let told = messages.of("firing");
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_is_for_people(&told[0], noon);
    assert_eq!(prometheus.now("oura_readiness_score{instance=\"localhost:10058\",job=\"oura\"}").await, Some(55.0));

    readiness(&simulator, noon, 85);
    eventually("it is taken back", async || messages.of("resolved").pop()).await;
    assert_eq!((messages.of("firing").len(), messages.of("resolved").len()), (1, 1));
    exporter.stop().await;
}

/// Who, what, when and what to do, and nothing else.
fn assert_is_for_people(alert: &Value, day: DateTime<Utc>) {
    let day_label = day.format("%F").to_string();
    let labels = json!({
        "alertname": "OuraLowReadiness", "account": "alice", "day": day_label, "severity": "warning"
    });
    assert_eq!(alert["labels"], labels);
    let text = format!(
        "Readiness of alice is 55 of 100 points on {}. Take it easier today; the dashboard shows which contributor \
         pulls it down.",
        day.format("%A, %-d %B")
    );
    assert_eq!(alert["annotations"]["description"], text);
    assert_eq!(alert["annotations"]["summary"], "Today's readiness is low.");
    assert_eq!(alert["annotations"]["dashboard_url"], "http://localhost:3000/d/oura-today");
}
