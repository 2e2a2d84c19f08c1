//! What a habit does to the days after it, in PromQL: means with and without, their difference, and Welch's t.
//!
//! A habit is of the day on which it was done; going to bed late is of the evening. The outcome is that of the day which the
//! variable `lag` says. Looked at are the days before today as far back as the variable `over` says, those with an outcome.

use crate::{
    board::choice,
    expression::{Expression, rows, with_meaning},
    meaning::{EffectColumn, Meaning},
    model::Variable,
};

/// With fewer days on either side nothing is said.
const AT_LEAST: u32 = 5;

/// How many days after the habit the outcome is of. Prometheus knows no offset of nothing: a millisecond stands for it.
pub fn lag() -> Variable {
    let about = "How many days after the habit the outcome is of: the night after it counts to the next day.";
    choice(
        "lag",
        "Outcome",
        about,
        &[("next day", "-1d"), ("same day", "1ms"), ("2 days later", "-2d"), ("3 days later", "-3d")],
    )
}

/// How many days are looked at; the value is one less.
pub fn over() -> Variable {
    let of = [("a year", "364"), ("half a year", "181"), ("90 days", "89"), ("two years", "729")];
    choice("over", "Over", "How many days before today are looked at.", &of)
}

/// The window of these days, which ends a millisecond earlier, so that it has as many whenever it is asked.
const WINDOW: &str = "[${over}d24h:1d] offset 1ms";

/// From which time on a bedtime is late, in seconds from the midnight at which the day of waking up begins.
pub fn late() -> Variable {
    let about = "From when on going to bed counts as late, by the wearer's clock.";
    let of = [
        ("00:00", "0"),
        ("22:30", "-5400"),
        ("23:00", "-3600"),
        ("23:30", "-1800"),
        ("00:30", "1800"),
        ("01:00", "3600"),
    ];
    choice("late", "Late from", about, &of)
}

/// The last sample of each series in this window.
fn last(metric: &str, window: &str) -> String {
    format!(r#"last_over_time(oura_sample_{metric}{{account=~"$account"}}{window})"#)
}

/// 1 for each habit that these select, told apart by the label `tag`.
fn habits_of(tags: &str, workouts: &str, naps: &str, late: &str) -> String {
    let named = |of: &str, name: &str| format!(r#"label_replace({of}, "tag", "{name}", "", "")"#);
    let (workouts, naps) = (format!("{workouts} > 0"), format!("{naps} > 0"));
    let all = [format!("{tags} > 0"), named(&workouts, "workout"), named(&naps, "nap"), named(late, "to bed late")];
    format!("group by (account, tag) ({})", all.join(" or "))
}

/// Each habit of a day.
fn habits() -> String {
    let of = |metric| last(metric, "[1d]");
    // The evening of a day belongs to the night of the next.
    let late = format!("{} > $late", last("night_bedtime_start_offset_seconds", "[1d] offset -1d"));
    habits_of(&of("day_tags"), &of("day_workouts"), &of("day_naps"), &late)
}

/// Each habit that there was on any of the days.
fn known() -> String {
    let of = |metric| last(metric, "[${over}d24h] @ end()");
    let naps = of("day_naps").replace("last_over_time", "max_over_time");
    habits_of(&of("day_tags"), &of("day_workouts"), &naps, &of("night_bedtime_start_offset_seconds"))
}

/// An outcome of each day times a factor, read as many days later as the reader chose.
fn outcome(metric: &str, factor: f64) -> String {
    let times = if factor == 1.0 { String::new() } else { format!(" * {factor}") };
    format!(r#"max by (account) (last_over_time(oura_sample_{metric}{{account=~"$account"}}[1d] offset $lag)){times}"#)
}

/// The outcomes of the days with each habit.
fn with(metric: &str, factor: f64) -> String {
    format!("({} * on (account) group_left () ({}))", habits(), outcome(metric, factor))
}

/// The outcomes of the days without it.
fn without(metric: &str, factor: f64) -> String {
    let (habits, known) = (habits(), known());
    format!("(({known} * on (account) group_left () ({})) unless on (account, tag) {habits})", outcome(metric, factor))
}

/// Both, told apart by the label `done`.
fn both(metric: &str, factor: f64) -> String {
    let marked = |of: &str, done: &str| format!(r#"label_replace({of}, "done", "{done}", "", "")"#);
    format!("({} or {})", marked(&with(metric, factor), "yes"), marked(&without(metric, factor), "no"))
}

/// What is wanted of a habit and an outcome. The degrees of freedom are those of the smaller side, which is on the safe side of
/// Welch's; the factors follow Student's t within half a percent from 4 on.
fn column(metric: &str, factor: f64, column: EffectColumn) -> String {
    let over = |function: &str, of: &str| format!("{function}(({of}){WINDOW})");
    let both = both(metric, factor);
    let mean_with = over("avg_over_time", &with(metric, factor));
    let mean_without = over("avg_over_time", &without(metric, factor));
    let difference = format!("({mean_with} - {mean_without})");
    let fewest = format!("min by (account, tag) ({})", over("count_over_time", &both));
    let square = format!("{} / ({} - 1)", over("stdvar_over_time", &both), over("count_over_time", &both));
    let error = format!("sqrt(sum by (account, tag) ({square}))");
    match column {
        EffectColumn::DaysWith => over("count_over_time", &with(metric, factor)),
        EffectColumn::DaysWithout => over("count_over_time", &without(metric, factor)),
        EffectColumn::MeanWith => mean_with,
        EffectColumn::MeanWithout => mean_without,
        EffectColumn::Difference => difference,
        EffectColumn::Interval => {
            // A side without any day has no count, so the fewest are then those of the other.
            format!(
                "1.959964 * (1 + 1.2223 / ({fewest} - 2.0654)) * {error} and {fewest} >= {AT_LEAST} and {difference}"
            )
        }
        EffectColumn::T => format!("{difference} / {error} and {fewest} >= {AT_LEAST}"),
        EffectColumn::Judgement => {
            let critical = format!("2.575829 * (1 + 1.9541 / ({fewest} - 2.5182))");
            format!("(1 + (abs({difference}) / {error} > bool {critical})) * ({fewest} >= bool {AT_LEAST})")
        }
    }
}

/// All columns of a table of effects, each with its heading.
pub fn columns(metric: &'static str, factor: f64) -> [(&'static str, Expression); 8] {
    [
        ("days with", EffectColumn::DaysWith),
        ("days without", EffectColumn::DaysWithout),
        ("mean with", EffectColumn::MeanWith),
        ("mean without", EffectColumn::MeanWithout),
        ("difference", EffectColumn::Difference),
        ("± 95 %", EffectColumn::Interval),
        ("Welch's t", EffectColumn::T),
        ("which is", EffectColumn::Judgement),
    ]
    .map(|(heading, each)| {
        (heading, with_meaning(column(metric, factor, each), Meaning::Effect { metric, factor, column: each }))
    })
}

/// How two values of a day go together, as Pearson's r over the days that have both; the second is read `lag` later.
pub fn together(pairs: &[(&'static str, &'static str, &'static str)]) -> Expression {
    let each = |(name, first, second): &(&'static str, &'static str, &'static str)| {
        let x = format!("max by (account) ({})", last(first, "[1d]"));
        let (x, y) = (format!("({x} + {} * 0)", outcome(second, 1.0)), format!("({} + {x} * 0)", outcome(second, 1.0)));
        let over = |function: &str, of: &str| format!("{function}(({of}){WINDOW})");
        let (mean_x, mean_y) = (over("avg_over_time", &x), over("avg_over_time", &y));
        let product = over("avg_over_time", &format!("{x} * {y}"));
        let spread = format!("{} * {}", over("stddev_over_time", &x), over("stddev_over_time", &y));
        let r = format!("(({product} - {mean_x} * {mean_y}) / ({spread}) and {} >= 10)", over("count_over_time", &x));
        (*name, with_meaning(r, Meaning::Correlation { first, second }))
    };
    let all: Vec<_> = pairs.iter().map(each).collect();
    rows(&all)
}
