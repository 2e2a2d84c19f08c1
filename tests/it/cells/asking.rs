//! Boards asked as Grafana asks them, and each cell of the answers compared with what it must show.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use futures_util::future::join_all;
use oura_dashboards::{
    Meaning,
    model::{Dashboard, OneOrMany, Panel, PanelKind, Target},
};
use serde_json::Value;

use super::{
    grafana::{Look, Times, UTC, Zone, milliseconds},
    truth::{Expected, Results, Truth, is_same},
};
use crate::common::stores::{Labels, Store};

/// How many questions wait for an answer at a time.
const AT_ONCE: usize = 6;
/// How many wrong cells are told.
const TOLD: usize = 20;

/// A query of a panel.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) board: &'a Dashboard,
    pub(crate) panel: &'a Panel,
    pub(crate) target: &'a Target,
}

/// All queries of boards.
pub(crate) fn targets(boards: &[Dashboard]) -> Vec<Asked<'_>> {
    let within = |panel: &'_ Panel| panel.panels.iter().flatten().count();
    let mut all = vec![];
    for board in boards {
        for panel in &board.panels {
            assert_eq!(within(panel), 0, "{}: a row with panels in it", board.uid);
            all.extend(panel.targets.iter().flatten().map(|target| Asked { board, panel, target }));
        }
    }
    all
}

impl Asked<'_> {
    pub(crate) fn name(&self) -> String {
        format!("{}: {}, {}", self.board.uid, self.panel.title, self.target.ref_id)
    }

    /// Whose clock the board shows.
    fn zone(&self, reader: Zone) -> Zone {
        if self.board.timezone == "utc" { UTC } else { reader }
    }

    /// With what the board's variables are, or are called, when it opens.
    fn chosen(&self, text: &str) -> String {
        let mut text = text.to_owned();
        // Labels' values, of which there are millions, mostly name no variable.
        if !text.contains('$') {
            return text;
        }
        for variable in &self.board.templating.list {
            let Some(choice) = &variable.current else { continue };
            if let (OneOrMany::One(value), OneOrMany::One(called)) = (&choice.value, &choice.text) {
                text = text.replace(&format!("${{{}:text}}", variable.name), called);
                text = text.replace(&format!("${{{}}}", variable.name), value);
                text = text.replace(&format!("${}", variable.name), value);
            }
        }
        text
    }

    /// What a cell must show, as far as the reader chose it.
    fn wanted(&self, results: &Results, reading: &Reading) -> Results {
        let chosen = results.iter().filter(|(labels, value)| reading.has_chosen(labels) && !value.is_nan());
        let named = |labels: &Labels| labels.iter().map(|(name, value)| (name.clone(), self.chosen(value))).collect();
        chosen.map(|(labels, value)| (named(labels), *value)).collect()
    }

    /// The expression with variables as they are when the board opens.
    fn filled(&self, expr: &str, step: i64, range: i64, account: &str) -> String {
        let mut expr = expr.replace("${account}", account).replace("$account", account);
        expr = self.chosen(&expr);
        let rate = (step + 15_000).max(60_000);
        for (name, value) in
            [("$__rate_interval", rate), ("$__interval_ms", step), ("$__interval", step), ("$__range", range)]
        {
            let unit = if name.ends_with("_ms") { "" } else { "ms" };
            expr = expr.replace(name, &format!("{value}{unit}"));
        }
        // "$1" of label_replace is no variable.
        let mut after = expr.split('$').skip(1);
        let is_known = after.all(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        assert!(is_known, "{}: an unknown variable in {expr}", self.name());
        expr
    }
}

/// A question as a store gets it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Question {
    pub(crate) expr: String,
    pub(crate) times: Times,
}

fn seconds(milliseconds: i64) -> String {
    format!("{}.{:03}", milliseconds.div_euclid(1000), milliseconds.rem_euclid(1000))
}

/// Results by the time of the point.
type Cells = BTreeMap<i64, Results>;

impl Question {
    /// The answer of a store, without what is no number: Grafana draws none of those.
    pub(crate) async fn answer(&self, store: &Store) -> Result<Cells, String> {
        let (path, mut parameters) = match self.times {
            Times::At(time) => ("query", vec![("time", seconds(time))]),
            Times::Range { start, end, step } => {
                ("query_range", vec![("start", seconds(start)), ("end", seconds(end)), ("step", seconds(step))])
            }
        };
        parameters.push(("query", self.expr.clone()));
        let answer = store.request(path).query(&parameters).send().await.map_err(|error| error.to_string())?;
        let answer: Value = answer.json().await.map_err(|error| error.to_string())?;
        let result = answer["data"]["result"].as_array().ok_or_else(|| format!("refused: {}", answer["error"]))?;
        let mut cells = Cells::new();
        for one in result {
            let mut labels: Labels = serde_json::from_value(one["metric"].clone()).map_err(|e| e.to_string())?;
            labels.remove("__name__");
            let points = one["values"].as_array().cloned().unwrap_or_else(|| vec![one["value"].clone()]);
            for point in points {
                let time = (point[0].as_f64().unwrap_or_default() * 1000.0).round() as i64;
                let value: f64 = point[1].as_str().and_then(|text| text.parse().ok()).ok_or("no number")?;
                if !value.is_nan() {
                    cells.entry(time).or_default().insert(labels.clone(), value);
                }
            }
        }
        Ok(cells)
    }

    /// The moments at which a point can stand.
    pub(super) fn moments(&self) -> Vec<i64> {
        match self.times {
            Times::At(time) => vec![time],
            Times::Range { start, end, step } => (start..=end).step_by(step.unsigned_abs() as usize).collect(),
        }
    }
}

/// How many cells were compared, and which are wrong.
#[derive(Default)]
pub(crate) struct Compared {
    pub(crate) cells: usize,
    pub(crate) questions: usize,
    /// By what was asked.
    pub(crate) wrong: BTreeMap<String, Vec<String>>,
}

impl Compared {
    pub(crate) fn wrong_cells(&self) -> usize {
        self.wrong.values().map(Vec::len).sum()
    }

    /// The first wrong cells of each query.
    pub(crate) fn told(&self) -> String {
        let each = TOLD.div_ceil(self.wrong.len().max(1));
        let each = self.wrong.iter().flat_map(|(name, cells)| {
            [format!("{name}: {} wrong", cells.len())].into_iter().chain(cells.iter().take(each).cloned())
        });
        each.collect::<Vec<_>>().join("\n")
    }

    pub(super) fn cell(&mut self, name: &str, place: &str, got: &Results, wanted: &Results) {
        let keys: BTreeSet<_> = got.keys().chain(wanted.keys()).collect();
        for labels in keys {
            self.cells += 1;
            let (got, wanted) = (got.get(labels), wanted.get(labels));
            let is_right = match (got, wanted) {
                (Some(got), Some(wanted)) => is_same(*got, *wanted),
                _ => false,
            };
            if !is_right {
                let said = format!("  {place} {labels:?}: {got:?} and not {wanted:?}");
                self.wrong.entry(name.to_owned()).or_default().push(said);
            }
        }
    }
}

/// One who reads boards, and the looks they take.
pub(crate) struct Reading {
    pub(crate) reader: Zone,
    pub(crate) looks: Vec<Look>,
    /// Whom they chose.
    pub(crate) accounts: &'static [&'static str],
}

impl Reading {
    /// As the variable stands in a query.
    fn account(&self) -> String {
        match self.accounts {
            [] => ".+".to_owned(),
            [one] => (*one).to_owned(),
            several => format!("({})", several.join("|")),
        }
    }

    fn has_chosen(&self, labels: &Labels) -> bool {
        let account = labels.get("account").map(String::as_str);
        self.accounts.is_empty() || account.is_some_and(|account| self.accounts.contains(&account))
    }
}

/// What is asked of a target: each question once, with who asks and how they look.
fn questions<'a>(asked: &Asked<'_>, expr: &str, readings: &'a [Reading]) -> BTreeMap<Question, (&'a Reading, Look)> {
    let mut all = BTreeMap::new();
    for reading in readings {
        for look in &reading.looks {
            let look = Look { zone: asked.zone(reading.reader), ..look.clone() };
            let (times, step) = look.times(asked.target.instant, asked.panel.interval, asked.panel.time_from);
            let (from, to) = look.range();
            let own = asked.panel.time_from.map(milliseconds);
            let range = own.unwrap_or_else(|| (to - from).num_milliseconds());
            let expr = expr.replace("${__to:date:seconds}", &to.timestamp().to_string());
            let expr = asked.filled(&expr, step, range, &reading.account());
            all.entry(Question { expr, times }).or_insert((reading, look));
        }
    }
    all
}

/// The day that a cell is about: a point's, as Grafana writes it under the point, or in UTC a single number's and a point's under
/// which no date is written. A range that ends at midnight is about the day that ends there.
fn day_of(asked: &Asked<'_>, look: &Look, time: i64) -> NaiveDate {
    match asked.target.meaning {
        _ if asked.target.instant => moment(time - 1).date_naive(),
        Meaning::ThroughTheDay(_) if asked.panel.kind == PanelKind::Stat => moment(time).date_naive(),
        _ => look.day(time),
    }
}

fn moment(time: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(time).expect("a time")
}

/// The days about which a reader sees cells.
pub(crate) fn days_shown(asked: &Asked<'_>, reading: &Reading) -> BTreeSet<NaiveDate> {
    let questions = questions(asked, &asked.target.expr, std::slice::from_ref(reading));
    let days = |(question, (_, look)): (&Question, &(&Reading, Look))| {
        question.moments().into_iter().map(|time| day_of(asked, look, time)).collect::<Vec<_>>()
    };
    questions.iter().flat_map(days).collect()
}

/// A question with who asks it and how they look, and its answer.
type Answered<'a> = ((Question, (&'a Reading, Look)), Cells);

/// What a store answers to a query; `expr` is the query's own, or what is wrong on purpose.
pub(crate) async fn answers<'a>(
    store: &Store,
    asked: &Asked<'_>,
    expr: &str,
    readings: &'a [Reading],
) -> Vec<Answered<'a>> {
    let mut all = vec![];
    let mut questions = questions(asked, expr, readings).into_iter().peekable();
    while questions.peek().is_some() {
        let some: Vec<_> = questions.by_ref().take(AT_ONCE).collect();
        let answers = join_all(some.iter().map(|(question, _)| question.answer(store))).await;
        for (question, answer) in some.into_iter().zip(answers) {
            let cells = answer.unwrap_or_else(|error| panic!("{}: {:?}: {error}", asked.name(), question.0));
            all.push((question, cells));
        }
    }
    all
}

/// Compares every cell of a query with the documents; `expr` is the query's own, or what is wrong on purpose.
pub(crate) async fn compare(
    store: &Store,
    truth: &Truth,
    asked: &Asked<'_>,
    expr: &str,
    readings: &[Reading],
    compared: &mut Compared,
) {
    let expected = Expected::new(truth);
    let any_day = NaiveDate::default();
    if expected.at(&asked.target.meaning, any_day).is_none() {
        return;
    }
    for ((question, (reading, look)), cells) in answers(store, asked, expr, readings).await {
        compared.questions += 1;
        let name = format!("{} `{expr}`", asked.name());
        // A store that rounds a range answers for other moments than it was asked for; Grafana draws those.
        let moments: BTreeSet<_> = question.moments().into_iter().chain(cells.keys().copied()).collect();
        for time in moments {
            let day = day_of(asked, &look, time);
            let wanted = asked.wanted(&expected.at(&asked.target.meaning, day).expect("of days"), reading);
            let got = cells.get(&time).cloned().unwrap_or_default();
            let place = format!("{day} (at {}, read in {})", moment(time), reading.reader.name);
            compared.cell(&name, &place, &got, &wanted);
        }
    }
}
