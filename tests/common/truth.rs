//! What the wearer's documents say, read from the service itself, and when the page showed it: what stores must answer.

use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveTime, TimeDelta, Utc};
use oura_exporter::{simulator::Simulator, tls};
use serde_json::Value;

/// How long a value holds at most.
const LONGEST: TimeDelta = TimeDelta::hours(26);
/// The grid of the times at which values are written, in seconds.
const GRID: i64 = 300;

/// How a number of a document becomes a metric's.
#[derive(Clone, Copy)]
pub(crate) enum Means {
    Times(f64),
    Per(f64),
    /// Percent as a ratio; 0 where nothing was measured.
    Percent,
    /// 1 if the document says this word, 0 if another.
    Is(&'static str),
    /// Local time as seconds since 1970.
    Instant,
}

/// What a series must say: where it stands in the documents of which collection.
#[derive(Clone, Copy)]
pub(crate) struct Fact {
    pub(crate) collection: &'static str,
    pub(crate) series: &'static str,
    pointer: &'static str,
    means: Means,
}

const fn fact(collection: &'static str, series: &'static str, pointer: &'static str, means: Means) -> Fact {
    Fact { collection, series, pointer, means }
}

const SAME: Means = Means::Times(1.0);

/// Facts of all daily kinds, written down from METRICS.md and not from the code.
pub(crate) const FACTS: &[Fact] = &[
    fact("daily_readiness", "oura_readiness_score", "/score", SAME),
    fact(
        "daily_readiness",
        r#"oura_readiness_contributor_score{contributor="hrv_balance"}"#,
        "/contributors/hrv_balance",
        SAME,
    ),
    fact(
        "daily_readiness",
        r#"oura_readiness_contributor_score{contributor="previous_night"}"#,
        "/contributors/previous_night",
        SAME,
    ),
    fact("daily_readiness", "oura_readiness_temperature_deviation_celsius", "/temperature_deviation", SAME),
    fact("daily_readiness", "oura_readiness_temperature_trend_deviation_celsius", "/temperature_trend_deviation", SAME),
    fact("daily_sleep", "oura_sleep_score", "/score", SAME),
    fact("daily_sleep", r#"oura_sleep_contributor_score{contributor="latency"}"#, "/contributors/latency", SAME),
    fact("daily_activity", "oura_activity_score", "/score", SAME),
    fact("daily_activity", "oura_activity_steps", "/steps", SAME),
    fact("daily_activity", "oura_activity_active_energy_joules", "/active_calories", Means::Times(4184.0)),
    fact("daily_activity", "oura_activity_total_energy_joules", "/total_calories", Means::Times(4184.0)),
    fact("daily_activity", r#"oura_activity_time_seconds{level="sedentary"}"#, "/sedentary_time", SAME),
    fact(
        "daily_activity",
        r#"oura_activity_met_seconds{level="low"}"#,
        "/low_activity_met_minutes",
        Means::Times(60.0),
    ),
    fact("daily_activity", "oura_activity_remaining_meters", "/meters_to_target", SAME),
    fact(
        "daily_activity",
        r#"oura_activity_contributor_score{contributor="stay_active"}"#,
        "/contributors/stay_active",
        SAME,
    ),
    fact("daily_stress", "oura_stress_high_seconds", "/stress_high", SAME),
    fact("daily_stress", "oura_recovery_high_seconds", "/recovery_high", SAME),
    fact("daily_stress", r#"oura_stress_day_state{state="restored"}"#, "/day_summary", Means::Is("restored")),
    fact("daily_stress", r#"oura_stress_day_state{state="normal"}"#, "/day_summary", Means::Is("normal")),
    fact("daily_resilience", r#"oura_resilience_level{level="solid"}"#, "/level", Means::Is("solid")),
    fact(
        "daily_resilience",
        r#"oura_resilience_contributor_score{contributor="stress"}"#,
        "/contributors/stress",
        SAME,
    ),
    fact("daily_spo2", "oura_spo2_average_ratio", "/spo2_percentage/average", Means::Percent),
    fact("daily_spo2", "oura_spo2_breathing_disturbance_index", "/breathing_disturbance_index", SAME),
    fact("sleep", "oura_night_total_sleep_seconds", "/total_sleep_duration", SAME),
    fact("sleep", r#"oura_night_stage_seconds{stage="rem"}"#, "/rem_sleep_duration", SAME),
    fact("sleep", "oura_night_average_hrv_seconds", "/average_hrv", Means::Per(1000.0)),
    fact("sleep", "oura_night_efficiency_ratio", "/efficiency", Means::Per(100.0)),
    fact("sleep", "oura_night_average_heart_rate_bpm", "/average_heart_rate", SAME),
    fact("sleep", "oura_night_bedtime_start_timestamp_seconds", "/bedtime_start", Means::Instant),
    fact("sleep", "oura_night_bedtime_end_timestamp_seconds", "/bedtime_end", Means::Instant),
    fact("sleep_time", "oura_bedtime_optimal_start_offset_seconds", "/optimal_bedtime/start_offset", SAME),
    fact("vO2_max", "oura_vo2_max", "/vo2_max", SAME),
];

/// The collections of the facts, for `OURA_COLLECTIONS`.
pub(crate) fn collections() -> String {
    let mut names: Vec<_> = FACTS.iter().map(|fact| fact.collection).collect();
    names.dedup();
    names.join(",")
}

/// A wearer's documents, one a day and collection; of the nights the longest that is over.
pub(crate) struct Truth(BTreeMap<&'static str, BTreeMap<NaiveDate, Value>>);

impl Truth {
    /// What there is of the days from `first` to `last`.
    pub(crate) async fn of(simulator: &Simulator, person: &str, first: NaiveDate, last: NaiveDate) -> Self {
        let mut all = BTreeMap::new();
        for fact in FACTS {
            if !all.contains_key(fact.collection) {
                let documents = documents(simulator, person, fact.collection, first, last).await;
                all.insert(fact.collection, by_day(documents));
            }
        }
        Self(all)
    }

    /// The days of which a collection has a document.
    pub(crate) fn days(&self, collection: &str) -> impl Iterator<Item = NaiveDate> {
        self.0[collection].keys().copied()
    }

    /// What the document of `day` says of a fact; none where it says nothing.
    pub(crate) fn says(&self, fact: &Fact, day: NaiveDate) -> Option<f64> {
        let value = self.0[fact.collection].get(&day)?.pointer(fact.pointer).filter(|value| !value.is_null())?;
        Some(match fact.means {
            Means::Times(factor) => value.as_f64()? * factor,
            Means::Per(divisor) => value.as_f64()? / divisor,
            Means::Percent => value.as_f64().filter(|percent| *percent > 0.0)? / 100.0,
            Means::Is(word) => f64::from(u8::from(value == word)),
            Means::Instant => DateTime::parse_from_rfc3339(value.as_str()?).expect("a time").timestamp() as f64,
        })
    }

    /// From when until when the page showed the document of `day`, which there is.
    pub(crate) fn hold(&self, collection: &str, day: NaiveDate) -> (DateTime<Utc>, DateTime<Utc>) {
        let from = self.appeared(collection, day);
        let next = self.0[collection].range(day..).nth(1).map(|(next, _)| self.appeared(collection, *next));
        (from, next.map_or(from + LONGEST, |next| next.min(from + LONGEST)))
    }

    /// The day of the document that the page showed at `time`.
    pub(crate) fn shown(&self, collection: &str, time: DateTime<Utc>) -> Option<NaiveDate> {
        self.days(collection).find(|day| {
            let (from, until) = self.hold(collection, *day);
            (from..until).contains(&time)
        })
    }

    fn appeared(&self, collection: &str, day: NaiveDate) -> DateTime<Utc> {
        let of_the_night =
            ["daily_readiness", "daily_sleep", "daily_spo2", "sleep", "sleep_time"].contains(&collection);
        let night = self.0["sleep"].get(&day).filter(|_| of_the_night);
        night.map_or_else(|| self.end_of(day), |night| local(&night["bedtime_end"]).to_utc())
    }

    /// Midnight at the end of `day`, by the clock that the wearer began the next day with.
    fn end_of(&self, day: NaiveDate) -> DateTime<Utc> {
        let next = day.succ_opt().expect("another day");
        let activity = &self.0["daily_activity"];
        let began = activity.get(&next).or_else(|| activity.get(&day)).map(|document| local(&document["timestamp"]));
        let zone = *began.unwrap_or_else(|| panic!("no activity around {day}")).offset();
        next.and_time(NaiveTime::MIN).and_local_timezone(zone).single().expect("a moment").to_utc()
    }
}

/// The first time at or after `time` at which values are written.
pub(crate) fn on_grid(time: DateTime<Utc>) -> DateTime<Utc> {
    let seconds = time.timestamp();
    time + TimeDelta::seconds((GRID - seconds.rem_euclid(GRID)) % GRID)
}

/// A time as the service writes it.
pub(crate) fn local(value: &Value) -> DateTime<FixedOffset> {
    DateTime::parse_from_rfc3339(value.as_str().expect("a text")).expect("a time")
}

fn by_day(documents: Vec<Value>) -> BTreeMap<NaiveDate, Value> {
    let mut days = BTreeMap::<NaiveDate, Value>::new();
    for document in documents.into_iter().filter(|document| document.get("type").is_none() || is_night(document)) {
        let asleep = |document: &Value| document["total_sleep_duration"].as_i64();
        let known = days.entry(day_of(&document)).or_insert_with(|| document.clone());
        if asleep(&document) > asleep(known) {
            *known = document;
        }
    }
    days
}

/// Whether it is a night that is over.
pub(crate) fn is_night(document: &Value) -> bool {
    document["type"] == "long_sleep" && document["bedtime_end"].is_string()
}

/// The day that a document counts for.
pub(crate) fn day_of(document: &Value) -> NaiveDate {
    document["day"].as_str().and_then(|day| day.parse().ok()).expect("a day")
}

/// All documents of a collection of the days from `first` to `last`, as the service gives them.
pub(crate) async fn documents(
    simulator: &Simulator,
    person: &str,
    collection: &str,
    first: NaiveDate,
    last: NaiveDate,
) -> Vec<Value> {
    let margin = TimeDelta::days(3);
    let window = [("start_date", (first - margin).to_string()), ("end_date", (last + margin).to_string())];
    let mut all = ask(simulator, person, collection, &window).await;
    all.retain(|document| (first..=last).contains(&day_of(document)));
    all
}

/// All rows of heart rate from `start` to `end`: seconds, beats and source, in order; of two of one second, the last.
pub(crate) async fn rows(
    simulator: &Simulator,
    person: &str,
    start: DateTime<Utc>,
    end: DateTime<Utc>,
) -> BTreeMap<i64, (f64, String)> {
    let window = [("start_datetime", start.to_rfc3339()), ("end_datetime", end.to_rfc3339())];
    let rows = ask(simulator, person, "heartrate", &window).await;
    let row = |row: &Value| {
        let value = (row["bpm"].as_f64().expect("beats"), row["source"].as_str().expect("a source").to_owned());
        (local(&row["timestamp"]).timestamp(), value)
    };
    rows.iter().map(row).filter(|(time, _)| (start.timestamp()..end.timestamp()).contains(time)).collect()
}

async fn ask(simulator: &Simulator, person: &str, collection: &str, window: &[(&str, String)]) -> Vec<Value> {
    tls::choose_provider();
    let http = reqwest::Client::builder().user_agent("a test").no_proxy().build().expect("a client");
    let wearer = simulator.people().into_iter().find(|wearer| wearer.name == person).expect("a wearer");
    let url = format!("{}/v2/usercollection/{collection}", simulator.url());
    let (mut all, mut token) = (Vec::new(), None);
    loop {
        let next = token.iter().map(|token: &String| ("next_token", token.clone()));
        let query: Vec<_> = window.iter().cloned().chain(next).collect();
        let answer = http.get(&url).query(&query).bearer_auth(&wearer.token).send().await.expect("an answer");
        let mut answer: Value = answer.json().await.expect("JSON");
        all.append(answer["data"].as_array_mut().expect("documents"));
        token = answer["next_token"].as_str().map(str::to_owned);
        if token.is_none() {
            return all;
        }
    }
}
