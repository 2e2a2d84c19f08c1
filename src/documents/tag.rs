//! `tag`: the tags that Oura has replaced by `enhanced_tag`; read only when named in `OURA_COLLECTIONS`.

use serde::Deserialize;

use super::{
    Dated, Document, Pace, Query,
    kind::each_day,
    times::Day,
    values::{TEXT_ONLY, TagCode, count, or_empty},
};
use crate::{
    metric::{Metric, help, label},
    observation::Moment,
};

/// A note with tags; its text stays unread.
#[derive(Debug, Deserialize)]
pub(super) struct Tag {
    day: Day,
    #[serde(default, deserialize_with = "or_empty")]
    tags: Vec<TagCode>,
}

impl Tag {
    fn codes(&self) -> Vec<String> {
        if self.tags.is_empty() {
            vec![TEXT_ONLY.to_owned()]
        } else {
            self.tags.iter().map(TagCode::as_label).collect()
        }
    }
}

impl Document for Tag {
    type View = Vec<Self>;
    const NAME: &'static str = "tag";
    const SCOPE: &'static str = "tag";
    const QUERY: Query = Query::Days { back: 2 };
    const PACE: Pace = Pace::HalfHour;
    const KEEP_DAYS: Option<i64> = Some(2);
    const REACH_DAYS: i64 = 0;
    const SELECTS_FIELDS: bool = false;
    const METRICS: &'static [Metric<Vec<Self>>] =
        &[help("Tags of the day, from tag.tags.")
            .rows("oura_day_legacy_tags", &[label("tag", &[])], |tags| count(tags.iter().flat_map(Self::codes)))];

    fn views(documents: Vec<Self>, _: &Moment) -> Vec<Dated<Vec<Self>>> {
        each_day(documents, |d| d.day, |_, tags| Some(tags))
    }
}
