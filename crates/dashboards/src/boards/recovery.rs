//! The board of recovery by day: readiness, signs of illness, stress, resilience, and the heart over months.

use super::{WEEKDAYS, statistics};
use crate::{
    board::{Board, Wearers},
    expression::{Expression, day, day_by, day_state, period},
    model::{Dashboard, DrawStyle, Panel, PanelKind, Property, ShowPoints},
    panel::{SCORE_COLORS, bars, cells, days, levels, mapping, trend},
    units::Unit,
};

const HALF: (u32, u32) = (12, 9);

pub(super) fn board() -> Dashboard {
    let about = "Recovery by day: readiness, signs of illness, stress and resilience, and the heart over months.";
    Board::new("oura-recovery", "Oura: Recovery", about, Wearers::Each)
        .variable(Unit::Temperature.variable())
        .variable(period())
        .row("recovery", recovery())
        .row("stress and resilience", stress())
        .row("heart and oxygen", heart())
        .row("in numbers", numbers())
        .build()
}

fn temperature() -> Expression {
    day("readiness_temperature_deviation_celsius").in_unit(Unit::Temperature)
}

fn recovery() -> Vec<Panel> {
    let glance = format!(
        "The three scores, a column a day: {SCORE_COLORS} A gap is a day without a score. From \
                          daily_readiness, daily_sleep and daily_activity.score."
    );
    let contributors = format!(
        "Points that each contributor gives to readiness, a column a day: {SCORE_COLORS} From \
                                daily_readiness.contributors."
    );
    let warm = "Skin temperature against the wearer's own normal (bars) and its trend over days, in ${temperature:text}. Half a \
                degree Celsius is much. From daily_readiness.temperature_deviation and temperature_trend_deviation.";
    let trend_of_days = day("readiness_temperature_trend_deviation_celsius").in_unit(Unit::Temperature);
    vec![
        cells("Days at a glance", (24, 6), &glance)
            .scores()
            .ask("readiness", &day("readiness_score"))
            .ask("sleep", &day("sleep_score"))
            .ask("activity", &day("activity_score")),
        trend("Readiness", HALF, "From daily_readiness.score.", &day("readiness_score")).unit("none", 0),
        cells("Readiness contributors", HALF, &contributors)
            .scores()
            .ask("{{contributor}}", &day_by("readiness_contributor_score", &["contributor"])),
        illness(),
        days("Temperature, ${temperature:text}", HALF, warm)
            .unit("none", 2)
            .ask("deviation", &temperature())
            .ask("trend", &trend_of_days)
            .series(
                "deviation",
                vec![
                    Property::DrawStyle(DrawStyle::Bars),
                    Property::FillOpacity(40),
                    Property::ShowPoints(ShowPoints::Never),
                ],
            )
            .color("deviation", "orange")
            .color("trend", "purple"),
    ]
}

fn illness() -> Panel {
    let about = "How far each is from what is usual for this wearer, in their own standard deviations of the 30 days before. \
                 Several of temperature, heart rate and breathing above 2 while the heart rate variability falls below -2: the body \
                 fights something. From daily_readiness.temperature_deviation, sleep.lowest_heart_rate, average_breath and average_hrv.";
    days("Signs of illness", HALF, about)
        .unit("suffix:σ", 1)
        .ask("temperature", &day("readiness_temperature_deviation_celsius").in_deviations())
        .ask("lowest heart rate", &day("night_lowest_heart_rate_bpm").in_deviations())
        .ask("breathing", &day("night_average_breaths_per_minute").in_deviations())
        .ask("heart rate variability", &day("night_average_hrv_seconds").in_deviations())
        .color("temperature", "orange")
        .color("lowest heart rate", "red")
        .color("breathing", "blue")
        .color("heart rate variability", "green")
}

const RESILIENCE: &[&str] = &["limited", "adequate", "solid", "strong", "exceptional"];
const DAY: &[&str] = &["restored", "normal", "stressful"];

fn in_words(panel: Panel, words: &[(&str, &'static str)]) -> Panel {
    let words: Vec<_> = (1..).zip(words).map(|(number, (word, color))| (number, *word, Some(*color))).collect();
    // There is no room for a word in a cell.
    let panel = panel.options(|options| options.legend.iter_mut().for_each(|legend| legend.show_legend = true));
    panel.defaults(|defaults| defaults.mappings = vec![mapping(&words)])
}

fn stress() -> Vec<Panel> {
    let hours = "Hours of the day under high stress (below 0) and in high recovery (above). From daily_stress.stress_high and \
                 recovery_high.";
    let level = "The level of resilience of each day. From daily_resilience.level.";
    let summary = "How each day was in all; Oura says it once the day has enough data. From daily_stress.day_summary.";
    let contributors =
        "Points that each contributor gives to resilience, 0 to 100. From daily_resilience.contributors.";
    let stress = bars("Stress and recovery", HALF, hours)
        .unit("suffix:h", 1)
        .ask("recovery", &day("recovery_high_seconds").per(3600.0))
        .ask("stress", &day("stress_high_seconds").per(-3600.0));
    let levels = [
        ("limited", "orange"),
        ("adequate", "yellow"),
        ("solid", "blue"),
        ("strong", "green"),
        ("exceptional", "purple"),
    ];
    let kinds = [("restored", "green"), ("normal", "blue"), ("stressful", "orange")];
    let resilience = day_state("resilience_level", "level", RESILIENCE);
    let of_day = day_state("stress_day_state", "state", DAY);
    vec![
        stress.defaults(|defaults| defaults.min = None).color("recovery", "green").color("stress", "orange"),
        days("Resilience contributors", HALF, contributors)
            .unit("none", 0)
            .ask("{{contributor}}", &day_by("resilience_contributor_score", &["contributor"])),
        in_words(cells("Resilience", (12, 5), level), &levels).ask("resilience", &resilience),
        in_words(cells("How the day was", (12, 5), summary), &kinds).ask("day", &of_day),
    ]
}

fn heart() -> Vec<Panel> {
    let third = (8, 8);
    let points = |title, about, legend, expression: &Expression| days(title, third, about).ask(legend, expression);
    let disturbed =
        "Drops of blood oxygen as Oura's index; fewer is better. From daily_spo2.breathing_disturbance_index.";
    vec![
        points(
            "Cardiovascular age",
            "Age of the arteries as Oura estimates it. From daily_cardiovascular_age.vascular_age.",
            "years",
            &day("cardiovascular_age_years"),
        )
        .unit("suffix:years", 0),
        points(
            "Pulse wave velocity",
            "Speed of the pulse wave. From daily_cardiovascular_age.pulse_wave_velocity.",
            "velocity",
            &day("pulse_wave_velocity_meters_per_second"),
        )
        .unit("velocityms", 1),
        points("VO2 max", "Cardio capacity in ml/kg/min. From vO2_max.vo2_max.", "VO2 max", &day("vo2_max"))
            .unit("none", 1),
        trend(
            "Blood oxygen",
            HALF,
            "SpO2 of the night. From daily_spo2.spo2_percentage.average.",
            &day("spo2_average_ratio"),
        )
        .unit("percentunit", 1),
        days("Breathing disturbances", HALF, disturbed)
            .unit("none", 0)
            .ask("index", &day("spo2_breathing_disturbance_index")),
    ]
}

fn numbers() -> Vec<Panel> {
    let about = "Mean of 7, 30 and 365 days up to yesterday, and of the period chosen above beside the one before it and the one a \
                 year earlier; days without a value do not count. From daily_readiness, daily_stress and daily_spo2.";
    let of = [
        ("Readiness", day("readiness_score")),
        ("Temperature, ${temperature:text}", temperature()),
        ("Stress, h", day("stress_high_seconds").per(3600.0)),
        ("Recovery, h", day("recovery_high_seconds").per(3600.0)),
        ("Blood oxygen, %", day("spo2_average_ratio").linear(100.0, 0.0)),
    ];
    let pattern = "Readiness on each day of the week, on average over 84 days. From daily_readiness.score.";
    let pattern = WEEKDAYS.iter().fold(
        levels("Readiness by weekday", (8, 10), pattern).scores().range(0.0, 100.0).sized(14, 20),
        |panel, (name, weekday)| panel.ask_now(name, &day("readiness_score").on(weekday).mean(84)),
    );
    let all = statistics("Recovery in numbers", (16, 10), about, &of).unit("none", 2);
    vec![year(), all, pattern]
}

/// Each week is a column that stands at its Thursday, which is how weeks of seven days fall since 1970; that is also the day by
/// which ISO 8601 counts weeks, so that each column is one week from Monday to Sunday.
fn year() -> Panel {
    let about = format!(
        "Readiness of a year, a column a week and a row a weekday: {SCORE_COLORS} A column stands at its week's Thursday. With an \
         absolute time range, that range. From daily_readiness.score."
    );
    let mut panel = cells("Year of readiness", (24, 8), &about).scores().every("7d").last("53w");
    panel.kind = PanelKind::StatusHistory;
    panel.set_options(|options| {
        options.show_value = Some("never");
        (options.merge_values, options.align_value) = (None, None);
        options.col_width = Some(0.9);
    });
    let days = (-3..).zip(WEEKDAYS);
    let panel = days.fold(panel, |panel, (later, (name, _))| panel.ask(name, &day("readiness_score").later(later)));
    panel.defaults(|defaults| defaults.links.clear())
}
