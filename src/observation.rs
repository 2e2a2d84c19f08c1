//! A value of the wearer's with its name and labels: what documents turn into and what the page shows.

use std::{borrow::Cow, collections::BTreeSet, sync::Arc};

use chrono::{DateTime, Days, FixedOffset, NaiveDate, NaiveTime, Offset as _, TimeDelta, Utc};

/// The label that every series about a wearer has.
pub const ACCOUNT_LABEL: &str = "account";

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
/// A night may grow until a sync this long after its end, or until this long after it.
const SETTLED_BY_SYNC: TimeDelta = TimeDelta::minutes(30);
const SETTLED_BY_TIME: TimeDelta = TimeDelta::hours(6);

/// One series of one account at one moment; the account's own label is added by the page.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// Full metric name.
    pub name: &'static str,
    /// Labels in the order of the metric's definition.
    pub labels: Box<[(&'static str, LabelValue)]>,
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

/// Now, as the wearer lives it, and what of it is known.
#[derive(Clone, Debug)]
pub struct Moment {
    /// The instant.
    pub now: DateTime<Utc>,
    /// The wearer's offset from UTC, as the newest document tells it.
    pub zone: FixedOffset,
    /// How far the ring is known to have synced; none if no document says.
    pub synced: Option<DateTime<Utc>>,
    /// The days that have a sleep score.
    pub scored: Arc<BTreeSet<NaiveDate>>,
    /// The first day of which the account is known to have a document.
    pub first_day: Option<NaiveDate>,
    /// The days for which the record spells out what documents without a day say.
    pub days: DateRange,
}

/// Some days, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateRange {
    /// The first.
    pub first: NaiveDate,
    /// The last.
    pub last: NaiveDate,
}

impl DateRange {
    /// Whether `day` is one of them.
    pub fn contains(&self, day: NaiveDate) -> bool {
        (self.first..=self.last).contains(&day)
    }

    /// The days, in order.
    pub fn iter(self) -> impl Iterator<Item = NaiveDate> {
        self.first.iter_days().take_while(move |day| *day <= self.last)
    }
}

impl Moment {
    /// `now` by the clock `zone`, of a wearer of whom nothing else is known.
    pub fn new(now: DateTime<Utc>, zone: FixedOffset) -> Self {
        let today = now.with_timezone(&zone).date_naive();
        let days = DateRange { first: today, last: today };
        Self { now, zone, synced: None, scored: Arc::default(), first_day: None, days }
    }

    /// The wearer's date.
    pub fn today(&self) -> NaiveDate {
        self.now.with_timezone(&self.zone).date_naive()
    }

    /// When the wearer's next day begins.
    pub fn next_day(&self) -> DateTime<Utc> {
        let begins =
            self.today().succ_opt().and_then(|day| day.and_time(NaiveTime::MIN).and_local_timezone(self.zone).single());
        begins.map_or(DateTime::<Utc>::MAX_UTC, |begins| begins.to_utc())
    }

    /// The last `day` that a document can truthfully bear: a sleep that ends after 18:00 counts for the next day, and
    /// a wearer may be up to 14 hours ahead of UTC.
    pub fn last_possible_day(&self) -> NaiveDate {
        (self.now + TimeDelta::hours(14)).date_naive() + Days::new(1)
    }

    /// Whether the ring has synced long enough after `end` that what ended then will not grow any more: half an hour,
    /// or six hours went by.
    pub fn is_settled(&self, end: DateTime<Utc>) -> bool {
        self.synced.is_some_and(|synced| synced >= end + SETTLED_BY_SYNC) || self.now >= end + SETTLED_BY_TIME
    }
}

/// An offset from UTC that a document showed, and when the wearer lived by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenOffset {
    /// When.
    pub at: DateTime<Utc>,
    /// Which offset.
    pub zone: FixedOffset,
}

impl From<DateTime<FixedOffset>> for SeenOffset {
    fn from(time: DateTime<FixedOffset>) -> Self {
        Self { at: time.to_utc(), zone: *time.offset() }
    }
}

/// What a document tells of its wearer besides its values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The wearer's offset from UTC, and when they lived by it.
    pub zone: Option<SeenOffset>,
    /// How far the ring has synced.
    pub synced: Option<DateTime<Utc>>,
    /// A day that has a sleep score.
    pub scored: Option<NaiveDate>,
}

impl Evidence {
    /// Of an offset from UTC.
    pub fn of_zone(time: Option<impl Into<SeenOffset>>) -> Self {
        Self { zone: time.map(Into::into), ..Self::default() }
    }
}

/// What documents have told of a wearer so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The offset from UTC that was seen last, by the time at which the wearer lived by it.
    pub zone: Option<SeenOffset>,
    /// How far the ring has synced.
    pub synced: Option<DateTime<Utc>>,
    /// The days that have a sleep score.
    pub scored: Arc<BTreeSet<NaiveDate>>,
    /// The first day of which there is a document.
    pub first_day: Option<NaiveDate>,
}

impl Known {
    /// Adds what a document tells that was read at `now`; what it says of the future does not count.
    pub fn add(&mut self, evidence: &Evidence, now: DateTime<Utc>) {
        if let Some(seen) = evidence.zone.filter(|seen| seen.at <= now)
            && self.zone.is_none_or(|known| known.at <= seen.at)
        {
            self.zone = Some(seen);
        }
        self.synced = self.synced.max(evidence.synced.filter(|synced| *synced <= now));
        if let Some(day) = evidence.scored.filter(|day| !self.scored.contains(day)) {
            Arc::make_mut(&mut self.scored).insert(day);
        }
    }

    /// Adds a day of which there is a document.
    pub fn add_day(&mut self, day: NaiveDate) {
        self.first_day = Some(self.first_day.map_or(day, |first| first.min(day)));
    }

    /// Adds all that another wearer's reading, of the same wearer, has found.
    pub fn merge(&mut self, other: &Self) {
        self.add(&Evidence { zone: other.zone, synced: other.synced, scored: None }, DateTime::<Utc>::MAX_UTC);
        if !other.scored.is_subset(&self.scored) {
            Arc::make_mut(&mut self.scored).extend(other.scored.iter());
        }
        if let Some(day) = other.first_day {
            self.add_day(day);
        }
    }

    /// Now, for a wearer of whom this is known.
    pub fn moment(&self, now: DateTime<Utc>) -> Moment {
        let zone = self.zone.map_or_else(|| Utc.fix(), |seen| seen.zone);
        let (synced, scored) = (self.synced, Arc::clone(&self.scored));
        Moment { synced, scored, first_day: self.first_day, ..Moment::new(now, zone) }
    }
}
