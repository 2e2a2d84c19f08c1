//! The program with somebody's history, and where it goes: a receiver, or files.

pub(crate) mod faults;
pub(crate) mod receiver;
pub(crate) mod wire;

use std::{
    path::PathBuf,
    process::{Output, Stdio},
};

use chrono::{NaiveDate, TimeDelta, Utc};
use oura_exporter::{
    clock::Clock,
    simulator::{Settings, Simulator},
    tls,
};
use tempfile::TempDir;
use tokio::process::Command;

use crate::common::{Page, Program, eventually, samples::Samples};
use receiver::{QUOTED, Receiver};

/// Few documents, of each way in which values are told: held for a day, held from the morning, and with their own time.
pub(crate) const SOME: &str = "daily_readiness,sleep,heartrate";

/// A simulator, somebody's token for it, and a directory of their own.
pub(crate) struct Place {
    pub(crate) simulator: Simulator,
    pub(crate) person: &'static str,
    pub(crate) collections: &'static str,
    directory: TempDir,
}

/// How a run of the program ended.
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) log: String,
}

impl Place {
    /// Alice's, with a simulator that goes by the machine's clock.
    pub(crate) async fn new() -> Self {
        Self::of("alice", Clock::system()).await
    }

    pub(crate) async fn of(person: &'static str, clock: Clock) -> Self {
        tls::choose_provider();
        let simulator =
            Simulator::start(Settings { clock: clock.into(), ..Settings::default() }).await.expect("a free port");
        Self { simulator, person, collections: SOME, directory: tempfile::tempdir().expect("a directory") }
    }

    pub(crate) fn token(&self) -> String {
        let wearers = self.simulator.people().into_iter();
        wearers.filter(|wearer| wearer.name == self.person).map(|wearer| wearer.token).next().expect("somebody")
    }

    /// A place below its directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The program, which keeps its state in the directory `state`.
    pub(crate) fn program(&self, state: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_oura-exporter"));
        self.equip(&mut command, state);
        command
    }

    /// The environment that the program needs.
    pub(crate) fn equip(&self, command: &mut Command, state: &str) {
        command.env_clear().env("OURA_API_URL", self.simulator.url()).env("OURA_ACCESS_TOKEN", self.token());
        command.env("OURA_ACCOUNT", self.person).env("OURA_COLLECTIONS", self.collections);
        // Months are asked for at once.
        command.env("OURA_REQUEST_BUDGET", "1000000");
        command.env("OURA_STATE_DIR", self.path(state)).stdin(Stdio::null()).kill_on_drop(true);
    }

    /// The program as a backfill of these days.
    pub(crate) fn backfill(&self, state: &str, days: (NaiveDate, NaiveDate), more: &[&str]) -> Command {
        let mut command = self.program(state);
        command.arg("backfill").args(arguments(days)).args(more);
        command
    }

    /// Runs it to its end.
    pub(crate) async fn ended(&self, command: &mut Command) -> Said {
        let Output { status, stdout, stderr } = command.output().await.expect("the program starts");
        let log = String::from_utf8_lossy(&stderr).into_owned();
        self.assert_discreet(&log);
        Said { code: status.code(), out: String::from_utf8_lossy(&stdout).into_owned(), log }
    }

    /// What an undisturbed run has of these days.
    pub(crate) async fn undisturbed(&self, days: (NaiveDate, NaiveDate), more: &[&str]) -> Samples {
        let arguments = [more, &["--output", "-"]].concat();
        let said = self.ended(&mut self.backfill("undisturbed", days, &arguments)).await;
        assert_eq!(said.code, Some(0), "{}", said.log);
        let samples = Samples::of_text(&said.out);
        assert!(samples.len() > 1000, "only {} samples", samples.len());
        samples
    }

    /// No log holds a token, what a receiver said, or the name of a metric, beside which a value would stand.
    pub(crate) fn assert_discreet(&self, log: &str) {
        for secret in
            [self.token().as_str(), QUOTED, "secretive", "61.75", "account=\"", "oura_readiness", "oura_sample"]
        {
            assert!(!log.contains(secret), "it shows {secret}: {log}");
        }
    }
}

/// The arguments for these days.
pub(crate) fn arguments((first, last): (NaiveDate, NaiveDate)) -> [String; 4] {
    ["--from".to_owned(), first.to_string(), "--to".to_owned(), last.to_string()]
}

/// Days so long ago, from the first until the last.
pub(crate) fn days_ago(first: i64, last: i64) -> (NaiveDate, NaiveDate) {
    let today = Utc::now().date_naive();
    (today - TimeDelta::days(first), today - TimeDelta::days(last))
}

/// The program as an exporter that sends live.
pub(crate) fn live(place: &Place, state: &str, receiver: &Receiver) -> Command {
    let mut command = place.program(state);
    command.env("OURA_REMOTE_WRITE_URL", receiver.url());
    command
}

/// An exporter's page, once something was sent and nothing waits.
pub(crate) async fn settled(program: &Program) -> Page {
    eventually("everything is settled", async || {
        let page = Page::parse(&program.get("/metrics").await?);
        let count = |name: &str| page.get(name).unwrap_or(0.0);
        let settled = count("oura_remote_write_samples_total") + count("oura_remote_write_refused_samples_total");
        (settled > 0.0 && count("oura_remote_write_pending_samples") == 0.0).then_some(page)
    })
    .await
}

/// From when on dense samples are surely sent live, whenever in a test an exporter starts for the first time: they go back
/// for two days.
pub(crate) fn surely_sent() -> i64 {
    (Utc::now() - TimeDelta::hours(48) + TimeDelta::minutes(15)).timestamp_millis()
}

/// All that a program serves with its own time, whenever it learnt it, as a receiver names it.
pub(crate) async fn served(program: &Program) -> Samples {
    let page = program.get("/metrics/samples?learnt=14d").await.expect("a page");
    let mut samples = Samples::default();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<_> = line.rsplitn(3, ' ').collect();
        let (time, value) = (words[0].parse().expect("milliseconds"), words[1].parse().expect("a number"));
        samples.add(&as_sent(words[2]), time, value);
    }
    samples
}

/// A series of the page with the labels that a scrape puts on it.
pub(crate) fn as_sent(series: &str) -> String {
    let (name, labels) = series.trim_end_matches('}').split_once('{').expect("labels");
    let own = labels.split("\",").map(|label| format!("{}\"", label.trim_end_matches('"')));
    let mut all: Vec<_> = own.chain(["instance=\"localhost:10058\"".to_owned(), "job=\"oura\"".to_owned()]).collect();
    all.sort();
    format!("{name}{{{}}}", all.join(","))
}

/// What an exporter sends live that nobody disturbs, as far as it is surely sent.
pub(crate) async fn undisturbed_live(place: &Place, since: i64) -> Samples {
    let receiver = Receiver::start().await;
    let program = Program::start(&mut live(place, "undisturbed", &receiver)).await;
    receiver.came(1).await;
    settled(&program).await;
    receiver.kept().assert_proper("undisturbed");
    let samples = receiver.kept().samples.only(|_, time| time >= since);
    assert!(samples.len() > 1000, "only {} samples", samples.len());
    samples
}
