//! promtool reads every query, and real Prometheus servers answer it: one that is an hour old, and one with two years.

use std::{collections::BTreeSet, fmt::Write as _, fs, time::Duration};

use chrono::{DateTime, Utc};
use oura_exporter::clock::Clock;
use serde_json::{Value, json};

use super::{
    board::{Dashboard, annotations, dashboards, expressions, list, shown, text, variables},
    empty::{When, reason},
};
use crate::common::{
    Plan, eventually, moment,
    needs::there_are,
    servers::{self, import, promtool},
    simulator_with,
    stores::Store,
};

/// What Grafana puts in the place of variables, as it would with all wearers chosen.
const VARIABLES: &[(&str, &str)] = &[("$__rate_interval", "15m"), ("$account", ".+")];
/// What Grafana replaces by the step of a query.
const INTERVAL: &str = "$__interval";

/// Seconds of an hour and of a day, the step of what is shown by days.
const HOUR: u64 = 3_600;
pub(crate) const DAY: u64 = 86_400;
/// Grafana asks for no more points than a panel is wide.
const MOST_POINTS: u64 = 1_000;
/// A query that takes longer has hung; how fast it is, benches/boards.rs measures.
const ANSWER: Duration = Duration::from_secs(60);
/// Nights, mornings and evenings of the two wearers: what a page has depends on the hour.
/// Two exporters of the same accounts.
const INSTANCES: [&str; 2] = ["one:10058", "two:10058"];
const HOURS: [&str; 4] =
    ["2026-11-22T00:30:00Z", "2026-11-22T06:30:00Z", "2026-11-22T12:00:00Z", "2026-11-22T18:30:00Z"];
/// One of so many attempts must be as fast as that: other tests run at the same time.
const ATTEMPTS: usize = 3;

/// A query with what the reader has chosen when the dashboard opens.
pub(super) fn filled_in(dashboard: &Dashboard, query: &str) -> String {
    let query = VARIABLES.iter().fold(query.to_owned(), |query, (name, value)| query.replace(name, value));
    let chosen = variables(dashboard).iter().filter(|variable| text(variable, "type") == "custom");
    let query = chosen.fold(query, |query, variable| {
        let (name, first) = (text(variable, "name"), &variable["options"][0]);
        let query = query.replace(&format!("${{{name}:text}}"), text(first, "text"));
        query.replace(&format!("${{{name}}}"), text(first, "value")).replace(&format!("${name}"), text(first, "value"))
    });
    let rest = query.replace(INTERVAL, "");
    assert!(!rest.contains('$'), "an unknown variable: {query}");
    query
}

#[test]
fn promtool_reads_every_query() {
    if !there_are(&["promtool"], "promtool_reads_every_query") {
        return;
    }
    let groups: Vec<_> = dashboards().iter().map(rules).collect();
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("rules.yml");
    fs::write(&path, json!({ "groups": groups }).to_string()).expect("a file"); // JSON is YAML
    let (is_good, said) = promtool(&["check", "rules", servers::text(&path)], "");
    assert!(is_good && said.contains("SUCCESS") && !said.contains("FAILED"), "\n{said}");
}

/// The queries of a dashboard as rules, each named after what asks it.
fn rules(dashboard: &Dashboard) -> Value {
    let who = |who: &str| format!("{}_{who}", dashboard.stem).replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let rule = |(place, (name, query)): (usize, (String, &str))| {
        let expr = filled_in(dashboard, query).replace(INTERVAL, "5m");
        json!({ "record": format!("{}_{place}", who(&name)), "expr": expr })
    };
    let rules: Vec<_> = expressions(dashboard).into_iter().enumerate().map(rule).collect();
    json!({ "name": dashboard.stem, "rules": rules })
}

/// A query as Grafana asks it.
pub(crate) struct Query {
    dashboard: String,
    panel: String,
    target: String,
    expr: String,
    legend: String,
    instant: bool,
    /// Labels are columns then.
    is_table: bool,
    /// Seconds from one point to the next, at least.
    step: u64,
    /// Seconds back from now, as the dashboard opens.
    range: u64,
    /// How many points Grafana asks for at most.
    most_points: u64,
}

/// Seconds of a span as Grafana writes it, such as `30d`.
fn seconds(span: &str) -> u64 {
    let (number, unit) = span.split_at(span.len() - 1);
    let unit = match unit {
        "w" => 7 * DAY,
        "d" => DAY,
        "h" => HOUR,
        "m" => 60,
        _ => panic!("an unknown span: {span}"),
    };
    number.parse::<u64>().expect("a number") * unit
}

/// All queries of a dashboard; those of annotations have an `@` before the name.
pub(crate) fn queries(dashboard: &Dashboard) -> Vec<Query> {
    let opens = seconds(text(&dashboard.json["time"], "from").strip_prefix("now-").expect("a time until now"));
    let query = |panel: String, reader: &Value, step: u64, range: u64| Query {
        dashboard: dashboard.stem.clone(),
        panel,
        target: text(reader, "refId").into(),
        expr: filled_in(dashboard, text(reader, "expr")),
        legend: text(reader, "legendFormat").into(),
        instant: reader["instant"] == true,
        is_table: text(reader, "format") == "table",
        step,
        range,
        most_points: MOST_POINTS,
    };
    let marks = annotations(dashboard)
        .iter()
        .map(|mark| query(format!("@{}", text(mark, "name")), mark, seconds(text(mark, "step")), opens));
    let targets = shown(dashboard).into_iter().flat_map(|panel| {
        let step = Some(text(panel, "interval")).filter(|step| !step.is_empty()).map_or(15, seconds);
        let range = Some(text(panel, "timeFrom")).filter(|range| !range.is_empty()).map_or(opens, seconds);
        let title = text(panel, "title");
        let most_points = panel["maxDataPoints"].as_u64().unwrap_or(MOST_POINTS);
        list(panel, "targets")
            .iter()
            .map(move |target| Query { most_points, ..query(title.into(), target, step, range) })
    });
    marks.chain(targets).collect()
}

/// The legend of a series.
fn legend(format: &str, series: &Value) -> String {
    let labels = series["metric"].as_object().expect("labels");
    let filled = labels.iter().fold(format.to_owned(), |text, (name, value)| {
        text.replace(&format!("{{{{{name}}}}}"), value.as_str().unwrap_or_default())
    });
    // Rows are repeated for each wearer, so a legend need not name them.
    format!("{}: {filled}", labels.get("account").unwrap_or(&Value::Null))
}

impl Query {
    /// What is wrong with the answer, seen over `range` seconds.
    async fn problem(&self, asked: &Asked<'_>, range: u64) -> Option<String> {
        let mut cause = Some(String::new());
        for _ in 0..ATTEMPTS {
            cause = match self.answer(asked, range).await {
                Ok(series) => self.judge(&series, asked.when),
                Err(error) => Some(error),
            };
            if cause.is_none() {
                break;
            }
        }
        let Self { dashboard, panel, target, .. } = self;
        cause.map(|cause| format!("{dashboard}: {panel}, target {target}, over {} days: {cause}", range / DAY))
    }

    fn judge(&self, series: &[Value], when: &[When]) -> Option<String> {
        // An annotation names no labels: Prometheus itself keeps its series apart.
        let is_mark = self.panel.starts_with('@');
        let name = |series: &Value| {
            if is_mark || self.is_table { series["metric"].to_string() } else { legend(&self.legend, series) }
        };
        let legends: BTreeSet<_> = series.iter().map(name).collect();
        if legends.len() < series.len() {
            return Some(format!("{} series with {} legends", series.len(), legends.len()));
        }
        let may_be_empty = reason(&self.dashboard, &self.panel, &self.target, when).is_some();
        (series.is_empty() && !may_be_empty).then(|| "empty, and empty.rs does not say why".to_owned())
    }

    async fn answer(&self, asked: &Asked<'_>, range: u64) -> Result<Vec<Value>, String> {
        let now = asked.now.unwrap_or_else(Utc::now).timestamp().unsigned_abs();
        let step = self.step.max(range / self.most_points);
        // In zone UTC Grafana puts the points of days on multiples of the step.
        let end = if self.step >= DAY { now / step * step } else { now };
        // The last point is now: of a server that has just begun to scrape, it is the only one.
        let begin = (end - range / step * step).to_string();
        let (end, step) = (end.to_string(), step.to_string());
        let at = now.to_string();
        let expr = self.expr.replace(INTERVAL, &format!("{step}s"));
        let (query, time) = (("query", expr.as_str()), ("time", at.as_str()));
        let (path, parameters) = match self.instant {
            true => ("query", vec![query, time]),
            false => ("query_range", vec![query, ("start", &begin), ("end", &end), ("step", &step)]),
        };
        let answer = asked.store.request(path).query(&parameters).timeout(ANSWER).send().await;
        let answer: Value = answer.map_err(|_| "no answer in a minute")?.json().await.map_err(|_| "no JSON")?;
        let error = || answer["error"].as_str().unwrap_or("no result").to_owned();
        answer["data"]["result"].as_array().cloned().ok_or_else(error)
    }
}

/// Who is asked, when, and what may be empty then.
pub(crate) struct Asked<'a> {
    pub(crate) store: &'a Store,
    /// The time of the questions; none: now.
    pub(crate) now: Option<DateTime<Utc>>,
    pub(crate) when: &'a [When],
}

/// Fails with every query that has no good answer.
pub(crate) async fn assert_answers(asked: &Asked<'_>, ranges: impl Fn(&Query) -> Vec<u64>) {
    let mut problems = vec![];
    for query in dashboards().iter().flat_map(queries) {
        for range in ranges(&query) {
            problems.extend(query.problem(asked, range).await);
        }
    }
    assert!(problems.is_empty(), "\n{:?}:\n{}\n", asked.now, problems.join("\n"));
    for dashboard in dashboards() {
        assert_eq!(accounts(asked.store, &dashboard).await, ["alice", "bob"], "{}", dashboard.stem);
    }
}

/// What the variable `account` offers.
async fn accounts(prometheus: &Store, dashboard: &Dashboard) -> Vec<String> {
    let variable = variables(dashboard).iter().find(|variable| text(variable, "name") == "account").expect("one");
    let query = text(&variable["query"], "query").strip_prefix("label_values(").expect("values of a label");
    let matches = query.strip_suffix(", account)").expect("of account");
    let values = prometheus.ask("label/account/values", &[("match[]", matches)]).await.expect("values");
    values.as_array().expect("a list").iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

impl Query {
    /// As the dashboard opens.
    pub(crate) const fn usual_range(&self) -> u64 {
        self.range
    }
}

/// The pages as they would have been scraped from two instances: the one each minute of the hour until `now`, and the
/// samples at their own times.
fn hour_of(page: &str, samples: &str, now: i64) -> String {
    let mut text = String::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').expect("a sample");
        for instance in INSTANCES {
            let series = scraped(series, instance);
            for minute in (0..60).rev() {
                let _ = writeln!(text, "{series} {value} {}", now - minute * 60);
            }
        }
    }
    for line in samples.lines().filter(|line| !line.starts_with('#')) {
        let (sample, time) = line.rsplit_once(' ').expect("a time");
        let (series, value) = sample.rsplit_once(' ').expect("a value");
        let time = time.parse::<i64>().expect("milliseconds");
        for instance in INSTANCES {
            let _ = writeln!(text, "{} {value} {}.{:03}", scraped(series, instance), time / 1000, time % 1000);
        }
    }
    text + "# EOF\n"
}

/// A series with the labels of a scrape.
fn scraped(series: &str, instance: &str) -> String {
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let labels = labels.trim_end_matches('}');
    let comma = if labels.is_empty() { "" } else { "," };
    format!("{name}{{{labels}{comma}job=\"oura\",instance=\"{instance}\"}}")
}

#[tokio::test]
async fn an_hour_of_scrapes_of_two_instances_answers_every_query() {
    if !there_are(&["prometheus", "promtool"], "an_hour_of_scrapes_of_two_instances_answers_every_query") {
        return;
    }
    for now in HOURS.map(moment) {
        let simulator = simulator_with(Clock::still_at(now)).await;
        let plan = Plan { people: &["alice", "bob"], ..Plan::default() }.at_moment(now).still();
        let exporter = plan.ready(&simulator).await;
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("hour.om");
        let (_, samples) = exporter.get("/metrics/samples").await;
        fs::write(&file, hour_of(&exporter.page().await.text, &samples, now.timestamp())).expect("a file");
        import(&file, &directory.path().join("data"));
        let prometheus = Store::prometheus_in(directory.path(), "", &[]).await;
        let there = async || prometheus.at("count(oura_up)", now).await;
        assert_eq!(eventually("the hour is there", there).await, 4.0);
        let when = [When::Always, When::Young];
        let asked = Asked { store: &prometheus, now: Some(now), when: &when };
        assert_answers(&asked, |query| vec![query.usual_range()]).await;
        exporter.stop().await;
    }
}
