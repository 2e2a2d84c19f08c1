//! What boards show of workouts adds up over a year to what the workouts' documents do.

use std::collections::BTreeMap;

use oura_dashboards::{Meaning, all};
use serde_json::Value;

use super::{
    asking::{Asked, Reading, answers, targets},
    tell,
    truth::{is_same, parsed},
    year::Year,
};
use crate::{
    common::stores::{Labels, Store},
    record::expected::seconds,
};

/// A calorie of Oura's in joules.
const JOULES: f64 = 4184.0;

/// What the year's workouts are in all, by person, activity, and metric; no distance of days on which one has none, unless
/// it was told before that one came.
struct Documents(BTreeMap<(&'static str, String, &'static str), f64>);

impl Documents {
    fn of(year: &Year) -> Self {
        let mut sums = Self(BTreeMap::new());
        for person in super::year::PEOPLE {
            for day in &year.days {
                let last = year.simulator.versions(person, "workout", *day).pop();
                sums.add(person, &last.map(|version| version.documents).unwrap_or_default());
            }
        }
        for (person, _, series, value) in &year.taken_back {
            let (name, labels) = parsed(series);
            for ((of, activity, metric), sum) in &mut sums.0 {
                if of == person && labels.get("activity") == Some(activity) && name == format!("oura_sample_{metric}") {
                    *sum += value;
                }
            }
        }
        sums
    }

    fn add(&mut self, person: &'static str, day: &[Value]) {
        for workout in day {
            let activity = workout["activity"].as_str().expect("an activity");
            let same = || day.iter().filter(|other| other["activity"] == activity);
            let has_all = |field: &str| same().all(|other| other[field].is_number());
            let number = |field: &str| Some(workout[field].as_f64()?).filter(|_| has_all(field));
            for (metric, value) in [
                ("day_workouts", Some(1.0)),
                ("day_workout_duration_seconds", seconds(workout)),
                ("day_workout_energy_joules", number("calories").map(|calories| calories * JOULES)),
                ("day_workout_distance_meters", number("distance")),
            ] {
                if let Some(value) = value {
                    *self.0.entry((person, activity.to_owned(), metric)).or_default() += value;
                }
            }
        }
    }

    /// Of one activity, or of all.
    fn sum(&self, labels: &Labels, metric: &str) -> f64 {
        let fits = |(person, activity, of): &(&str, String, &str)| {
            *of == metric && labels["account"] == *person && labels.get("activity").is_none_or(|own| own == activity)
        };
        self.0.iter().filter(|(key, _)| fits(key)).map(|(_, sum)| sum).sum()
    }
}

/// The metric of which a cell shows a day's value, and by what it is multiplied.
fn of_a_day(meaning: &Meaning) -> Option<(&'static str, f64)> {
    match meaning {
        Meaning::Day { metric, .. } | Meaning::SumOfParts { metric } => Some((metric, 1.0)),
        Meaning::Linear { of, factor, plus: 0.0 } => of_a_day(of).map(|(metric, of)| (metric, of * factor)),
        _ => None,
    }
}

/// Adds up what is drawn over a year.
async fn drawn(store: &Store, asked: &Asked<'_>, reading: &Reading) -> BTreeMap<Labels, f64> {
    let mut sums = BTreeMap::new();
    for (_, cells) in answers(store, asked, &asked.target.expr, std::slice::from_ref(reading)).await {
        for (labels, value) in cells.into_values().flatten() {
            *sums.entry(labels).or_default() += value;
        }
    }
    sums
}

/// Each panel of workouts, over all the year.
pub(super) async fn assert_equal(store: &Store, year: &Year, reading: &Reading) {
    let (documents, boards, mut compared) = (Documents::of(year), all(), 0);
    for asked in targets(&boards) {
        let Some((metric, factor)) = of_a_day(&asked.target.meaning) else { continue };
        if !metric.starts_with("day_workout") || asked.target.instant {
            continue;
        }
        for (labels, sum) in drawn(store, &asked, reading).await {
            let wanted = documents.sum(&labels, metric) * factor;
            assert!(is_same(sum, wanted), "{}: {labels:?} adds up to {sum} and not {wanted}", asked.name());
            compared += 1;
        }
    }
    let all: f64 = documents.0.iter().filter(|((.., metric), _)| *metric == "day_workouts").map(|(_, sum)| sum).sum();
    tell(&format!("{compared} sums of a year's {all} workouts are the documents'"));
    assert!(compared > 20, "only {compared} sums");
}
