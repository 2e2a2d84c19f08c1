//! `heartrate`: the newest sample and the 24 hours up to it.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

use super::{
    Dated, Document, Pace, Query, Sampled,
    times::Time,
    values::{at, heart_rate, states},
};
use crate::{
    metric::{Metric, SampleMetric, help, label},
    observation::{CLOCK_TOLERANCE, Date, Evidence, Moment},
};

/// How long a sample speaks for at most: Oura samples every five minutes at rest and every five seconds in a workout.
const LONGEST_STEP: TimeDelta = TimeDelta::minutes(5);

states! {
    /// What the wearer did when the sample was taken.
    Source {
        Awake = "awake",
        Workout = "workout",
        Rest = "rest",
        Sleep = "sleep",
        Live = "live",
        Session = "session",
    }
}

/// A sample of the heart rate.
#[derive(Debug, Deserialize)]
pub(super) struct HeartRate {
    timestamp: Time,
    bpm: Option<f64>,
    source: Option<Source>,
}

/// The samples of the 24 hours up to the newest, oldest first; never empty.
pub(super) struct LastDay {
    samples: Vec<(DateTime<Utc>, f64)>,
    source: Option<Source>,
}

impl LastDay {
    fn of(documents: Vec<HeartRate>, now: DateTime<Utc>) -> Option<Self> {
        let latest = now + CLOCK_TOLERANCE;
        let mut rows: Vec<_> = documents.into_iter().filter(|row| row.timestamp.to_utc() <= latest).collect();
        rows.retain(|row| heart_rate(row.bpm).is_some());
        rows.sort_by_key(|row| row.timestamp);
        let newest = rows.last()?;
        let (source, since) = (newest.source, newest.timestamp.to_utc() - TimeDelta::days(1));
        let samples = rows.iter().filter_map(|row| Some((row.timestamp.to_utc(), row.bpm?)));
        let samples = samples.filter(|(time, _)| *time > since);
        Some(Self { samples: samples.collect(), source })
    }

    fn newest(&self) -> Option<(DateTime<Utc>, f64)> {
        self.samples.last().copied()
    }

    fn bpm(&self) -> impl Iterator<Item = f64> {
        self.samples.iter().map(|(_, bpm)| *bpm)
    }

    /// The average over time: a sample speaks until the next one, and for five minutes at most, so that the hundreds of
    /// samples of a workout do not outweigh the hours of rest.
    fn average(&self) -> Option<f64> {
        let ends = self.samples.iter().skip(1).map(|(time, _)| *time);
        let last = self.newest()?.0 + LONGEST_STEP;
        let steps = self.samples.iter().zip(ends.chain([last]));
        let (sum, time) = steps.fold((0.0, 0.0), |(sum, time), ((start, bpm), end)| {
            let step = (end - start).min(LONGEST_STEP).as_seconds_f64();
            (sum + bpm * step, time + step)
        });
        Some(sum / time)
    }
}

impl Document for HeartRate {
    type View = LastDay;
    const NAME: &'static str = "heartrate";
    const SCOPE: &'static str = "heartrate";
    const QUERY: Query = Query::LastDay;
    const PACE: Pace = Pace::Poll;
    const KEEP_DAYS: Option<i64> = Some(2);
    const REACH_DAYS: i64 = 0;
    const SELECTS_FIELDS: bool = true;
    const METRICS: &'static [Metric<LastDay>] = &[
        help("Newest heart rate, from heartrate.bpm.")
            .page_only()
            .gauge("oura_heart_rate_bpm", |d| d.newest().map(|(_, bpm)| bpm)),
        help("When the newest heart rate was taken, from heartrate.timestamp.")
            .page_only()
            .gauge("oura_heart_rate_timestamp_seconds", |d| d.newest().map(|(time, _)| time.timestamp() as f64)),
        help("What the wearer did then, 1 for the one that applies, from heartrate.source.").page_only().states(
            "oura_heart_rate_source",
            "source",
            Source::WORDS,
            |d| d.source.map(Source::word),
        ),
        help("Lowest heart rate of the 24 hours up to the newest sample, from heartrate.bpm.")
            .page_only()
            .gauge("oura_heart_rate_day_minimum_bpm", |d| d.bpm().reduce(f64::min)),
        help("Heart rate of those 24 hours on average over time, from heartrate.bpm.")
            .page_only()
            .gauge("oura_heart_rate_day_average_bpm", LastDay::average),
        help("Highest heart rate of those 24 hours, from heartrate.bpm.")
            .page_only()
            .gauge("oura_heart_rate_day_maximum_bpm", |d| d.bpm().reduce(f64::max)),
    ];

    fn views(documents: Vec<Self>, moment: &Moment) -> Vec<Dated<LastDay>> {
        let view = LastDay::of(documents, moment.now);
        let dated = |view: LastDay| Some(Dated { date: Date::Instant(view.newest()?.0), view });
        view.and_then(dated).into_iter().collect()
    }

    fn evidence(&self) -> Evidence {
        Evidence { synced: Some(self.timestamp.to_utc()), ..Evidence::default() }
    }
}

impl Sampled for HeartRate {
    const SAMPLES: &'static [SampleMetric<Self>] = &[help(
        "Heart rate at the sample's own time, from heartrate.bpm and source.",
    )
    .samples("oura_sample_heart_rate_bpm", &[label("source", Source::WORDS)], |d, _| {
        (vec![d.source.map_or("", Source::word).into()], at(Some(d.timestamp), heart_rate(d.bpm)))
    })];

    /// A row does not grow.
    fn due(&self, _: &Moment) -> Option<i32> {
        Some(0)
    }
}
