//! The boards, one file each.

mod activity;
mod effects;
mod events;
mod exporter;
mod recovery;
mod sleep;
mod today;

use crate::{
    expression::{Expression, rows},
    model::{Dashboard, Map, Panel, Target, Transformation},
    panel::table,
};

/// All of them, in the order of their files' names.
pub fn all() -> Vec<Dashboard> {
    vec![
        activity::board(),
        effects::board(),
        events::board(),
        exporter::board(),
        recovery::board(),
        sleep::board(),
        today::board(),
    ]
}

/// The days of the week as Prometheus counts them, from Monday on.
pub(crate) const WEEKDAYS: [(&str, &[u8]); 7] = [
    ("Monday", &[1]),
    ("Tuesday", &[2]),
    ("Wednesday", &[3]),
    ("Thursday", &[4]),
    ("Friday", &[5]),
    ("Saturday", &[6]),
    ("Sunday", &[0]),
];

/// A table of what is usual: the last 7, 30 and 365 days, and the reader's period beside others.
pub(crate) fn statistics(title: &str, size: (u32, u32), about: &str, of: &[(&'static str, Expression)]) -> Panel {
    let column = |make: &dyn Fn(Expression) -> Expression| {
        let made: Vec<_> = of.iter().map(|(name, value)| (*name, make(value.clone()))).collect();
        rows(&made)
    };
    let period = |place: usize| move |value: Expression| value.in_periods()[place].clone();
    let against = |place: usize| {
        move |value: Expression| {
            let periods = value.in_periods();
            periods[0].clone().minus(periods[place].clone())
        }
    };
    let names =
        ["7 days", "30 days", "365 days", "period", "period before", "change", "a year ago", "change in a year"];
    let panel = table(title, size, about)
        .column(&column(&|value| value.mean(7).later(-1)))
        .column(&column(&|value| value.mean(30).later(-1)))
        .column(&column(&|value| value.mean(365).later(-1)))
        .column(&column(&period(0)))
        .column(&column(&period(1)))
        .column(&column(&against(1)))
        .column(&column(&period(2)))
        .column(&column(&against(2)));
    columns(panel.unit("none", 1), "of", &names)
}

/// One table out of the columns that were asked for, a row for each value of `label`, with these names.
pub(crate) fn columns(panel: Panel, label: &str, names: &[&str]) -> Panel {
    with_columns(panel, label, names, &["Time", "account"])
}

/// The same without the columns `hidden`.
pub(crate) fn with_columns(panel: Panel, label: &str, names: &[&str], hidden: &[&str]) -> Panel {
    // Grafana numbers the values only where there are several.
    let several = panel.targets.iter().flatten().count() > 1;
    let value = |target: &Target| if several { format!("Value #{}", target.ref_id) } else { "Value".to_owned() };
    let references = panel.targets.iter().flatten().map(value);
    let rename: Map<String> = references.zip(names).map(|(from, to)| (from, (*to).to_owned())).collect();
    let order = [label.to_owned()].into_iter().chain(rename.keys().cloned());
    let index_by_name = order.zip(0..).collect();
    let exclude_by_name = hidden.iter().map(|name| ((*name).to_owned(), true)).collect();
    let organize = Transformation::Organize { exclude_by_name, index_by_name, rename_by_name: rename };
    panel.transform(Transformation::Merge {}).transform(organize)
}
