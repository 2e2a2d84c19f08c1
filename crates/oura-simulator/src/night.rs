//! One stretch of sleep: when it was, its phases, and the pulse through it.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::{
    noise::Noise,
    person_timeline::{Life, shifted},
    stages::half_minutes,
};

/// A stretch of sleep of the day on which it counts; durations in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sleep {
    pub(super) day: NaiveDate,
    /// Its place among the day's records; the main night is 0.
    pub(super) index: u16,
    pub(super) kind: &'static str,
    pub(super) start: DateTime<Utc>,
    pub(super) end: DateTime<Utc>,
    pub(super) deep: i64,
    pub(super) light: i64,
    pub(super) rem: i64,
    pub(super) latency: i64,
    pub(super) restless: i64,
    /// Beats a minute at the lowest point, and on average.
    pub(super) lowest: f64,
    pub(super) average: f64,
    pub(super) hrv: f64,
    pub(super) breath: f64,
    /// Whether the ring saw a pulse at all.
    pub(super) has_pulse: bool,
    /// The stretch that this is all or a part of.
    pub(super) whole: NightPlan,
    pub(super) noise: Noise,
}

/// A stretch of sleep as it really was, whatever the service has of it; durations in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct NightPlan {
    pub(super) start: DateTime<Utc>,
    pub(super) end: DateTime<Utc>,
    pub(super) deep: i64,
    pub(super) light: i64,
    pub(super) rem: i64,
    pub(super) latency: i64,
}

impl Sleep {
    /// How long the person lay in bed.
    pub(super) fn in_bed(&self) -> i64 {
        (self.end - self.start).num_seconds()
    }

    /// How long the person slept.
    pub(super) fn total(&self) -> i64 {
        self.deep + self.light + self.rem
    }

    /// How long the person lay awake.
    pub(super) fn awake(&self) -> i64 {
        self.in_bed() - self.total()
    }

    /// The share of the time in bed that was sleep, in percent.
    pub(super) fn efficiency(&self) -> i64 {
        self.total() * 100 / self.in_bed().max(1)
    }

    /// How many samples of five minutes it has.
    pub(super) fn samples(&self) -> i64 {
        self.in_bed() / 300
    }

    /// How many seconds of the real beginning this lacks: a multiple of 300.
    pub(super) fn seconds_cut(&self) -> i64 {
        (self.start - self.whole.start).num_seconds()
    }

    /// The same, as if it were all that there was.
    fn entire(self) -> Self {
        let Self { start, end, deep, light, rem, latency, .. } = self;
        Self { whole: NightPlan { start, end, deep, light, rem, latency }, ..self }
    }

    /// The part of a whole sleep from `start` to `end`, a little shorter where that is no slot's limit.
    pub(super) fn cut(self, start: DateTime<Utc>, end: DateTime<Utc>) -> Self {
        let floor = |moment: DateTime<Utc>, step: i64| {
            let seconds = (moment.clamp(self.start, self.end) - self.start).num_seconds();
            self.start + TimeDelta::seconds(seconds / step * step)
        };
        let cut = Self { start: floor(start, 300), end: floor(end, 30), ..self };
        let stages = half_minutes(&cut);
        let seconds = |stage: char| stages.chars().filter(|&other| other == stage).count() as i64 * 30;
        Self {
            kind: if cut.in_bed() >= LONG { "long_sleep" } else { "sleep" },
            deep: seconds('1'),
            light: seconds('2'),
            rem: seconds('3'),
            latency: stages.chars().take_while(|&stage| stage == '4').count() as i64 * 30,
            restless: self.restless * cut.in_bed() / self.in_bed().max(1),
            ..cut
        }
    }

    /// What the ring alone makes of it: it misses some of the light and deep sleep.
    pub(super) fn at_first_look(self) -> Self {
        let (light, deep) = (self.light - (self.light / 4).min(1500) / 30 * 30, self.deep - self.deep / 300 * 60);
        Self { light, deep, ..self }.entire()
    }

    /// Beats a minute in the sample with this number; nothing where the ring saw no pulse.
    pub(super) fn pulse(&self, sample: i64) -> Option<f64> {
        let sample = sample + self.seconds_cut() / 300;
        let samples = (self.whole.end - self.whole.start).num_seconds() / 300;
        let noise = self.noise.of("pulse").at(sample);
        let begins = sample < 2 && self.noise.of("late").chance(0.7);
        if !self.has_pulse || begins || noise.of("lost").chance(0.07) {
            return None;
        }
        let bottom = (samples as f64 * self.noise.of("bottom").between(0.5, 0.8)) as i64;
        if sample == bottom.max(2) {
            return Some(self.lowest);
        }
        let slope = (sample - bottom).abs() as f64 / samples.max(1) as f64;
        let shaped = self.lowest + (self.average - self.lowest) * (0.45 + 1.3 * slope);
        Some((shaped + noise.bell() * 4.0).round().max(self.lowest))
    }

    /// Heart-rate variability in milliseconds in the sample with this number.
    pub(super) fn variability(&self, sample: i64) -> Option<f64> {
        self.pulse(sample)?;
        let here = self.noise.of("hrv").at(sample + self.seconds_cut() / 300);
        Some((self.hrv * (1.0 + 0.7 * here.bell())).round().max(5.0))
    }
}

/// From how many seconds in bed on the service calls a sleep a long one.
const LONG: i64 = 3 * 3600;
/// The share of nights that are no long sleep.
const BAD: f64 = 0.012;
/// The share of nights in which the ring saw no pulse.
const BLIND: f64 = 0.008;

/// The night before `day`, if the ring was worn and there was one.
pub(super) fn main_night(life: &Life, day: NaiveDate) -> Option<Sleep> {
    if life.is_forgotten(day) || day < life.first {
        return None;
    }
    let lost_in_flight = life.midnight(day) - life.midnight(shifted(day, -1)) < TimeDelta::hours(12);
    if lost_in_flight {
        return None;
    }
    let noise = life.chance("night", day);
    let (start, mut end) = bed(life, day, noise);
    let is_bad = is_bad(life, day);
    if is_bad {
        end = end.min(start + TimeDelta::minutes(noise.of("bad").whole(95, 172)));
    }
    let slept = slept(life, day, noise, (end - start).num_seconds());
    let kind = if is_bad { "sleep" } else { "long_sleep" };
    let has_pulse = life.is_shown(day) || !noise.of("blind").chance(BLIND);
    Some(pulse(life, day, Sleep { start, end, kind, has_pulse, ..slept }).entire())
}

/// Whether the person sleeps for so short a time on the night before `day` that the service calls it no long sleep.
fn is_bad(life: &Life, day: NaiveDate) -> bool {
    life.chance("bad night", day).chance(BAD) && !life.is_shown(day)
}

/// When the person lay down and got up.
fn bed(life: &Life, day: NaiveDate, noise: Noise) -> (DateTime<Utc>, DateTime<Utc>) {
    let (strain, lag) = (life.strain(day), life.jet_lag(day));
    let free = f64::from(u8::from(life.is_free(day)));
    let late = if life.days_away(day).is_some() { 75.0 } else { -90.0 };
    let down = life.person.bedtime_minutes + 85.0 * free + 50.0 * strain + late * lag - 10.0 * life.season(day)
        + noise.of("down").bell() * 45.0;
    let sick = if life.fever(day).is_some() { 35.0 } else { 0.0 };
    let minutes = life.person.in_bed_minutes + 25.0 * free - 105.0 * strain - 110.0 * lag + sick
        - 8.0 * life.season(day)
        + noise.of("minutes").bell() * 50.0;
    let start = life.at(day, down);
    let flight = life.midnight(shifted(day, 1)) - TimeDelta::minutes(45);
    (start, (start + TimeDelta::seconds((minutes.clamp(230.0, 590.0) * 60.0) as i64)).min(flight))
}

/// The phases of a night with so many seconds in bed.
fn slept(life: &Life, day: NaiveDate, noise: Noise, in_bed: i64) -> Sleep {
    let unrest = life.strain(day).max(life.jet_lag(day)).max(life.fever(day).map_or(0.0, |fever| fever * 0.6));
    let awake = (noise.of("awake").between(0.085, 0.16) + 0.06 * unrest) * in_bed as f64;
    let total = in_bed as f64 - awake;
    let epochs = |share: f64| (total * share / 30.0).round() as i64 * 30;
    let (deep, rem) = (noise.of("deep").between(0.14, 0.24), noise.of("rem").between(0.18, 0.26));
    let (deep, rem) = (epochs(deep * (1.0 - 0.3 * unrest)), epochs(rem * (1.0 - 0.25 * unrest)));
    Sleep {
        day,
        index: 0,
        kind: "long_sleep",
        start: DateTime::UNIX_EPOCH,
        end: DateTime::UNIX_EPOCH,
        deep,
        light: epochs(1.0) - deep - rem,
        rem,
        latency: 150 + (noise.of("latency").unit().powi(2) * (700.0 + 600.0 * unrest)) as i64 / 30 * 30,
        restless: noise.of("restless").whole(170, 260) + (150.0 * unrest) as i64,
        lowest: 0.0,
        average: 0.0,
        hrv: 0.0,
        breath: 0.0,
        has_pulse: true,
        whole: NightPlan {
            start: DateTime::UNIX_EPOCH,
            end: DateTime::UNIX_EPOCH,
            deep: 0,
            light: 0,
            rem: 0,
            latency: 0,
        },
        noise,
    }
}

/// The same with what heart and lungs did.
fn pulse(life: &Life, day: NaiveDate, sleep: Sleep) -> Sleep {
    let (noise, person) = (sleep.noise, life.person);
    let fever = life.fever(day).unwrap_or(0.0);
    let load = life.strain(day) * 4.0 + life.jet_lag(day) * 3.0 + fever * 7.5;
    let lowest = (person.lowest_pulse + load - 1.2 * life.season(day) + noise.of("lowest").bell() * 3.5).round();
    let hrv = person.hrv_milliseconds - load * 1.7 + 2.0 * life.season(day) + noise.of("base").bell() * 12.0;
    let breath = person.breaths_per_minute + fever * 1.4 + noise.of("breath").bell() * 0.6;
    Sleep {
        lowest,
        average: lowest + noise.of("average").between(4.0, 9.0),
        hrv: hrv.max(12.0),
        breath: (breath * 8.0).round() / 8.0,
        ..sleep
    }
}

/// Every stretch of sleep that counts on `day`: the night first, then naps and what the ring took for sleep.
pub(super) fn sleeps(life: &Life, day: NaiveDate) -> Vec<Sleep> {
    let Some(night) = main_night(life, day) else { return Vec::new() };
    let noise = life.chance("naps", day);
    let is_sleepy = noise.of("many").chance(0.03);
    let next_day = life.midnight(shifted(day, 1));
    let mut sleeps = vec![night];
    for (index, nap) in (1..).zip(&NAPS).filter(|(_, nap)| nap.kind != "long_sleep" || night.kind == "long_sleep") {
        let here = noise.at(i64::from(index));
        if here.of("there").chance(nap.share) || is_sleepy && nap.kind == "sleep" {
            let sleep = short(life, &night, nap, here, index);
            let is_apart = |other: &Sleep| sleep.end < other.start || sleep.start > other.end;
            if sleep.end < next_day && sleeps.iter().all(is_apart) {
                sleeps.push(sleep);
            }
        }
    }
    sleeps.truncate(MOST_SLEEPS);
    sleeps
}

/// A kind of sleep beside the main night.
struct Nap {
    kind: &'static str,
    /// In which share of days it happens.
    share: f64,
    /// When it may begin, in minutes from the day's beginning, or after getting up.
    from: From,
    /// How long it may last.
    minutes: (f64, f64),
}

/// How many stretches of sleep a day has at most.
const MOST_SLEEPS: usize = 6;

enum From {
    Midnight(f64),
    GettingUp(f64),
}

const NAPS: [Nap; 8] = [
    Nap { kind: "late_nap", share: 0.05, from: From::Midnight(-325.0), minutes: (20.0, 55.0) },
    Nap { kind: "sleep", share: 0.30, from: From::Midnight(840.0), minutes: (16.0, 80.0) },
    Nap { kind: "sleep", share: 0.22, from: From::Midnight(1000.0), minutes: (5.0, 17.0) },
    Nap { kind: "sleep", share: 0.16, from: From::Midnight(720.0), minutes: (5.0, 12.0) },
    Nap { kind: "long_sleep", share: 0.04, from: From::GettingUp(35.0), minutes: (182.0, 205.0) },
    Nap { kind: "rest", share: 0.05, from: From::Midnight(915.0), minutes: (20.0, 45.0) },
    Nap { kind: "deleted", share: 0.04, from: From::Midnight(965.0), minutes: (16.0, 32.0) },
    Nap { kind: "sleep", share: 0.06, from: From::Midnight(780.0), minutes: (4.0, 9.0) },
];

/// A short stretch of the day after `night`, much like it in what the body does.
fn short(life: &Life, night: &Sleep, nap: &Nap, noise: Noise, index: u16) -> Sleep {
    let minutes = noise.of("minutes").between(nap.minutes.0, nap.minutes.1);
    let after = noise.of("start").between(0.0, 30.0);
    let start = match nap.from {
        From::Midnight(earliest) => life.at(night.day, earliest + after),
        From::GettingUp(pause) => night.end + TimeDelta::seconds(((pause + after) * 60.0) as i64),
    };
    let least_asleep = if nap.kind == "long_sleep" { 0.78 } else { 0.3 };
    let total = ((minutes * noise.of("asleep").between(least_asleep, 0.9)) as i64 * 60).max(30);
    let is_tiny = minutes < 20.0;
    let deep = if is_tiny { 0 } else { total / 300 * 30 };
    let rem = if is_tiny { 0 } else { total / 600 * 60 };
    Sleep {
        index,
        kind: nap.kind,
        start,
        end: start + TimeDelta::seconds((minutes * 60.0) as i64),
        deep,
        light: total - deep - rem,
        rem,
        latency: noise.of("latency").whole(0, 8) * 30,
        restless: noise.of("restless").whole(0, minutes as i64 / 3),
        lowest: night.lowest + noise.of("lowest").whole(3, 9) as f64,
        average: ((night.average + noise.of("average").between(6.0, 14.0)) * 8.0).round() / 8.0,
        has_pulse: !is_tiny,
        noise,
        ..*night
    }
    .entire()
}
