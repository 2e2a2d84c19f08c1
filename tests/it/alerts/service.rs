//! What Oura says of alice's morning in Helsinki, changed at will, and exporters that read it under names of their own.

use std::{
    ffi::OsString,
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::common::{Exporter, Plan, simulator_with};
use oura_exporter::{
    clock::Clock,
    config::{AccountConfig, Accounts, Config, Flags},
    simulator::{Scope, Simulator},
};
use serde_json::{Value, json};

pub(super) const TODAY: &str = "2026-11-22";
const YESTERDAY: &str = "2026-11-21";
const TOMORROW: &str = "2026-11-23";
/// Yesterday was a bad day, which is told of no other.
pub(super) const SCORE_OF_YESTERDAY: u32 = 40;
/// When the phone has the ring's data of the whole night.
const SYNCED: &str = "2026-11-22T04:29:00.000Z";

/// What Oura says of a day's readiness.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Readiness {
    None,
    Null,
    Score(u32),
}

/// What Oura says of the night.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Night {
    None,
    /// Until 02:39, as the app saw it.
    Half,
    /// Hours asleep.
    Slept(u32),
    /// Hours asleep, and a nap later.
    Napped(u32, Period),
}

/// A sleep: of which day, from when until when by which clock, and seconds asleep.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Period(&'static str, &'static str, &'static str, u32);

pub(super) const NAP: Period = Period(TODAY, "2026-11-22T14:30:00+02:00", "2026-11-22T16:45:00+02:00", 7200);
/// It is yesterday again.
pub(super) const NAP_IN_HONOLULU: Period =
    Period(YESTERDAY, "2026-11-21T20:00:00-10:00", "2026-11-21T20:40:00-10:00", 1800);
/// It is tomorrow already.
pub(super) const NAP_IN_AUCKLAND: Period =
    Period(TOMORROW, "2026-11-23T00:00:00+13:00", "2026-11-23T00:40:00+13:00", 1800);

/// What is known of today.
pub(super) type Known = (Readiness, Night);

pub(super) const NOTHING: Known = (Readiness::None, Night::None);

/// A score after a good night.
pub(super) const fn scored(score: u32) -> Known {
    (Readiness::Score(score), Night::Slept(8))
}

/// A service and what it says, until it is changed.
pub(super) struct Service {
    simulator: Simulator,
    known: Arc<Mutex<Known>>,
}

impl Service {
    pub(super) async fn new(clock: Clock, known: Known) -> Self {
        let service = Self { simulator: simulator_with(clock).await, known: Arc::new(Mutex::new(known)) };
        let (of_scores, of_nights) = (Arc::clone(&service.known), Arc::clone(&service.known));
        let faults = service.simulator.faults();
        let alices = |collection| Scope::person("alice").and_collection(collection);
        faults.edit(alices("daily_readiness"), move |documents| {
            score(documents, of_scores.lock().expect("no panic").0);
        });
        faults.edit(alices("sleep"), move |documents| sleep(documents, of_nights.lock().expect("no panic").1));
        faults.edit(alices("ring_battery_level"), |rows| {
            *rows = vec![json!({ "timestamp": SYNCED, "level": 80, "charging": false, "in_charger": false })];
        });
        service
    }

    pub(super) fn set(&self, known: Known) {
        *self.known.lock().expect("no panic") = known;
    }

    /// An exporter that calls alice by that name.
    pub(super) async fn exporter(&self, name: &str, clock: Clock) -> Exporter {
        let collections = "daily_readiness,sleep,ring_battery_level".to_owned();
        let variables = [("OURA_API_URL", self.simulator.url()), ("OURA_COLLECTIONS", collections)];
        let variables = variables.map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let mut config =
            Config::from_environment(variables, Flags::default(), Accounts::NotNeeded).expect("a good configuration");
        config.poll_interval = Duration::from_millis(500);
        let alice = self.simulator.people().into_iter().find(|wearer| wearer.name == "alice").expect("alice");
        config.accounts = vec![AccountConfig { name: name.to_owned(), token: alice.token.into() }];
        let exporter = Exporter::start(config, clock, Plan::default().client_options).await;
        exporter.ready().await;
        exporter
    }
}

/// Yesterday's readiness is low, and today's as it is known.
fn score(documents: &mut Vec<Value>, readiness: Readiness) {
    let mut today = documents.last().cloned();
    documents.retain(|document| document["day"].as_str() < Some(TODAY));
    for document in documents.iter_mut().filter(|document| document["day"] == YESTERDAY) {
        document["score"] = json!(SCORE_OF_YESTERDAY);
    }
    if let Some(today) = today.as_mut().filter(|_| readiness != Readiness::None) {
        today["id"] = json!("readiness-of-today");
        today["day"] = json!(TODAY);
        today["timestamp"] = json!(format!("{TODAY}T00:00:00+02:00"));
        today["score"] = if let Readiness::Score(score) = readiness { json!(score) } else { Value::Null };
        documents.push(today.clone());
    }
}

/// The night as it is known.
fn sleep(documents: &mut Vec<Value>, night: Night) {
    const EVENING: &str = "2026-11-21T21:00:00+02:00";
    const MORNING: &str = "2026-11-22T05:30:00+02:00";
    const MIDNIGHT: &str = "2026-11-22T00:10:00+02:00";
    const HALF_WAY: &str = "2026-11-22T02:39:00+02:00";
    documents.retain(|document| document["day"].as_str() < Some(TODAY));
    match night {
        Night::None => {}
        Night::Half => documents.push(period("long_sleep", Period(TODAY, MIDNIGHT, HALF_WAY, 8_000))),
        Night::Slept(hours) => documents.push(period("long_sleep", Period(TODAY, EVENING, MORNING, hours * 3600))),
        Night::Napped(hours, nap) => {
            documents.push(period("long_sleep", Period(TODAY, EVENING, MORNING, hours * 3600)));
            documents.push(period("late_nap", nap));
        }
    }
}

fn period(kind: &str, Period(day, start, end, asleep): Period) -> Value {
    json!({
        "id": format!("{kind}-of-today"), "day": day, "type": kind, "bedtime_start": start, "bedtime_end": end,
        "total_sleep_duration": asleep, "time_in_bed": asleep + 600, "period": 0, "low_battery_alert": false,
        "average_heart_rate": 55.5, "lowest_heart_rate": 48, "average_hrv": 60,
    })
}
