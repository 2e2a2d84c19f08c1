//! Mornings through the whole chain: how many messages came about each, and what they said.

use std::{
    ffi::OsString,
    sync::{Arc, Mutex},
    time::Duration,
};

use super::chain::Chain;
use crate::common::{
    Exporter, Plan, moment,
    needs::{newer_are_there, there_are},
    servers::Release,
    simulator_with,
};
use chrono::TimeDelta;
use oura_exporter::{
    clock::{Clock, ManualClock},
    config::{AccountConfig, Accounts, Config, Flags},
    simulator::{Scope, Simulator},
};
use serde_json::{Value, json};

const TODAY: &str = "2026-11-22";
const YESTERDAY: &str = "2026-11-21";
/// When alice goes to bed, the evening before.
const EVENING: &str = "21:00";
/// When what happens happens, by the clock of alice in Helsinki, two hours ahead of UTC.
const TIMES: [(&str, i64); 5] = [("02:45", 45), ("12:00", 600), ("14:00", 720), ("18:00", 960), ("00:30", 1350)];

/// What Oura says of a day's readiness.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Readiness {
    None,
    Null,
    Score(u32),
}

/// What Oura says of the night.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Night {
    None,
    /// Until 02:39, as the app saw it.
    Half,
    /// Hours asleep.
    Slept(u32),
    ShortWithNap,
}

use Night::{Half, ShortWithNap, Slept};
use Readiness::{Null, Score};

/// What is known of today at one of the times.
type Known = (Readiness, Night);

const NOTHING: Known = (Readiness::None, Night::None);

const fn scored(score: u32) -> Known {
    (Score(score), Slept(8))
}

/// A morning, and what is promised of it: how many messages, and what stands in the last.
struct Morning {
    name: &'static str,
    /// At each of the times.
    known: [Known; 5],
    messages: usize,
    says: &'static [&'static str],
}

const fn morning(name: &'static str, known: [Known; 5], messages: usize, says: &'static [&'static str]) -> Morning {
    Morning { name, known, messages, says }
}

const LOW_55: &[&str] = &["firing warning 2026-11-22: synced-at-noon: readiness 55 of 100 today."];

const MORNINGS: [Morning; 11] = [
    morning("synced-at-noon", [NOTHING, scored(55), scored(55), scored(55), scored(55)], 1, LOW_55),
    morning(
        "synced-at-14",
        [NOTHING, NOTHING, scored(65), scored(65), scored(65)],
        1,
        &["firing info 2026-11-22: synced-at-14: readiness 65 of 100 today."],
    ),
    morning("none-at-all", [NOTHING; 5], 0, &[]),
    morning("score-null", [NOTHING, (Null, Slept(8)), (Null, Slept(8)), (Null, Slept(8)), (Null, Slept(8))], 0, &[]),
    morning(
        "score-without-sleep",
        [
            NOTHING,
            (Score(65), Night::None),
            (Score(65), Night::None),
            (Score(65), Night::None),
            (Score(65), Night::None),
        ],
        1,
        &["firing info 2026-11-22: score-without-sleep: readiness 65 of 100 today."],
    ),
    morning(
        "revised-65-72-65",
        [NOTHING, scored(65), scored(72), scored(65), scored(65)],
        1,
        &["firing info 2026-11-22: revised-65-72-65: readiness 65 of 100 today."],
    ),
    morning(
        "revised-75-58-75",
        [NOTHING, scored(75), scored(58), scored(75), scored(75)],
        1,
        &["firing warning 2026-11-22: revised-75-58-75: readiness 58 of 100 today."],
    ),
    morning("half-a-night-at-02-45", [(Score(41), Half), scored(80), scored(80), scored(80), scored(80)], 0, &[]),
    morning(
        "nap-later",
        [NOTHING, (Score(80), Slept(5)), (Score(80), Slept(5)), (Score(80), ShortWithNap), (Score(80), ShortWithNap)],
        1,
        &["firing info 2026-11-22: nap-later: 5h 0m 0s of sleep."],
    ),
    morning(
        "two-bad-things",
        [NOTHING, (Score(55), Slept(3)), (Score(55), Slept(3)), (Score(55), Slept(3)), (Score(55), Slept(3))],
        1,
        &[
            "firing warning 2026-11-22: two-bad-things: 3h 0m 0s of sleep.",
            "firing warning 2026-11-22: two-bad-things: readiness 55 of 100 today.",
        ],
    ),
    morning(
        "exporter-restarted-elsewhere",
        [NOTHING, scored(65), scored(65), scored(65), scored(65)],
        1,
        &["firing info 2026-11-22: exporter-restarted-elsewhere: readiness 65 of 100 today."],
    ),
];
/// Two exporters of one account each: what the one says that has read last, and the other, and what is promised.
const PAIRS: [(&str, u32, u32, usize); 2] = [("the-newer-is-well", 80, 55, 0), ("the-newer-is-low", 55, 80, 1)];

/// A service and what it says, until it is changed.
struct Service {
    simulator: Simulator,
    known: Arc<Mutex<Known>>,
}

impl Service {
    async fn new(clock: Clock, known: Known) -> Self {
        let service = Self { simulator: simulator_with(clock).await, known: Arc::new(Mutex::new(known)) };
        let known = Arc::clone(&service.known);
        service.simulator.faults().edit(Scope::person("alice").and_collection("daily_readiness"), move |documents| {
            score(documents, known.lock().expect("no panic").0);
        });
        let known = Arc::clone(&service.known);
        service.simulator.faults().edit(Scope::person("alice").and_collection("sleep"), move |documents| {
            sleep(documents, known.lock().expect("no panic").1);
        });
        service
    }

    fn set(&self, known: Known) {
        *self.known.lock().expect("no panic") = known;
    }

    /// An exporter that calls alice by the morning's name.
    async fn exporter(&self, name: &str, clock: Clock) -> Exporter {
        let variables =
            [("OURA_API_URL", self.simulator.url()), ("OURA_COLLECTIONS", "daily_readiness,sleep".to_owned())];
        let variables = variables.map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let mut config =
            Config::from_environment(variables, Flags::default(), Accounts::NotNeeded).expect("a good configuration");
        config.poll_interval = Duration::from_millis(500);
        let alice = self.simulator.people().into_iter().find(|wearer| wearer.name == "alice").expect("alice");
        config.accounts = vec![AccountConfig { name: name.to_owned(), token: alice.token.into() }];
        let exporter = Exporter::start(config, clock, Plan::default().patience).await;
        exporter.ready().await;
        exporter
    }
}

/// Yesterday's readiness is low, and today's as it is known.
fn score(documents: &mut Vec<Value>, readiness: Readiness) {
    let mut today = documents.last().cloned();
    documents.retain(|document| document["day"].as_str() < Some(TODAY));
    for document in documents.iter_mut().filter(|document| document["day"] == YESTERDAY) {
        document["score"] = json!(40);
    }
    if let Some(today) = today.as_mut().filter(|_| readiness != Readiness::None) {
        today["id"] = json!("readiness-of-today");
        today["day"] = json!(TODAY);
        today["timestamp"] = json!(format!("{TODAY}T00:00:00+02:00"));
        today["score"] = if let Score(score) = readiness { json!(score) } else { Value::Null };
        documents.push(today.clone());
    }
}

/// The night as it is known.
fn sleep(documents: &mut Vec<Value>, night: Night) {
    documents.retain(|document| document["day"].as_str() < Some(TODAY));
    match night {
        Half => documents.push(period("long_sleep", ("00:10", "02:39"), 8_000)),
        Slept(hours) => documents.push(period("long_sleep", (EVENING, "05:30"), hours * 3600)),
        ShortWithNap => {
            documents.push(period("long_sleep", (EVENING, "05:30"), 5 * 3600));
            documents.push(period("late_nap", ("14:30", "16:45"), 2 * 3600));
        }
        Night::None => {}
    }
}

/// A period of sleep of today between these times by alice's clock.
fn period(kind: &str, (start, end): (&str, &str), asleep: u32) -> Value {
    let day = if start == EVENING { YESTERDAY } else { TODAY };
    json!({
        "id": format!("{kind}-of-today"), "day": TODAY, "type": kind, "bedtime_start": format!("{day}T{start}:00+02:00"),
        "bedtime_end": format!("{TODAY}T{end}:00+02:00"), "total_sleep_duration": asleep, "time_in_bed": asleep + 600, "period": 0,
        "low_battery_alert": false, "average_heart_rate": 55.5, "lowest_heart_rate": 48, "average_hrv": 60,
    })
}

/// All that runs beside the chain.
struct Stage {
    clock: Clock,
    hand: ManualClock,
    services: Vec<(Service, Exporter)>,
    pairs: Vec<(Service, Exporter)>,
}

impl Stage {
    async fn new() -> Self {
        let midnight = moment(&format!("{TODAY}T00:00:00Z"));
        let (clock, hand) = Clock::driven_from(midnight + TimeDelta::minutes(TIMES[0].1));
        let mut services = vec![];
        for morning in &MORNINGS {
            let service = Service::new(clock.clone(), morning.known[0]).await;
            let exporter = service.exporter(morning.name, clock.clone()).await;
            services.push((service, exporter));
        }
        let mut pairs = vec![];
        for (name, newer, older, _) in PAIRS {
            let noon = midnight + TimeDelta::minutes(TIMES[1].1);
            for (score, clock) in
                [(newer, Clock::still_at(noon)), (older, Clock::still_at(noon - TimeDelta::minutes(30)))]
            {
                let service = Service::new(clock.clone(), scored(score)).await;
                let exporter = service.exporter(name, clock).await;
                pairs.push((service, exporter));
            }
        }
        Self { clock, hand, services, pairs }
    }

    fn addresses(&self) -> Vec<String> {
        let all = self.services.iter().chain(&self.pairs);
        all.map(|(_, exporter)| exporter.address().to_owned()).collect()
    }

    /// It is that time, and every service knows what is known then.
    fn move_to(&self, place: usize) {
        self.hand.advance(TimeDelta::minutes(TIMES[place].1 - TIMES[place - 1].1));
        for ((service, _), morning) in self.services.iter().zip(&MORNINGS) {
            service.set(morning.known[place]);
        }
    }

    /// Every page has what its service knows.
    async fn pages_follow(&self, place: usize) {
        let now = self.clock.now().timestamp() as f64;
        for ((_, exporter), morning) in self.services.iter().zip(&MORNINGS) {
            let of = |metric: &str| format!("{metric}{{account=\"{}\",collection=\"daily_readiness\"}}", morning.name);
            let score = format!("oura_readiness_score{{account=\"{}\"}}", morning.name);
            let expected = match morning.known[place].0 {
                Score(score) => Some(f64::from(score)),
                Null => None,
                Readiness::None => Some(40.0),
            };
            let what = format!("{} at {}", morning.name, TIMES[place].0);
            let read = of("oura_collection_last_success_timestamp_seconds");
            exporter.page_where(&what, |page| page.get(&read) >= Some(now) && page.get(&score) == expected).await;
        }
    }

    /// The last of the mornings' exporters ends, and another one begins at another address.
    async fn restart_the_last(&mut self) {
        let (service, exporter) = self.services.pop().expect("the last morning");
        exporter.stop().await;
        let exporter = service.exporter(MORNINGS[MORNINGS.len() - 1].name, self.clock.clone()).await;
        self.services.push((service, exporter));
    }
}

async fn mornings(release: Release) {
    let (mut stage, mut chain) = (Stage::new().await, Chain::start(release).await);
    chain.scrape(&stage.addresses());
    stage.pages_follow(0).await;
    chain.settle().await;
    for place in 1..TIMES.len() {
        stage.move_to(place);
        stage.pages_follow(place).await;
        chain.settle().await;
        if place == 2 {
            stage.restart_the_last().await;
            chain.scrape(&stage.addresses());
            chain.settle().await;
        }
        if place == 3 {
            chain = chain.restart_prometheus().await;
            chain.settle().await;
        }
    }
    let wrong: Vec<_> = promises().into_iter().filter_map(|promise| broken(release, &chain, &promise)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let alerts = chain.messages.alerts();
    assert!(alerts.iter().all(|alert| alert["labels"]["grafana"].is_null()), "{alerts:#?}");
    let links = alerts.iter().filter(|alert| alert["labels"]["account"] == "synced-at-noon");
    let links: Vec<_> = links.map(|alert| &alert["annotations"]["dashboard_url"]).collect();
    let link = json!("http://localhost:3000/d/oura-today?var-account=synced-at-noon");
    assert!(!links.is_empty() && links.iter().all(|found| **found == link), "{links:?}");
}

/// Whose messages, how many, and what the last one says.
type Promise = (&'static str, usize, Vec<String>);

fn promises() -> Vec<Promise> {
    let told = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let mut promises: Vec<Promise> = MORNINGS.iter().map(|one| (one.name, one.messages, told(one.says))).collect();
    for (name, newer, _, messages) in PAIRS {
        let says = format!("firing warning {TODAY}: {name}: readiness {newer} of 100 today.");
        promises.push((name, messages, vec![says; messages]));
    }
    promises
}

/// Prints what was told, and says what is not as promised.
fn broken(release: Release, chain: &Chain, (name, count, says): &Promise) -> Option<String> {
    let told = chain.messages.of(name);
    println!("{release:?} | {name:28} | {} | {}", told.len(), told.concat().join(" / "));
    let is_kept = told.len() == *count && told.last().cloned().unwrap_or_default() == *says;
    (!is_kept).then(|| format!("{name}: {told:#?} instead of {count} times {says:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mornings_are_told_as_promised() {
    if there_are(&["prometheus", "prometheus-alertmanager"], "mornings_are_told_as_promised") {
        mornings(Release::Installed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mornings_are_told_as_promised_by_the_newer_servers() {
    let test = "mornings_are_told_as_promised_by_the_newer_servers";
    if newer_are_there(&["prometheus", "prometheus-alertmanager"], test) {
        mornings(Release::Newer).await;
    }
}
