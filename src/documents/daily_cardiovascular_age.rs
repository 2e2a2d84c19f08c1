//! `daily_cardiovascular_age`: the age of the arteries.

use serde::Deserialize;

use super::{Dated, Document, Pace, Query, kind::last_of_each_day, times::Day};
use crate::{
    metric::{Metric, help},
    observation::Moment,
};

/// A day's estimate; not every day has one.
#[derive(Debug, Deserialize)]
pub(super) struct DailyCardiovascularAge {
    day: Day,
    vascular_age: Option<f64>,
    pulse_wave_velocity: Option<f64>,
}

impl Document for DailyCardiovascularAge {
    type View = Self;
    const NAME: &'static str = "daily_cardiovascular_age";
    const SCOPE: &'static str = "heart_health";
    const QUERY: Query = Query::Newest { within: 30 };
    const PACE: Pace = Pace::Hour;
    const KEEP_DAYS: Option<i64> = Some(30);
    const REACH_DAYS: i64 = 0;
    const SELECTS_FIELDS: bool = true;
    const METRICS: &'static [Metric<Self>] = &[
        help("Age of the arteries as Oura estimates it, from daily_cardiovascular_age.vascular_age.")
            .gauge("oura_cardiovascular_age_years", |d| d.vascular_age),
        help("Speed of the pulse wave, from daily_cardiovascular_age.pulse_wave_velocity.")
            .gauge("oura_pulse_wave_velocity_meters_per_second", |d| d.pulse_wave_velocity),
    ];

    fn views(documents: Vec<Self>, _: &Moment) -> Vec<Dated<Self>> {
        last_of_each_day(documents, |d| d.day)
    }
}
