//! `workout`: the newest workout, and all of the newest day that has one.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    Dated, Document, Pace, Query,
    kind::each_day,
    times::{Day, Time},
    values::{Word, at, has_been, joules, seconds, states, timestamp},
};
use crate::{
    metric::{Label, Metric, Row, SampleMetric, help, label},
    observation::Moment,
};

states! {
    /// How hard it was.
    Intensity { Easy = "easy", Moderate = "moderate", Hard = "hard" }
}

states! {
    /// How Oura came to know of it.
    Source {
        Manual = "manual",
        Autodetected = "autodetected",
        Confirmed = "confirmed",
        WorkoutHeartRate = "workout_heart_rate",
        LiveThirdPartyHeartRate = "live_third_party_heart_rate",
        LiveOuraHeartRate = "live_oura_heart_rate",
    }
}

/// What tells one workout from another.
const LABELS: &[Label] =
    &[label("activity", &[]), label("intensity", Intensity::WORDS), label("source", Source::WORDS)];

/// A workout.
#[derive(Debug, Deserialize)]
pub(super) struct Workout {
    day: Day,
    activity: Option<Word>,
    intensity: Option<Intensity>,
    source: Option<Source>,
    start_datetime: Option<Time>,
    end_datetime: Option<Time>,
    calories: Option<f64>,
    distance: Option<f64>,
}

impl Workout {
    fn activity(&self) -> String {
        self.activity.as_ref().map_or_else(String::new, Word::as_label)
    }

    fn seconds(&self) -> Option<f64> {
        seconds(self.start_datetime, self.end_datetime)
    }

    fn joules(&self) -> Option<f64> {
        joules(self.calories)
    }

    fn info(&self) -> Row {
        let intensity = self.intensity.map_or("", Intensity::word);
        let source = self.source.map_or("", Source::word);
        (vec![self.activity().into(), intensity.into(), source.into()], 1.0)
    }
}

/// The workouts of one day, in the order in which they began.
pub(super) struct WorkoutDay(Vec<Workout>);

impl WorkoutDay {
    fn of(mut workouts: Vec<Workout>) -> Self {
        workouts.sort_by_key(|workout| workout.start_datetime);
        Self(workouts)
    }

    fn newest(&self, value: impl Fn(&Workout) -> Option<f64>) -> Option<f64> {
        self.0.last().and_then(value)
    }

    /// The sum of `value` for each activity; none for an activity of which one workout does not say.
    fn by_activity(&self, value: impl Fn(&Workout) -> Option<f64>) -> Vec<Row> {
        let mut sums = BTreeMap::<String, Option<f64>>::new();
        for workout in &self.0 {
            let sum = sums.entry(workout.activity()).or_insert(Some(0.0));
            *sum = sum.zip(value(workout)).map(|(sum, value)| sum + value);
        }
        sums.into_iter().filter_map(|(activity, sum)| Some((vec![activity.into()], sum?))).collect()
    }
}

impl Document for Workout {
    type View = WorkoutDay;
    const NAME: &'static str = "workout";
    const SCOPE: &'static str = "workout";
    const QUERY: Query = Query::Newest { within: 30 };
    const PACE: Pace = Pace::Quarter;
    const KEEP_DAYS: Option<i64> = Some(30);
    const REACH_DAYS: i64 = 0;
    const SELECTS_FIELDS: bool = true;
    const METRICS: &'static [Metric<WorkoutDay>] = &[
        help("What the newest workout was, always 1, from workout.activity, intensity and source.").page_only().rows(
            "oura_workout_last_info",
            LABELS,
            |d| d.0.last().map(Workout::info).into_iter().collect(),
        ),
        help("When the newest workout began, from workout.start_datetime.")
            .page_only()
            .gauge("oura_workout_last_start_timestamp_seconds", |d| d.newest(|w| timestamp(w.start_datetime))),
        help("When the newest workout ended, from workout.end_datetime.")
            .page_only()
            .gauge("oura_workout_last_end_timestamp_seconds", |d| d.newest(|w| timestamp(w.end_datetime))),
        help("How long the newest workout took, from workout.start_datetime and end_datetime.")
            .page_only()
            .gauge("oura_workout_last_duration_seconds", |d| d.newest(Workout::seconds)),
        help("Energy spent in the newest workout, from workout.calories.")
            .page_only()
            .gauge("oura_workout_last_energy_joules", |d| d.newest(Workout::joules)),
        help("Distance of the newest workout, from workout.distance.")
            .page_only()
            .gauge("oura_workout_last_distance_meters", |d| d.newest(|w| w.distance)),
        help("Workouts of the day, from workout.activity.")
            .rows("oura_day_workouts", &[label("activity", &[])], |d| d.by_activity(|_| Some(1.0))),
        help("Time of the day's workouts, from workout.start_datetime and end_datetime.").rows(
            "oura_day_workout_duration_seconds",
            &[label("activity", &[])],
            |d| d.by_activity(Workout::seconds),
        ),
        help("Energy of the day's workouts, from workout.calories.").rows(
            "oura_day_workout_energy_joules",
            &[label("activity", &[])],
            |d| d.by_activity(Workout::joules),
        ),
        help("Distance of the day's workouts, from workout.distance.").rows(
            "oura_day_workout_distance_meters",
            &[label("activity", &[])],
            |d| d.by_activity(|w| w.distance),
        ),
    ];

    const EVENTS: &'static [SampleMetric<Self>] = &[
        help("How long a workout took, at its beginning, from workout.start_datetime and end_datetime.").samples(
            "oura_sample_workout_duration_seconds",
            LABELS,
            |w, _| (w.info().0, at(w.start_datetime, w.seconds())),
        ),
        help("Energy spent in a workout, at its beginning, from workout.calories.").samples(
            "oura_sample_workout_energy_joules",
            LABELS,
            |w, _| (w.info().0, at(w.start_datetime, w.joules())),
        ),
        help("Distance of a workout, at its beginning, from workout.distance.").samples(
            "oura_sample_workout_distance_meters",
            LABELS,
            |w, _| (w.info().0, at(w.start_datetime, w.distance)),
        ),
    ];

    fn views(documents: Vec<Self>, moment: &Moment) -> Vec<Dated<WorkoutDay>> {
        let has_begun = documents.into_iter().filter(|d| has_been(d.start_datetime, moment)).collect();
        each_day(has_begun, |d| d.day, |_, workouts| Some(WorkoutDay::of(workouts)))
    }
}
