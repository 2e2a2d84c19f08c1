//! `daily_spo2`: blood oxygen during sleep.

use serde::Deserialize;

use super::{
    Dated, Document, Pace, Query,
    kind::last_of_each_day,
    times::Day,
    values::{or_empty, ratio},
};
use crate::{
    metric::{Metric, help},
    observation::Moment,
};

/// A night's blood oxygen.
#[derive(Debug, Deserialize)]
pub(super) struct DailySpo2 {
    day: Day,
    #[serde(default, deserialize_with = "or_empty")]
    spo2_percentage: Percentage,
    breathing_disturbance_index: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
struct Percentage {
    average: Option<f64>,
}

impl DailySpo2 {
    /// The average as a ratio; Oura writes 0 where it has none.
    fn average_ratio(&self) -> Option<f64> {
        ratio(self.spo2_percentage.average.filter(|percent| *percent > 0.0))
    }
}

impl Document for DailySpo2 {
    type View = Self;
    const NAME: &'static str = "daily_spo2";
    const SCOPE: &'static str = "spo2";
    const QUERY: Query = Query::Days { back: 2 };
    const PACE: Pace = Pace::Quarter;
    const KEEP_DAYS: Option<i64> = Some(2);
    const REACH_DAYS: i64 = 0;
    const SELECTS_FIELDS: bool = true;
    const METRICS: &'static [Metric<Self>] = &[
        help("Blood oxygen saturation of the night on average, 0 to 1, from daily_spo2.spo2_percentage.average.")
            .gauge("oura_spo2_average_ratio", Self::average_ratio),
        help("Drops of blood oxygen as Oura's index, from daily_spo2.breathing_disturbance_index.")
            .gauge("oura_spo2_breathing_disturbance_index", |d| d.breathing_disturbance_index),
    ];

    fn views(documents: Vec<Self>, _: &Moment) -> Vec<Dated<Self>> {
        last_of_each_day(documents, |d| d.day)
    }
}
