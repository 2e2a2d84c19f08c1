//! The rows of a time series that are kept between polls, so that a poll asks only for what is new.

use std::{
    collections::BTreeMap,
    io::{self, Read as _},
};

use chrono::{DateTime, TimeDelta, Utc};
use flate2::{Compression, read::DeflateDecoder, write::DeflateEncoder};
use serde::{Deserialize, Serializer as _};
use serde_json::value::RawValue;

use crate::{documents::Time, observation::CLOCK_TOLERANCE};

/// How far back of its newest sample a series is read whole, and kept.
pub(super) const KEPT: TimeDelta = TimeDelta::hours(24);
/// How far back of the newest sample is asked again: rows of the last sync may come in any order.
pub(super) const OVERLAP: TimeDelta = TimeDelta::hours(1);
/// How often the series is read whole, for rows that came later than the overlap.
pub(super) const WHOLE_EVERY: TimeDelta = TimeDelta::hours(1);

/// How many rows are kept, and how many bytes of them; of more, the newest. A sample every five seconds for a week is below.
const MOST_ROWS: usize = 125_000;
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// A time series as it is kept: all day long it lies packed, as there is one of each account and a day has a thousand rows.
#[derive(Debug, Default)]
pub(super) struct TimedRows {
    packed: Packed,
    newest: Option<DateTime<Utc>>,
    /// When it was last read whole.
    whole: DateTime<Utc>,
}

/// Rows by time and source: what two sources say of one second are two rows.
type Rows = BTreeMap<(DateTime<Utc>, Option<String>), Box<RawValue>>;

/// Rows as one deflated list of JSON, each to the letter as it came: a tenth of their text, which itself is less than half of a map's.
#[derive(Debug, Default)]
struct Packed {
    deflated: Box<[u8]>,
    /// How many bytes that is when it is unpacked.
    bytes: usize,
}

#[derive(Deserialize)]
struct Stamp<'a> {
    timestamp: Time,
    #[serde(borrow, default)]
    source: Option<&'a RawValue>,
}

fn stamp(row: &RawValue) -> Option<(DateTime<Utc>, Option<String>)> {
    let Stamp { timestamp, source } = serde_json::from_str(row.get()).ok()?;
    Some((timestamp.to_utc(), source.map(|source| source.get().to_owned())))
}

/// When a row was taken, if it says so, and of a year in which it can have been.
pub(super) fn time(row: &RawValue) -> Option<DateTime<Utc>> {
    stamp(row).map(|(time, _)| time)
}

/// The rows of a time series that is not kept, by the same rule: of two of one time and source, the last.
pub(super) fn distinct(rows: Vec<Box<RawValue>>) -> Vec<Box<RawValue>> {
    let (mut dated, mut timeless) = (BTreeMap::new(), vec![]);
    for row in rows {
        match stamp(&row) {
            Some(stamp) => drop(dated.insert(stamp, row)),
            None => timeless.push(row),
        }
    }
    dated.into_values().chain(timeless).collect()
}

impl TimedRows {
    /// Its newest sample.
    pub(super) fn newest(&self) -> Option<DateTime<Utc>> {
        self.newest
    }

    /// Its newest sample, unless it is time to read it whole again.
    pub(super) fn continues_from(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        // Of a clock that was ahead, the last time lies in the future.
        self.newest.filter(|_| (now - self.whole).abs() < WHOLE_EVERY)
    }

    /// Keeps no rows until it is read whole the next time.
    pub(super) fn forget_rows(&mut self) {
        (self.packed, self.whole) = (Packed::default(), DateTime::default());
    }

    /// The bytes of its rows.
    pub(super) const fn bytes(&self) -> usize {
        self.packed.bytes
    }

    /// Adds rows, and gives all of them: what is known, what is new, and what says no time, as somebody has to count it.
    pub(super) fn add(&mut self, new: Vec<Box<RawValue>>, now: DateTime<Utc>) -> Vec<Box<RawValue>> {
        let known = self.packed.unpack();
        self.keep(known, new, now)
    }

    /// The same, where `new` is all there is from `start` on: what was known of that is forgotten, or all of it where there is
    /// no start.
    pub(super) fn add_whole(
        &mut self,
        start: Option<DateTime<Utc>>,
        new: Vec<Box<RawValue>>,
        now: DateTime<Utc>,
    ) -> Vec<Box<RawValue>> {
        self.whole = now;
        let mut known = self.packed.unpack();
        match start {
            Some(start) => drop(known.split_off(&(start, None))),
            None => known.clear(),
        }
        self.keep(known, new, now)
    }

    /// Of two rows of one time and source the new one is kept, and one from the future is no sample. What is too old to be
    /// kept is given once: somebody has to see it.
    fn keep(&mut self, mut rows: Rows, new: Vec<Box<RawValue>>, now: DateTime<Utc>) -> Vec<Box<RawValue>> {
        let mut timeless = vec![];
        for row in new {
            match stamp(&row) {
                Some((time, _)) if time > now + CLOCK_TOLERANCE => {}
                Some(stamp) => drop(rows.insert(stamp, row)),
                None => timeless.push(row),
            }
        }
        let mut bytes: usize = rows.values().map(|row| row.get().len()).sum();
        while rows.len() > MOST_ROWS || bytes > MOST_BYTES {
            bytes -= rows.pop_first().map_or(0, |(_, row)| row.get().len());
        }
        self.newest = rows.keys().next_back().map(|(time, _)| *time);
        let start = self.newest.map_or(DateTime::<Utc>::MIN_UTC, |newest| newest - KEPT);
        match Packed::of(rows.range((start, None)..).map(|(_, row)| &**row)) {
            Ok(packed) => self.packed = packed,
            // Writing to memory does not fail; if it did, the series would be read whole again.
            Err(_) => *self = Self::default(),
        }
        rows.into_values().chain(timeless).collect()
    }
}

impl Packed {
    fn of<'a>(rows: impl Iterator<Item = &'a RawValue>) -> io::Result<Self> {
        let mut deflate = DeflateEncoder::new(vec![], Compression::default());
        serde_json::Serializer::new(&mut deflate).collect_seq(rows)?;
        deflate.try_finish()?;
        let bytes = deflate.total_in() as usize;
        Ok(Self { deflated: deflate.finish()?.into_boxed_slice(), bytes })
    }

    fn unpack(&self) -> Rows {
        let mut text = Vec::with_capacity(self.bytes);
        let read = DeflateDecoder::new(&*self.deflated).read_to_end(&mut text).ok();
        let rows: Option<Vec<Box<RawValue>>> = read.and_then(|_| serde_json::from_slice(&text).ok());
        rows.into_iter().flatten().filter_map(|row| Some((stamp(&row)?, row))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poll::account::size;

    fn row(time: DateTime<Utc>, bpm: u32) -> Box<RawValue> {
        RawValue::from_string(format!(r#"{{"timestamp":"{}","bpm":{bpm}}}"#, time.to_rfc3339())).unwrap()
    }

    fn endings(rows: Vec<Box<RawValue>>) -> Vec<String> {
        rows.iter().map(|row| row.get().rsplit('"').next().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn keeps_a_day_replaces_what_came_again_and_is_read_whole_each_hour() {
        let now = Utc::now();
        let mut series = TimedRows::default();
        series.add_whole(None, vec![row(now - TimeDelta::hours(20), 50), row(now, 60)], now);
        let odd = RawValue::from_string(r#"{"bpm":1}"#.to_owned()).unwrap();
        let (later, never) = (now + TimeDelta::hours(5), now + TimeDelta::days(900));
        let all = series.add(vec![row(now, 61), row(later, 70), row(never, 99), odd], later);
        assert_eq!(endings(all), [":50}", ":61}", ":70}", ":1}"], "what was there is seen once more");
        assert_eq!(endings(series.add(vec![], later)), [":61}", ":70}"]);
        assert_eq!(series.continues_from(now + TimeDelta::minutes(59)), Some(later));
        assert_eq!(series.continues_from(now + TimeDelta::hours(1)), None);
        assert_eq!(series.continues_from(now - TimeDelta::days(2)), None, "the clock was ahead");
        let all = series.add_whole(Some(later), vec![row(later + TimeDelta::minutes(1), 80)], later);
        assert_eq!(endings(all), [":61}", ":80}"], "what is read whole takes the place of what was known of that time");
        assert_eq!(endings(series.add_whole(None, vec![], later)), Vec::<String>::new());
        assert_eq!(series.newest(), None);
    }

    #[test]
    fn what_is_read_whole_each_time_says_the_same_where_no_rows_are_kept() {
        let begin = Utc::now();
        for hours in [1, 7, 30] {
            let (mut kept, mut forgotten) = (TimedRows::default(), TimedRows::default());
            for turn in 0..6 {
                let now = begin + TimeDelta::hours(turn * hours);
                let known = kept.newest().map(|newest| newest - OVERLAP);
                let start = known.map_or(now - KEPT, |known| known.min(now - KEPT));
                let minutes = (0..(now - start).num_minutes()).map(|minute| start + TimeDelta::minutes(minute));
                let rows: Vec<_> = minutes.map(|time| row(time, 50 + turn as u32)).collect();
                let day = |rows: Vec<Box<RawValue>>| {
                    rows.iter().filter(|row| time(row) > Some(now - KEPT)).map(|row| row.get().to_owned()).collect()
                };
                let days: [Vec<_>; 2] =
                    [&mut kept, &mut forgotten].map(|series| day(series.add_whole(Some(start), rows.clone(), now)));
                assert_eq!(days[0], days[1], "every {hours} h, turn {turn}");
                assert_eq!(forgotten.newest(), kept.newest());
                forgotten.forget_rows();
                assert_eq!((forgotten.bytes(), forgotten.continues_from(now)), (0, None), "it is read whole next time");
            }
        }
    }

    #[test]
    fn rows_are_kept_to_the_letter() {
        let odd = [
            r#"{ "bpm" : null,  "timestamp":"2026-01-02T03:04:05+05:30", "source":"\u00e9, \"]" }"#,
            r#"{"timestamp":"2026-01-02T03:04:05Z","bpm":61.50,"source":null,"more":[1,{"a":"]\n"}]}"#,
            r#"{"source":"rest","timestamp":"2026-01-02T03:04:05Z","bpm":1e400}"#,
        ];
        let rows = odd.map(|row| RawValue::from_string(row.to_owned()).unwrap());
        let mut series = TimedRows::default();
        let first = series.add(rows.to_vec(), Utc::now());
        let again = series.add(vec![], Utc::now());
        let texts = |rows: &[Box<RawValue>]| rows.iter().map(|row| row.get().to_owned()).collect::<Vec<_>>();
        assert_eq!(texts(&again), texts(&first));
        assert_eq!(texts(&again), odd, "by time, then by source");
    }

    #[test]
    fn a_days_rows_take_less_than_a_seventh_of_their_text() {
        let now = Utc::now();
        for step in [5, 60, 300] {
            let times = (0..24 * 3600 / step).map(|turn| now - TimeDelta::seconds(turn * step));
            let rows: Vec<_> = times.map(|time| row(time, fastrand::u32(50..120))).collect();
            let mut series = TimedRows::default();
            let all = series.add(rows, now);
            assert_eq!(all.len() as i64, 24 * 3600 / step);
            let (kept, text) = (series.packed.deflated.len(), size(&all));
            assert!(kept * 7 < text, "{kept} of {text} bytes with a row every {step} s");
        }
    }
}
