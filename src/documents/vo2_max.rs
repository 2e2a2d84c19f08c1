//! `vO2_max`: cardio capacity.

use serde::Deserialize;

use super::{Dated, Document, Pace, Query, kind::last_of_each_day, times::Day};
use crate::{
    metric::{Metric, help},
    observation::Moment,
};

/// A day's estimate; not every day has one.
#[derive(Debug, Deserialize)]
pub(super) struct Vo2Max {
    day: Day,
    vo2_max: Option<f64>,
}

impl Document for Vo2Max {
    type View = Self;
    const NAME: &'static str = "vO2_max";
    const SCOPE: &'static str = "heart_health";
    const QUERY: Query = Query::Newest { within: 30 };
    const PACE: Pace = Pace::Hour;
    const KEEP_DAYS: Option<i64> = Some(30);
    const REACH_DAYS: i64 = 0;
    const SELECTS_FIELDS: bool = true;
    const METRICS: &'static [Metric<Self>] =
        &[help("Cardio capacity in ml/kg/min, from vO2_max.vo2_max.").gauge("oura_vo2_max", |d| d.vo2_max)];

    fn views(documents: Vec<Self>, _: &Moment) -> Vec<Dated<Self>> {
        last_of_each_day(documents, |d| d.day)
    }
}
