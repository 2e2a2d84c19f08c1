//! `daily_activity`: movement, energy and time by level of the day that began at 04:00 local.

use serde::Deserialize;

use super::{
    Appears, Dated, Document, Sampled,
    kind::last_of_each_day,
    times::{Day, Time},
    values::{SECONDS_PER_MINUTE, Series, hint, joules, or_empty},
};
use crate::{
    metric::{Metric, SampleMetric, help},
    observation::{Moment, Sighting},
};

/// A day's activity; today's grows until midnight.
#[derive(Debug, Deserialize)]
pub(super) struct DailyActivity {
    day: Day,
    #[serde(default, deserialize_with = "hint")]
    timestamp: Option<Time>,
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
    const APPEARS: Appears = Appears::DayEnd;
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

    fn sighting(&self) -> Option<Sighting> {
        self.timestamp.map(Sighting::from)
    }
}

/// The part of the document that grows by the minute.
#[derive(Debug, Deserialize)]
pub(super) struct ActivitySamples {
    #[serde(default, deserialize_with = "hint")]
    met: Option<Series>,
}

impl Sampled for ActivitySamples {
    const SAMPLES: &'static [SampleMetric<Self>] = &[help(
        "Metabolic equivalent of each minute, at its own time, from daily_activity.met.",
    )
    .samples("oura_sample_met", &[], |d| (vec![], d.met.as_ref().map_or(vec![], |met| met.samples(|met| met))))];
}
