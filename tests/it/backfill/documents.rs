//! What the service says of somebody's days, and what is to be told of it: by the day, by the event, and by the second.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use oura_exporter::simulator::Simulator;
use serde_json::Value;

use super::tell;
use crate::{
    common::{samples::Samples, truth::ask},
    record::expected::{self, Values, local, seconds, values},
};

/// Days asked for on both sides: collections are cut by different times, and wearers live in different zones.
const MARGIN: TimeDelta = TimeDelta::days(8);
/// Days of rows that are asked for at once.
const ROWS: TimeDelta = TimeDelta::days(25);
/// The series whose samples have a time of their own.
const DENSE: &[&str] = &[
    "heart_rate_bpm",
    "night_heart_rate_bpm",
    "night_hrv_seconds",
    "sleep_stage",
    "movement",
    "met",
    "activity_class",
    "ring_battery_ratio",
    "session_heart_rate_bpm",
    "session_hrv_seconds",
    "session_motion",
];
/// The series whose samples stand where something began.
const EVENTS: &[&str] = &[
    "workout_duration_seconds",
    "workout_energy_joules",
    "workout_distance_meters",
    "session_duration_seconds",
    "nap_seconds",
    "tag",
];
/// A calorie of Oura's in joules.
const JOULES: f64 = 4184.0;

/// Values by series and time, in milliseconds since 1970.
pub(crate) type Points = BTreeMap<String, BTreeMap<i64, f64>>;

/// Everything that is told of some days, in its parts.
#[derive(Default)]
pub(crate) struct Parts {
    pub(crate) days: BTreeMap<NaiveDate, Values>,
    /// By the second at which something began.
    pub(crate) events: Points,
    pub(crate) dense: Points,
}

/// The last part of a metric's name.
fn short(series: &str) -> &str {
    let name = series.split('{').next().unwrap_or_default();
    name.strip_prefix("oura_sample_").unwrap_or_else(|| panic!("{series} is not of the record"))
}

pub(crate) fn is_dense(series: &str) -> bool {
    DENSE.contains(&short(series))
}

pub(crate) fn is_event(series: &str) -> bool {
    EVENTS.contains(&short(series))
}

impl Parts {
    /// What a backfill that ran about `learnt` told; of a day or an event that was told several times, the last. No
    /// sample of a day may stand outside it.
    pub(crate) fn of(samples: &Samples, learnt: DateTime<Utc>) -> Self {
        let mut parts = Self::default();
        let mut known = (String::new(), String::new());
        for (series, time, value) in samples.all() {
            if known.0 != series {
                known = (series.to_owned(), plain(series));
            }
            let series = &known.1;
            if is_dense(series) {
                add(&mut parts.dense, series, time, value);
            } else if is_event(series) {
                add(&mut parts.events, series, began(time, learnt), value);
            } else {
                let day = DateTime::from_timestamp_millis(time).expect("a time").date_naive();
                let begin = day.and_hms_opt(0, 1, 0).expect("a time").and_utc().timestamp_millis();
                assert!((begin..=begin + 59 * 60_000).contains(&time), "{series} at {time} is in no day's place");
                parts.days.entry(day).or_default().insert(series.clone(), value);
            }
        }
        parts
    }

    pub(crate) fn assert_same(&self, expected: &Self, what: &str) {
        let days = compared(&by_time(&self.days), &by_time(&expected.days), &format!("{what}, days"));
        let events = compared(&self.events, &expected.events, &format!("{what}, events"));
        let dense = compared(&self.dense, &expected.dense, &format!("{what}, by the second"));
        tell(&format!("{what}: 0 wrong of {days} of days, {events} of events, {dense} by the second"));
        assert!(days + events + dense > 0, "{what}: nothing to compare");
    }
}

fn add(points: &mut Points, series: &str, time: i64, value: f64) {
    match points.get_mut(series) {
        Some(times) => drop(times.insert(time, value)),
        None => drop(points.insert(series.to_owned(), [(time, value)].into())),
    }
}

/// A series without what a scrape adds to it.
pub(crate) fn plain(series: &str) -> String {
    let (name, labels) = series.split_once('{').expect("labels");
    let labels = labels.strip_suffix("\"}").expect("an end").split("\",");
    let own = labels.filter(|label| !["account=", "job=", "instance="].iter().any(|name| label.starts_with(name)));
    let own: Vec<_> = own.map(|label| format!("{label}\"")).collect();
    if own.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", own.join(",")) }
}

/// When an event began whose sample stands at `time`, which is a millisecond later for each minute until it was learnt:
/// of the seconds at which it can have begun, it is one by which it was learnt within a few minutes of `learnt`.
fn began(time: i64, learnt: DateTime<Utc>) -> i64 {
    let about = (learnt.timestamp_millis() - time) / 59_999;
    let minutes = (about - 400..=about + 400).find(|minutes| (time - minutes).rem_euclid(1_000) == 0);
    time - minutes.unwrap_or_else(|| panic!("nothing that was learnt about {learnt} stands at {time}"))
}

pub(crate) fn by_time(days: &BTreeMap<NaiveDate, Values>) -> Points {
    let mut points = Points::new();
    for (day, values) in days {
        let time = day.and_time(NaiveTime::MIN).and_utc().timestamp_millis();
        values.iter().for_each(|(series, value)| add(&mut points, series, time, *value));
    }
    points
}

/// The same values of the same days.
pub(crate) fn assert_same_days(told: &BTreeMap<NaiveDate, Values>, expected: &BTreeMap<NaiveDate, Values>, what: &str) {
    assert_same_points(&by_time(told), &by_time(expected), what);
}

/// The same points at the same times; how many there are is printed.
pub(crate) fn assert_same_points(told: &Points, expected: &Points, what: &str) {
    let cells = compared(told, expected, what);
    tell(&format!("{what}: 0 wrong of {cells}"));
    assert!(cells > 0, "{what}: nothing to compare");
}

/// How many points there are, if all are the same; of others the first are named.
fn compared(told: &Points, expected: &Points, what: &str) -> usize {
    let (cells, wrong) = differences(told, expected);
    assert!(wrong.is_empty(), "{what}: {} wrong of {cells}: {:#?}", wrong.len(), &wrong[..wrong.len().min(12)]);
    cells
}

/// How many points there are, and which are not the same in both.
pub(crate) fn differences(told: &Points, expected: &Points) -> (usize, Vec<String>) {
    let (mut cells, mut wrong, none) = (0, Vec::new(), BTreeMap::new());
    for series in told.keys().chain(expected.keys()).collect::<BTreeSet<_>>() {
        let (told, expected) = (told.get(series).unwrap_or(&none), expected.get(series).unwrap_or(&none));
        for time in told.keys().chain(expected.keys()).collect::<BTreeSet<_>>() {
            cells += 1;
            let (told, expected) = (told.get(time), expected.get(time));
            if !is_same(told.copied(), expected.copied()) {
                let at = DateTime::from_timestamp_millis(*time).expect("a time").to_rfc3339();
                wrong.push(format!("{series} at {at}: {told:?} and not {expected:?}"));
            }
        }
    }
    (cells, wrong)
}

fn is_same(told: Option<f64>, expected: Option<f64>) -> bool {
    match (told, expected) {
        (Some(told), Some(expected)) => (told - expected).abs() <= 1e-12 * expected.abs(),
        (told, expected) => told == expected,
    }
}

/// All documents of somebody that say something of some days.
pub(crate) struct Documents {
    all: BTreeMap<&'static str, Vec<Value>>,
    days: (NaiveDate, NaiveDate),
    at: DateTime<Utc>,
    /// Nothing after this is told.
    until: DateTime<Utc>,
}

impl Documents {
    /// As the service has them now, which is `at`.
    pub(crate) async fn of(
        simulator: &Simulator,
        person: &str,
        collections: &'static str,
        days: (NaiveDate, NaiveDate),
        at: DateTime<Utc>,
    ) -> Self {
        let mut all = BTreeMap::new();
        for collection in collections.split(',') {
            all.insert(collection, answered(simulator, person, collection, days).await);
        }
        Self { all, days, at, until: at }
    }

    /// As files have it, which end six hours before.
    pub(crate) fn in_files(self) -> Self {
        Self { until: self.at - TimeDelta::hours(6), ..self }
    }

    /// What is to be told of them.
    pub(crate) fn parts(&self) -> Parts {
        Parts { days: self.told_days(), events: self.events(), dense: self.dense() }
    }

    pub(crate) fn collection(&self, collection: &str) -> &[Value] {
        self.all.get(collection).map_or(&[], Vec::as_slice)
    }

    fn told_days(&self) -> BTreeMap<NaiveDate, Values> {
        let mut days = BTreeMap::<NaiveDate, Values>::new();
        let place = |day: NaiveDate| day.and_hms_opt(0, 1, 0).expect("a time").and_utc().timestamp_millis();
        let is_told = |day: &NaiveDate| *day <= self.days.1 && self.has_come(place(*day));
        for day in self.days.0.iter_days().take_while(is_told) {
            let mut told = Values::new();
            for collection in expected::COLLECTIONS.iter().filter(|name| self.all.contains_key(**name)) {
                let of_day: Vec<_> =
                    self.collection(collection).iter().filter(|one| is_of(one, day)).cloned().collect();
                told.extend(values(collection, day, &of_day));
            }
            told.extend(self.rest_mode(day));
            if !told.is_empty() {
                days.insert(day, told);
            }
        }
        days
    }

    /// Whether rest mode was on, of a day from the first document on.
    fn rest_mode(&self, day: NaiveDate) -> Option<(String, f64)> {
        let periods = self.all.get("rest_mode_period")?;
        let daily = self.all.values().flatten().filter_map(|document| document["day"].as_str()?.parse().ok());
        let is_known = daily.min().is_some_and(|first: NaiveDate| first <= day);
        let is_on = periods.iter().any(|period| {
            let end = |end: &Value| end.as_str().map(|end| end.parse::<NaiveDate>().expect("a day"));
            end(&period["start_day"]).expect("a day") <= day && end(&period["end_day"]).is_none_or(|end| day <= end)
        });
        is_known.then(|| ("oura_sample_rest_mode".to_owned(), f64::from(u8::from(is_on))))
    }

    /// Whether what has a place of its own is told: it stands a millisecond later for each minute since.
    fn has_come(&self, place: i64) -> bool {
        place + (self.at.timestamp_millis() - place).div_euclid(60_000) <= self.until.timestamp_millis()
    }

    fn is_within(&self, time: i64) -> bool {
        let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc().timestamp_millis();
        (midnight(self.days.0)..midnight(self.days.1 + TimeDelta::days(1))).contains(&time)
            && time <= self.until.timestamp_millis()
    }

    fn tell(
        &self,
        points: &mut Points,
        series: &str,
        labels: &[(&str, &Value)],
        time: Option<i64>,
        value: Option<f64>,
    ) {
        if let Some((time, value)) = time.filter(|time| self.is_within(*time)).zip(value) {
            let labels = labels.iter().filter_map(|(name, value)| Some(format!("{name}=\"{}\"", value.as_str()?)));
            let labels: Vec<_> = labels.collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            add(points, &format!("oura_sample_{series}{labels}"), time, value);
        }
    }

    fn events(&self) -> Points {
        let mut points = Points::new();
        let begin = |value: &Value| {
            let start = local(value).map(|time| time.timestamp() * 1_000);
            start.filter(|start| self.has_come(*start))
        };
        for workout in self.collection("workout") {
            let labels = ["activity", "intensity", "source"].map(|name| (name, &workout[name]));
            let energy = workout["calories"].as_f64().map(|calories| calories * JOULES);
            let start = begin(&workout["start_datetime"]);
            self.tell(&mut points, "workout_duration_seconds", &labels, start, seconds(workout));
            self.tell(&mut points, "workout_energy_joules", &labels, start, energy);
            self.tell(&mut points, "workout_distance_meters", &labels, start, workout["distance"].as_f64());
        }
        for session in self.collection("session") {
            let labels = [("kind", &session["type"]), ("mood", &session["mood"])];
            let start = begin(&session["start_datetime"]);
            self.tell(&mut points, "session_duration_seconds", &labels, start, seconds(session));
        }
        for tag in self.collection("enhanced_tag") {
            let code =
                if tag["tag_type_code"].is_null() { Value::from("text_only") } else { tag["tag_type_code"].clone() };
            self.tell(&mut points, "tag", &[("tag", &code)], begin(&tag["start_time"]), Some(1.0));
        }
        let is_over = |nap: &&Value| local(&nap["bedtime_end"]).is_some_and(|end| end <= self.at);
        for nap in self.collection("sleep").iter().filter(|nap| nap["type"] == "sleep" || nap["type"] == "late_nap") {
            let slept = nap["total_sleep_duration"].as_f64().filter(|_| is_over(&nap));
            self.tell(&mut points, "nap_seconds", &[], begin(&nap["bedtime_start"]), slept);
        }
        points
    }

    fn dense(&self) -> Points {
        let mut points = Points::new();
        for day in self.collection("daily_activity") {
            self.add_activity(&mut points, day);
        }
        for night in self.collection("sleep").iter().filter(|period| self.is_settled(period)) {
            self.add_sleep(&mut points, night);
        }
        for session in self.collection("session") {
            self.add_items(&mut points, "session_heart_rate_bpm", &session["heart_rate"], 1.0, i64::MAX);
            self.add_items(&mut points, "session_hrv_seconds", &session["heart_rate_variability"], 1000.0, i64::MAX);
            self.add_items(&mut points, "session_motion", &session["motion_count"], 1.0, i64::MAX);
        }
        let time = |row: &Value| local(&row["timestamp"]).map(|time| time.timestamp_millis());
        for row in self.collection("heartrate") {
            self.tell(&mut points, "heart_rate_bpm", &[("source", &row["source"])], time(row), row["bpm"].as_f64());
        }
        for row in self.collection("ring_battery_level") {
            let full = row["level"].as_f64().map(|percent| percent / 100.0);
            self.tell(&mut points, "ring_battery_ratio", &[], time(row), full);
        }
        points
    }

    /// A day's classes and MET as far as it is known for good: less the last two slots until the day is over.
    fn add_activity(&self, points: &mut Points, day: &Value) {
        let begin = local(&day["timestamp"]).expect("a time").to_utc();
        let classes = day["class_5_min"].as_str().unwrap_or_default();
        let is_over = begin + TimeDelta::hours(24) <= self.at;
        let known = if is_over { classes.len() } else { classes.len().saturating_sub(2) };
        for (slot, class) in classes.chars().take(known).enumerate() {
            let time = begin.timestamp_millis() + slot as i64 * 300_000;
            let class = class.to_digit(10).map(f64::from).filter(|class| *class <= 5.0);
            self.tell(points, "activity_class", &[], Some(time), class);
        }
        let end = begin.timestamp_millis() + known as i64 * 300_000;
        self.add_items(points, "met", &day["met"], 1.0, end);
    }

    /// The items of a series that are there, before `end`.
    fn add_items(&self, points: &mut Points, name: &str, series: &Value, divisor: f64, end: i64) {
        let Some(items) = series["items"].as_array() else { return };
        let begin = local(&series["timestamp"]).expect("a time").timestamp_millis();
        let interval = (series["interval"].as_f64().expect("seconds") * 1_000.0) as i64;
        for (place, item) in items.iter().enumerate() {
            let time = begin + place as i64 * interval;
            let value = item.as_f64().filter(|value| !name.ends_with("_bpm") || *value > 0.0);
            self.tell(points, name, &[], Some(time).filter(|time| *time < end), value.map(|value| value / divisor));
        }
    }

    fn add_sleep(&self, points: &mut Points, period: &Value) {
        let begin = local(&period["bedtime_start"]).expect("a time").timestamp_millis();
        let fine = [("sleep_phase_30_sec", 30_000), ("app_sleep_phase_5_min", 300_000), ("sleep_phase_5_min", 300_000)];
        let stages = fine.iter().find_map(|(name, slot)| Some((period[*name].as_str()?, *slot)));
        let movement = period["movement_30_sec"].as_str().map(|digits| (digits, 30_000));
        for (series, string) in [("sleep_stage", stages), ("movement", movement)] {
            let (digits, slot) = string.unwrap_or_default();
            for (place, digit) in digits.chars().enumerate() {
                let digit = digit.to_digit(10).map(f64::from).filter(|digit| (1.0..=4.0).contains(digit));
                self.tell(points, series, &[], Some(begin + place as i64 * slot), digit);
            }
        }
        if period["type"] == "long_sleep" {
            self.add_items(points, "night_heart_rate_bpm", &period["heart_rate"], 1.0, i64::MAX);
            self.add_items(points, "night_hrv_seconds", &period["hrv"], 1000.0, i64::MAX);
        }
    }

    /// Whether it was slept, and half an hour of the ring's data is there of the time after it, or it is six hours ago.
    fn is_settled(&self, period: &Value) -> bool {
        let was_slept = ["long_sleep", "sleep", "late_nap"].iter().any(|kind| period["type"] == **kind);
        let end = local(&period["bedtime_end"]).filter(|_| was_slept).map(|end| end.to_utc());
        let settles = |end: DateTime<Utc>| {
            let is_synced = self.synced().is_some_and(|synced| synced >= end + TimeDelta::minutes(30));
            end <= self.at && (is_synced || end + TimeDelta::hours(6) <= self.at)
        };
        end.is_some_and(settles)
    }

    /// How far the ring has synced, as activity and heart rate tell.
    fn synced(&self) -> Option<DateTime<Utc>> {
        let of_day = |day: &Value| {
            let slots = day["class_5_min"].as_str()?.len();
            Some(local(&day["timestamp"])?.to_utc() + TimeDelta::minutes(5 * slots as i64))
        };
        let of_row = |row: &Value| Some(local(&row["timestamp"])?.to_utc());
        let days = self.collection("daily_activity").iter().filter_map(of_day);
        days.chain(self.collection("heartrate").iter().filter_map(of_row)).filter(|synced| *synced <= self.at).max()
    }
}

/// Whether a document says something of a day: a tag does of each of its days.
fn is_of(document: &Value, day: NaiveDate) -> bool {
    let parsed = |name: &str| document[name].as_str().and_then(|day| day.parse::<NaiveDate>().ok());
    match parsed("start_day") {
        Some(first) => (first..=parsed("end_day").unwrap_or(first)).contains(&day),
        None => parsed("day") == Some(day),
    }
}

async fn answered(
    simulator: &Simulator,
    person: &str,
    collection: &'static str,
    (first, last): (NaiveDate, NaiveDate),
) -> Vec<Value> {
    let is_rows = ["heartrate", "ring_battery_level"].contains(&collection);
    // Periods of rest and tags last longer than anything else.
    let reach = if ["rest_mode_period", "enhanced_tag"].contains(&collection) { TimeDelta::days(366) } else { MARGIN };
    if !is_rows {
        let window = [("start_date", (first - reach).to_string()), ("end_date", (last + MARGIN).to_string())];
        return ask(simulator, person, collection, &window).await;
    }
    let (mut rows, mut day) = (Vec::new(), first - TimeDelta::days(1));
    while day <= last + TimeDelta::days(1) {
        let next = (day + ROWS).min(last + TimeDelta::days(2));
        let window = [("start_datetime", format!("{day}T00:00:00Z")), ("end_datetime", format!("{next}T00:00:00Z"))];
        rows.extend(ask(simulator, person, collection, &window).await);
        day = next;
    }
    rows
}
