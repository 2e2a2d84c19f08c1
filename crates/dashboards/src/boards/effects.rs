//! The board of what habits do to the days after them.

use super::columns;
use crate::{
    board::{Board, Wearers},
    effects::{self, lag, late, over, together},
    expression::{Expression, day, outcome_by_lag},
    model::{Dashboard, FieldOf, Mapping, Matcher, Panel, PointSize, Property, SortBy, Text, XySeries},
    panel::{levels, mapping, scatter, table},
};

pub(super) fn board() -> Dashboard {
    let about = "What tags, workouts, naps and late bedtimes do to the days after them, with how sure that is.";
    Board::new("oura-effects", "Oura: Effects", about, Wearers::One)
        .opens("now-365d")
        .variable(lag())
        .variable(over())
        .variable(late())
        .row("$account: with and without", tables())
        .row("How values go together", pairs())
        .build()
}

const HOW: &str = "Mean of the days after the habit and of all others, as the choices above say. Difference ± 95 %: the interval that holds \
                   the true one in 95 of 100 cases. \"likely real\": Welch's t is beyond what chance gives once in 100 cases; of twenty \
                   habits looked at, one may still be chance, and what goes together need not be cause. With fewer than 5 days on \
                   either side nothing is said. Tags are without Oura's prefixes.";

fn judged() -> Vec<Property> {
    let words =
        [(0, "too few days", Some("text")), (1, "may be chance", Some("orange")), (2, "likely real", Some("green"))];
    vec![Property::Mappings(vec![mapping(&words)])]
}

/// Tags as people say them.
fn without_prefix() -> Property {
    let text = Text { text: "$1".into(), color: None, index: 0 };
    Property::Mappings(vec![Mapping::Regex { pattern: "^tag_(?:generic_|sleep_)?(.+)$", result: text }])
}

fn of_habits(title: &str, metric: &'static str, factor: f64, from: &str) -> Panel {
    let panel = table(title, (24, 12), &format!("{HOW} From {from}, enhanced_tag, workout and sleep."));
    let (names, expressions): (Vec<_>, Vec<_>) = effects::columns(metric, factor).into_iter().unzip();
    let panel = expressions.iter().fold(panel.unit("none", 1), Panel::column);
    let counts = ["days with", "days without"];
    let panel = columns(panel, "tag", &names).series("which is", judged()).series("tag", vec![without_prefix()]);
    let by_difference = vec![SortBy { display_name: "difference", desc: false }];
    let panel = panel.options(|options| options.sort_by = Some(by_difference));
    counts.iter().fold(panel, |panel, count| panel.series(count, vec![Property::Decimals(0)]))
}

const HRV: &str = "night_average_hrv_seconds";

fn tables() -> Vec<Panel> {
    vec![
        of_habits("Readiness after each habit", "readiness_score", 1.0, "daily_readiness.score"),
        of_habits("Sleep score after each habit", "sleep_score", 1.0, "daily_sleep.score"),
        of_habits("Heart rate variability after each habit, ms", HRV, 1000.0, "sleep.average_hrv"),
    ]
}

/// Points of the days, one value over the other.
fn against(title: &str, about: &str, across: (&str, Expression), up: (&str, Expression)) -> Panel {
    let field = |name: &str| FieldOf { matcher: Matcher { id: "byName", options: name.to_owned() } };
    let series = XySeries { x: field(across.0), y: field(up.0) };
    scatter(title, (8, 9), about, series, PointSize::Fixed { fixed: 5 }).ask(across.0, &across.1).ask(up.0, &up.1)
}

fn pairs() -> Vec<Panel> {
    let about = "How strongly two values of a day go together, from -1 to 1, the second on the day chosen above; 0 is not at all, and \
                 nothing is said with fewer than 10 days that have both. From sleep, daily_activity, daily_stress and daily_readiness.";
    let of = [
        ("HRV, readiness", "night_average_hrv_seconds", "readiness_score"),
        ("sleep, readiness", "night_total_sleep_seconds", "readiness_score"),
        ("steps, sleep score", "activity_steps", "sleep_score"),
        ("stress, HRV", "stress_high_seconds", "night_average_hrv_seconds"),
        ("activity, readiness", "activity_score", "readiness_score"),
    ];
    let readiness = || ("readiness", outcome_by_lag("readiness_score"));
    let dots = "A point a day of the range: across the first, up the readiness of the day chosen above. From";
    vec![
        levels("Pearson's r", (8, 9), about)
            .unit("none", 2)
            .range(-1.0, 1.0)
            .sized(12, 18)
            .colors("blue", &[])
            .ask_now("{{of}}", &together(&of)),
        against(
            "Sleep and readiness",
            &format!("{dots} sleep.total_sleep_duration and daily_readiness.score."),
            ("total sleep, h", day("night_total_sleep_seconds").per(3600.0)),
            readiness(),
        ),
        against(
            "Heart rate variability and readiness",
            &format!("{dots} sleep.average_hrv and daily_readiness.score."),
            ("HRV, ms", day("night_average_hrv_seconds").linear(1000.0, 0.0)),
            readiness(),
        ),
    ]
}
