//! The text of a journal: a first line that names it, and one for each telling; and what can be recalled of such a text.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, Write},
    ops::Range,
    sync::Arc,
};

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::{
    Place, Record, Series, SeriesPoints, Telling, known_label, known_metric, record::HIGHEST_NUMBER, whose::Whose,
};
use crate::{
    auth::SignedIn,
    documents,
    observation::{ACCOUNT_LABEL, LabelValue},
};

/// The version of the file that this build writes; it reads no other one.
const VERSION: u32 = 1;
/// The times of which a document can tell, in milliseconds: the years 2010 to 2099.
const TOLD: Range<i64> = 1_262_304_000_000..4_102_444_800_000;
/// The times that a clock can show, be it wrong: the years 1970 to 2099.
const SHOWN: Range<i64> = 0..TOLD.end;
/// So many samples are in memory at a time when it is written.
const AT_A_TIME: usize = 1_000;

/// The first line.
#[derive(Deserialize, Serialize)]
struct Header {
    version: u32,
    /// Tells this journal from one that was set aside, for whoever notes how far they have read.
    id: String,
    born: DateTime<Utc>,
    /// The sign-in with which it was begun; none: a token by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signed_in: Option<SignedIn>,
}

/// Every other line.
#[derive(Deserialize, Serialize)]
pub(super) struct Line {
    number: u64,
    learnt: DateTime<Utc>,
    collection: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    day: Option<NaiveDate>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start: Option<DateTime<Utc>>,
    pub(super) told: Vec<LineSeries>,
}

/// The points of a series: the first time in milliseconds since 1970, then how much later each next one is.
#[derive(Deserialize, Serialize)]
pub(super) struct LineSeries {
    name: String,
    pub(super) labels: BTreeMap<String, String>,
    times: Vec<i64>,
    values: Vec<f64>,
}

/// What a journal tells.
pub(super) struct Recalled {
    /// Its identity; none if there was nothing in it, or not all of it could be used: how far somebody has read says
    /// nothing then.
    pub(super) id: Option<String>,
    /// Since when it has been kept.
    pub(super) born: DateTime<Utc>,
    pub(super) record: Record,
    /// What is wrong with it, if not all of it could be used.
    pub(super) damage: Option<&'static str>,
    /// The sign-in that it was last written with.
    pub(super) signed_in: Option<SignedIn>,
}

impl Recalled {
    /// Of a text that tells nothing.
    pub(super) fn nothing(account: &str, now: DateTime<Utc>, damage: Option<&'static str>) -> Self {
        Self { id: None, born: now, record: Record::new(account, now), damage, signed_in: None }
    }
}

/// Whether a text is of an earlier sign-in than that of those, which may be another person's.
///
/// # Errors
/// Where it cannot be read.
pub(super) fn is_anothers(mut file: impl BufRead, whose: &Whose) -> io::Result<bool> {
    Ok(header(&mut file)?.is_some_and(|header| !whose.has(header.signed_in.as_ref())))
}

/// Recalls what a text tells, line by line. What the clock shows decides of no line: it may be wrong.
///
/// # Errors
/// Where it cannot be read.
pub(super) fn recalled(mut file: impl BufRead, account: &str, now: DateTime<Utc>) -> io::Result<Recalled> {
    if file.fill_buf()?.is_empty() {
        return Ok(Recalled::nothing(account, now, None));
    }
    let mut text = Vec::new();
    let Some(header) = header(&mut file)? else {
        let damage = "is damaged, or another version wrote it: the record is sent again";
        return Ok(Recalled::nothing(account, now, Some(damage)));
    };
    let born = if SHOWN.contains(&header.born.timestamp_millis()) { header.born } else { now };
    let mut record = Record::new(account, born.min(now));
    let mut is_whole = true;
    loop {
        text.clear();
        if file.read_until(b'\n', &mut text)? == 0 {
            break;
        }
        let line = serde_json::from_slice::<Line>(&text).ok().filter(|_| text.ends_with(b"\n"));
        let is_next = |telling: &Telling| telling.number >= record.numbers().end;
        match line.and_then(telling).filter(|telling| is_sound(telling, account) && is_next(telling)) {
            Some(telling) => record.recall(&telling),
            None => is_whole = false,
        }
    }
    let mut damage = (!is_whole).then_some("is cut short or damaged in part: part of the record is sent again");
    if record.renumber() {
        damage = damage.or(Some("has a line with a number that is too high: its lines are numbered again"));
    }
    let id = Some(header.id).filter(|_| damage.is_none());
    Ok(Recalled { id, born, record, damage, signed_in: header.signed_in })
}

/// The first line; none if it is damaged, or another version wrote it.
fn header(file: &mut impl BufRead) -> io::Result<Option<Header>> {
    let mut text = Vec::new();
    file.read_until(b'\n', &mut text)?;
    let header = serde_json::from_slice::<Header>(&text).ok().filter(|_| text.ends_with(b"\n"));
    Ok(header.filter(|header| header.version == VERSION))
}

/// Writes all that the record remembers, as the journal of that identity and of those.
///
/// # Errors
/// Where `out` takes no more.
pub(super) fn write(
    out: &mut impl Write,
    id: &str,
    born: DateTime<Utc>,
    whose: &Whose,
    record: &Record,
) -> io::Result<()> {
    let header = Header { version: VERSION, id: id.to_owned(), born, signed_in: whose.sign_in().cloned() };
    serde_json::to_writer(&mut *out, &header)?;
    out.write_all(b"\n")?;
    let mut next = 0;
    loop {
        let some = record.tellings_since(next, AT_A_TIME);
        let Some(last) = some.last() else { return Ok(()) };
        next = last.number + 1;
        some.iter().try_for_each(|telling| write_line(out, telling))?;
    }
}

/// Writes the line of a telling.
///
/// # Errors
/// Likewise.
pub(super) fn write_line(out: &mut impl Write, telling: &Telling) -> io::Result<()> {
    serde_json::to_writer(&mut *out, &line(telling))?;
    out.write_all(b"\n")
}

/// Whether an exporter of `account` can have told it, by whatever clock.
fn is_sound(telling: &Telling, account: &str) -> bool {
    let own = (ACCOUNT_LABEL, LabelValue::from(account.to_owned()));
    let can_be_told = |(series, points): &SeriesPoints| {
        series.labels.contains(&own) && points.iter().all(|(time, _)| TOLD.contains(time))
    };
    SHOWN.contains(&telling.learnt.timestamp_millis())
        && telling.number < HIGHEST_NUMBER
        && telling.place.is_none_or(|place| TOLD.contains(&place.begin()))
        && telling.told.iter().all(can_be_told)
}

fn line(telling: &Telling) -> Line {
    let (day, start) = match telling.place {
        Some(Place::Day(day)) => (Some(day), None),
        Some(Place::Event(start)) => (None, Some(start)),
        None => (None, None),
    };
    let told = telling.told.iter().map(|(series, points)| {
        let before = [0].into_iter().chain(points.iter().map(|(time, _)| *time));
        let labels = series.labels.iter().map(|(name, value)| ((*name).to_owned(), value.to_string()));
        LineSeries {
            name: series.name.to_owned(),
            labels: labels.collect(),
            times: points.iter().zip(before).map(|((time, _), before)| time - before).collect(),
            values: points.iter().map(|(_, value)| *value).collect(),
        }
    });
    let (number, learnt, collection) = (telling.number, telling.learnt, telling.collection.to_owned());
    Line { number, learnt, collection, day, start, told: told.collect() }
}

/// What a line tells; none if it is damaged or of a collection that there is no more.
fn telling(line: Line) -> Option<Telling> {
    let collection = documents::kind(&line.collection)?.name;
    let place = line.day.map(Place::Day).or(line.start.map(Place::Event));
    let told = line.told.into_iter().map(points).collect::<Option<Vec<_>>>()?;
    Some(Telling { number: line.number, learnt: line.learnt, collection, place, told })
}

fn points(line: LineSeries) -> Option<SeriesPoints> {
    let labels = line.labels.into_iter().map(|(name, value)| Some((known_label(&name)?, value.into())));
    let series = Series { name: known_metric(&line.name)?, labels: labels.collect::<Option<_>>()? };
    let add = |sum: &mut i64, step: i64| {
        *sum = sum.checked_add(step)?;
        Some(*sum)
    };
    let times: Vec<_> = line.times.iter().copied().scan(0, add).collect();
    let fits = times.len() == line.times.len() && times.len() == line.values.len();
    fits.then(|| (Arc::new(series), times.into_iter().zip(line.values).collect()))
}
