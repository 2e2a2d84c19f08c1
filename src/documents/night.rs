//! `sleep` sample by sample: stages and movement of all that was slept, heart rate and its variability in the night.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

use super::{
    Sampled,
    times::Time,
    values::{EvenlySpaced, MILLISECONDS_PER_SECOND, heart_rate, hint},
};
use crate::{
    metric::{SampleMetric, help},
    observation::Moment,
};

/// How long each digit of the fine and of the coarse strings stands for.
const FINE: TimeDelta = TimeDelta::seconds(30);
const COARSE: TimeDelta = TimeDelta::minutes(5);
/// The digits of stages and of movement; another digit is none.
const DIGITS: std::ops::RangeInclusive<u32> = 1..=4;

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

/// The part of a period of sleep that has a value every few minutes or seconds.
#[derive(Debug, Deserialize)]
pub(super) struct NightSamples {
    #[serde(rename = "type")]
    kind: Option<Type>,
    bedtime_start: Option<Time>,
    bedtime_end: Option<Time>,
    #[serde(default, deserialize_with = "hint")]
    sleep_phase_30_sec: Option<String>,
    #[serde(default, deserialize_with = "hint")]
    app_sleep_phase_5_min: Option<String>,
    #[serde(default, deserialize_with = "hint")]
    sleep_phase_5_min: Option<String>,
    #[serde(default, deserialize_with = "hint")]
    movement_30_sec: Option<String>,
    #[serde(default, deserialize_with = "hint")]
    heart_rate: Option<EvenlySpaced>,
    #[serde(default, deserialize_with = "hint")]
    hrv: Option<EvenlySpaced>,
}

impl NightSamples {
    /// Whether it was slept and will not grow any more.
    fn is_told(&self, moment: &Moment) -> bool {
        let slept = matches!(self.kind, Some(Type::LongSleep | Type::Sleep | Type::LateNap));
        slept && self.bedtime_end.is_some_and(|end| end.to_utc() <= moment.now && moment.is_settled(end.to_utc()))
    }

    /// The series of a night, and of nothing but a night.
    fn of_the_night(
        &self,
        series: Option<&EvenlySpaced>,
        unit: fn(f64) -> Option<f64>,
        moment: &Moment,
    ) -> Vec<(DateTime<Utc>, f64)> {
        let is_night = self.is_told(moment) && self.kind == Some(Type::LongSleep);
        series.filter(|_| is_night).map_or(vec![], |series| series.samples(unit))
    }

    /// The stages by the finest string that there is: it alone agrees with the document's durations.
    fn stages(&self, moment: &Moment) -> Vec<(DateTime<Utc>, f64)> {
        let string = |digits: &Option<String>| digits.clone().filter(|digits| !digits.is_empty());
        match string(&self.sleep_phase_30_sec) {
            Some(digits) => self.digits(&digits, FINE, moment),
            None => string(&self.app_sleep_phase_5_min)
                .or_else(|| string(&self.sleep_phase_5_min))
                .map_or(vec![], |digits| self.digits(&digits, COARSE, moment)),
        }
    }

    fn movement(&self, moment: &Moment) -> Vec<(DateTime<Utc>, f64)> {
        self.movement_30_sec.as_deref().map_or(vec![], |digits| self.digits(digits, FINE, moment))
    }

    /// The digits of a string, each at the beginning of its slot.
    fn digits(&self, digits: &str, slot: TimeDelta, moment: &Moment) -> Vec<(DateTime<Utc>, f64)> {
        let Some(start) = self.bedtime_start.filter(|_| self.is_told(moment)) else { return vec![] };
        let value = |(place, digit): (i32, char)| {
            let digit = digit.to_digit(10).filter(|digit| DIGITS.contains(digit))?;
            Some((start.to_utc().checked_add_signed(slot.checked_mul(place)?)?, f64::from(digit)))
        };
        (0..).zip(digits.chars()).filter_map(value).collect()
    }
}

impl Sampled for NightSamples {
    const SAMPLES: &'static [SampleMetric<Self>] = &[
        help("Heart rate of the night, every five minutes, from sleep.heart_rate.").samples(
            "oura_sample_night_heart_rate_bpm",
            &[],
            |d, moment| (vec![], d.of_the_night(d.heart_rate.as_ref(), |bpm| heart_rate(Some(bpm)), moment)),
        ),
        help("Heart rate variability (RMSSD) of the night, every five minutes, from sleep.hrv.").samples(
            "oura_sample_night_hrv_seconds",
            &[],
            |d, moment| (vec![], d.of_the_night(d.hrv.as_ref(), |hrv| Some(hrv / MILLISECONDS_PER_SECOND), moment)),
        ),
        help(
            "Stage of sleep: 1 deep, 2 light, 3 REM, 4 awake; from sleep.sleep_phase_30_sec, else \
             app_sleep_phase_5_min, else sleep_phase_5_min.",
        )
        .samples("oura_sample_sleep_stage", &[], |d, moment| (vec![], d.stages(moment))),
        help("Movement in sleep: 1 none, 2 restless, 3 tossing, 4 active; from sleep.movement_30_sec.").samples(
            "oura_sample_movement",
            &[],
            |d, moment| (vec![], d.movement(moment)),
        ),
    ];

    fn due(&self, moment: &Moment) -> Option<i32> {
        self.is_told(moment).then_some(0)
    }
}
