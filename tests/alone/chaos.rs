//! Three days of an Oura that fails 30 % of all answers in every way at once: nothing stays down, floods, leaks or storms.
//!
//! Exporter and simulator run on one thread whose clock is stopped. Time is let pass by hand, in small steps, each after
//! both have done what there is to do: so requests over real sockets take their time, timeouts are timeouts, and three
//! days are over in a minute or two.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    ffi::OsString,
    fs,
    io::Write,
    sync::{Arc, Mutex, PoisonError, mpsc},
    time::Duration,
};

use crate::common::{Exporter, NOON, Page, moment, simulator_with};
use chrono::{DateTime, TimeDelta, Utc};
use oura_exporter::{
    auth::{self, Store, Tokens},
    clock::Clock,
    config::{Accounts, Config, Flags},
    documents::{KINDS, Kind, Pace},
    oura::ClientOptions,
    simulator::{Portal, Simulator},
};
use tempfile::TempDir;
use tokio::{
    task::{JoinHandle, spawn_blocking, yield_now},
    time::advance,
};
use tracing_subscriber::fmt::MakeWriter;

/// Who is signed in at the simulator, by the account's name.
const PEOPLE: [(&str, &str); 2] = [("anna", "alice"), ("ben", "bob")];
const SHARE: f64 = 0.3;
const SEED: u64 = 20;
/// With this one the token URL refuses, hangs, and gives half a pair among its first answers.
const TOKEN_SEED: u64 = 39;
/// How often everything is asked, and how often is looked at what came of it.
const POLL: Duration = Duration::from_secs(300);
const LOOKS_AN_HOUR: usize = 12;
const HOUR: TimeDelta = TimeDelta::hours(1);
/// How long an access token lives, in seconds: each account's is renewed at least once in the three days.
const TOKEN_LIFETIME: u64 = 2 * 24 * 3600;
/// The most renewals of both accounts together.
const MOST_RENEWALS: usize = 9;
/// How often the same line may be logged in an hour.
const MOST_REPEATED: usize = 5;
/// What the resident memory may grow after the first day, in kB: the allocator is never quite still.
const MOST_GROWTH: u64 = 16 * 1024;

/// How far the clock moves at once, and how often everybody has their turn before it does. A request and its answer take a
/// few of these turns.
const STEP: Duration = Duration::from_millis(500);
const TURNS: usize = 24;

/// What the exporter logs, as it comes.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// What came since it was last asked for.
    fn take(&self) -> String {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        String::from_utf8(bytes).expect("UTF-8")
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Lines, counted over the last hour.
#[derive(Default)]
struct Lines {
    looks: VecDeque<HashMap<String, usize>>,
    /// The most often that each was logged within an hour.
    most: BTreeMap<String, usize>,
    all: usize,
}

impl Lines {
    /// What was logged since the last look. Numbers vary: lines that differ only in those are the same.
    fn note(&mut self, log: &str) {
        let mut here = HashMap::new();
        for line in log.lines() {
            *here.entry(without_numbers(line)).or_default() += 1;
            self.all += 1;
        }
        self.looks.push_back(here);
        if self.looks.len() > LOOKS_AN_HOUR {
            self.looks.pop_front();
        }
        for line in self.looks.back().into_iter().flat_map(HashMap::keys) {
            let count: usize = self.looks.iter().filter_map(|look| look.get(line)).sum();
            let most = self.most.entry(line.clone()).or_default();
            *most = count.max(*most);
        }
    }

    /// Those that came too often, with how often.
    fn repeated(&self) -> Vec<(&String, usize)> {
        self.most.iter().filter(|(_, most)| **most > MOST_REPEATED).map(|(line, most)| (line, *most)).collect()
    }
}

fn without_numbers(line: &str) -> String {
    let mut text = String::new();
    for letter in line.chars() {
        match letter {
            '0'..='9' if text.ends_with('#') => {}
            '0'..='9' => text.push('#'),
            _ => text.push(letter),
        }
    }
    text
}

/// An exporter with two accounts, its simulator, and the clock of both.
struct Scene {
    simulator: Simulator,
    exporter: Exporter,
    /// One client for all looks: making one reads all the certificates that the system trusts.
    http: reqwest::Client,
    clock: Clock,
    lines: Lines,
    log: Log,
    _state: TempDir,
    /// While this one runs, tokio does not move the stopped clock by itself.
    _held: JoinHandle<()>,
    _hold: mpsc::Sender<()>,
}

impl Scene {
    async fn start() -> Self {
        let (hold, released) = mpsc::channel::<()>();
        let held = spawn_blocking(move || released.recv().unwrap_or_default());
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).without_time().with_target(false);
        subscriber.with_ansi(false).with_max_level(tracing::Level::INFO).init();
        let clock = Clock::at(moment(NOON));
        let simulator = simulator_with(clock.clone()).await;
        simulator.authorizations().set_token_lifetime(TOKEN_LIFETIME);
        let state = tempfile::tempdir().expect("a directory");
        for (account, person) in PEOPLE {
            sign_in(&simulator, &Store::new(state.path().to_owned()), account, person, clock.now());
        }
        let exporter = Exporter::start(config(&simulator, &state), clock.clone(), ClientOptions::default()).await;
        let http = reqwest::Client::builder().tls_certs_only([]).no_proxy().build().expect("a client");
        let lines = Lines::default();
        Self { simulator, exporter, http, clock, lines, log, _state: state, _held: held, _hold: hold }
    }

    /// Lets time pass.
    async fn pass(&self, time: Duration) {
        for _ in 0..time.as_millis() / STEP.as_millis() {
            for _ in 0..TURNS {
                yield_now().await;
            }
            advance(STEP).await;
        }
    }

    /// Lets a poll interval pass, and gives the page at its end.
    async fn look(&mut self) -> Page {
        self.pass(POLL).await;
        self.lines.note(&self.log.take());
        self.simulator.forget_requests();
        let answer = self.http.get(format!("{}/metrics", self.exporter.url)).send().await.expect("an answer");
        Page::parse(&answer.text().await.expect("a page"))
    }

    /// How often a pair was renewed, and how often that was tried.
    fn renewals(&self) -> (usize, usize) {
        let exchanges = self.simulator.authorizations().exchanges();
        (exchanges.iter().filter(|exchange| exchange.status == 200).count(), exchanges.len())
    }
}

/// What is asked: all but `daily_activity`, which costs the simulator most, and `tag`, which Oura has replaced.
fn asked() -> impl Iterator<Item = &'static Kind> {
    KINDS.iter().filter(|kind| !["daily_activity", "tag"].contains(&kind.name))
}

fn config(simulator: &Simulator, state: &TempDir) -> Config {
    let url = simulator.url();
    let application = simulator.applications().into_iter().find(|application| application.portal == Portal::New);
    let application = application.expect("one of each portal");
    let variables = [
        ("OURA_API_URL", url.clone()),
        ("OURA_STATE_DIR", state.path().to_str().expect("UTF-8").to_owned()),
        ("OURA_CLIENT_ID", application.client_id),
        ("OURA_CLIENT_SECRET", application.client_secret),
        ("OURA_TOKEN_URL", format!("{url}/oauth/token")),
        ("OURA_FALLBACK_TOKEN_URL", format!("{url}/oauth/v2/ext/oauth-token")),
        ("OURA_POLL_INTERVAL", format!("{}s", POLL.as_secs())),
        ("OURA_COLLECTIONS", asked().map(|kind| kind.name).collect::<Vec<_>>().join(",")),
    ];
    let variables = variables.map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Config::from_environment(variables, Flags::default(), Accounts::Needed).expect("a good configuration")
}

fn sign_in(simulator: &Simulator, store: &Store, account: &str, person: &str, now: DateTime<Utc>) {
    let granted = simulator.authorizations().grant(Portal::New, person, &[]);
    let tokens = Tokens {
        access: granted.access_token.into(),
        refresh: Some(granted.refresh_token.into()),
        issued_at: now,
        expires_at: Some(now + TimeDelta::seconds(granted.expires_in.try_into().expect("some days"))),
        scopes: None,
        portal: auth::Portal::New,
        signed_in_at: now,
        person: None,
    };
    store.write(account, &tokens).expect("it is stored");
}

/// How long a collection of this pace may go without an answer: an hour more than it goes without a question.
fn longest_silence(pace: Pace) -> TimeDelta {
    HOUR + match pace {
        Pace::Poll => TimeDelta::from_std(POLL).expect("minutes"),
        Pace::Quarter => TimeDelta::minutes(15),
        Pace::HalfHour => TimeDelta::minutes(30),
        Pace::Hour => HOUR,
        Pace::QuarterDay => HOUR * 6,
    }
}

/// The collections that have been silent for too long, with for how long.
fn silent(page: &Page, now: DateTime<Utc>) -> Vec<(String, TimeDelta)> {
    let mut silent = vec![];
    for (account, _) in PEOPLE {
        for kind in asked() {
            let answered = page.get(&of("oura_collection_last_success_timestamp_seconds", account, kind.name));
            let answered = answered.and_then(|seconds| DateTime::from_timestamp(seconds as i64, 0));
            let silence = now - answered.expect("all worked before");
            if silence > longest_silence(kind.pace) {
                silent.push((format!("{account}'s {}", kind.name), silence));
            }
        }
    }
    silent
}

fn of(metric: &str, account: &str, collection: &str) -> String {
    format!("{metric}{{account=\"{account}\",collection=\"{collection}\"}}")
}

/// What is not up.
fn down(page: &Page) -> Vec<&str> {
    let all = ["oura_up{", "oura_collection_up{", "oura_account_authorized{"].map(|metric| page.starting_with(metric));
    let all = all.concat();
    assert!(all.len() > PEOPLE.len() * 15, "{all:?}");
    all.into_iter().filter(|series| page.get(series) != Some(1.0)).collect()
}

/// The resident memory of this process, which is the exporter's and the simulator's, in kB.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("resident memory");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

#[tokio::test(start_paused = true)]
async fn three_days_in_which_every_third_answer_fails_leave_nothing_down_and_flood_nobody() {
    let mut scene = Scene::start().await;
    for _ in 0..2 {
        scene.look().await;
    }
    assert_eq!(down(&scene.look().await), Vec::<&str>::new(), "before anything fails");
    scene.simulator.faults().at_random(SEED, SHARE);
    scene.simulator.authorizations().faults_at_random(TOKEN_SEED, SHARE);
    let (mut faults, mut after_a_day) = (vec![], 0);
    for look in 1..=3 * 24 * LOOKS_AN_HOUR {
        let page = scene.look().await;
        let now = scene.clock.now();
        faults.extend(
            silent(&page, now).into_iter().map(|(what, silence)| format!("{now}: {what} silent for {silence}")),
        );
        if look == 24 * LOOKS_AN_HOUR {
            after_a_day = resident();
        }
    }
    let (grown, (renewals, tries)) = (resident().saturating_sub(after_a_day), scene.renewals());
    // It ends between two polls, so that the look a poll interval later does not fall into the midst of one.
    scene.pass(POLL / 2).await;
    scene.simulator.faults().clear();
    scene.simulator.authorizations().clear_faults();
    let page = scene.look().await;
    println!("{renewals} renewals of {tries} tried, {} lines, {grown} kB more than after a day", scene.lines.all);
    faults.extend(down(&page).into_iter().map(|series| format!("a poll interval after the end: {series} is down")));
    let often = scene.lines.repeated().into_iter();
    faults.extend(often.map(|(line, times)| format!("logged {times} times in an hour: {line}")));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(renewals >= PEOPLE.len() && tries > renewals, "renewals must meet faults");
    assert!(renewals <= MOST_RENEWALS, "{renewals} renewals");
    assert!(grown <= MOST_GROWTH, "{grown} kB more than after a day");
}
