//! Queries that may well have no answer, and why; all others must have one.

use super::{
    board::{dashboards, list, shown, text},
    together::titles,
};

/// When an answer may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// With years of history too.
    Always,
    /// While there is only what an exporter learns at its start: two weeks of days.
    Young,
}

/// A panel, or an annotation with an `@` before its name.
pub(crate) struct MayBeEmpty {
    /// Its dashboard, or `*` for all.
    pub(crate) dashboard: &'static str,
    pub(crate) panel: &'static str,
    /// The targets it holds for; none for all.
    pub(crate) targets: &'static [&'static str],
    pub(crate) when: When,
    pub(crate) why: &'static str,
}

const fn row(
    dashboard: &'static str,
    panel: &'static str,
    targets: &'static [&'static str],
    when: When,
    why: &'static str,
) -> MayBeEmpty {
    MayBeEmpty { dashboard, panel, targets, when, why }
}

const NO_ERROR: &str = "the series begins with the first failure";
const NO_LIMIT: &str = "the series begins with the first 429";
const NO_EXPIRY: &str = "a token from the environment, or of the demo, has no known end";
const NO_REMOTE_WRITE: &str = "only where OURA_REMOTE_WRITE_URL is set";
const NO_SHARD: &str = "only where OURA_SHARD is set";
const NO_WEBHOOK: &str = "only where OURA_WEBHOOK_URL is set";
const NO_ADVICE: &str = "Oura names a best bedtime only when it has found one";
const NO_DISTANCE: &str = "not every kind of workout has a distance";
const FEW_DAYS: &str = "needs five days with and without, or ten of both";
const BETWEEN_POINTS: &str = "one night lies between the points of two years";
const RARE: &str = "happens seldom";
const SECOND_MONTH: &str = "the 30 days before the last 30, and a year ago";
const EARLY: &str = "Oura says it in the course of the day";
const OPTIONAL: &str = "the document may lack it, or the wearer did not do it lately";

/// The list. Whatever is `Always` may be empty in the other cases too.
pub(crate) const MAY_BE_EMPTY: &[MayBeEmpty] = &[
    row("*", "@Rest mode", &[], When::Always, RARE),
    row("*", "@Tags", &[], When::Always, OPTIONAL),
    row("*", "@Workouts", &[], When::Always, OPTIONAL),
    row("oura-today", "Activity", &["A", "B"], When::Always, EARLY),
    row("oura-today", "Beyond the own band", &[], When::Always, "nothing may be beyond it"),
    row("oura-today", "Lowest of activity", &[], When::Always, EARLY),
    row("oura-today", "Hypnogram and heart rate", &[], When::Always, BETWEEN_POINTS),
    row("oura-today", "Heart rate variability through the night", &[], When::Always, BETWEEN_POINTS),
    row("oura-today", "Fourteen days", &["C"], When::Young, EARLY),
    row("oura-effects", "Readiness after each habit", &[], When::Young, FEW_DAYS),
    row("oura-effects", "Sleep score after each habit", &[], When::Young, FEW_DAYS),
    row("oura-effects", "Heart rate variability after each habit, ms", &[], When::Young, FEW_DAYS),
    row("oura-effects", "Pearson's r", &[], When::Young, FEW_DAYS),
    row("oura-events", "Workouts", &[], When::Always, OPTIONAL),
    row("oura-events", "Sessions", &[], When::Always, OPTIONAL),
    row("oura-events", "Naps", &[], When::Always, OPTIONAL),
    row("oura-events", "Tags", &[], When::Always, OPTIONAL),
    row("oura-events", "Fired alerts", &[], When::Always, RARE),
    row("oura-exporter", "Revisions", &[], When::Always, "the series begins with the first revision"),
    row("*", "@Alerts", &[], When::Always, RARE),
    row("oura-sleep", "Bedtime and waking", &["D", "E"], When::Always, NO_ADVICE),
    row("oura-sleep", "Sleep in numbers", &["E", "F", "G", "H"], When::Young, SECOND_MONTH),
    row("oura-recovery", "Recovery in numbers", &["E", "F", "G", "H"], When::Young, SECOND_MONTH),
    row("oura-activity", "Activity in numbers", &["E", "F", "G", "H"], When::Young, SECOND_MONTH),
    row("oura-recovery", "Days at a glance", &["C"], When::Young, EARLY),
    row("oura-recovery", "How the day was", &[], When::Young, EARLY),
    row("oura-activity", "Activity contributors", &[], When::Young, EARLY),
    row("oura-activity", "Load of workouts", &[], When::Young, OPTIONAL),
    row("oura-activity", "Workouts by kind", &[], When::Young, OPTIONAL),
    row("oura-activity", "Energy of workouts, ${energy:text}", &[], When::Young, OPTIONAL),
    row("oura-activity", "Distance of workouts, ${distance:text}", &[], When::Young, NO_DISTANCE),
    row("oura-activity", "Number of workouts", &[], When::Young, OPTIONAL),
    row("oura-exporter", "Errors by collection and reason", &[], When::Always, NO_ERROR),
    row("oura-exporter", "Rate limit", &[], When::Always, NO_LIMIT),
    row("oura-exporter", "Token holds for", &[], When::Always, NO_EXPIRY),
    row("oura-exporter", "Last write", &[], When::Always, NO_REMOTE_WRITE),
    row("oura-exporter", "Last successful write", &[], When::Always, NO_REMOTE_WRITE),
    row("oura-exporter", "Waiting samples", &[], When::Always, NO_REMOTE_WRITE),
    row("oura-exporter", "Refused samples", &[], When::Always, NO_REMOTE_WRITE),
    row("oura-exporter", "Samples written", &[], When::Always, NO_REMOTE_WRITE),
    row("oura-exporter", "Shards", &[], When::Always, NO_SHARD),
    row("oura-exporter", "Webhooks", &[], When::Always, NO_WEBHOOK),
    row("oura-exporter", "Accounts without events", &[], When::Always, NO_WEBHOOK),
    row("oura-exporter", "Events", &[], When::Always, NO_WEBHOOK),
];

/// Why this target may have no answer now, if it may.
pub(crate) fn reason(dashboard: &str, panel: &str, target: &str, now: &[When]) -> Option<&'static str> {
    let fits = |row: &&MayBeEmpty| {
        let here = row.dashboard == "*" || row.dashboard == dashboard;
        here && row.panel == panel
            && (row.targets.is_empty() || row.targets.contains(&target))
            && now.contains(&row.when)
    };
    MAY_BE_EMPTY.iter().find(fits).map(|row| row.why)
}

#[test]
fn what_may_be_empty_is_there() {
    let dashboards = dashboards();
    for MayBeEmpty { dashboard, panel, targets, .. } in MAY_BE_EMPTY.iter().filter(|row| row.dashboard != "*") {
        let board = dashboards.iter().find(|board| board.stem == *dashboard);
        let board = board.unwrap_or_else(|| panic!("there is no {dashboard}"));
        assert!(titles(board).contains(panel), "{dashboard} has no panel {panel:?}");
        let panel = shown(board).into_iter().find(|found| text(found, "title") == *panel);
        let has =
            |id: &&&str| panel.is_some_and(|panel| list(panel, "targets").iter().any(|t| text(t, "refId") == **id));
        let missing: Vec<_> = targets.iter().filter(|id| !has(id)).collect();
        assert!(missing.is_empty(), "{dashboard}: {:?} has no target {missing:?}", panel.map(|p| text(p, "title")));
    }
}
