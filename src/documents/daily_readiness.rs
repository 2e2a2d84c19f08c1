//! `daily_readiness`: how ready the wearer is for the day.

use serde::Deserialize;

use super::{Dated, Document, Pace, Query, kind::last_of_each_day, times::Day, values::or_empty};
use crate::{
    metric::{Metric, help},
    observation::Moment,
};

/// A day's readiness.
#[derive(Debug, Deserialize)]
pub(super) struct DailyReadiness {
    day: Day,
    score: Option<f64>,
    #[serde(default, deserialize_with = "or_empty")]
    contributors: Contributors,
    temperature_deviation: Option<f64>,
    temperature_trend_deviation: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
struct Contributors {
    activity_balance: Option<f64>,
    body_temperature: Option<f64>,
    hrv_balance: Option<f64>,
    previous_day_activity: Option<f64>,
    previous_night: Option<f64>,
    recovery_index: Option<f64>,
    resting_heart_rate: Option<f64>,
    sleep_balance: Option<f64>,
    sleep_regularity: Option<f64>,
}

impl Document for DailyReadiness {
    type View = Self;
    const NAME: &'static str = "daily_readiness";
    const SCOPE: &'static str = "daily";
    const QUERY: Query = Query::Days { back: 2 };
    const PACE: Pace = Pace::Poll;
    const KEEP_DAYS: Option<i64> = Some(2);
    const REACH_DAYS: i64 = 0;
    const SELECTS_FIELDS: bool = true;
    const METRICS: &'static [Metric<Self>] = &[
        help("Readiness score of the day, 1 to 100, from daily_readiness.score.")
            .gauge("oura_readiness_score", |d| d.score),
        help("Points that each contributor gives to readiness, 1 to 100, from daily_readiness.contributors.").parts(
            "oura_readiness_contributor_score",
            "contributor",
            &[
                ("activity_balance", |d| d.contributors.activity_balance),
                ("body_temperature", |d| d.contributors.body_temperature),
                ("hrv_balance", |d| d.contributors.hrv_balance),
                ("previous_day_activity", |d| d.contributors.previous_day_activity),
                ("previous_night", |d| d.contributors.previous_night),
                ("recovery_index", |d| d.contributors.recovery_index),
                ("resting_heart_rate", |d| d.contributors.resting_heart_rate),
                ("sleep_balance", |d| d.contributors.sleep_balance),
                ("sleep_regularity", |d| d.contributors.sleep_regularity),
            ],
        ),
        help("Skin temperature against the wearer's own normal, from daily_readiness.temperature_deviation.")
            .gauge("oura_readiness_temperature_deviation_celsius", |d| d.temperature_deviation),
        help("Trend of the skin temperature over several days, from daily_readiness.temperature_trend_deviation.")
            .gauge("oura_readiness_temperature_trend_deviation_celsius", |d| d.temperature_trend_deviation),
    ];

    fn views(documents: Vec<Self>, _: &Moment) -> Vec<Dated<Self>> {
        last_of_each_day(documents, |d| d.day)
    }
}
