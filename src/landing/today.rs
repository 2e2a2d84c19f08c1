//! An account's today as cards: the three scores with their band and their last days, and the figures that one looks for in
//! the morning.

use std::fmt::Write as _;

use chrono::NaiveDate;

use super::{course::Course, wearer::Wearer};
use crate::html::Escaped;

/// From here on Oura calls a score optimal, and from here on good; below, it asks for attention.
const OPTIMAL: f64 = 85.0;
const GOOD: f64 = 70.0;

/// A score: its title, the collection and metric that it is read from, and that metric in the record.
struct Score {
    title: &'static str,
    collection: &'static str,
    metric: &'static str,
    sample: &'static str,
}

const SCORES: &[Score] = &[
    Score {
        title: "Readiness",
        collection: "daily_readiness",
        metric: "oura_readiness_score",
        sample: "oura_sample_readiness_score",
    },
    Score { title: "Sleep", collection: "daily_sleep", metric: "oura_sleep_score", sample: "oura_sample_sleep_score" },
    Score {
        title: "Activity",
        collection: "daily_activity",
        metric: "oura_activity_score",
        sample: "oura_sample_activity_score",
    },
];

/// A figure: its title, the metric it is read from, and its words; none: it is the state that holds of a state set.
struct Figure {
    title: &'static str,
    metric: &'static str,
    words: Option<fn(f64) -> String>,
}

const fn figure(title: &'static str, metric: &'static str, words: fn(f64) -> String) -> Figure {
    Figure { title, metric, words: Some(words) }
}

/// What is shown below the night, in this order, as far as the page has it.
const FIGURES: &[Figure] = &[
    figure("Night's sleep", "oura_night_total_sleep_seconds", hours),
    figure("Lowest heart rate", "oura_night_lowest_heart_rate_bpm", |bpm| format!("{bpm:.0} bpm")),
    figure("HRV at night", "oura_night_average_hrv_seconds", |hrv| format!("{:.0} ms", hrv * 1000.0)),
    figure("Temperature", "oura_readiness_temperature_deviation_celsius", |celsius| {
        format!("{celsius:+.1} °C").replace('-', "\u{2212}")
    }),
    figure("Blood oxygen", "oura_spo2_average_ratio", |ratio| format!("{:.0} %", ratio * 100.0)),
    figure("Steps", "oura_activity_steps", thousands),
    figure("Active energy", "oura_activity_active_energy_joules", |joules| format!("{:.0} kcal", joules / 4184.0)),
    figure("High stress", "oura_stress_high_seconds", hours),
    figure("Heart rate", "oura_heart_rate_bpm", |bpm| format!("{bpm:.0} bpm")),
    Figure { title: "Resilience", metric: "oura_resilience_level", words: None },
    figure("Ring battery", "oura_ring_battery_ratio", |ratio| format!("{:.0} %", ratio * 100.0)),
];

/// The scores of an account; empty where it shows none.
pub(super) fn scores(wearer: &Wearer) -> String {
    list("cards scores", SCORES.iter().filter_map(|score| score.html(wearer)).collect())
}

/// The figures of an account; empty where it shows none.
pub(super) fn figures(wearer: &Wearer) -> String {
    list("cards", FIGURES.iter().filter_map(|figure| figure.html(wearer)).collect())
}

fn list(class: &str, cards: String) -> String {
    if cards.is_empty() { cards } else { format!("<ul class=\"{class}\">{cards}</ul>") }
}

impl Score {
    fn html(&self, wearer: &Wearer) -> Option<String> {
        let Some(found) = wearer.find(self.metric, None) else { return self.before_today(wearer) };
        let (class, band) = band(found.value);
        let day = found.day?;
        let course = self.course(wearer, day, Some(found.value));
        let mut html = format!(
            "<li class=\"{class}\"><h3>{}</h3><p class=\"value\">{}</p><p class=\"note\"><strong>{band}</strong><br>{}</p>{}",
            self.title,
            whole(found.value),
            dated(day, wearer.today()),
            course.svg(self.title)
        );
        if let Some(comparison) = course.comparison(found.value) {
            let _ = write!(html, "<p class=\"note\">{comparison}</p>");
        }
        Some(html)
    }

    /// The card while Oura says no score: the days before it, as far as there are any.
    fn before_today(&self, wearer: &Wearer) -> Option<String> {
        let svg = self.course(wearer, wearer.today(), None).svg(self.title);
        let title = self.title;
        let none = "<p class=\"value\" aria-hidden=\"true\">\u{2013}</p><p class=\"note\">no score yet</p>";
        (!svg.is_empty()).then(|| format!("<li><h3>{title}</h3>{none}{svg}"))
    }

    fn course(&self, wearer: &Wearer, last: NaiveDate, value: Option<f64>) -> Course {
        Course::new(wearer.days(self.collection, self.sample, Course::window(last)), last, value)
    }
}

impl Figure {
    fn html(&self, wearer: &Wearer) -> Option<String> {
        let found = if self.words.is_some() { wearer.find(self.metric, None) } else { wearer.find_state(self.metric) }?;
        let words = match self.words {
            Some(words) => words(found.value),
            None => found.label?,
        };
        let day = found.day.map_or_else(String::new, |day| dated(day, wearer.today()));
        Some(format!(
            "<li><h3>{}</h3><p class=\"value\">{}</p><p class=\"note\">{day}</p>",
            self.title,
            Escaped(&words)
        ))
    }
}

fn whole(value: f64) -> String {
    format!("{value:.0}")
}

pub(super) fn hours(seconds: f64) -> String {
    let minutes = (seconds / 60.0).round().max(0.0) as u64;
    format!("{} h {:02} min", minutes / 60, minutes % 60)
}

fn thousands(value: f64) -> String {
    let digits = whole(value);
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The band of a score, as a class and in words.
fn band(score: f64) -> (&'static str, &'static str) {
    match score {
        OPTIMAL.. => ("optimal", "Optimal"),
        GOOD.. => ("good", "Good"),
        _ => ("attention", "Pay attention"),
    }
}

/// A day in words; one that is not today stands out.
pub(super) fn dated(day: NaiveDate, today: NaiveDate) -> String {
    let date = day.format("%-d %b");
    match (today - day).num_days() {
        0 => format!("today, {date}"),
        1 => format!("<span class=\"old\">yesterday, {date}</span>"),
        days if days > 1 => format!("<span class=\"old\">{days} days ago, {date}</span>"),
        _ => date.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{catalogue, landing::night};

    /// A misspelt metric would make its card vanish in silence.
    #[test]
    fn every_metric_of_the_page_is_in_the_catalogue() {
        let (wearers, samples) = (catalogue::of_the_wearer(), catalogue::of_the_samples());
        let find = |name: &str| wearers.iter().chain(&samples).find(|entry| entry.definition.name == name).cloned();
        let entry = |name: &str| find(name).unwrap_or_else(|| panic!("the catalogue has no {name}"));
        for score in SCORES {
            assert_eq!(entry(score.metric).collection, Some(score.collection), "{}", score.metric);
            assert_eq!(entry(score.sample).collection, Some(score.collection), "{}", score.sample);
            assert_eq!(score.sample, score.metric.replacen("oura_", "oura_sample_", 1));
            assert_eq!(entry(score.sample).definition.labels, [], "{}", score.sample);
        }
        for figure in FIGURES {
            let definition = entry(figure.metric).definition;
            assert_eq!(definition.is_state_set, figure.words.is_none(), "{}", figure.metric);
            assert_eq!(definition.labels.is_empty(), figure.words.is_some(), "{}", figure.metric);
        }
        night::METRICS.iter().for_each(|metric| drop(entry(metric)));
    }

    #[test]
    fn figures_as_people_write_them() {
        assert_eq!([512.0, 1_512.0, 21_512.0, 1_021_512.0].map(thousands), ["512", "1,512", "21,512", "1,021,512"]);
        assert_eq!(hours(27_930.0), "7 h 46 min");
        assert_eq!([84.9, 85.0, 70.0, 69.9].map(|score| band(score).0), ["good", "optimal", "good", "attention"]);
        let day = |text: &str| text.parse().unwrap();
        assert_eq!(dated(day("2026-11-22"), day("2026-11-22")), "today, 22 Nov");
        assert!(dated(day("2026-11-21"), day("2026-11-22")).contains("yesterday"));
    }
}
