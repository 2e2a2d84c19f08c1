//! Real servers and tools that tests run: which are there, how they are started, and what they say.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command as StdCommand, Stdio},
};

use serde_json::Value;
use tokio::{
    net::TcpListener,
    process::{Child, Command},
};

/// What gives the programs that the tests need.
const PACKAGES: &[(&str, &str)] = &[
    ("prometheus", "apt-get install prometheus"),
    ("promtool", "apt-get install prometheus"),
    ("prometheus-alertmanager", "apt-get install prometheus-alertmanager"),
    ("amtool", "apt-get install prometheus-alertmanager"),
    ("systemd-analyze", "apt-get install systemd"),
    ("check-jsonschema", "pip install check-jsonschema"),
    ("kubernetes-validate", "pip install kubernetes-validate"),
];

/// Whether the programs are there; where one is missing the test is named and left out, unless all must run.
pub(crate) fn there_are(programs: &[&str], test: &str) -> bool {
    programs.iter().all(|program| is_there(program, test))
}

fn is_there(program: &str, test: &str) -> bool {
    let found = StdCommand::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if found.is_ok_and(|status| status.success()) {
        return true;
    }
    let package = PACKAGES.iter().find(|(name, _)| *name == program).map_or("", |(_, package)| package);
    assert!(std::env::var_os("OURA_TEST_ALL").is_none(), "{test} needs {program}: {package}");
    super::left_out(test, &format!("needs {program}, which is not installed"));
    false
}

/// A file of the repository.
pub(crate) fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A YAML file of the repository, as JSON.
pub(crate) fn yaml(path: &str) -> Value {
    let text = fs::read_to_string(file(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Whether a program is content with `input`, which it is given on standard input, and what it says.
pub(crate) fn ask(command: &mut StdCommand, input: &str) -> (bool, String) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut pipe = child.stdin.take().expect("a pipe");
    pipe.write_all(input.as_bytes()).expect("the program reads");
    drop(pipe);
    let output = child.wait_with_output().expect("the program ends");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said)
}

/// What promtool says of `input`.
pub(crate) fn promtool(arguments: &[&str], input: &str) -> String {
    ask(StdCommand::new("promtool").args(arguments), input).1
}

pub(crate) async fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("an address").to_string()
}

/// Starts a program in `directory` that ends with the test.
pub(crate) fn start(program: &str, directory: &Path, arguments: &[&str]) -> Child {
    let mut command = Command::new(program);
    command.current_dir(directory).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    command.spawn().unwrap_or_else(|error| panic!("{program}: {error}"))
}

/// A running Prometheus.
pub(crate) struct Prometheus {
    pub(crate) address: String,
    _process: Child,
}

impl Prometheus {
    /// One that keeps its data in `directory`, where its `prometheus.yml` is.
    pub(crate) async fn start(directory: &Path, arguments: &[&str]) -> Self {
        let address = free_address().await;
        let listen = format!("--web.listen-address={address}");
        let usual = ["--config.file=prometheus.yml", "--storage.tsdb.path=data", &listen];
        let process = start("prometheus", directory, &[&usual, arguments].concat());
        Self { address, _process: process }
    }

    pub(crate) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Option<Value> {
        let http = reqwest::Client::new();
        let answer = http.get(format!("http://{}/api/v1/{path}", self.address)).query(query).send().await.ok()?;
        Some(answer.json::<Value>().await.ok()?["data"].take())
    }

    pub(crate) async fn value(&self, query: &str) -> Option<f64> {
        let data = self.get("query", &[("query", query)]).await?;
        data["result"][0]["value"][1].as_str()?.parse().ok()
    }
}

/// The sum of a metric's series on the page of a server's own metrics.
pub(crate) async fn metric(address: &str, name: &str) -> Option<f64> {
    let page = reqwest::get(format!("http://{address}/metrics")).await.ok()?.text().await.ok()?;
    let values = page.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
    values.map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}
