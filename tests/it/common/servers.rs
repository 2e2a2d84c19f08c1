//! Real servers and tools that tests run: how they are started, what they read, and what they say.

use std::{
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command as StdCommand, Stdio},
};

use serde_json::Value;
use tokio::{
    net::TcpListener,
    process::{Child, Command},
};

/// A file of the repository.
pub(crate) fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A YAML file of the repository, as JSON.
pub(crate) fn yaml(path: &str) -> Value {
    let text = fs::read_to_string(file(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
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

/// Whether promtool is content, and what it says.
pub(crate) fn promtool(arguments: &[&str], input: &str) -> (bool, String) {
    ask(StdCommand::new("promtool").args(arguments), input)
}

/// Brings the samples of a file of OpenMetrics into the database `data`, which no Prometheus has open.
pub(crate) fn import(samples: &Path, data: &Path) {
    let import = ["tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=1500h"];
    let (is_good, said) = promtool(&[&import[..], &[text(samples), text(data)]].concat(), "");
    assert!(is_good, "{}: {said}", samples.display());
}

pub(crate) async fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("an address").to_string()
}

/// Whose programs: what runs here must run on what this Debian installs, and on what comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// Debian's, as installed: Prometheus 2.42, VictoriaMetrics 1.79, Alertmanager 0.25.
    Installed,
    /// Those of its next release, which `tests/newer` unpacks: Prometheus 3.5, VictoriaMetrics 1.145, Alertmanager 0.33.
    Newer,
}

impl Release {
    pub(crate) const BOTH: [Self; 2] = [Self::Installed, Self::Newer];

    /// Where a program of this release is.
    pub(crate) fn program(self, name: &str) -> PathBuf {
        let directory =
            || env::var_os("OURA_NEWER_SERVERS").map_or_else(|| file("target/tools/newer/usr/bin"), PathBuf::from);
        match self {
            Self::Installed => PathBuf::from(name),
            Self::Newer => directory().join(name),
        }
    }
}

/// Starts a program in `directory` that ends with the test.
pub(crate) fn start(program: impl AsRef<Path>, directory: &Path, arguments: &[&str]) -> Child {
    let mut command = Command::new(program.as_ref());
    command.current_dir(directory).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    command.spawn().unwrap_or_else(|error| panic!("{}: {error}", program.as_ref().display()))
}

/// The sum of a metric's series on the page of a server's own metrics.
pub(crate) async fn metric(address: &str, name: &str) -> Option<f64> {
    let page = reqwest::get(format!("http://{address}/metrics")).await.ok()?.text().await.ok()?;
    let values = page.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
    values.map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}
