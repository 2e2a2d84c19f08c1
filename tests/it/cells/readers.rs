//! Who reads boards, from where, when, and over which time.

use chrono::{NaiveDate, NaiveDateTime};

use super::{
    asking::Reading,
    grafana::{Look, READERS, Span, UTC, Zone},
};

fn at(text: &str) -> NaiveDateTime {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A look at this time by the reader's clock.
fn look(reader: Zone, now: &str, span: Span, width: i64) -> Look {
    Look { zone: UTC, now: reader.moment(at(now)), span, width }
}

fn between(from: &str, to: &str) -> Span {
    Span::Absolute(at(from), at(to))
}

/// In the morning, before and after midnight, on days around which clocks change, by the wall and by the calendar; the
/// last at a midnight of UTC, which is a border of all windows.
fn looks(reader: Zone) -> Vec<Look> {
    let look = |now, span, width| look(reader, now, span, width);
    let midnight = Span::Relative("now-10d", "now");
    let midnight = Look { now: at("2026-06-01T00:00:00").and_utc(), ..look("2026-06-01T00:00:00", midnight, 1_000) };
    vec![
        look("2026-10-09T07:30:00", Span::Relative("now-1y", "now"), 1_900),
        look("2025-11-20T23:45:12.345", Span::Relative("now-30d", "now"), 390),
        look("2026-04-12T00:15:00", Span::Relative("now-45d/d", "now/d"), 1_000),
        look("2026-07-02T12:00:00", between("2025-10-25T00:00:00", "2025-11-03T23:59:59"), 1_000),
        look("2026-07-02T12:00:00", between("2026-03-05T13:37:00", "2026-04-03T09:12:00"), 700),
        look("2026-05-05T06:58:41", Span::Relative("now-1M/M", "now-1M/M"), 1_000),
        look("2026-03-29T09:00:00", Span::Relative("now-1d/d", "now-1d/d"), 1_000),
        midnight,
    ]
}

/// Readers all around the world; some look at one wearer or at two, as the boards' rows do.
pub(crate) fn readings() -> Vec<Reading> {
    let chosen: [&[&str]; 6] = [&[], &["bob"], &[], &["alice", "carol"], &["carol"], &[]];
    let all = READERS.into_iter().zip(chosen);
    let mut all: Vec<_> = all.map(|(reader, accounts)| Reading { reader, looks: looks(reader), accounts }).collect();
    // Ten years on a telephone: a point a week.
    let reader = all[3].reader;
    all[3].looks.push(look(reader, "2026-10-09T20:00:00", Span::Relative("now-10y", "now"), 390));
    all
}

/// One who reads a month, for what need not be read by everybody.
pub(crate) fn a_month(last: NaiveDate, reader: Zone) -> Reading {
    let now = last.and_hms_opt(12, 0, 0).expect("noon").and_utc();
    let looks = vec![Look { zone: UTC, now, span: Span::Relative("now-30d", "now"), width: 1_000 }];
    Reading { reader, looks, accounts: &[] }
}

/// One who reads a year that ends with this day.
pub(crate) fn a_year(last: NaiveDate) -> Reading {
    let now = last.and_hms_opt(12, 0, 0).expect("noon").and_utc();
    let looks = vec![Look { zone: UTC, now, span: Span::Relative("now-365d", "now"), width: 1_000 }];
    Reading { reader: UTC, looks, accounts: &[] }
}
