//! `sleep_time`: the bedtime that Oura recommends.

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
    /// What Oura recommends.
    Recommendation {
        ImproveEfficiency = "improve_efficiency",
        EarlierBedtime = "earlier_bedtime",
        LaterBedtime = "later_bedtime",
        EarlierWakeUpTime = "earlier_wake_up_time",
        LaterWakeUpTime = "later_wake_up_time",
        FollowOptimalBedtime = "follow_optimal_bedtime",
    }
}

states! {
    /// What the recommendation rests on.
    Status {
        NotEnoughNights = "not_enough_nights",
        NotEnoughRecentNights = "not_enough_recent_nights",
        BadSleepQuality = "bad_sleep_quality",
        OnlyRecommendedFound = "only_recommended_found",
        OptimalFound = "optimal_found",
    }
}

/// A day's recommendation.
#[derive(Debug, Deserialize)]
pub(super) struct SleepTime {
    day: Day,
    #[serde(default, deserialize_with = "or_empty")]
    optimal_bedtime: Window,
    recommendation: Option<Recommendation>,
    status: Option<Status>,
}

#[derive(Debug, Default, Deserialize)]
struct Window {
    start_offset: Option<f64>,
    end_offset: Option<f64>,
}

impl Document for SleepTime {
    type View = Self;
    const NAME: &'static str = "sleep_time";
    const SCOPE: &'static str = "daily";
    const QUERY: Query = Query::Days { back: 2 };
    const PACE: Pace = Pace::Quarter;
    const KEEP_DAYS: Option<i64> = Some(2);
    const REACH_DAYS: i64 = 0;
    const SELECTS_FIELDS: bool = true;
    const METRICS: &'static [Metric<Self>] = &[
        help("Begin of the best bedtime, from midnight, negative before it, from sleep_time.optimal_bedtime.start_offset.")
            .gauge("oura_bedtime_optimal_start_offset_seconds", |d| d.optimal_bedtime.start_offset),
        help("End of the best bedtime, from midnight, negative before it, from sleep_time.optimal_bedtime.end_offset.")
            .gauge("oura_bedtime_optimal_end_offset_seconds", |d| d.optimal_bedtime.end_offset),
        help("What Oura recommends, 1 for the one that applies, from sleep_time.recommendation.").states(
            "oura_bedtime_recommendation",
            "recommendation",
            Recommendation::WORDS,
            |d| d.recommendation.map(Recommendation::word),
        ),
        help("What the recommendation rests on, 1 for the one that applies, from sleep_time.status.")
            .states("oura_bedtime_status", "status", Status::WORDS, |d| d.status.map(Status::word)),
    ];

    fn views(documents: Vec<Self>, _: &Moment) -> Vec<Dated<Self>> {
        last_of_each_day(documents, |d| d.day)
    }
}
