//! What a day's documents say, written down from the metric contract and Oura's schema, not from the code.

use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveTime};
use serde_json::Value;

/// Values by series, as OpenMetrics writes them, without account, job and instance.
pub(crate) type Values = BTreeMap<String, f64>;

/// The collections whose days are in the record.
pub(crate) const COLLECTIONS: &[&str] = &[
    "daily_activity",
    "daily_readiness",
    "daily_sleep",
    "sleep",
    "daily_stress",
    "daily_resilience",
    "daily_spo2",
    "daily_cardiovascular_age",
    "vO2_max",
    "sleep_time",
    "workout",
    "session",
    "enhanced_tag",
];

const JOULES: f64 = 4184.0;

/// What the documents of `day` say, of which there are several for sleep, workouts, sessions and tags.
pub(crate) fn values(collection: &str, day: NaiveDate, documents: &[Value]) -> Values {
    let mut values = Values::new();
    match collection {
        "sleep" => sleep(&mut values, day, documents),
        "workout" => workouts(&mut values, documents),
        "session" => sessions(&mut values, documents),
        "enhanced_tag" => tags(&mut values, documents),
        _ => {
            if let Some(document) = documents.last() {
                one(&mut values, collection, document);
            }
        }
    }
    values
}

/// Whether what a document no longer says is zero from then on: parts of a sum are.
pub(crate) fn is_tally(series: &str) -> bool {
    ["day_workout", "day_sessions", "day_tags"].iter().any(|part| series.contains(part))
}

fn put(values: &mut Values, series: &str, value: Option<f64>) {
    if let Some(value) = value {
        values.insert(format!("oura_sample_{series}"), value);
    }
}

fn number(document: &Value, pointer: &str) -> Option<f64> {
    document.pointer(pointer)?.as_f64()
}

fn times(values: &mut Values, document: &Value, facts: &[Fact]) {
    for (series, field, factor) in facts {
        put(values, series, number(document, &format!("/{field}")).map(|value| value * factor));
    }
}

fn parts(values: &mut Values, document: &Value, name: &str, label: &str, facts: &[Fact]) {
    for (part, field, factor) in facts {
        let value = number(document, &format!("/{field}")).map(|value| value * factor);
        put(values, &format!("{name}{{{label}=\"{part}\"}}"), value);
    }
}

fn contributors(values: &mut Values, document: &Value, name: &str, all: &[&str]) {
    for contributor in all {
        let value = number(document, &format!("/contributors/{contributor}"));
        put(values, &format!("{name}{{contributor=\"{contributor}\"}}"), value);
    }
}

fn states(values: &mut Values, document: &Value, name: &str, label: &str, field: &str, all: &[&str]) {
    if let Some(current) = document[field].as_str() {
        for state in all {
            put(values, &format!("{name}{{{label}=\"{state}\"}}"), Some(f64::from(u8::from(*state == current))));
        }
    }
}

/// A number of a document: the series without the prefix, the field, and the factor to its unit.
type Fact = (&'static str, &'static str, f64);

const READINESS: &[Fact] = &[
    ("readiness_score", "score", 1.0),
    ("readiness_temperature_deviation_celsius", "temperature_deviation", 1.0),
    ("readiness_temperature_trend_deviation_celsius", "temperature_trend_deviation", 1.0),
];
const READINESS_CONTRIBUTORS: &[&str] = &[
    "activity_balance",
    "body_temperature",
    "hrv_balance",
    "previous_day_activity",
    "previous_night",
    "recovery_index",
    "resting_heart_rate",
    "sleep_balance",
    "sleep_regularity",
];
const SLEEP_CONTRIBUTORS: &[&str] =
    &["deep_sleep", "efficiency", "latency", "rem_sleep", "restfulness", "timing", "total_sleep"];
const STRESS: &[Fact] = &[("stress_high_seconds", "stress_high", 1.0), ("recovery_high_seconds", "recovery_high", 1.0)];
const AGE: &[Fact] = &[
    ("cardiovascular_age_years", "vascular_age", 1.0),
    ("pulse_wave_velocity_meters_per_second", "pulse_wave_velocity", 1.0),
];
const ACTIVITY: &[Fact] = &[
    ("activity_score", "score", 1.0),
    ("activity_steps", "steps", 1.0),
    ("activity_active_energy_joules", "active_calories", JOULES),
    ("activity_total_energy_joules", "total_calories", JOULES),
    ("activity_target_energy_joules", "target_calories", JOULES),
    ("activity_walking_equivalent_meters", "equivalent_walking_distance", 1.0),
    ("activity_target_meters", "target_meters", 1.0),
    ("activity_remaining_meters", "meters_to_target", 1.0),
    ("activity_average_met", "average_met_minutes", 1.0),
    ("activity_inactivity_alerts", "inactivity_alerts", 1.0),
];
const ACTIVITY_CONTRIBUTORS: &[&str] =
    &["meet_daily_targets", "move_every_hour", "recovery_time", "stay_active", "training_frequency", "training_volume"];
const ACTIVITY_TIMES: &[Fact] = &[
    ("high", "high_activity_time", 1.0),
    ("medium", "medium_activity_time", 1.0),
    ("low", "low_activity_time", 1.0),
    ("sedentary", "sedentary_time", 1.0),
    ("resting", "resting_time", 1.0),
    ("non_wear", "non_wear_time", 1.0),
];
const ACTIVITY_METS: &[Fact] = &[
    ("high", "high_activity_met_minutes", 60.0),
    ("medium", "medium_activity_met_minutes", 60.0),
    ("low", "low_activity_met_minutes", 60.0),
    ("sedentary", "sedentary_met_minutes", 60.0),
];
const NIGHT: &[Fact] = &[
    ("night_total_sleep_seconds", "total_sleep_duration", 1.0),
    ("night_time_in_bed_seconds", "time_in_bed", 1.0),
    ("night_latency_seconds", "latency", 1.0),
    ("night_average_breaths_per_minute", "average_breath", 1.0),
    ("night_restless_periods", "restless_periods", 1.0),
];
const NIGHT_STAGES: &[Fact] = &[
    ("deep", "deep_sleep_duration", 1.0),
    ("light", "light_sleep_duration", 1.0),
    ("rem", "rem_sleep_duration", 1.0),
    ("awake", "awake_time", 1.0),
];

fn one(values: &mut Values, collection: &str, document: &Value) {
    match collection {
        "daily_readiness" => {
            times(values, document, READINESS);
            contributors(values, document, "readiness_contributor_score", READINESS_CONTRIBUTORS);
        }
        "daily_sleep" => {
            times(values, document, &[("sleep_score", "score", 1.0)]);
            contributors(values, document, "sleep_contributor_score", SLEEP_CONTRIBUTORS);
        }
        "daily_activity" => activity(values, document),
        "daily_stress" => {
            times(values, document, STRESS);
            states(values, document, "stress_day_state", "state", "day_summary", &["restored", "normal", "stressful"]);
        }
        "daily_resilience" => {
            let levels = ["limited", "adequate", "solid", "strong", "exceptional"];
            states(values, document, "resilience_level", "level", "level", &levels);
            let all = ["sleep_recovery", "daytime_recovery", "stress"];
            contributors(values, document, "resilience_contributor_score", &all);
        }
        "daily_spo2" => {
            let average = number(document, "/spo2_percentage/average").filter(|average| *average > 0.0);
            put(values, "spo2_average_ratio", average.map(|percent| percent / 100.0));
            times(values, document, &[("spo2_breathing_disturbance_index", "breathing_disturbance_index", 1.0)]);
        }
        "daily_cardiovascular_age" => times(values, document, AGE),
        "vO2_max" => times(values, document, &[("vo2_max", "vo2_max", 1.0)]),
        "sleep_time" => sleep_time(values, document),
        other => panic!("no expectation for {other}"),
    }
}

fn activity(values: &mut Values, document: &Value) {
    times(values, document, ACTIVITY);
    contributors(values, document, "activity_contributor_score", ACTIVITY_CONTRIBUTORS);
    parts(values, document, "activity_time_seconds", "level", ACTIVITY_TIMES);
    parts(values, document, "activity_met_seconds", "level", ACTIVITY_METS);
}

fn sleep_time(values: &mut Values, document: &Value) {
    let offset = |end: &str| number(document, &format!("/optimal_bedtime/{end}_offset"));
    put(values, "bedtime_optimal_start_offset_seconds", offset("start"));
    put(values, "bedtime_optimal_end_offset_seconds", offset("end"));
    let recommendations = [
        "improve_efficiency",
        "earlier_bedtime",
        "later_bedtime",
        "earlier_wake_up_time",
        "later_wake_up_time",
        "follow_optimal_bedtime",
    ];
    states(values, document, "bedtime_recommendation", "recommendation", "recommendation", &recommendations);
    let all = [
        "not_enough_nights",
        "not_enough_recent_nights",
        "bad_sleep_quality",
        "only_recommended_found",
        "optimal_found",
    ];
    states(values, document, "bedtime_status", "status", "status", &all);
}

/// A time as the service writes it.
pub(crate) fn local(value: &Value) -> Option<DateTime<FixedOffset>> {
    DateTime::parse_from_rfc3339(value.as_str()?).ok()
}

/// The periods of sleep that count, the longest first, long sleep before naps, without those that overlap one before.
fn periods(documents: &[Value]) -> Vec<&Value> {
    let counts = |document: &&Value| {
        let kind = document["type"].as_str().unwrap_or_default();
        ["long_sleep", "sleep", "late_nap"].contains(&kind) && document["bedtime_end"].is_string()
    };
    let mut all: Vec<&Value> = documents.iter().filter(counts).collect();
    let asleep = |document: &Value| document["total_sleep_duration"].as_i64().unwrap_or_default();
    all.sort_by_key(|document| {
        std::cmp::Reverse((document["type"] == "long_sleep", asleep(document), local(&document["bedtime_end"])))
    });
    let mut apart: Vec<&Value> = Vec::new();
    for period in all {
        let span = |document: &Value| Some((local(&document["bedtime_start"])?, local(&document["bedtime_end"])?));
        let overlaps = |other: &&Value| {
            span(period).zip(span(other)).is_some_and(|(own, other)| own.0 < other.1 && other.0 < own.1)
        };
        if !apart.iter().any(overlaps) {
            apart.push(period);
        }
    }
    apart
}

fn sleep(values: &mut Values, day: NaiveDate, documents: &[Value]) {
    let periods = periods(documents);
    let night = periods.iter().find(|period| period["type"] == "long_sleep");
    if let Some(night) = night {
        self::night(values, day, night);
    }
    if periods.is_empty() {
        return;
    }
    let naps: Vec<_> = periods.iter().filter(|period| period["type"] != "long_sleep").collect();
    let slept = |period: &Value| period["total_sleep_duration"].as_f64();
    let naps_slept: Option<f64> = naps.iter().map(|nap| slept(nap)).sum();
    let all_slept: Option<f64> = periods.iter().map(|period| slept(period)).sum();
    put(values, "day_naps", Some(naps.len() as f64));
    put(values, "day_nap_seconds", naps_slept.map(|sum| sum + 0.0));
    put(values, "day_total_sleep_seconds", all_slept);
}

fn night(values: &mut Values, day: NaiveDate, night: &Value) {
    parts(values, night, "night_stage_seconds", "stage", NIGHT_STAGES);
    times(values, night, NIGHT);
    let ratio = |field: &str, divisor: f64| number(night, field).map(|value| value / divisor);
    put(values, "night_efficiency_ratio", ratio("/efficiency", 100.0));
    put(values, "night_average_hrv_seconds", ratio("/average_hrv", 1000.0));
    let beats = |field: &str| number(night, field).filter(|bpm| *bpm > 0.0 && *bpm < 255.0);
    put(values, "night_average_heart_rate_bpm", beats("/average_heart_rate"));
    put(values, "night_lowest_heart_rate_bpm", beats("/lowest_heart_rate"));
    put(values, "night_low_battery", night["low_battery_alert"].as_bool().map(|low| f64::from(u8::from(low))));
    put(values, "night_settled", Some(1.0));
    for end in ["start", "end"] {
        let time = local(&night[format!("bedtime_{end}")]);
        let since_midnight = |time: DateTime<FixedOffset>| time.naive_local() - day.and_time(NaiveTime::MIN);
        put(values, &format!("night_bedtime_{end}_timestamp_seconds"), time.map(|time| time.timestamp() as f64));
        put(
            values,
            &format!("night_bedtime_{end}_offset_seconds"),
            time.map(|time| since_midnight(time).num_milliseconds() as f64 / 1000.0),
        );
    }
}

/// The seconds between two times of a document.
pub(crate) fn seconds(document: &Value) -> Option<f64> {
    let (start, end) = (local(&document["start_datetime"])?, local(&document["end_datetime"])?);
    Some((end - start).num_milliseconds() as f64 / 1000.0)
}

fn workouts(values: &mut Values, documents: &[Value]) {
    let mut sums = BTreeMap::<&str, [Option<f64>; 4]>::new();
    for workout in documents {
        let sum = sums.entry(workout["activity"].as_str().expect("an activity")).or_insert([Some(0.0); 4]);
        let energy = number(workout, "/calories").map(|calories| calories * JOULES);
        let own = [Some(1.0), seconds(workout), energy, number(workout, "/distance")];
        for (sum, own) in sum.iter_mut().zip(own) {
            *sum = sum.zip(own).map(|(sum, own)| sum + own);
        }
    }
    let names =
        ["day_workouts", "day_workout_duration_seconds", "day_workout_energy_joules", "day_workout_distance_meters"];
    for (activity, sums) in sums {
        for (name, sum) in names.iter().zip(sums) {
            put(values, &format!("{name}{{activity=\"{activity}\"}}"), sum);
        }
    }
}

fn count<'a>(values: &mut Values, name: &str, label: &str, words: impl Iterator<Item = &'a str>) {
    let mut counts = BTreeMap::<&str, f64>::new();
    words.for_each(|word| *counts.entry(word).or_default() += 1.0);
    for (word, count) in counts {
        put(values, &format!("{name}{{{label}=\"{word}\"}}"), Some(count));
    }
}

fn sessions(values: &mut Values, documents: &[Value]) {
    count(values, "day_sessions", "kind", documents.iter().filter_map(|session| session["type"].as_str()));
}

fn tags(values: &mut Values, documents: &[Value]) {
    let code = |tag: &'_ Value| tag["tag_type_code"].as_str().map_or("text_only".to_owned(), str::to_owned);
    let codes: Vec<_> = documents.iter().map(code).collect();
    count(values, "day_tags", "tag", codes.iter().map(String::as_str));
}
