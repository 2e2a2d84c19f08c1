//! Backfills as a user runs them: years as files and by remote write, what they say, and what disturbs them.

mod again;
mod answers;
mod days;
mod dense;
mod directory;
pub(crate) mod documents;
mod hands;
mod keeps;
mod killed;
mod many;
mod refused;
mod stopped;
mod stores;
mod words;

use std::io::Write as _;

use crate::common::samples::Samples;
use chrono::{NaiveDate, Utc};
pub(crate) use documents::{Documents, Parts, is_dense};

/// Everything that has days, and nothing that comes by the thousand.
pub(crate) const DAILY: &str = "daily_activity,daily_readiness,daily_sleep,sleep,daily_stress,daily_resilience,daily_spo2,\
                     daily_cardiovascular_age,vO2_max,sleep_time,workout,session,enhanced_tag,rest_mode_period";
/// Everything that is in the record.
const ALL: &str = "daily_activity,heartrate,daily_readiness,daily_sleep,sleep,daily_stress,daily_resilience,daily_spo2,\
                   daily_cardiovascular_age,vO2_max,sleep_time,workout,session,enhanced_tag,rest_mode_period,ring_battery_level";

/// Tells what a test found, past the test runner.
fn tell(text: &str) {
    let _ = std::io::stderr().write_all(format!("{text}\n").as_bytes());
}

fn today() -> NaiveDate {
    Utc::now().date_naive()
}

/// Two runs told the same: of days and events not at the same millisecond, as that says when they ran.
fn assert_same(told: &Samples, expected: &Samples, what: &str) {
    let now = Utc::now();
    Parts::of(told, now).assert_same(&Parts::of(expected, now), what);
}
