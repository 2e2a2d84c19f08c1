//! `rest_mode_period`: whether the wearer has told Oura to let them rest.

use chrono::NaiveDate;
use serde::Deserialize;

use super::{Dated, Document, Pace, Query, times::Day};
use crate::{
    metric::{Metric, flag, help},
    observation::{Date, Moment},
};

/// A period of rest mode; one that is still on has no end.
#[derive(Debug, Deserialize)]
pub(super) struct RestModePeriod {
    start_day: Day,
    end_day: Option<Day>,
}

impl RestModePeriod {
    fn holds(&self, today: NaiveDate) -> bool {
        self.start_day.date() <= today && self.end_day.is_none_or(|end| today <= end.date())
    }
}

impl Document for RestModePeriod {
    type View = bool;
    const NAME: &'static str = "rest_mode_period";
    const SCOPE: &'static str = "daily";
    const QUERY: Query = Query::Days { back: 365 };
    const PACE: Pace = Pace::HalfHour;
    const KEEP_DAYS: Option<i64> = None;
    const REACH_DAYS: i64 = 0;
    const SELECTS_FIELDS: bool = true;
    const METRICS: &'static [Metric<bool>] =
        &[help("Whether rest mode was on, 0 or 1, from rest_mode_period.start_day and end_day.")
            .gauge("oura_rest_mode", |on| flag(Some(*on)))];

    fn views(documents: Vec<Self>, moment: &Moment) -> Vec<Dated<bool>> {
        let on = documents.iter().any(|period| period.holds(moment.today()));
        vec![Dated { date: Date::Standing, view: on }]
    }

    /// Each day up to today on which the account had documents: before its first, nobody knows.
    fn spelled_out(documents: &[Self], moment: &Moment) -> Vec<Dated<bool>> {
        let Some(first) = moment.first_day else { return vec![] };
        let days = moment.days.iter().filter(|day| (first..=moment.today()).contains(day));
        days.map(|day| Dated { date: Date::Day(day), view: documents.iter().any(|period| period.holds(day)) }).collect()
    }
}
