//! `daily_activity`: movement, energy and time by level of the day that began at 04:00 local.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

use super::{
    Dated, Document, Pace, Query, Sampled,
    kind::last_of_each_day,
    times::{Day, Time},
    values::{EvenlySpaced, SECONDS_PER_MINUTE, hint, joules, or_empty},
};
use crate::{
    metric::{Metric, SampleMetric, help},
    observation::{Evidence, Moment},
};

/// How long a digit of `class_5_min` stands for.
const SLOT: TimeDelta = TimeDelta::minutes(5);
/// How many slots a day has.
const SLOTS: i32 = 288;
/// The last slots before a sync may still change with the next one.
const UNSURE_SLOTS: i32 = 2;
/// The classes that there are: 0 not worn, 1 rest, 2 inactive, 3 low, 4 medium, 5 high; another digit is none.
const CLASSES: std::ops::RangeInclusive<u32> = 0..=5;

/// A day's activity; today's grows with each sync.
#[derive(Debug, Deserialize)]
pub(super) struct DailyActivity {
    day: Day,
    #[serde(default, deserialize_with = "hint")]
    timestamp: Option<Time>,
    #[serde(default, deserialize_with = "hint")]
    class_5_min: Option<String>,
    score: Option<f64>,
    #[serde(default, deserialize_with = "or_empty")]
    contributors: Contributors,
    steps: Option<f64>,
    active_calories: Option<f64>,
    total_calories: Option<f64>,
    target_calories: Option<f64>,
    equivalent_walking_distance: Option<f64>,
    target_meters: Option<f64>,
    meters_to_target: Option<f64>,
    high_activity_time: Option<f64>,
    medium_activity_time: Option<f64>,
    low_activity_time: Option<f64>,
    sedentary_time: Option<f64>,
    resting_time: Option<f64>,
    non_wear_time: Option<f64>,
    high_activity_met_minutes: Option<f64>,
    medium_activity_met_minutes: Option<f64>,
    low_activity_met_minutes: Option<f64>,
    sedentary_met_minutes: Option<f64>,
    average_met_minutes: Option<f64>,
    inactivity_alerts: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
struct Contributors {
    meet_daily_targets: Option<f64>,
    move_every_hour: Option<f64>,
    recovery_time: Option<f64>,
    stay_active: Option<f64>,
    training_frequency: Option<f64>,
    training_volume: Option<f64>,
}

fn met_seconds(met_minutes: Option<f64>) -> Option<f64> {
    met_minutes.map(|met_minutes| met_minutes * SECONDS_PER_MINUTE)
}

impl Document for DailyActivity {
    type View = Self;
    const NAME: &'static str = "daily_activity";
    const SCOPE: &'static str = "daily";
    const QUERY: Query = Query::Days { back: 2 };
    const PACE: Pace = Pace::Poll;
    const KEEP_DAYS: Option<i64> = Some(2);
    const REACH_DAYS: i64 = 0;
    const SELECTS_FIELDS: bool = true;
    const METRICS: &'static [Metric<Self>] = &[
        help("Activity score of the day, 1 to 100, from daily_activity.score.")
            .gauge("oura_activity_score", |d| d.score),
        help("Points that each contributor gives to the activity score, 1 to 100, from daily_activity.contributors.")
            .parts(
                "oura_activity_contributor_score",
                "contributor",
                &[
                    ("meet_daily_targets", |d| d.contributors.meet_daily_targets),
                    ("move_every_hour", |d| d.contributors.move_every_hour),
                    ("recovery_time", |d| d.contributors.recovery_time),
                    ("stay_active", |d| d.contributors.stay_active),
                    ("training_frequency", |d| d.contributors.training_frequency),
                    ("training_volume", |d| d.contributors.training_volume),
                ],
            ),
        help("Steps of the day so far, from daily_activity.steps.").gauge("oura_activity_steps", |d| d.steps),
        help("Energy spent on activity, from daily_activity.active_calories.")
            .gauge("oura_activity_active_energy_joules", |d| joules(d.active_calories)),
        help("Energy spent in all, from daily_activity.total_calories.")
            .gauge("oura_activity_total_energy_joules", |d| joules(d.total_calories)),
        help("Activity energy that Oura sets as the day's target, from daily_activity.target_calories.")
            .gauge("oura_activity_target_energy_joules", |d| joules(d.target_calories)),
        help("Walking distance that would cost the same energy, from daily_activity.equivalent_walking_distance.")
            .gauge("oura_activity_walking_equivalent_meters", |d| d.equivalent_walking_distance),
        help("Walking distance that Oura sets as the day's target, from daily_activity.target_meters.")
            .gauge("oura_activity_target_meters", |d| d.target_meters),
        help("Distance still to go to the target, negative once it is passed, from daily_activity.meters_to_target.")
            .gauge("oura_activity_remaining_meters", |d| d.meters_to_target),
        help("Time spent at each level of activity, from daily_activity.*_time.").parts(
            "oura_activity_time_seconds",
            "level",
            &[
                ("high", |d| d.high_activity_time),
                ("medium", |d| d.medium_activity_time),
                ("low", |d| d.low_activity_time),
                ("sedentary", |d| d.sedentary_time),
                ("resting", |d| d.resting_time),
                ("non_wear", |d| d.non_wear_time),
            ],
        ),
        help("Metabolic equivalent times seconds at each level, from daily_activity.*_met_minutes.").parts(
            "oura_activity_met_seconds",
            "level",
            &[
                ("high", |d| met_seconds(d.high_activity_met_minutes)),
                ("medium", |d| met_seconds(d.medium_activity_met_minutes)),
                ("low", |d| met_seconds(d.low_activity_met_minutes)),
                ("sedentary", |d| met_seconds(d.sedentary_met_minutes)),
            ],
        ),
        help("Metabolic equivalent of the day on average, from daily_activity.average_met_minutes.")
            .gauge("oura_activity_average_met", |d| d.average_met_minutes),
        help("How often the app asked the wearer to move, from daily_activity.inactivity_alerts.")
            .gauge("oura_activity_inactivity_alerts", |d| d.inactivity_alerts),
    ];

    fn views(documents: Vec<Self>, _: &Moment) -> Vec<Dated<Self>> {
        last_of_each_day(documents, |d| d.day)
    }

    fn evidence(&self) -> Evidence {
        let start = self.timestamp.map(|start| start.to_utc());
        let synced = start.zip(slots(self.class_5_min.as_deref())).and_then(|(start, slots)| after(start, slots));
        Evidence { synced, ..Evidence::of_zone(self.timestamp) }
    }
}

/// How many slots the classes tell of; none if there are no classes.
fn slots(classes: Option<&str>) -> Option<i32> {
    classes.and_then(|classes| i32::try_from(classes.len()).ok()).filter(|slots| (1..=SLOTS).contains(slots))
}

/// The end of so many slots from `start` on.
fn after(start: DateTime<Utc>, slots: i32) -> Option<DateTime<Utc>> {
    start.checked_add_signed(SLOT * slots)
}

/// The part of the document that has a value a minute. Oura fills the minutes that the ring has not synced yet with 0.9,
/// and only the length of `class_5_min` tells how far it has.
#[derive(Debug, Deserialize)]
pub(super) struct ActivitySamples {
    #[serde(default, deserialize_with = "hint")]
    timestamp: Option<Time>,
    #[serde(default, deserialize_with = "hint")]
    class_5_min: Option<String>,
    #[serde(default, deserialize_with = "hint")]
    met: Option<EvenlySpaced>,
}

impl ActivitySamples {
    /// How many slots are known for good at `moment`, and when the day began.
    fn settled(&self, moment: &Moment) -> Option<(DateTime<Utc>, i32)> {
        let start = self.timestamp?.to_utc();
        let slots = slots(self.class_5_min.as_deref())?;
        let is_over = after(start, SLOTS)? <= moment.now;
        Some((start, if is_over { slots } else { slots - UNSURE_SLOTS }))
    }

    fn met(&self, moment: &Moment) -> Vec<(DateTime<Utc>, f64)> {
        let end = self.settled(moment).and_then(|(start, slots)| after(start, slots));
        let Some((met, end)) = self.met.as_ref().zip(end) else { return vec![] };
        let mut samples = met.samples(Some);
        samples.retain(|(time, _)| *time < end);
        samples
    }

    fn classes(&self, moment: &Moment) -> Vec<(DateTime<Utc>, f64)> {
        let Some((start, slots)) = self.settled(moment) else { return vec![] };
        let digits = self.class_5_min.as_deref().unwrap_or_default().chars();
        let class = |(slot, digit): (i32, char)| {
            let class = digit.to_digit(10).filter(|class| CLASSES.contains(class))?;
            Some((after(start, slot)?, f64::from(class)))
        };
        (0..slots).zip(digits).filter_map(class).collect()
    }
}

impl Sampled for ActivitySamples {
    const SAMPLES: &'static [SampleMetric<Self>] =
        &[
            help("Metabolic equivalent of each minute as far as the ring has synced, from daily_activity.met.")
                .samples("oura_sample_met", &[], |d, moment| (vec![], d.met(moment))),
            help(
                "Activity of each five minutes as far as the ring has synced: 0 not worn, 1 rest, 2 inactive, 3 low, \
             4 medium, 5 high; from daily_activity.class_5_min.",
            )
            .samples("oura_sample_activity_class", &[], |d, moment| (vec![], d.classes(moment))),
        ];

    /// When the day is over, two slots more than before.
    fn due(&self, moment: &Moment) -> Option<i32> {
        self.settled(moment).map(|(_, slots)| slots)
    }
}
