//! `daily_stress`: time under stress and in recovery.

use serde::Deserialize;

use super::{Dated, Document, Pace, Query, kind::last_of_each_day, times::Day, values::states};
use crate::{
    metric::{Metric, help},
    observation::Moment,
};

states! {
    /// How the day was in all.
    Summary { Restored = "restored", Normal = "normal", Stressful = "stressful" }
}

/// A day's stress.
#[derive(Debug, Deserialize)]
pub(super) struct DailyStress {
    day: Day,
    stress_high: Option<f64>,
    recovery_high: Option<f64>,
    day_summary: Option<Summary>,
}

impl Document for DailyStress {
    type View = Self;
    const NAME: &'static str = "daily_stress";
    const SCOPE: &'static str = "stress";
    const QUERY: Query = Query::Days { back: 2 };
    const PACE: Pace = Pace::Quarter;
    const KEEP_DAYS: Option<i64> = Some(2);
    const REACH_DAYS: i64 = 0;
    const SELECTS_FIELDS: bool = true;
    const METRICS: &'static [Metric<Self>] = &[
        help("Time of the day under high stress, from daily_stress.stress_high.")
            .gauge("oura_stress_high_seconds", |d| d.stress_high),
        help("Time of the day in high recovery, from daily_stress.recovery_high.")
            .gauge("oura_recovery_high_seconds", |d| d.recovery_high),
        help("How the day was in all, 1 for the state that holds, from daily_stress.day_summary.").states(
            "oura_stress_day_state",
            "state",
            Summary::WORDS,
            |d| d.day_summary.map(Summary::word),
        ),
    ];

    fn views(documents: Vec<Self>, _: &Moment) -> Vec<Dated<Self>> {
        last_of_each_day(documents, |d| d.day)
    }
}
