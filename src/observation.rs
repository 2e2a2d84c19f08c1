//! A value of the wearer's with its name and labels: what documents turn into and what the page shows.

use std::borrow::Cow;

use chrono::{DateTime, Days, FixedOffset, NaiveDate, TimeDelta, Utc};

/// A label's value: known words are static, words from Oura (an activity, a tag) are owned.
pub type LabelValue = Cow<'static, str>;

/// A sample further ahead of our clock than this is no sample.
pub const CLOCK_TOLERANCE: TimeDelta = TimeDelta::hours(1);

/// What no figure of a body, a day or a ring can exceed in any of our units; a day's energy is some ten million joules.
const LARGEST_MEASURED: f64 = 1e9;

/// Whether a value can have been measured: it is finite, and not absurd.
pub fn is_measured(value: f64) -> bool {
    value.abs() <= LARGEST_MEASURED
}

/// One series of one account at one moment; the account's own label is added by the page.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// Full metric name.
    pub name: &'static str,
    /// Labels in the order of the metric's definition.
    pub labels: Vec<(&'static str, LabelValue)>,
    /// Value in the unit that the name ends with.
    pub value: f64,
}

/// Samples of one series of one account, each with its own time.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Full metric name.
    pub name: &'static str,
    /// Labels in the order of the metric's definition.
    pub labels: Vec<(&'static str, LabelValue)>,
    /// The samples, in the order in which the document has them.
    pub samples: Vec<(DateTime<Utc>, f64)>,
}

/// What a view's values are dated by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Date {
    /// Nothing: it holds until Oura says otherwise (the ring, the person).
    Standing,
    /// The document's `day`, in the wearer's own calendar.
    Day(NaiveDate),
    /// The second of the newest sample.
    Instant(DateTime<Utc>),
}

impl Date {
    /// The day it falls on for a wearer whose clock is `zone`; none for what is not dated.
    pub fn day(self, zone: FixedOffset) -> Option<NaiveDate> {
        match self {
            Self::Standing => None,
            Self::Day(day) => Some(day),
            Self::Instant(instant) => Some(instant.with_timezone(&zone).date_naive()),
        }
    }
}

/// Now, as the wearer lives it.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The instant.
    pub now: DateTime<Utc>,
    /// The wearer's offset from UTC, as the newest document tells it.
    pub zone: FixedOffset,
}

impl Moment {
    /// The wearer's date.
    pub fn today(&self) -> NaiveDate {
        self.now.with_timezone(&self.zone).date_naive()
    }

    /// The last `day` that a document can truthfully bear: a sleep that ends after 18:00 counts for the next day, and
    /// a wearer may be up to 14 hours ahead of UTC.
    pub fn last_possible_day(&self) -> NaiveDate {
        (self.now + TimeDelta::hours(14)).date_naive() + Days::new(1)
    }
}

/// An offset from UTC that a document showed, and when the wearer lived by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// When.
    pub at: DateTime<Utc>,
    /// Which offset.
    pub zone: FixedOffset,
}

impl From<DateTime<FixedOffset>> for Sighting {
    fn from(time: DateTime<FixedOffset>) -> Self {
        Self { at: time.to_utc(), zone: *time.offset() }
    }
}
