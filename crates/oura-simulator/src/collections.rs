//! The list of collections: what each is called, what it needs, how it is asked for, and where its documents come from.

use std::ops::Range;

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;

use super::{
    Example, activity, analysis, battery, events, heart,
    person_timeline::{Life, View, shifted},
    scores, sleep, wellbeing,
};

/// One collection of the API.
#[derive(Clone, Debug)]
pub struct Collection {
    /// Its name in the path, in its exact case.
    pub name: &'static str,
    /// The scope that a token needs for it; empty: any token will do.
    pub scope: &'static str,
    /// How it is asked for.
    pub kind: Kind,
    pub(super) number: u8,
    /// When a document is, for the window of a request.
    pub(super) stamp: Stamp,
    pub(super) source: Source,
    /// When the documents of a day may change.
    pub(super) changes: Changes,
    /// What `fields` may name; empty where the route ignores it.
    pub(super) fields: &'static [&'static str],
}

/// Where the documents of a day come from, oldest first.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// From people's lives.
    Life(fn(&View, NaiveDate) -> Vec<Value>),
    /// From an example.
    Example(Example),
}

impl Collection {
    /// The documents of a day, oldest first.
    pub(super) fn documents(&self, view: &View, day: NaiveDate) -> Vec<Value> {
        match &self.source {
            Source::Life(documents) => documents(view, day),
            Source::Example(example) => example.documents(self.number, view, day),
        }
    }
}

/// When the documents of a day may change: at the first syncs after certain moments, or at every sync of some time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Changes {
    /// The moments after which the next syncs of each sort matter.
    pub(super) after: fn(&Life, NaiveDate) -> Vec<DateTime<Utc>>,
    /// The time of which every sync matters, and the first ones after it.
    pub(super) during: fn(&Life, NaiveDate) -> Option<Range<DateTime<Utc>>>,
}

const fn after(after: fn(&Life, NaiveDate) -> Vec<DateTime<Utc>>) -> Changes {
    Changes { after, during: |_, _| None }
}

/// What is not of a day is there from the first.
const NEVER: Changes = after(|life, _| vec![life.midnight(shifted(life.first, -1))]);

/// Rows come with every sync of their day.
const ROWS: Changes =
    Changes { after: |_, _| Vec::new(), during: |life, day| Some(life.midnight(day)..life.midnight(shifted(day, 1))) };

/// How a collection is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// By start_date and end_date, in one page, and by document.
    Dates,
    /// By start_datetime and end_datetime, in pages of rows without identifiers.
    Series,
    /// Whole, and by document.
    List,
    /// A single object without an envelope.
    Single,
}

/// Which moment of a document the window is compared with.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stamp {
    /// The beginning of the day in this field.
    Day(&'static str),
    /// The time in this field, as the wearer's clock shows it.
    Local(&'static str),
    /// The time in this field, as a clock in UTC shows it.
    Utc(&'static str),
}

pub(super) const ACTIVITY: u8 = 1;
pub(super) const READINESS: u8 = 2;
pub(super) const SLEEP_SCORE: u8 = 3;
pub(super) const STRESS: u8 = 4;
pub(super) const RESILIENCE: u8 = 5;
pub(super) const SPO2: u8 = 6;
pub(super) const VASCULAR_AGE: u8 = 7;
pub(super) const VO2_MAX: u8 = 8;
pub(super) const SLEEP: u8 = 9;
pub(super) const SLEEP_TIME: u8 = 10;
pub(super) const WORKOUT: u8 = 11;
pub(super) const SESSION: u8 = 12;
pub(super) const ENHANCED_TAG: u8 = 13;
pub(super) const TAG: u8 = 14;
pub(super) const REST_MODE: u8 = 15;
pub(super) const HEART_RATE: u8 = 16;
pub(super) const BATTERY: u8 = 17;
pub(super) const RING: u8 = 18;
pub(super) const PERSONAL_INFO: u8 = 0;

#[allow(clippy::too_many_arguments)] // a line of the table below
const fn dates(
    name: &'static str,
    scope: &'static str,
    number: u8,
    stamp: Stamp,
    documents: fn(&View, NaiveDate) -> Vec<Value>,
    changes: Changes,
    fields: &'static [&'static str],
) -> Collection {
    Collection { name, scope, kind: Kind::Dates, number, stamp, source: Source::Life(documents), changes, fields }
}

/// The collection with this name, in its exact case.
pub(super) fn named(name: &str) -> Option<&'static Collection> {
    COLLECTIONS.iter().find(|collection| collection.name == name)
}

const DAY: Stamp = Stamp::Day("day");

/// Every collection that the simulator has a model of.
pub static COLLECTIONS: &[Collection] = &[
    dates(
        "daily_activity",
        "daily",
        ACTIVITY,
        Stamp::Local("timestamp"),
        activity::daily_activity,
        Changes { after: activity::moments, during: activity::running },
        ACTIVITY_FIELDS,
    ),
    dates(
        "daily_readiness",
        "daily",
        READINESS,
        DAY,
        scores::daily_readiness,
        after(scores::readiness_moments),
        &["id", "contributors", "day", "score", "temperature_deviation", "temperature_trend_deviation", "timestamp"],
    ),
    dates(
        "daily_sleep",
        "daily",
        SLEEP_SCORE,
        DAY,
        scores::daily_sleep,
        after(analysis::moments),
        &["id", "contributors", "day", "score", "timestamp"],
    ),
    dates(
        "daily_stress",
        "daily",
        STRESS,
        DAY,
        wellbeing::daily_stress,
        Changes { after: wellbeing::stress_moments, during: wellbeing::stress_running },
        &["id", "day", "day_summary", "recovery_high", "stress_high"],
    ),
    dates(
        "daily_resilience",
        "stress",
        RESILIENCE,
        DAY,
        wellbeing::daily_resilience,
        after(wellbeing::resilience_moments),
        &[],
    ),
    dates(
        "daily_spo2",
        "spo2",
        SPO2,
        DAY,
        wellbeing::daily_spo2,
        after(wellbeing::spo2_moments),
        &["id", "breathing_disturbance_index", "day", "spo2_percentage"],
    ),
    dates(
        "daily_cardiovascular_age",
        "heart_health",
        VASCULAR_AGE,
        DAY,
        wellbeing::daily_cardiovascular_age,
        after(wellbeing::vessels_moments),
        &["id", "day", "pulse_wave_velocity", "vascular_age"],
    ),
    dates(
        "vO2_max",
        "heart_health",
        VO2_MAX,
        DAY,
        wellbeing::vo2_max,
        after(wellbeing::vo2_moments),
        &["id", "day", "timestamp", "vo2_max"],
    ),
    dates(
        "sleep",
        "daily",
        SLEEP,
        Stamp::Local("bedtime_start"),
        sleep::records,
        after(analysis::moments),
        SLEEP_FIELDS,
    ),
    dates(
        "sleep_time",
        "daily",
        SLEEP_TIME,
        DAY,
        wellbeing::sleep_time,
        after(analysis::moments),
        &["id", "day", "optimal_bedtime", "recommendation", "status"],
    ),
    dates(
        "workout",
        "workout",
        WORKOUT,
        Stamp::Utc("start_datetime"),
        events::workout,
        after(events::workout_moments),
        WORKOUT_FIELDS,
    ),
    dates(
        "session",
        "session",
        SESSION,
        Stamp::Local("start_datetime"),
        events::session,
        after(events::session_moments),
        SESSION_FIELDS,
    ),
    dates(
        "enhanced_tag",
        "tag",
        ENHANCED_TAG,
        Stamp::Local("start_time"),
        events::enhanced_tag,
        after(events::tag_moments),
        &[],
    ),
    dates("tag", "tag", TAG, Stamp::Local("timestamp"), events::tag, after(events::tag_moments), &[]),
    dates(
        "rest_mode_period",
        "daily",
        REST_MODE,
        Stamp::Day("start_day"),
        events::rest_mode_period,
        after(events::rest_mode_moments),
        &["id", "end_day", "end_time", "episodes", "start_day", "start_time"],
    ),
    Collection {
        name: "heartrate",
        scope: "heartrate",
        kind: Kind::Series,
        number: HEART_RATE,
        stamp: Stamp::Utc("timestamp"),
        source: Source::Life(heart::rows),
        changes: ROWS,
        fields: &["timestamp", "timestamp_unix", "bpm", "source"],
    },
    Collection {
        name: "ring_battery_level",
        scope: "ring_configuration",
        kind: Kind::Series,
        number: BATTERY,
        stamp: Stamp::Utc("timestamp"),
        source: Source::Life(battery::rows),
        changes: ROWS,
        fields: &["timestamp", "timestamp_unix", "charging", "in_charger", "level"],
    },
    Collection {
        name: "ring_configuration",
        scope: "ring_configuration",
        kind: Kind::List,
        number: RING,
        stamp: Stamp::Utc("set_up_at"),
        source: Source::Life(events::ring_configuration),
        changes: NEVER,
        fields: &["id", "color", "design", "firmware_version", "hardware_type", "set_up_at", "size"],
    },
    Collection {
        name: "personal_info",
        scope: "",
        kind: Kind::Single,
        number: PERSONAL_INFO,
        stamp: DAY,
        source: Source::Life(events::personal_info),
        changes: NEVER,
        fields: &[],
    },
];

const ACTIVITY_FIELDS: &[&str] = &[
    "id",
    "active_calories",
    "average_met_minutes",
    "class_5_min",
    "contributors",
    "day",
    "equivalent_walking_distance",
    "high_activity_met_minutes",
    "high_activity_time",
    "inactivity_alerts",
    "low_activity_met_minutes",
    "low_activity_time",
    "medium_activity_met_minutes",
    "medium_activity_time",
    "met",
    "meters_to_target",
    "non_wear_time",
    "resting_time",
    "score",
    "sedentary_met_minutes",
    "sedentary_time",
    "steps",
    "target_calories",
    "target_meters",
    "timestamp",
    "total_calories",
];

const SLEEP_FIELDS: &[&str] = &[
    "id",
    "app_sleep_phase_5_min",
    "average_breath",
    "average_heart_rate",
    "average_hrv",
    "awake_time",
    "bedtime_end",
    "bedtime_start",
    "day",
    "deep_sleep_duration",
    "efficiency",
    "heart_rate",
    "hrv",
    "latency",
    "light_sleep_duration",
    "low_battery_alert",
    "lowest_heart_rate",
    "movement_30_sec",
    "period",
    "readiness",
    "readiness_score_delta",
    "rem_sleep_duration",
    "restless_periods",
    "ring_id",
    "sleep_algorithm_version",
    "sleep_analysis_reason",
    "sleep_phase_30_sec",
    "sleep_phase_5_min",
    "sleep_score_delta",
    "time_in_bed",
    "total_sleep_duration",
    "type",
];

const WORKOUT_FIELDS: &[&str] = &[
    "id",
    "activity",
    "calories",
    "day",
    "distance",
    "end_datetime",
    "intensity",
    "label",
    "source",
    "start_datetime",
];

const SESSION_FIELDS: &[&str] = &[
    "id",
    "day",
    "end_datetime",
    "heart_rate",
    "heart_rate_variability",
    "mood",
    "motion_count",
    "start_datetime",
    "type",
];
