//! A real Prometheus that takes remote write, and what it holds.

use std::{
    fs,
    path::Path,
    process::{Command as StdCommand, Stdio},
};

use serde_json::Value;
use tokio::{
    net::TcpListener,
    process::{Child, Command},
};

use super::samples::Samples;
use crate::common::{self, eventually};

/// A Prometheus with an out-of-order window of thirty days, whose files are in a directory of its own.
pub(crate) struct Prometheus {
    root: String,
    _process: Child,
}

impl Prometheus {
    /// Starts one in `directory`, with TLS or without; none where what it takes is not installed.
    pub(crate) async fn start(directory: &Path, tls: bool, test: &str) -> Option<Self> {
        let has = |program| StdCommand::new(program).arg("--help").output().is_ok();
        if !(has("prometheus") && has("openssl")) {
            assert!(std::env::var_os("OURA_TEST_ALL").is_none(), "{test} needs prometheus and openssl");
            common::left_out(test, "needs prometheus and openssl, which are not installed");
            return None;
        }
        fs::create_dir(directory).expect("a directory");
        let config = "storage: { tsdb: { out_of_order_time_window: 30d } }\n";
        fs::write(directory.join("prometheus.yml"), config).expect("a file");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = format!("localhost:{}", listener.local_addr().expect("an address").port());
        drop(listener);
        let mut command = Command::new("prometheus");
        command.current_dir(directory).args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"]);
        command.arg(format!("--web.listen-address={address}")).arg("--web.enable-remote-write-receiver");
        if tls {
            certify(directory);
            command.arg("--web.config.file=web.yml");
        }
        let process = command.stderr(Stdio::null()).kill_on_drop(true).spawn().expect("prometheus starts");
        let root = format!("{}://{address}", if tls { "https" } else { "http" });
        let prometheus = Self { root, _process: process };
        let ready = async || prometheus.get("/api/v1/status/buildinfo", &[]).await.map(drop);
        eventually("prometheus answers", ready).await;
        Some(prometheus)
    }

    pub(crate) fn url(&self) -> String {
        format!("{}/api/v1/write", self.root)
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Option<Value> {
        let http = reqwest::Client::builder().tls_danger_accept_invalid_certs(true).build().expect("a client");
        let answer = http.get(format!("{}{path}", self.root)).query(query).send().await.ok()?;
        Some(answer.json::<Value>().await.ok()?["data"].take())
    }

    /// All that it holds of ours, as it was sent.
    pub(crate) async fn samples(&self) -> Samples {
        let query = [("query", r#"{__name__=~"oura_.+"}[30d]"#)];
        let data = self.get("/api/v1/query", &query).await.expect("an answer");
        let mut samples = Samples::default();
        for series in data["result"].as_array().expect("series") {
            let name = named(&series["metric"]);
            for point in series["values"].as_array().expect("values") {
                let time = (point[0].as_f64().expect("seconds") * 1000.0).round() as i64;
                samples.add(&name, time, point[1].as_str().expect("a value").parse().expect("a number"));
            }
        }
        samples
    }
}

/// A series as OpenMetrics writes it.
fn named(labels: &Value) -> String {
    let labels = labels.as_object().expect("labels");
    let text = |value: &Value| value.as_str().expect("text").replace('\\', r"\\").replace('"', "\\\"");
    let others = labels.iter().filter(|(name, _)| *name != "__name__");
    let mut others: Vec<_> = others.map(|(name, value)| format!("{name}=\"{}\"", text(value))).collect();
    others.sort();
    format!("{}{{{}}}", text(&labels["__name__"]), others.join(","))
}

/// A certificate for localhost, and a configuration that uses it.
fn certify(directory: &Path) {
    let subject = "-newkey rsa:2048 -nodes -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout key.pem";
    let made = "-addext basicConstraints=critical,CA:FALSE -days 2 -out cert.pem";
    let mut openssl = StdCommand::new("openssl");
    openssl.current_dir(directory).args(["req", "-x509"]).args(subject.split(' ')).args(made.split(' '));
    assert!(openssl.output().expect("openssl runs").status.success(), "a certificate");
    let web = "tls_server_config: { cert_file: cert.pem, key_file: key.pem }\n";
    fs::write(directory.join("web.yml"), web).expect("a file");
}
