//! `daily_resilience`: the ability to withstand stress and recover from it over time.

use serde::Deserialize;

use super::{
    Dated, Document, Pace, Query,
    kind::last_of_each_day,
    times::Day,
    values::{or_empty, states},
};
use crate::{
    metric::{Metric, help},
    observation::Moment,
};

states! {
    /// Long-term resilience, from the lowest to the highest.
    Level {
        Limited = "limited",
        Adequate = "adequate",
        Solid = "solid",
        Strong = "strong",
        Exceptional = "exceptional",
    }
}

/// A day's resilience.
#[derive(Debug, Deserialize)]
pub(super) struct DailyResilience {
    day: Day,
    level: Option<Level>,
    #[serde(default, deserialize_with = "or_empty")]
    contributors: Contributors,
}

#[derive(Debug, Default, Deserialize)]
struct Contributors {
    sleep_recovery: Option<f64>,
    daytime_recovery: Option<f64>,
    stress: Option<f64>,
}

impl Document for DailyResilience {
    type View = Self;
    const NAME: &'static str = "daily_resilience";
    const SCOPE: &'static str = "stress";
    const QUERY: Query = Query::Days { back: 2 };
    const PACE: Pace = Pace::Quarter;
    const KEEP_DAYS: Option<i64> = Some(2);
    const REACH_DAYS: i64 = 0;
    const SELECTS_FIELDS: bool = false;
    const METRICS: &'static [Metric<Self>] = &[
        help("Level of resilience, 1 for the level that holds, from daily_resilience.level.").states(
            "oura_resilience_level",
            "level",
            Level::WORDS,
            |d| d.level.map(Level::word),
        ),
        help("Points that each contributor gives to resilience, 0 to 100, from daily_resilience.contributors.").parts(
            "oura_resilience_contributor_score",
            "contributor",
            &[
                ("sleep_recovery", |d| d.contributors.sleep_recovery),
                ("daytime_recovery", |d| d.contributors.daytime_recovery),
                ("stress", |d| d.contributors.stress),
            ],
        ),
    ];

    fn views(documents: Vec<Self>, _: &Moment) -> Vec<Dated<Self>> {
        last_of_each_day(documents, |d| d.day)
    }
}
