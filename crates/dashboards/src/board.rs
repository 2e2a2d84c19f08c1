//! A dashboard out of rows of panels: places, ids, variables and what all boards have in common.

use std::collections::BTreeSet;

use crate::{
    expression::{Expression, day, day_by, other},
    model::{
        Annotation, Choice, Dashboard, DataSource, Empty, Link, List, OneOrMany, Panel, PanelKind, Query, Requirement,
        TimeRange, Variable,
    },
    panel::row,
};

/// The version of the format, which Grafana from 11 on reads.
const SCHEMA_VERSION: u32 = 42;
/// By which the boards find each other.
const TAG: &str = "oura";
/// How many columns a board has.
const COLUMNS: u32 = 24;
/// Where the names of wearers come from: also from history alone.
const ACCOUNTS: &str =
    r#"label_values({__name__=~"oura_(up|document_day_timestamp_seconds|sample_readiness_score)"}, account)"#;

/// Whose values a board shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wearers {
    /// One, whom the reader chooses.
    One,
    /// All that the reader chooses, each in rows of their own.
    Each,
    /// All that the reader chooses, side by side.
    Together,
}

/// A dashboard as it is put together.
pub struct Board {
    dashboard: Dashboard,
    wearers: Wearers,
    next: (u32, u32),
    line: u32,
}

impl Board {
    /// Without panels yet.
    pub fn new(uid: &'static str, title: &'static str, description: &'static str, wearers: Wearers) -> Self {
        let dashboard = Dashboard {
            requires: vec![],
            uid,
            title,
            description,
            tags: vec![TAG],
            schema_version: SCHEMA_VERSION,
            version: 1,
            editable: false,
            graph_tooltip: 1,
            timezone: "utc",
            week_start: "",
            fiscal_year_start_month: 0,
            time: TimeRange { from: "now-30d", to: "now" },
            refresh: "5m",
            timepicker: Empty {},
            links: vec![to_the_others()],
            annotations: List { list: vec![] },
            templating: List { list: vec![data_source(), account(wearers)] },
            panels: vec![],
        };
        Self { dashboard, wearers, next: (0, 0), line: 0 }
    }

    /// Opens on the time from this on until now.
    pub fn opens(mut self, from: &'static str) -> Self {
        self.dashboard.time.from = from;
        self
    }

    /// Drawn in the time of whoever looks at it.
    pub fn in_readers_time(mut self) -> Self {
        self.dashboard.timezone = "browser";
        self
    }

    /// With something more for the reader to choose.
    pub fn variable(mut self, variable: Variable) -> Self {
        self.dashboard.templating.list.push(variable);
        self
    }

    /// A heading, and the panels under it, from left to right and from top to bottom.
    pub fn row(mut self, title: &str, panels: impl IntoIterator<Item = Panel>) -> Self {
        let (title, repeat) = match self.wearers {
            Wearers::Each => (format!("$account: {title}"), Some("account")),
            Wearers::One | Wearers::Together => (title.to_owned(), None),
        };
        self.put(row(&title, repeat));
        for panel in panels {
            self.put(panel);
        }
        self
    }

    fn put(&mut self, mut panel: Panel) {
        let (x, y) = self.next;
        let place = &mut panel.grid_pos;
        (place.x, place.y) = (x, y);
        if x + place.w > COLUMNS || panel.kind == PanelKind::Row {
            (place.x, place.y) = (0, y + self.line);
            self.line = 0;
        }
        self.line = self.line.max(place.h);
        self.next = (place.x + place.w, place.y);
        panel.id = u32::try_from(self.dashboard.panels.len()).unwrap_or(u32::MAX).saturating_add(1);
        self.dashboard.panels.push(panel);
    }

    /// The dashboard.
    pub fn build(mut self) -> Dashboard {
        self.dashboard.annotations.list = marks(self.dashboard.timezone == "utc");
        self.dashboard.requires = requires(&self.dashboard.panels);
        self.dashboard
    }
}

/// What Grafana must have for these panels.
fn requires(panels: &[Panel]) -> Vec<Requirement> {
    let requirement =
        |kind, id: &str, name: &str, version| Requirement { kind, id: id.to_owned(), name: name.to_owned(), version };
    let kinds = panels.iter().filter_map(|panel| match panel.kind {
        PanelKind::BarGauge => Some(("bargauge", "Bar gauge")),
        PanelKind::Stat => Some(("stat", "Stat")),
        PanelKind::StateTimeline => Some(("state-timeline", "State timeline")),
        PanelKind::StatusHistory => Some(("status-history", "Status history")),
        PanelKind::Table => Some(("table", "Table")),
        PanelKind::TimeSeries => Some(("timeseries", "Time series")),
        PanelKind::XyChart => Some(("xychart", "XY Chart")),
        PanelKind::Row => None,
    });
    let kinds: BTreeSet<_> = kinds.collect();
    let kinds = kinds.into_iter().map(|(id, name)| requirement("panel", id, name, ""));
    let grafana = requirement("grafana", "grafana", "Grafana", "11.0.0");
    let source = requirement("datasource", "prometheus", "Prometheus", "1.0.0");
    [grafana, source].into_iter().chain(kinds).collect()
}

fn to_the_others() -> Link {
    Link {
        kind: "dashboards",
        title: "Oura",
        tags: vec![TAG],
        as_dropdown: false,
        include_vars: true,
        keep_time: true,
        target_blank: false,
        icon: "external link",
        tooltip: "The other Oura dashboards, with the same time and wearers",
        url: "",
    }
}

const NOTHING: Variable = Variable {
    name: "",
    label: "",
    description: None,
    kind: "custom",
    datasource: None,
    query: Query::Text(String::new()),
    definition: None,
    refresh: None,
    sort: None,
    regex: None,
    multi: false,
    include_all: false,
    all_value: None,
    current: None,
    options: vec![],
    hide: 0,
    skip_url_sync: false,
};

fn data_source() -> Variable {
    Variable {
        name: "datasource",
        label: "Data source",
        kind: "datasource",
        query: Query::Text("prometheus".into()),
        refresh: Some(1),
        regex: Some(""),
        ..NOTHING
    }
}

fn account(wearers: Wearers) -> Variable {
    let several = wearers != Wearers::One;
    let all = Choice { selected: true, text: OneOrMany::Many(vec!["All"]), value: OneOrMany::Many(vec!["$__all"]) };
    Variable {
        name: "account",
        label: "Account",
        description: Some("The wearers, by the name chosen at the sign-in."),
        kind: "query",
        datasource: Some(DataSource::CHOSEN),
        query: Query::Asked { query: ACCOUNTS.into(), ref_id: "variable-account" },
        definition: Some(ACCOUNTS.into()),
        refresh: Some(2),
        sort: Some(1),
        regex: Some(""),
        multi: several,
        include_all: several,
        all_value: several.then_some(".+"),
        current: several.then_some(all),
        ..NOTHING
    }
}

/// A choice among words, each with the value that it stands for; the first is chosen at first.
pub fn choice(name: &'static str, label: &'static str, about: &'static str, of: &[(&str, &str)]) -> Variable {
    let query: Vec<_> = of.iter().map(|(text, value)| format!("{text} : {value}")).collect();
    let option = |(place, (text, value)): (usize, &(&str, &str))| Choice {
        selected: place == 0,
        text: OneOrMany::One((*text).to_owned()),
        value: OneOrMany::One((*value).to_owned()),
    };
    let options: Vec<_> = of.iter().enumerate().map(option).collect();
    Variable {
        name,
        label,
        description: Some(about),
        query: Query::Text(query.join(", ")),
        current: options.first().cloned(),
        options,
        ..NOTHING
    }
}

/// What is marked on all panels: what the wearer did, and what alerts say. Boards of days mark days, as the moments of a year would
/// be too many points; the others mark moments, to five minutes.
fn marks(of_days: bool) -> Vec<Annotation> {
    let (workouts, tags) = match of_days {
        true => (days("day_workouts", "activity"), days("day_tags", "tag")),
        false => (moments("workout_duration_seconds", "activity"), moments("tag", "tag")),
    };
    let step = if of_days { "1d" } else { "5m" };
    let mark = |name, color, expression: &Expression, title| mark(name, color, expression, title, step);
    vec![
        mark("Workouts", "orange", &workouts, "Workout: {{activity}}"),
        mark("Tags", "blue", &tags, "Tag: {{tag}}"),
        mark("Rest mode", "purple", &rest_mode(of_days), "Rest mode"),
        mark("Alerts", "red", &alerts(), "{{alertname}}"),
    ]
}

fn mark(
    name: &'static str,
    color: &'static str,
    expression: &Expression,
    title: &'static str,
    step: &'static str,
) -> Annotation {
    Annotation {
        name,
        datasource: DataSource::CHOSEN,
        enable: true,
        hide: false,
        icon_color: color,
        expr: expression.promql(),
        step,
        title_format: title,
        text_format: "{{account}}",
        tag_keys: "",
        use_value_for_time: false,
    }
}

const EVENT: &str = "an event at its own time";

/// The days that have something of the kind.
fn days(metric: &'static str, label: &'static str) -> Expression {
    let each = day_by(metric, &[label]);
    other(format!("{} > 0", each.promql()), EVENT)
}

/// Each sample in the step in which it begins. A step ends half a minute after its point, so that an event on a full minute and its
/// revisions, which follow it by milliseconds, are marked once.
fn moments(metric: &str, label: &str) -> Expression {
    let sample = format!(r#"oura_sample_{metric}{{account=~"$account"}}[$__interval] offset -29s500ms"#);
    other(format!("max by (account, {label}) (last_over_time({sample}))"), EVENT)
}

fn rest_mode(of_days: bool) -> Expression {
    match of_days {
        true => other(format!("{} == 1", day("rest_mode").promql()), EVENT),
        false => other(r#"max by (account) (oura_rest_mode{account=~"$account"}) == 1"#, EVENT),
    }
}

fn alerts() -> Expression {
    let promql =
        r#"max by (account, alertname) (ALERTS{alertname=~"Oura.+", alertstate="firing", account=~"$account|"})"#;
    other(promql, EVENT)
}
