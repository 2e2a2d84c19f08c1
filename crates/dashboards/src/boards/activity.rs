//! The board of activity by day: steps, energy, time by level, and workouts.

use super::{WEEKDAYS, statistics};
use crate::{
    board::{Board, Wearers},
    expression::{Expression, day, day_by, day_sum, day_with, period},
    model::{Dashboard, DrawStyle, Interpolation, Panel, Property, ShowPoints},
    panel::{SCORE_COLORS, bars, cells, days, levels, trend},
    units::Unit,
};

const HALF: (u32, u32) = (12, 9);
/// Levels of activity, as the document and as the reader says them.
const LEVELS: [(&str, &str, &str); 6] = [
    ("high", "high", "red"),
    ("medium", "medium", "orange"),
    ("low", "low", "yellow"),
    ("sedentary", "sedentary", "light-blue"),
    ("resting", "resting", "dark-blue"),
    ("non_wear", "not worn", "text"),
];

pub(super) fn board() -> Dashboard {
    let about = "Activity by day: steps, energy and distance against their targets, time by level, and workouts.";
    Board::new("oura-activity", "Oura: Activity", about, Wearers::Each)
        .variable(Unit::Energy.variable())
        .variable(Unit::Distance.variable())
        .variable(period())
        .row("days", of_days())
        .row("workouts", workouts())
        .row("in numbers", numbers())
        .build()
}

fn energy(metric: &'static str) -> Expression {
    day(metric).in_unit(Unit::Energy)
}

/// Bars of what was done, and a line of the target.
fn against_target(panel: Panel, done: &Expression, target: &Expression) -> Panel {
    let line = vec![
        Property::DrawStyle(DrawStyle::Line),
        Property::Interpolation(Interpolation::StepAfter),
        Property::LineWidth(1),
        Property::FillOpacity(0),
        Property::ShowPoints(ShowPoints::Never),
    ];
    let panel = panel.ask("done", done).ask("target", target).series("target", line);
    panel
        .defaults(|defaults| {
            if let Some(custom) = &mut defaults.custom {
                custom.stacking = None;
            }
        })
        .color("done", "green")
        .color("target", "text")
}

fn of_days() -> Vec<Panel> {
    let contributors = format!(
        "Points that each contributor gives to the activity score, a column a day: {SCORE_COLORS} From \
                                daily_activity.contributors."
    );
    let spent = "Energy spent on activity by day (bars) and Oura's target (line), in ${energy:text}. From \
                 daily_activity.active_calories and target_calories.";
    let walked = "Walking distance that would cost the same energy, by day (bars), and Oura's target (line), in \
                  ${distance:text}. From daily_activity.equivalent_walking_distance and target_meters.";
    let steps = "Steps of each day. From daily_activity.steps.";
    let alerts = "How often the app asked the wearer to move; fewer is better. From daily_activity.inactivity_alerts.";
    let distance = |metric| day(metric).in_unit(Unit::Distance);
    vec![
        trend("Steps", HALF, steps, &day("activity_steps")).unit("locale", 0),
        trend("Activity score", HALF, "From daily_activity.score.", &day("activity_score")).unit("none", 0),
        against_target(
            bars("Active energy, ${energy:text}", HALF, spent).unit("none", 0),
            &energy("activity_active_energy_joules"),
            &energy("activity_target_energy_joules"),
        ),
        against_target(
            bars("Walking equivalent, ${distance:text}", HALF, walked).unit("none", 1),
            &distance("activity_walking_equivalent_meters"),
            &distance("activity_target_meters"),
        ),
        cells("Activity contributors", HALF, &contributors)
            .scores()
            .ask("{{contributor}}", &day_by("activity_contributor_score", &["contributor"])),
        by_level(),
        effort(),
        bars("Inactivity alerts", HALF, alerts).unit("none", 0).ask("alerts", &day("activity_inactivity_alerts")),
    ]
}

fn by_level() -> Panel {
    let about = "Hours of each day at each level of activity, on each other. From daily_activity.*_time.";
    LEVELS.iter().fold(bars("Time by level", HALF, about).unit("suffix:h", 1), |panel, (level, legend, color)| {
        let time = day_with("activity_time_seconds", "level", level).per(3600.0);
        panel.ask(legend, &time).color(legend, color)
    })
}

fn effort() -> Panel {
    let about = "Metabolic equivalent times minutes at each level, on each other: how much each kind of movement counted. From \
                 daily_activity.*_met_minutes.";
    LEVELS[..4].iter().fold(
        bars("MET minutes by level", HALF, about).unit("none", 0),
        |panel, (level, legend, color)| {
            let effort = day_with("activity_met_seconds", "level", level).per(60.0);
            panel.ask(legend, &effort).color(legend, color)
        },
    )
}

fn workouts() -> Vec<Panel> {
    let kind = |title, about, expression: &Expression| bars(title, HALF, about).ask("{{activity}}", expression);
    let sum = |panel: Panel| panel.sums(&["sum"]);
    let minutes = "Minutes of workouts by day and kind, on each other; the legend has the sum over the time range. From \
                   workout.start_datetime, end_datetime and activity.";
    let energy = "Energy of workouts by day and kind, in ${energy:text}; the legend has the sum. From workout.calories and activity.";
    let distance = "Distance of workouts by day and kind, in ${distance:text}; kinds without a distance are absent. From \
                    workout.distance and activity.";
    let number = "Workouts by day and kind; the legend has the number over the time range. From workout.activity.";
    let by = &["activity"];
    vec![
        sum(kind("Workouts by kind", minutes, &day_by("day_workout_duration_seconds", by).per(60.0))
            .unit("suffix:min", 0)),
        sum(kind(
            "Energy of workouts, ${energy:text}",
            energy,
            &day_by("day_workout_energy_joules", by).in_unit(Unit::Energy),
        )
        .unit("none", 0)),
        sum(kind(
            "Distance of workouts, ${distance:text}",
            distance,
            &day_by("day_workout_distance_meters", by).in_unit(Unit::Distance),
        )
        .unit("none", 1)),
        sum(kind("Number of workouts", number, &day_by("day_workouts", by)).unit("none", 0)),
        load(),
    ]
}

fn load() -> Panel {
    let about = "Minutes of all workouts in 7 days, and a quarter of those in 28: above it, the load rises. From \
                 workout.start_datetime and end_datetime.";
    let minutes = || day_sum("day_workout_duration_seconds", "activity").per(60.0);
    days("Load of workouts", (24, 8), about)
        .unit("suffix:min", 0)
        .ask("7 days", &minutes().sum(7))
        .ask("28 days, a week", &minutes().sum(28).per(4.0))
        .color("7 days", "orange")
        .color("28 days, a week", "purple")
}

fn numbers() -> Vec<Panel> {
    let about = "Mean of 7, 30 and 365 days up to yesterday, and of the period chosen above beside the one before it and the one a \
                 year earlier; days without a value do not count. From daily_activity.";
    let of = [
        ("Activity score", day("activity_score")),
        ("Steps", day("activity_steps")),
        ("Active energy, ${energy:text}", energy("activity_active_energy_joules")),
        ("Total energy, ${energy:text}", energy("activity_total_energy_joules")),
        ("Sedentary, h", day_with("activity_time_seconds", "level", "sedentary").per(3600.0)),
    ];
    let pattern = "Steps on each day of the week, on average over 84 days. From daily_activity.steps.";
    let pattern = WEEKDAYS.iter().fold(
        levels("Steps by weekday", (8, 10), pattern)
            .unit("locale", 0)
            .range(0.0, 15_000.0)
            .sized(14, 20)
            .colors("blue", &[]),
        |panel, (name, weekday)| panel.ask_now(name, &day("activity_steps").on(weekday).mean(84)),
    );
    // Steps by the thousand and hours by the tenth: each as many decimals as fit its size.
    let all = statistics("Activity in numbers", (16, 10), about, &of).defaults(|defaults| defaults.decimals = None);
    vec![all, pattern]
}
