//! `daily_sleep`: the score of the day's sleep; its durations are in `sleep`.

use serde::Deserialize;

use super::{Dated, Document, Pace, Query, kind::last_of_each_day, times::Day, values::or_empty};
use crate::{
    metric::{Metric, help},
    observation::{Evidence, Moment},
};

/// A day's sleep score.
#[derive(Debug, Deserialize)]
pub(super) struct DailySleep {
    day: Day,
    score: Option<f64>,
    #[serde(default, deserialize_with = "or_empty")]
    contributors: Contributors,
}

#[derive(Debug, Default, Deserialize)]
struct Contributors {
    deep_sleep: Option<f64>,
    efficiency: Option<f64>,
    latency: Option<f64>,
    rem_sleep: Option<f64>,
    restfulness: Option<f64>,
    timing: Option<f64>,
    total_sleep: Option<f64>,
}

impl Document for DailySleep {
    type View = Self;
    const NAME: &'static str = "daily_sleep";
    const SCOPE: &'static str = "daily";
    const QUERY: Query = Query::Days { back: 2 };
    const PACE: Pace = Pace::Poll;
    const KEEP_DAYS: Option<i64> = Some(2);
    const REACH_DAYS: i64 = 0;
    const SELECTS_FIELDS: bool = true;
    const METRICS: &'static [Metric<Self>] = &[
        help("Sleep score of the day, 1 to 100, from daily_sleep.score.").gauge("oura_sleep_score", |d| d.score),
        help("Points that each contributor gives to the sleep score, 1 to 100, from daily_sleep.contributors.").parts(
            "oura_sleep_contributor_score",
            "contributor",
            &[
                ("deep_sleep", |d| d.contributors.deep_sleep),
                ("efficiency", |d| d.contributors.efficiency),
                ("latency", |d| d.contributors.latency),
                ("rem_sleep", |d| d.contributors.rem_sleep),
                ("restfulness", |d| d.contributors.restfulness),
                ("timing", |d| d.contributors.timing),
                ("total_sleep", |d| d.contributors.total_sleep),
            ],
        ),
    ];

    fn views(documents: Vec<Self>, _: &Moment) -> Vec<Dated<Self>> {
        last_of_each_day(documents, |d| d.day)
    }

    fn evidence(&self) -> Evidence {
        Evidence { scored: Some(self.day.date()), ..Evidence::default() }
    }
}
