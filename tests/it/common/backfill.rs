//! Backfills: by the program itself as a user runs it, and in this process at a time that the test chooses.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Output,
    time::Duration,
};

use chrono::NaiveDate;
use oura_exporter::{
    auth::Store,
    backfill::{Backfill, Destination, Readers, RetryPolicy},
    clock::Clock,
    config::{AccountConfig, Accounts, Config, Flags},
    exporter,
    oura::ClientOptions,
    remote_write::{Credentials, Receiver},
    samples::Target,
    simulator::Simulator,
    status::ApiStats,
};
use tokio::process::Command;

/// The program, as `person` of the simulator would run it with `state` as its directory.
pub(crate) fn program(simulator: &Simulator, person: &str, state: &Path) -> Command {
    let wearer = simulator.people().into_iter().find(|wearer| wearer.name == person).expect("a wearer");
    let mut command = Command::new(env!("CARGO_BIN_EXE_oura-exporter"));
    command.env_clear().kill_on_drop(true).env("OURA_API_URL", simulator.url()).env("OURA_STATE_DIR", state);
    command.env("OURA_ACCESS_TOKEN", wearer.token).env("OURA_ACCOUNT", person);
    // Years are asked for at once.
    command.env("OURA_REQUEST_BUDGET", "1000000");
    command
}

/// What a good run said on standard output and standard error.
pub(crate) fn said(output: Output) -> (String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert_eq!(output.status.code(), Some(0), "{err}");
    (out, err)
}

/// How many samples a run says that it wrote.
pub(crate) fn reported(said: &str) -> f64 {
    let line = said.lines().rfind(|line| line.contains(" samples, ")).expect("a last word");
    let (before, _) = line.split_once(" samples, ").expect("samples");
    before.rsplit_once(' ').and_then(|(_, count)| count.parse().ok()).expect("a number")
}

/// A backfill in this process.
pub(crate) struct Run {
    pub(crate) person: &'static str,
    pub(crate) collections: &'static str,
    pub(crate) days: (NaiveDate, NaiveDate),
    pub(crate) clock: Clock,
    pub(crate) state: Option<PathBuf>,
}

/// The instance of the scrapes that a backfill joins, if nothing else is said.
const INSTANCE: &str = "localhost:10058";

impl Run {
    /// Writes files into `directory`.
    pub(crate) async fn into_files(self, simulator: &Simulator, directory: &Path) {
        self.into_files_for(INSTANCE, simulator, directory).await;
    }

    /// Writes files into `directory` that join the scrapes of `instance`.
    pub(crate) async fn into_files_for(self, instance: &str, simulator: &Simulator, directory: &Path) {
        self.into_destination(instance, simulator, Destination::Directory(directory.to_owned())).await;
    }

    /// Sends it all to `url`.
    pub(crate) async fn send(self, simulator: &Simulator, url: &str) {
        self.send_for(INSTANCE, simulator, url).await;
    }

    /// Sends it all to `url`, to join the scrapes of `instance`.
    pub(crate) async fn send_for(self, instance: &str, simulator: &Simulator, url: &str) {
        oura_exporter::tls::choose_provider();
        let receiver = Receiver::new(url, Credentials::Open, Duration::from_secs(10)).expect("a receiver");
        self.into_destination(instance, simulator, Destination::Remote(receiver)).await;
    }

    async fn into_destination(self, instance: &str, simulator: &Simulator, destination: Destination) {
        oura_exporter::tls::choose_provider();
        let config = config(simulator, &[self.person], &[("OURA_COLLECTIONS", self.collections.to_owned())]);
        let kinds = config.collections.iter().copied().filter(|kind| kind.is_recorded()).collect();
        let stats = ApiStats::new().expect("good names");
        let accounts = exporter::accounts(config, &stats, &self.clock, ClientOptions::default()).expect("accounts");
        let backfill = Backfill {
            accounts,
            kinds,
            from: self.days.0,
            to: Some(self.days.1),
            target: Target { job: "oura".to_owned(), instance: instance.to_owned() },
            readers: Readers::Owner,
            store: self.state.map(Store::new),
            restart: false,
            clock: self.clock,
            persistence: RetryPolicy::default(),
        };
        backfill.run(destination, std::future::pending()).await.expect("a good end");
    }
}

/// The configuration of an exporter for `people` of the simulator.
pub(crate) fn config(simulator: &Simulator, people: &[&str], variables: &[(&str, String)]) -> Config {
    let url = [("OURA_API_URL", simulator.url())];
    let variables = url.iter().chain(variables).filter(|(_, value)| !value.is_empty());
    let variables = variables.map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let mut config =
        Config::from_environment(variables, Flags::default(), Accounts::NotNeeded).expect("a good configuration");
    let wearers = simulator.people().into_iter().filter(|wearer| people.contains(&wearer.name));
    config.accounts =
        wearers.map(|wearer| AccountConfig { name: wearer.name.to_owned(), token: wearer.token.into() }).collect();
    config.poll_interval = Duration::from_millis(100);
    // Years are asked for at once.
    config.request_budget = 1_000_000;
    config
}
