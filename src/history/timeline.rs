//! A stretch of history: what documents say, as points on the page's own series.

use std::{cmp::Reverse, collections::BTreeMap, time::Duration};

use chrono::{DateTime, NaiveTime, Offset as _, TimeDelta, Utc};
use serde_json::value::RawValue;

use super::{
    holds::{Hold, Mornings, appeared, holds},
    series::{Lines, Points, Shown, Target, add_run, series_of},
    zones::Zones,
};
use crate::{
    documents::{Appears, Days, Kind, Past, PastView},
    latest::DOCUMENT_DAY,
    observation::{Moment, Observation},
};

/// The collection whose documents tell when the days' nights were over.
const NIGHTS: &str = "sleep";
/// Where a value is written once only, its time is on this grid, in milliseconds, as those written more often are.
const ONCE_GRID: i64 = 300_000;

/// How often a value is written while it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cadence {
    /// At every multiple of this.
    Every(Duration),
    /// When it first showed.
    Once,
}

impl Cadence {
    /// In words that tell one from another.
    pub(super) fn words(self) -> String {
        format!("{self:?}")
    }

    /// The times at which a value is written that held so long; none if none falls within.
    fn shown(self, hold: Hold, value: f64) -> Option<Shown> {
        let step = match self {
            Self::Every(step) => i64::try_from(step.as_millis()).ok()?.max(1),
            Self::Once => ONCE_GRID,
        };
        let from = hold.from.timestamp_millis();
        let first = from.div_euclid(step) * step + if from.rem_euclid(step) > 0 { step } else { 0 };
        let until = hold.until.timestamp_millis();
        let until = if self == Self::Once { until.min(first + 1) } else { until };
        (first < until).then_some(Shown { first, until, step, value })
    }
}

/// The answers of one account, by collection, as they cover some days.
pub(super) type Answers = Vec<(&'static Kind, Vec<Box<RawValue>>)>;

/// What is made of answers.
pub(super) struct Plan<'a> {
    /// The collections that are told; others tell only when the nights were over.
    pub(super) kinds: &'a [&'static Kind],
    /// Now; what a moment in the future says is not told.
    pub(super) now: DateTime<Utc>,
    /// The days that are told: from the first one's beginning on, and no document of a later day than the last.
    pub(super) days: Days,
    /// The days that the answers cover.
    pub(super) covered: Days,
    /// From when until when points are written.
    pub(super) within: (DateTime<Utc>, DateTime<Utc>),
    pub(super) cadence: Cadence,
    pub(super) target: &'a Target,
}

/// What the answers came to.
#[derive(Default)]
pub(super) struct Told {
    pub(super) lines: Lines,
    pub(super) documents: usize,
    /// How many documents could not be read, by collection, and a field that was the reason.
    pub(super) unreadable: BTreeMap<&'static str, (usize, String)>,
}

impl Plan<'_> {
    /// The lines of `account`.
    pub(super) fn tell(&self, account: &str, answers: &Answers) -> Told {
        let mut told =
            Told { documents: answers.iter().map(|(_, documents)| documents.len()).sum(), ..Told::default() };
        let moment = Moment { now: self.now, zone: Utc.fix() };
        let past = |(kind, documents): &(&'static Kind, Vec<_>)| (*kind, kind.past(documents, &moment, self.covered));
        let pasts: Vec<(&'static Kind, Past)> = answers.iter().map(past).collect();
        let zones = Zones::new(pasts.iter().flat_map(|(_, past)| past.sightings.iter().copied()).collect());
        let mornings = mornings(&pasts);
        let (begins, ends) = self.stretch(&zones);
        let stretch = (begins.timestamp_millis(), ends.timestamp_millis());
        for (kind, past) in pasts {
            if !past.unreadable.is_empty() {
                told.unreadable.insert(kind.name, (past.unreadable.count, past.unreadable.field));
            }
            if !self.tells(kind) {
                continue;
            }
            let appeared = |view: &PastView| appeared(view, kind.appears, &mornings, &zones);
            for (hold, view) in self.held(past.views, appeared) {
                self.add_view(&mut told.lines, account, kind, &view, hold, stretch);
            }
        }
        let samples_end = stretch.1.min(zones.midnight(self.days.1 + TimeDelta::days(1)).timestamp_millis());
        for (kind, documents) in answers.iter().filter(|(kind, _)| self.tells(kind)) {
            kind.samples(documents, |run| {
                add_run(&mut told.lines, account, run, |time| stretch.0 <= time && time < samples_end);
            });
        }
        told.lines = std::mem::take(&mut told.lines)
            .into_iter()
            .map(|(series, points)| (series.scraped_from(self.target), points))
            .collect();
        told
    }

    fn tells(&self, kind: &Kind) -> bool {
        self.kinds.iter().any(|told| told.name == kind.name)
    }

    /// From when until when points are written, for a wearer who lived in these zones.
    fn stretch(&self, zones: &Zones) -> (DateTime<Utc>, DateTime<Utc>) {
        (zones.midnight(self.days.0).max(self.within.0), self.within.1.min(self.now))
    }

    /// The views that are told, each with how long it was shown.
    fn held(
        &self,
        views: Vec<PastView>,
        appeared: impl Fn(&PastView) -> Option<DateTime<Utc>>,
    ) -> impl Iterator<Item = (Hold, PastView)> {
        let dated = views.into_iter().filter_map(|view| Some((appeared(&view)?, view)));
        let mut dated: Vec<_> = dated.filter(|(from, _)| *from <= self.now).collect();
        dated.sort_by_key(|(_, view)| view.day);
        let holds = holds(&dated.iter().map(|(from, _)| *from).collect::<Vec<_>>());
        let last = self.days.1;
        let held = holds.into_iter().zip(dated).filter_map(|(hold, (_, view))| Some((hold?, view)));
        held.filter(move |(_, view)| view.day <= last)
    }

    fn add_view(
        &self,
        lines: &mut Lines,
        account: &str,
        kind: &'static Kind,
        view: &PastView,
        hold: Hold,
        (begins, ends): (i64, i64),
    ) {
        let day = Observation {
            name: DOCUMENT_DAY,
            labels: vec![("collection", kind.name.into())],
            value: view.day.and_time(NaiveTime::MIN).and_utc().timestamp() as f64,
        };
        for observation in view.observations.iter().chain([&day]) {
            let shown = self.cadence.shown(hold, observation.value).and_then(|shown| shown.between(begins, ends));
            let Some(shown) = shown else { continue };
            let line = lines.entry(series_of(account, observation));
            if let Points::Shown(all) = line.or_insert_with(|| Points::Shown(vec![])) {
                all.push(shown);
            }
        }
    }
}

/// When each day's night was over.
fn mornings(pasts: &[(&'static Kind, Past)]) -> Mornings {
    let nights = pasts.iter().filter(|(kind, _)| kind.name == NIGHTS).flat_map(|(_, past)| &past.views);
    nights.filter_map(|view| Some((view.day, view.ended?))).collect()
}

/// The collections that have a history, the nights first.
pub(super) fn with_history(kinds: &[&'static Kind]) -> Vec<&'static Kind> {
    let mut kinds: Vec<_> = crate::documents::kind(NIGHTS).into_iter().chain(kinds.iter().copied()).collect();
    kinds.retain(|kind| kind.appears != Appears::Never || kind.has_samples());
    kinds.sort_by_key(|kind| (Reverse(kind.name == NIGHTS), kind.name));
    kinds.dedup_by_key(|kind| kind.name);
    kinds
}
