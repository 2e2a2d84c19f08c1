//! The board of what happened when: workouts, sessions, naps and tags at their own time, and the alerts that fired.

use super::with_columns;
use crate::{
    board::{Board, Wearers},
    expression::other,
    model::{Dashboard, Panel, Property, SortBy},
    panel::{states, table},
    units::Unit,
};

const EVENT: &str = "an event at its own time";

pub(super) fn board() -> Dashboard {
    let about = "What happened when: workouts, sessions, naps and tags at their own time, and the alerts that fired.";
    Board::new("oura-events", "Oura: Events", about, Wearers::Together)
        .in_readers_time()
        .opens("now-7d")
        .variable(Unit::Energy.variable())
        .variable(Unit::Distance.variable())
        .row("Events", tables())
        .row("Alerts", alerts())
        .build()
}

/// Windows end half a minute after the points: times are rounded to the nearest minute, and an event on a full minute lies in one
/// window with its revisions, which follow it by milliseconds.
const SHIFT: &str = "offset -29s500ms";

/// What is said of all tables.
const TIMES: &str = "Time: when it began, to the minute where the range has at most a week, else to the step.";

/// A table of events: when each began, and what it had.
struct Events<'a> {
    title: &'a str,
    about: &'a str,
    labels: &'a [&'a str],
    /// Further columns: metric, what is done with it, heading, unit.
    columns: &'a [(&'a str, &'a str, &'a str, &'a str)],
}

fn events(of: &Events<'_>, size: (u32, u32)) -> Panel {
    let by = of.labels.iter().map(|label| format!(", {label}")).collect::<String>();
    let last = |metric: &str| {
        format!(
            r#"max by (account{by}) (last_over_time(oura_sample_{metric}{{account=~"$account"}}[$__interval] {SHIFT}))"#
        )
    };
    let panel = table(of.title, size, &format!("{} {TIMES}", of.about)).every("1m").at_most(10_500).unit("none", 0);
    let panel = of
        .columns
        .iter()
        .fold(panel, |panel, (metric, convert, ..)| panel.events(&other(format!("{}{convert}", last(metric)), EVENT)));
    let headings: Vec<_> = of.columns.iter().map(|(_, _, heading, _)| *heading).collect();
    let panel = with_columns(panel, "Time", &headings, &[]);
    let panel = panel.options(|options| options.sort_by = Some(vec![SortBy { display_name: "Time", desc: true }]));
    of.columns.iter().fold(panel, |panel, (_, _, heading, unit)| {
        let decimals = u8::from(heading.starts_with("distance"));
        panel.series(heading, vec![Property::Unit((*unit).to_owned()), Property::Decimals(decimals)])
    })
}

fn tables() -> Vec<Panel> {
    let half = (12, 9);
    let workouts = Events {
        title: "Workouts",
        about: "Each workout of the range, the newest first. From workout.",
        labels: &["activity", "intensity", "source"],
        columns: &[
            ("workout_duration_seconds", "", "duration", "dthms"),
            ("workout_energy_joules", " / $energy", "energy, ${energy:text}", "none"),
            ("workout_distance_meters", " / $distance", "distance, ${distance:text}", "none"),
        ],
    };
    let sessions = Events {
        title: "Sessions",
        about: "Each session of breathing, meditation or rest, the newest first. From session.",
        labels: &["kind", "mood"],
        columns: &[("session_duration_seconds", "", "duration", "dthms")],
    };
    let naps = Events {
        title: "Naps",
        about: "Each nap of the range, the newest first, and the time slept in it. From sleep records of type sleep or late_nap.",
        labels: &[],
        columns: &[("nap_seconds", "", "slept", "dthms")],
    };
    let tags = Events {
        title: "Tags",
        about: "Each tag of the range, the newest first. From enhanced_tag.",
        labels: &["tag"],
        columns: &[("tag", "", "tags", "none")],
    };
    vec![events(&workouts, (24, 9)), events(&sessions, half), events(&naps, half), events(&tags, (24, 9))]
}

fn alerts() -> Vec<Panel> {
    let about = "Which alerts of the rules for Oura fired when. Needs those rules in the same Prometheus. From ALERTS.";
    let fired =
        r#"max by (account, alertname) (ALERTS{alertname=~"Oura.+", alertstate="firing", account=~"$account|"})"#;
    vec![
        states("Fired alerts", (24, 9), about)
            .every("1m")
            .defaults(|defaults| defaults.no_value = "none fired".into())
            .words(&[(1, "firing", Some("red"))])
            .ask("{{account}} {{alertname}}", &other(fired, EVENT)),
    ]
}
