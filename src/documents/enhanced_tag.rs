//! `enhanced_tag`: what the wearer tagged the day with; names and comments of their own stay unread.

use serde::Deserialize;

use super::{
    Appears, Dated, Document, Pace,
    kind::each_day,
    times::Day,
    values::{TEXT_ONLY, TagCode, count},
};
use crate::{
    metric::{Metric, help, label},
    observation::Moment,
};

/// A tag; one that spans days counts on its first.
#[derive(Debug, Deserialize)]
pub(super) struct EnhancedTag {
    start_day: Day,
    tag_type_code: Option<TagCode>,
}

impl EnhancedTag {
    fn code(&self) -> String {
        self.tag_type_code.as_ref().map_or_else(|| TEXT_ONLY.to_owned(), TagCode::as_label)
    }
}

impl Document for EnhancedTag {
    type View = Vec<Self>;
    const NAME: &'static str = "enhanced_tag";
    const SCOPE: &'static str = "tag";
    const PACE: Pace = Pace::HalfHour;
    const SELECTS_FIELDS: bool = false;
    const APPEARS: Appears = Appears::DayEnd;
    const METRICS: &'static [Metric<Vec<Self>>] = &[help(
        "Tags of the newest day that has one, from enhanced_tag.tag_type_code.",
    )
    .rows("oura_day_tags", &[label("tag", &[])], |tags| count(tags.iter().map(Self::code)))];

    fn views(documents: Vec<Self>, _: &Moment) -> Vec<Dated<Vec<Self>>> {
        each_day(documents, |d| d.start_day, |_, tags| Some(tags))
    }
}
