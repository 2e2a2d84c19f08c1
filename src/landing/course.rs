//! The course of a score over the last two weeks: its own mean, and a small drawing of it.

use std::{collections::BTreeMap, fmt::Write as _};

use chrono::{Days, NaiveDate};

use crate::observation::DateRange;

/// So many days are drawn, the one that is shown included.
const DAYS: u64 = 14;
/// Fewer days have no mean worth a comparison.
const FEWEST: usize = 3;
/// The drawing's size, and the room that its dots need at the edges.
const WIDTH: f64 = 120.0;
const HEIGHT: f64 = 36.0;
const EDGE: f64 = 4.0;

/// A score on the days up to the one that is shown.
pub(super) struct Course {
    first: NaiveDate,
    days: BTreeMap<NaiveDate, f64>,
}

impl Course {
    /// The days that a course up to `last` has.
    pub(super) fn window(last: NaiveDate) -> DateRange {
        DateRange { first: last.checked_sub_days(Days::new(DAYS - 1)).unwrap_or(last), last }
    }

    /// The course up to `last` of what the record has of those days, and of the value that the page shows of the last one:
    /// of that day it knows best.
    pub(super) fn new(recorded: BTreeMap<NaiveDate, f64>, last: NaiveDate, value: Option<f64>) -> Self {
        let mut days = recorded;
        days.extend(value.map(|value| (last, value)));
        Self { first: Self::window(last).first, days }
    }

    /// The mean of the days that have a value.
    fn mean(&self) -> Option<f64> {
        let sum: f64 = self.days.values().sum();
        (self.days.len() >= FEWEST).then(|| sum / self.days.len() as f64)
    }

    /// How far `value` is from the mean, in words; none while there is none.
    pub(super) fn comparison(&self, value: f64) -> Option<String> {
        let mean = format!("{}-day mean", self.days.len());
        let difference = (value - self.mean()?).round();
        Some(match difference {
            1.0.. => format!("{difference:.0} above {mean}"),
            ..=-1.0 => format!("{:.0} below {mean}", -difference),
            _ => format!("at the {mean}"),
        })
    }

    /// The drawing: a dot a day, lines between days that follow each other, and the mean; none of a single day.
    pub(super) fn svg(&self, title: &str) -> String {
        if self.days.len() < 2 {
            return String::new();
        }
        let (least, most) = self.bounds();
        let mean = self.mean();
        let told = mean.map_or_else(String::new, |mean| format!(", mean {mean:.1}"));
        let mut svg = format!(
            "<svg class=\"course\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title} of {} days, {least:.0} \
             to {most:.0}{told}\">",
            self.days.len()
        );
        if let Some(mean) = mean {
            let y = self.y(mean);
            let _ = write!(svg, "<line class=\"mean\" x1=\"0\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>");
        }
        svg + &self.lines() + &self.dots() + "</svg>"
    }

    fn lines(&self) -> String {
        let days: Vec<_> = self.days.iter().collect();
        let runs = days.chunk_by(|(one, _), (next, _)| one.succ_opt() == Some(**next));
        let point = |(day, value): &(&NaiveDate, &f64)| format!("{:.1},{:.1} ", self.x(**day), self.y(**value));
        let line = |run: &[(&NaiveDate, &f64)]| {
            format!("<polyline points=\"{}\"/>", run.iter().map(point).collect::<String>().trim_end())
        };
        runs.filter(|run| run.len() > 1).map(line).collect()
    }

    fn dots(&self) -> String {
        let last = self.days.keys().next_back();
        let dot = |(day, value): (&NaiveDate, &f64)| {
            let (x, y, radius) = (self.x(*day), self.y(*value), if Some(day) == last { 3.5 } else { 1.7 });
            let date = day.format("%-d %b");
            format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\"><title>{date}: {value:.0}</title></circle>")
        };
        self.days.iter().map(dot).collect()
    }

    fn bounds(&self) -> (f64, f64) {
        let values = || self.days.values().copied();
        (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max))
    }

    fn x(&self, day: NaiveDate) -> f64 {
        let along = (day - self.first).num_days() as f64 / (DAYS - 1) as f64;
        EDGE + along * (WIDTH - 2.0 * EDGE)
    }

    fn y(&self, value: f64) -> f64 {
        let (least, most) = self.bounds();
        let up = if most > least { (value - least) / (most - least) } else { 0.5 };
        HEIGHT - EDGE - up * (HEIGHT - 2.0 * EDGE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(values: &[(u32, f64)], last: u32, value: f64) -> Course {
        let day = |day| NaiveDate::from_ymd_opt(2026, 11, day).unwrap();
        Course::new(values.iter().map(|(on, value)| (day(*on), *value)).collect(), day(last), Some(value))
    }

    #[test]
    fn a_score_is_compared_with_the_mean_of_its_own_days() {
        let words = |values: &[(u32, f64)], value| course(values, 22, value).comparison(value);
        assert_eq!(words(&[(20, 70.0), (21, 74.0)], 81.0).unwrap(), "6 above 3-day mean");
        assert_eq!(words(&[(20, 80.0), (21, 84.0)], 61.0).unwrap(), "14 below 3-day mean");
        assert_eq!(words(&[(20, 80.0), (21, 81.0)], 80.0).unwrap(), "at the 3-day mean");
        assert_eq!(words(&[(21, 80.0)], 60.0), None, "two days are no mean");
        assert_eq!(words(&[(21, 80.0), (22, 10.0)], 60.0), None, "the page knows best of the day that it shows");
    }

    #[test]
    fn a_day_without_a_score_breaks_the_line() {
        let svg = course(&[(10, 70.0), (11, 75.0), (13, 80.0), (15, 60.0), (16, 66.0)], 16, 65.0).svg("Sleep");
        assert!(svg.contains("aria-label=\"Sleep of 5 days, 60 to 80, mean 70.0\""), "{svg}");
        assert_eq!((svg.matches("<circle").count(), svg.matches("<polyline").count()), (5, 2), "{svg}");
        assert!(svg.contains("r=\"3.5\"><title>16 Nov: 65</title>"), "the last one stands out: {svg}");
        let flat = course(&[(15, 60.0)], 16, 60.0).svg("Sleep");
        assert!(flat.contains("cy=\"18.0\"") && !flat.contains("NaN") && !flat.contains("mean"), "{flat}");
        assert_eq!(course(&[], 16, 65.0).svg("Sleep"), "", "a single day has no course");
    }
}
