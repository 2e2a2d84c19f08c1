//! `sleep`: the periods of sleep; which of them is the night, and what the rest of the day adds.

use std::cmp::Reverse;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use serde::Deserialize;

use super::{
    Dated, Document, Pace, Query,
    kind::each_day,
    times::{Day, Time},
    values::{MILLISECONDS_PER_SECOND, heart_rate, ratio, timestamp},
};
use crate::{
    metric::{Metric, SampleMetric, flag, help},
    observation::{Evidence, Moment, is_measured},
};

/// What Oura wrote as lowest heart rate where it had none; since 2026 it writes 0 or null.
const NO_HEART_RATE: f64 = 255.0;

/// What a period of sleep counts as. One that this build does not know, or none, makes the record unreadable, so that it
/// is counted and logged: it may be a night.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Type {
    LongSleep,
    Sleep,
    LateNap,
    Rest,
    Deleted,
}

/// A period of sleep; one that is still under way has no end.
#[derive(Debug, Deserialize)]
pub(super) struct Sleep {
    day: Day,
    #[serde(rename = "type")]
    kind: Type,
    bedtime_start: Option<Time>,
    bedtime_end: Option<Time>,
    deep_sleep_duration: Option<f64>,
    light_sleep_duration: Option<f64>,
    rem_sleep_duration: Option<f64>,
    awake_time: Option<f64>,
    total_sleep_duration: Option<f64>,
    time_in_bed: Option<f64>,
    latency: Option<f64>,
    efficiency: Option<f64>,
    average_heart_rate: Option<f64>,
    lowest_heart_rate: Option<f64>,
    average_hrv: Option<f64>,
    average_breath: Option<f64>,
    restless_periods: Option<f64>,
    low_battery_alert: Option<bool>,
}

impl Sleep {
    fn ended(&self, now: DateTime<Utc>) -> bool {
        self.bedtime_end.is_some_and(|end| end.to_utc() <= now)
    }

    fn is_long(&self) -> bool {
        self.kind == Type::LongSleep
    }

    fn is_nap(&self) -> bool {
        matches!(self.kind, Type::Sleep | Type::LateNap)
    }

    /// Whether both tell of the same time.
    fn overlaps(&self, other: &Self) -> bool {
        let span = |period: &Self| period.bedtime_start.zip(period.bedtime_end);
        span(self).zip(span(other)).is_some_and(|(own, other)| own.0 < other.1 && other.0 < own.1)
    }

    /// The seconds from the beginning of the document's day to `time`, both by the clock that it was written by.
    fn offset(&self, time: Option<Time>) -> Option<f64> {
        let midnight = self.day.date().and_time(NaiveTime::MIN);
        time.map(|time| (time.by_the_clock() - midnight).as_seconds_f64())
    }

    /// A nap at its own time.
    fn nap(&self, now: DateTime<Utc>) -> Vec<(DateTime<Utc>, f64)> {
        let is_told = self.is_nap() && self.ended(now);
        let start = self.bedtime_start.map(|start| start.to_utc()).filter(|_| is_told);
        start.zip(self.total_sleep_duration).into_iter().collect()
    }

    /// Orders long periods: the one with the most sleep is the night, of equals the later.
    fn length(&self) -> (u64, Option<Time>) {
        let slept = self.total_sleep_duration.filter(|seconds| is_measured(*seconds)).unwrap_or_default();
        (slept.max(0.0) as u64, self.bedtime_end)
    }
}

/// The lowest heart rate, where there is one.
fn lowest_heart_rate(bpm: Option<f64>) -> Option<f64> {
    heart_rate(bpm).filter(|bpm| *bpm != NO_HEART_RATE)
}

/// A day of sleep: its night and what else was slept.
pub(super) struct SleepDay {
    night: Option<Sleep>,
    others: Vec<Sleep>,
    /// Whether the night will not grow any more.
    is_settled: bool,
}

impl SleepDay {
    /// The day as its finished periods tell it. Without a night it waits until the day is over, or has a sleep score: the
    /// night may only not have been synced yet.
    fn of(day: NaiveDate, periods: Vec<Sleep>, moment: &Moment) -> Option<Self> {
        let counts = |period: &Sleep| period.ended(moment.now) && (period.is_long() || period.is_nap());
        let mut others: Vec<_> = apart(periods.into_iter().filter(counts).collect());
        let night = (0..others.len()).filter(|i| others[*i].is_long()).max_by_key(|i| others[*i].length());
        let night = night.map(|i| others.swap_remove(i));
        let is_scored = moment.scored.contains(&day) && others.iter().any(|period| period.kind == Type::Sleep);
        let is_whole = (day < moment.today() && !others.is_empty()) || is_scored;
        let end = night.as_ref().and_then(|night| night.bedtime_end);
        let is_settled = end.is_some_and(|end| moment.is_settled(end.to_utc()));
        (night.is_some() || is_whole).then_some(Self { night, others, is_settled })
    }

    fn night(&self, value: impl Fn(&Sleep) -> Option<f64>) -> Option<f64> {
        self.night.as_ref().and_then(value)
    }

    fn settled(&self) -> Option<f64> {
        self.night(|_| flag(Some(self.is_settled)))
    }

    fn naps(&self) -> impl Iterator<Item = &Sleep> {
        self.others.iter().filter(|period| period.is_nap())
    }

    /// The seconds slept in all naps; none if one of them does not say.
    fn nap_seconds(&self) -> Option<f64> {
        slept(self.naps())
    }

    /// The seconds slept in all that counts; none if one period does not say.
    fn total_seconds(&self) -> Option<f64> {
        slept(self.night.iter().chain(&self.others))
    }
}

/// The periods without those that overlap a longer one: they tell of the same sleep once more.
fn apart(mut periods: Vec<Sleep>) -> Vec<Sleep> {
    periods.sort_by_key(|period| Reverse((period.is_long(), period.length())));
    let mut apart: Vec<Sleep> = Vec::with_capacity(periods.len());
    for period in periods {
        if !apart.iter().any(|longer| longer.overlaps(&period)) {
            apart.push(period);
        }
    }
    apart
}

/// The seconds slept in all of `periods`; none if one of them does not say. (An empty sum of floats would be -0.)
fn slept<'a>(mut periods: impl Iterator<Item = &'a Sleep>) -> Option<f64> {
    periods.try_fold(0.0, |sum, period| Some(sum + period.total_sleep_duration?))
}

impl Document for Sleep {
    type View = SleepDay;
    const NAME: &'static str = "sleep";
    const SCOPE: &'static str = "daily";
    const QUERY: Query = Query::Days { back: 2 };
    const PACE: Pace = Pace::Poll;
    const KEEP_DAYS: Option<i64> = Some(2);
    const REACH_DAYS: i64 = 0;
    const SELECTS_FIELDS: bool = true;
    const METRICS: &'static [Metric<SleepDay>] = &[
        help("Time of the night in each stage, from sleep.*_sleep_duration and sleep.awake_time.").parts(
            "oura_night_stage_seconds",
            "stage",
            &[
                ("deep", |d| d.night(|n| n.deep_sleep_duration)),
                ("light", |d| d.night(|n| n.light_sleep_duration)),
                ("rem", |d| d.night(|n| n.rem_sleep_duration)),
                ("awake", |d| d.night(|n| n.awake_time)),
            ],
        ),
        help("Time slept in the night, from sleep.total_sleep_duration.")
            .gauge("oura_night_total_sleep_seconds", |d| d.night(|n| n.total_sleep_duration)),
        help("Time in bed in the night, from sleep.time_in_bed.")
            .gauge("oura_night_time_in_bed_seconds", |d| d.night(|n| n.time_in_bed)),
        help("Time until the wearer fell asleep, from sleep.latency.")
            .gauge("oura_night_latency_seconds", |d| d.night(|n| n.latency)),
        help("Share of the time in bed that was slept, 0 to 1, from sleep.efficiency.")
            .gauge("oura_night_efficiency_ratio", |d| d.night(|n| ratio(n.efficiency))),
        help("Heart rate of the night on average, from sleep.average_heart_rate.")
            .gauge("oura_night_average_heart_rate_bpm", |d| d.night(|n| heart_rate(n.average_heart_rate))),
        help("Lowest heart rate of the night, from sleep.lowest_heart_rate.")
            .gauge("oura_night_lowest_heart_rate_bpm", |d| {
                d.night(|n| lowest_heart_rate(n.lowest_heart_rate))
            }),
        help("Heart rate variability (RMSSD) of the night on average, from sleep.average_hrv.")
            .gauge("oura_night_average_hrv_seconds", |d| {
                d.night(|n| n.average_hrv.map(|milliseconds| milliseconds / MILLISECONDS_PER_SECOND))
            }),
        help("Breaths per minute of the night on average, from sleep.average_breath.")
            .gauge("oura_night_average_breaths_per_minute", |d| d.night(|n| n.average_breath)),
        help("Restless periods of the night, from sleep.restless_periods.")
            .gauge("oura_night_restless_periods", |d| d.night(|n| n.restless_periods)),
        help("When the wearer went to bed, from sleep.bedtime_start.")
            .gauge("oura_night_bedtime_start_timestamp_seconds", |d| d.night(|n| timestamp(n.bedtime_start))),
        help("When the wearer got up, from sleep.bedtime_end.")
            .gauge("oura_night_bedtime_end_timestamp_seconds", |d| d.night(|n| timestamp(n.bedtime_end))),
        help("When the wearer went to bed, from 00:00 of the document's day by the wearer's clock, negative before it, from sleep.bedtime_start.")
            .gauge("oura_night_bedtime_start_offset_seconds", |d| d.night(|n| n.offset(n.bedtime_start))),
        help("When the wearer got up, from 00:00 of the document's day by the wearer's clock, from sleep.bedtime_end.")
            .gauge("oura_night_bedtime_end_offset_seconds", |d| d.night(|n| n.offset(n.bedtime_end))),
        help("Whether the night will not grow any more, 0 or 1: half an hour after its end was synced, or six hours went by, from sleep.bedtime_end.")
            .gauge("oura_night_settled", SleepDay::settled),
        help("Whether the ring ran low in the night, 0 or 1, from sleep.low_battery_alert.")
            .gauge("oura_night_low_battery", |d| d.night(|n| flag(n.low_battery_alert))),
        help("Naps of the night's day, from sleep records of type sleep or late_nap.")
            .gauge("oura_day_naps", |d| Some(d.naps().count() as f64)),
        help("Time slept in naps on the night's day, from sleep.total_sleep_duration.")
            .gauge("oura_day_nap_seconds", SleepDay::nap_seconds),
        help("Time slept on that day in all: night, second long sleep and naps, from sleep.total_sleep_duration.")
            .gauge("oura_day_total_sleep_seconds", SleepDay::total_seconds),
    ];

    const EVENTS: &'static [SampleMetric<Self>] = &[help(
        "Time slept in a nap, at its beginning, from sleep.total_sleep_duration.",
    )
    .samples("oura_sample_nap_seconds", &[], |nap, moment| (vec![], nap.nap(moment.now)))];

    fn views(documents: Vec<Self>, moment: &Moment) -> Vec<Dated<SleepDay>> {
        each_day(documents, |d| d.day, |day, periods| SleepDay::of(day, periods, moment))
    }

    fn evidence(&self) -> Evidence {
        Evidence::of_zone(self.bedtime_end.or(self.bedtime_start))
    }
}
