//! `enhanced_tag`: what the wearer tagged the day with; names and comments of their own stay unread.

use std::collections::BTreeMap;

use chrono::{NaiveDate, TimeDelta};
use serde::Deserialize;

use super::{
    Dated, Document, Pace, Query,
    times::{Day, Time},
    values::{TEXT_ONLY, TagCode, at, count, hint},
};
use crate::{
    metric::{Metric, SampleMetric, help, label},
    observation::{Date, Moment},
};

/// The most days that one tag counts on: a longer one is a mistake.
const MOST_DAYS: i64 = 366;

/// A tag; one that spans days counts on each of them.
#[derive(Debug, Deserialize)]
pub(super) struct EnhancedTag {
    start_day: Day,
    #[serde(default, deserialize_with = "hint")]
    end_day: Option<Day>,
    #[serde(default, deserialize_with = "hint")]
    start_time: Option<Time>,
    tag_type_code: Option<TagCode>,
}

impl EnhancedTag {
    fn code(&self) -> String {
        self.tag_type_code.as_ref().map_or_else(|| TEXT_ONLY.to_owned(), TagCode::as_label)
    }

    /// The days from its first to its last, but none to come.
    fn days(&self, today: NaiveDate) -> impl Iterator<Item = NaiveDate> + use<> {
        let first = self.start_day.date();
        let last = self.end_day.map_or(first, |end| end.date().min(today).max(first));
        let last = last.min(first + TimeDelta::days(MOST_DAYS - 1));
        first.iter_days().take_while(move |day| *day <= last)
    }
}

impl Document for EnhancedTag {
    type View = Vec<String>;
    const NAME: &'static str = "enhanced_tag";
    const SCOPE: &'static str = "tag";
    const QUERY: Query = Query::Days { back: 2 };
    const PACE: Pace = Pace::HalfHour;
    const KEEP_DAYS: Option<i64> = Some(2);
    const REACH_DAYS: i64 = MOST_DAYS;
    const SELECTS_FIELDS: bool = false;
    const METRICS: &'static [Metric<Vec<String>>] = &[help("Tags of the day, from enhanced_tag.tag_type_code.").rows(
        "oura_day_tags",
        &[label("tag", &[])],
        |codes| count(codes.iter().cloned()),
    )];
    const EVENTS: &'static [SampleMetric<Self>] = &[help(
        "A tag, always 1, at its beginning, from enhanced_tag.tag_type_code and start_time.",
    )
    .samples("oura_sample_tag", &[label("tag", &[])], |tag, _| {
        (vec![tag.code().into()], at(tag.start_time, Some(1.0)))
    })];

    fn views(documents: Vec<Self>, moment: &Moment) -> Vec<Dated<Vec<String>>> {
        let today = moment.today();
        let mut days = BTreeMap::<NaiveDate, Vec<String>>::new();
        for (tag, day) in documents.iter().flat_map(|tag| tag.days(today).map(move |day| (tag, day))) {
            days.entry(day).or_default().push(tag.code());
        }
        days.into_iter().map(|(day, view)| Dated { date: Date::Day(day), view }).collect()
    }
}
