//! `sleep` sample by sample: the stages of all that was slept, and the night's heart rate and its variability.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

use super::{
    Sampled,
    times::Time,
    values::{MILLISECONDS_PER_SECOND, Series, hint},
};
use crate::metric::{SampleMetric, help};

/// How long each digit of the stages stands for.
const STAGE: TimeDelta = TimeDelta::minutes(5);
/// The stages that there are; another digit is none.
const STAGES: std::ops::RangeInclusive<u32> = 1..=4;

/// What a period counts as, as far as its samples are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Type {
    LongSleep,
    Sleep,
    LateNap,
    #[serde(other)]
    NotSlept,
}

/// The part of a period of sleep that has a value every five minutes.
#[derive(Debug, Deserialize)]
pub(super) struct NightSamples {
    #[serde(rename = "type")]
    kind: Option<Type>,
    bedtime_start: Option<Time>,
    bedtime_end: Option<Time>,
    #[serde(default, deserialize_with = "hint")]
    sleep_phase_5_min: Option<String>,
    #[serde(default, deserialize_with = "hint")]
    heart_rate: Option<Series>,
    #[serde(default, deserialize_with = "hint")]
    hrv: Option<Series>,
}

impl NightSamples {
    /// Whether it has ended: one that goes on is told anew each time.
    fn is_over(&self) -> bool {
        self.bedtime_end.is_some()
    }

    /// The series of a night, and of nothing but a night.
    fn of_the_night(&self, series: Option<&Series>, unit: fn(f64) -> f64) -> Vec<(DateTime<Utc>, f64)> {
        let is_night = self.is_over() && self.kind == Some(Type::LongSleep);
        series.filter(|_| is_night).map_or(vec![], |series| series.samples(unit))
    }

    fn stages(&self) -> Vec<(DateTime<Utc>, f64)> {
        let slept = matches!(self.kind, Some(Type::LongSleep | Type::Sleep | Type::LateNap));
        let (Some(start), Some(digits)) = (self.bedtime_start, self.sleep_phase_5_min.as_deref()) else {
            return vec![];
        };
        if !slept || !self.is_over() {
            return vec![];
        }
        let stage = |(place, digit): (i32, char)| {
            let stage = digit.to_digit(10).filter(|stage| STAGES.contains(stage))?;
            Some((start.to_utc().checked_add_signed(STAGE.checked_mul(place)?)?, f64::from(stage)))
        };
        (0..).zip(digits.chars()).filter_map(stage).collect()
    }
}

impl Sampled for NightSamples {
    const SAMPLES: &'static [SampleMetric<Self>] = &[
        help("Heart rate of the night, every five minutes at its own time, from sleep.heart_rate.").samples(
            "oura_sample_night_heart_rate_bpm",
            &[],
            |d| (vec![], d.of_the_night(d.heart_rate.as_ref(), |bpm| bpm)),
        ),
        help("Heart rate variability (RMSSD) of the night, every five minutes at its own time, from sleep.hrv.")
            .samples("oura_sample_night_hrv_seconds", &[], |d| {
                (vec![], d.of_the_night(d.hrv.as_ref(), |hrv| hrv / MILLISECONDS_PER_SECOND))
            }),
        help(
            "Stage of sleep, every five minutes at its own time: 1 deep, 2 light, 3 REM, 4 awake; from \
             sleep.sleep_phase_5_min.",
        )
        .samples("oura_sample_sleep_stage", &[], |d| (vec![], d.stages())),
    ];
}
