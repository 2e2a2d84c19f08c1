//! An account's today as cards: the three scores with their band, and the figures that one looks for in the morning.

use std::fmt::Write as _;

use chrono::{DateTime, NaiveDate, Utc};

use crate::latest::AccountState;

/// From here on Oura calls a score optimal, and from here on good; below, it asks for attention.
const OPTIMAL: f64 = 85.0;
const GOOD: f64 = 70.0;

/// A figure: its title, the metric it is read from, the label value where there are several series, and its words.
struct Card {
    title: &'static str,
    metric: &'static str,
    state: Option<&'static str>,
    words: fn(f64) -> String,
    is_score: bool,
}

const fn score(title: &'static str, metric: &'static str) -> Card {
    Card { title, metric, state: None, words: whole, is_score: true }
}

const fn figure(title: &'static str, metric: &'static str, words: fn(f64) -> String) -> Card {
    Card { title, metric, state: None, words, is_score: false }
}

/// What is shown, in this order, as far as the page has it.
const CARDS: &[Card] = &[
    score("Readiness", "oura_readiness_score"),
    score("Sleep", "oura_sleep_score"),
    score("Activity", "oura_activity_score"),
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
    Card {
        title: "Resilience",
        metric: "oura_resilience_level",
        state: Some("level"),
        words: |_| String::new(),
        is_score: false,
    },
    figure("Ring battery", "oura_ring_battery_ratio", |ratio| format!("{:.0} %", ratio * 100.0)),
];

fn whole(value: f64) -> String {
    format!("{value:.0}")
}

fn hours(seconds: f64) -> String {
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

/// The cards of an account; empty where it shows nothing.
pub(super) fn cards(account: &AccountState, now: DateTime<Utc>) -> String {
    let today = account.moment(now).today();
    let list = |are_scores: bool| {
        let cards = CARDS.iter().filter(|card| card.is_score == are_scores);
        let cards: String = cards.filter_map(|card| card.html(account, today)).collect();
        let class = if are_scores { "cards scores" } else { "cards" };
        if cards.is_empty() { cards } else { format!("<ul class=\"{class}\">{cards}</ul>") }
    };
    list(true) + &list(false)
}

impl Card {
    fn html(&self, account: &AccountState, today: NaiveDate) -> Option<String> {
        let (value, words, day) = self.find(account)?;
        let (class, band) = if self.is_score { band(value) } else { ("", "") };
        let mut html = format!("<li class=\"{class}\"><h3>{}</h3><p class=\"value\">{words}</p>", self.title);
        let _ = write!(html, "<p class=\"note\">{band}{}</p>", day.map_or_else(String::new, |day| dated(day, today)));
        Some(html)
    }

    /// The value, in words, and the day it is of.
    fn find(&self, account: &AccountState) -> Option<(f64, String, Option<NaiveDate>)> {
        let mut shown = account.collections.iter().filter_map(|collection| collection.shown.as_deref());
        let with = |shown: &crate::documents::Shown| {
            let mut named = shown.observations.iter().filter(|observation| observation.name == self.metric);
            let found = named.find(|observation| self.state.is_none() || observation.value == 1.0)?;
            let state = found.labels.first().filter(|_| self.state.is_some()).map(|(_, state)| state.to_string());
            let words = state.unwrap_or_else(|| (self.words)(found.value));
            Some((found.value, words, shown.date.day(account.zone())))
        };
        shown.find_map(with)
    }
}

/// The band of a score, as a class and in words.
fn band(score: f64) -> (&'static str, &'static str) {
    match score {
        OPTIMAL.. => ("optimal", "<strong>Optimal</strong><br>"),
        GOOD.. => ("good", "<strong>Good</strong><br>"),
        _ => ("attention", "<strong>Pay attention</strong><br>"),
    }
}

/// A day in words; one that is not today stands out.
fn dated(day: NaiveDate, today: NaiveDate) -> String {
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
