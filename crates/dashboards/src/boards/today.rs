//! The board of one person's day: the verdict, the night, what stands out, and whether it can be trusted.

use super::exporter::answers;
use crate::{
    board::{Board, Wearers},
    expression::{Expression, day, other, rows},
    live::{day_in_words, in_the_night, live, live_against_usual, live_by, live_day, live_with, mean_of_step},
    model::{Color, Dashboard, DataLink, DrawStyle, Interpolation, Panel, Property, ShowPoints},
    panel::{SCORE_COLORS, bars, levels, lines, mapping, numbers, sparklines, states, thresholds},
    units::Unit,
};

pub(super) fn board() -> Dashboard {
    let about = "One person's day: the verdict, the night, what stands out, and whether it can be trusted.";
    Board::new("oura-today", "Oura: Today", about, Wearers::One)
        .in_readers_time()
        .opens("now-26h")
        .variable(Unit::Temperature.variable())
        .variable(Unit::Energy.variable())
        .variable(Unit::Distance.variable())
        .row("$account: the verdict", verdict())
        .row("The night", night())
        .row("What stands out", stands_out())
        .row("The exporter and the ring", trust())
        .row("The day", of_day())
        .build()
}

fn words(properties: Vec<Property>) -> Vec<Property> {
    let words = day_in_words();
    let words: Vec<_> = words.iter().map(|(number, text)| (*number, text.as_str(), None)).collect();
    let color = Property::Color(Color::fixed("text"));
    [vec![Property::Mappings(vec![mapping(&words)]), color, Property::Unit("none".into())], properties].concat()
}

/// A score, its difference to what is usual, and the day that it is of.
fn score(title: &str, metric: &'static str, collection: &'static str) -> Panel {
    let about = format!(
        "The score, {SCORE_COLORS} Beside it the difference to the mean of the 30 days before today, and the day that it is of by \
         the wearer's own clock. From {collection}.score and day."
    );
    let difference = vec![
        Property::Color(Color::THRESHOLDS),
        Property::Thresholds(thresholds("orange", &[(-5.0, "text"), (5.0, "green")])),
        Property::Decimals(1),
    ];
    numbers(title, (8, 6), &about)
        .scores()
        .options(|options| options.orientation = Some("horizontal"))
        .sized(16, 28)
        .ask_now("score", &live(metric, collection))
        .ask_now("against 30 days", &live_against_usual(metric, collection))
        .ask_now("day", &live_day(metric, collection))
        .series("against 30 days", difference)
        .series("day", words(vec![]))
}

fn leading_to(url: &'static str) -> Vec<Property> {
    vec![Property::Links(vec![DataLink { title: "The days", url, target_blank: false, one_click: true }])]
}

fn verdict() -> Vec<Panel> {
    // Without dates: no moment of a day in UTC is on its date for readers from UTC-11 to UTC+14, and this board is in their time.
    let line = "The course of the three scores over the last 14 days, by days in UTC; a click leads to the board that has their dates. \
                With an absolute time range, that range. From daily_readiness, daily_sleep and daily_activity.score.";
    let line = sparklines("Fourteen days", (24, 5), line)
        .sized(16, 16)
        .unit("none", 0)
        .every("1h")
        .last("14d")
        .ask_through_the_day("readiness", &day("readiness_score"))
        .ask_through_the_day("sleep", &day("sleep_score"))
        .ask_through_the_day("activity", &day("activity_score"))
        .series(
            "readiness",
            leading_to("/d/oura-recovery?var-account=${__field.labels.account}&${datasource:queryparam}"),
        )
        .series("sleep", leading_to("/d/oura-sleep?var-account=${__field.labels.account}&${datasource:queryparam}"))
        .series(
            "activity",
            leading_to("/d/oura-activity?var-account=${__field.labels.account}&${datasource:queryparam}"),
        );
    vec![
        score("Readiness", "readiness_score", "daily_readiness"),
        score("Sleep", "sleep_score", "daily_sleep"),
        score("Activity", "activity_score", "daily_activity"),
        strip(),
        line.color("readiness", "green").color("sleep", "blue").color("activity", "orange"),
    ]
}

fn hypnogram() -> Panel {
    let about = "The stages of the night as steps, and the heart rate over them (right axis). From sleep.sleep_phase_30_sec, else the \
                 5-minute stages, and sleep.heart_rate. Needs the samples with their own time.";
    let stages = [(1, "deep", None), (2, "light", None), (3, "REM", None), (4, "awake", None)];
    let steps = vec![
        Property::Interpolation(Interpolation::StepAfter),
        Property::LineWidth(2),
        Property::FillOpacity(20),
        Property::Mappings(vec![mapping(&stages)]),
        Property::Min(0.5),
        Property::Max(4.5),
        Property::Color(Color::fixed("blue")),
        Property::Unit("none".into()),
    ];
    let over = vec![Property::AxisPlacement("right"), Property::Color(Color::fixed("red")), Property::LineWidth(1)];
    lines("Hypnogram and heart rate", (24, 9), about)
        .unit("suffix:bpm", 0)
        .every("1m")
        .defaults(|defaults| {
            if let Some(custom) = &mut defaults.custom {
                custom.show_points = Some(ShowPoints::Never);
            }
        })
        .ask("stage", &in_the_night("sleep_stage", 1.0))
        .ask("heart rate", &in_the_night("night_heart_rate_bpm", 1.0))
        .series("stage", steps)
        .series("heart rate", over)
}

fn night() -> Vec<Panel> {
    let about = "RMSSD every 5 minutes of the night. From sleep.hrv. Needs the samples with their own time.";
    let figure = |title, from: &str, expression: Expression| {
        numbers(title, (4, 4), &format!("Of the night. From sleep.{from}.")).sized(16, 32).ask_now("", &expression)
    };
    let sleep = |metric| live(metric, "sleep");
    vec![
        hypnogram(),
        figure("Total sleep", "total_sleep_duration", sleep("night_total_sleep_seconds"))
            .defaults(|defaults| defaults.unit = "dthms".into()),
        figure("Efficiency", "efficiency", sleep("night_efficiency_ratio")).unit("percentunit", 0),
        figure("Time to fall asleep", "latency", sleep("night_latency_seconds"))
            .defaults(|defaults| defaults.unit = "dthms".into()),
        figure("Night's HRV", "average_hrv", sleep("night_average_hrv_seconds").linear(1000.0, 0.0))
            .unit("suffix:ms", 0),
        figure("Lowest heart rate", "lowest_heart_rate", sleep("night_lowest_heart_rate_bpm")).unit("suffix:bpm", 0),
        figure("Night's breathing", "average_breath", sleep("night_average_breaths_per_minute")).unit("none", 1),
        stages(),
        lines("Heart rate variability through the night", (12, 8), about)
            .unit("suffix:ms", 0)
            .every("5m")
            .ask("HRV", &in_the_night("night_hrv_seconds", 1000.0)),
    ]
}

fn stages() -> Panel {
    let about = "Time of the night in each stage, h:mm:ss. From sleep.*_sleep_duration and awake_time.";
    let panel = levels("Stages", (12, 8), about).sized(14, 20).colors("blue", &[]);
    let panel = panel.defaults(|defaults| (defaults.unit, defaults.min) = ("dthms".into(), Some(0.0)));
    let stages = [
        ("deep", "deep", "dark-blue"),
        ("light", "light", "light-blue"),
        ("rem", "REM", "purple"),
        ("awake", "awake", "orange"),
    ];
    stages.into_iter().fold(panel, |panel, (stage, legend, color)| {
        let time = live_with("night_stage_seconds", "sleep", "stage", stage);
        panel.ask_now(legend, &time).color(legend, color)
    })
}

/// The series of the lowest points among a score's contributors.
fn lowest(title: &str, metric: &'static str, collection: &'static str) -> Panel {
    let about = format!(
        "The two contributors with the fewest points of the score: {SCORE_COLORS} From {collection}.contributors."
    );
    let all = live_by(metric, collection, "contributor").promql();
    let two = other(format!("bottomk by (account) (2, {all})"), "the two lowest of a day's values");
    numbers(title, (6, 6), &about).scores().sized(12, 44).ask_now("{{contributor}}", &two)
}

/// What is compared with the wearer's own band.
fn compared() -> Expression {
    let of = [
        ("heart rate variability", day("night_average_hrv_seconds")),
        ("lowest heart rate", day("night_lowest_heart_rate_bpm")),
        ("breathing", day("night_average_breaths_per_minute")),
        ("temperature", day("readiness_temperature_deviation_celsius")),
        ("total sleep", day("night_total_sleep_seconds")),
        ("time to fall asleep", day("night_latency_seconds")),
    ];
    let deviations: Vec<_> = of.into_iter().map(|(name, value)| (name, value.in_deviations())).collect();
    rows(&deviations)
}

fn stands_out() -> Vec<Panel> {
    let about = "What of today, the day in UTC, is further from what is usual for this wearer than twice their own standard deviation \
                 of the 30 days before. From sleep and daily_readiness.";
    let all = compared().promql();
    let beyond =
        other(format!("max by (account, of) (({all}) unless (abs({all}) < 2))"), "only what is beyond the band");
    vec![
        numbers("Beyond the own band", (6, 6), about)
            .unit("suffix:σ", 1)
            .sized(12, 32)
            .colors("orange", &[(0.0, "purple")])
            .defaults(|defaults| defaults.no_value = "nothing".into())
            .ask_now("{{of}}", &beyond),
        lowest("Lowest of readiness", "readiness_contributor_score", "daily_readiness"),
        lowest("Lowest of sleep", "sleep_contributor_score", "daily_sleep"),
        lowest("Lowest of activity", "activity_contributor_score", "daily_activity"),
    ]
}

fn signed_in() -> Expression {
    other(r#"min by (account) (oura_account_authorized{account=~"$account"})"#, TRUST)
}

/// Whether the ring was in touch in the last twelve hours.
fn ring() -> Expression {
    let heart_rate = r#"oura_heart_rate_timestamp_seconds{account=~"$account"}"#;
    let battery = r#"oura_ring_battery_timestamp_seconds{account=~"$account"}"#;
    other(format!("(time() - max by (account) ({heart_rate} or {battery})) < bool 43200"), TRUST)
}

const TRUST: &str = "about the exporter, not a day";

/// The three of them in words and colours.
fn in_words(panel: Panel) -> Panel {
    let words = |low: &str, color: &'static str, high: &str| {
        let words = [(-1, "no exporter answers", Some("red")), (0, low, Some(color)), (1, high, Some("green"))];
        vec![Property::Mappings(vec![mapping(&words)])]
    };
    panel
        .series("exporter", words("failing", "orange", "well"))
        .series("sign-in", words("needed", "red", "accepted"))
        .series("ring", words("silent", "orange", "in touch"))
}

const TRUST_IS: &str = "Red: no exporter answers, or a person must sign in again (needed). Orange: a collection fails, or the ring has not \
                        been in touch for 12 hours (silent). From oura_up, oura_account_authorized and the times of heart rate and battery.";

/// All that says whether the rest can be trusted, as one strip.
fn strip() -> Panel {
    in_words(numbers("Can I trust this", (24, 4), TRUST_IS))
        .sized(16, 20)
        .options(|options| options.color_mode = Some("background"))
        .defaults(|defaults| defaults.no_value = "no exporter has ever answered".into())
        .ask_now("exporter", &answers())
        .ask_now("sign-in", &signed_in())
        .ask_now("ring", &ring())
}

fn trust() -> Vec<Panel> {
    let full = "How full the ring's battery was when it was last read. From ring_battery_level.level.";
    let battery = r#"max by (account) (oura_ring_battery_ratio{account=~"$account"})"#;
    let sync = "The time of the newest sample of each, by the reader's clock. From heartrate.timestamp and ring_battery_level.timestamp.";
    let time = |metric| other(format!(r#"max by (account) ({metric}{{account=~"$account"}}) * 1000"#), TRUST);
    vec![
        in_words(states("Trust over time", (12, 5), TRUST_IS))
            .every("1m")
            .ask("exporter", &answers())
            .ask("sign-in", &signed_in())
            .ask("ring", &ring()),
        numbers("Last sync", (8, 5), sync)
            .sized(16, 20)
            .defaults(|defaults| defaults.unit = "dateTimeFromNow".into())
            .ask_now("heart rate", &time("oura_heart_rate_timestamp_seconds"))
            .ask_now("battery", &time("oura_ring_battery_timestamp_seconds")),
        numbers("Ring battery", (4, 5), full)
            .sized(16, 32)
            .unit("percentunit", 0)
            .colors("red", &[(0.15, "orange"), (0.3, "green")])
            .ask_now("", &other(battery, TRUST)),
    ]
}

fn of_day() -> Vec<Panel> {
    let activity = |metric| live(metric, "daily_activity");
    let figure = |title: &str, from: &str, expression: &Expression| {
        numbers(title, (4, 4), &format!("So far. From {from}.")).unit("none", 0).sized(16, 32).ask_now("", expression)
    };
    let spent = activity("activity_active_energy_joules").in_unit(Unit::Energy);
    let walked = activity("activity_walking_equivalent_meters").in_unit(Unit::Distance);
    let warm = live("readiness_temperature_deviation_celsius", "daily_readiness").in_unit(Unit::Temperature);
    let stress = |metric| live(metric, "daily_stress");
    let effort = "Metabolic equivalent through the day: 1 is rest, from 3 on moderate, from 6 on vigorous. From daily_activity.met. Needs \
                  the samples with their own time.";
    let beats = "Heart rate through the day. From heartrate.bpm. Needs the samples with their own time.";
    vec![
        figure("Steps", "daily_activity.steps", &activity("activity_steps"))
            .defaults(|defaults| defaults.unit = "locale".into()),
        figure("Active, ${energy:text}", "daily_activity.active_calories", &spent),
        figure("Walked, ${distance:text}", "daily_activity.equivalent_walking_distance", &walked).unit("none", 1),
        numbers(
            "Skin temperature, ${temperature:text}",
            (4, 4),
            "Difference of the night to what is usual. From daily_readiness.temperature_deviation.",
        )
        .unit("none", 1)
        .sized(16, 32)
        .ask_now("", &warm),
        figure("High stress", "daily_stress.stress_high", &stress("stress_high_seconds"))
            .defaults(|defaults| defaults.unit = "dthms".into()),
        figure("High recovery", "daily_stress.recovery_high", &stress("recovery_high_seconds"))
            .defaults(|defaults| defaults.unit = "dthms".into()),
        lines("Heart rate", (12, 8), beats)
            .unit("suffix:bpm", 0)
            .every("5m")
            .ask("heart rate", &mean_of_step("heart_rate_bpm", ", source")),
        bars("Metabolic equivalent", (12, 8), effort)
            .unit("none", 1)
            .every("5m")
            .ask("MET", &mean_of_step("met", ""))
            .defaults(|defaults| defaults.links.clear())
            .series("MET", vec![Property::DrawStyle(DrawStyle::Line)]),
    ]
}
