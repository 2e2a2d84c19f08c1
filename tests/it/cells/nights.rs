//! What boards show of nights and days by the minute, compared with the documents: in the readers' zones, over nights on which clocks
//! are changed, and on journeys.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Instant,
};

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use oura_dashboards::{Meaning, all, model::Dashboard};
use oura_exporter::{
    clock::Clock,
    simulator::{Settings, Simulator},
};

use super::{
    asking::{Asked, Compared, Reading, answers, targets},
    grafana::{Look, READERS, Span, Times, UTC, Zone},
    prometheus, tell,
    truth::Results,
    victoria_metrics,
    year::PEOPLE,
};
use crate::{
    backfill::{Documents, Parts},
    common::{
        backfill::Run,
        needs::{newer_are_there, there_are},
        samples::{Samples, files},
        servers::{Release, import},
        stores::Store,
    },
};

/// What has samples by the minute.
const COLLECTIONS: &str = "daily_activity,heartrate,sleep";
/// Days on which clocks are changed in Europe and in America, alice and carol are in Tokyo, bob in Auckland, carol in New York.
const STRETCHES: [(&str, &str); 3] =
    [("2025-10-22", "2025-11-08"), ("2026-03-05", "2026-03-15"), ("2026-03-27", "2026-04-08")];
/// After that nothing of a day changes any more.
const SETTLED: TimeDelta = TimeDelta::days(15);
/// No sample speaks for longer, in milliseconds.
const LONGEST: i64 = 300_000;
/// Nights are looked for so far back from the end of a range, in milliseconds.
const NIGHTS: i64 = 2 * 86_400_000;

/// What the documents say of somebody: samples by series and time, and nights as times: when the record has it, begin and end.
struct Person {
    samples: BTreeMap<String, BTreeMap<i64, f64>>,
    nights: Vec<(i64, i64, i64)>,
}

impl Person {
    fn of(parts: Parts, at: DateTime<Utc>) -> Self {
        let night = |(day, values): (NaiveDate, BTreeMap<String, f64>)| {
            let place = day.and_hms_opt(0, 1, 0).expect("a time").and_utc();
            let told = place.timestamp_millis() + (at - place).num_minutes();
            let border = |name: &str| {
                let seconds = values.get(&format!("oura_sample_night_bedtime_{name}_timestamp_seconds"))?;
                Some((seconds * 1000.0) as i64)
            };
            Some((told, border("start")?, border("end")?))
        };
        Self { samples: parts.dense, nights: parts.days.into_iter().filter_map(night).collect() }
    }

    fn join(&mut self, other: Self) {
        for (series, samples) in other.samples {
            self.samples.entry(series).or_default().extend(samples);
        }
        self.nights.extend(other.nights);
    }

    /// What the night that ends a range says of a moment in it.
    fn in_the_night(&self, metric: &str, moment: i64, end: i64) -> Option<f64> {
        let is_known = |(told, ..): &&(i64, i64, i64)| (end - NIGHTS + 1..=end).contains(told);
        let (_, from, until) = self.nights.iter().filter(is_known).max()?;
        let samples = self.samples.get(&format!("oura_sample_{metric}"))?;
        (*from..*until).contains(&moment).then(|| said(samples, moment))?
    }

    /// The mean of all that the series of a metric have in a step.
    fn mean_of_step(&self, metric: &str, moment: i64, step: i64) -> Option<f64> {
        let name = format!("oura_sample_{metric}");
        let series = self.samples.iter().filter(|(series, _)| series.split('{').next() == Some(&name));
        let all: Vec<_> = series.flat_map(|(_, samples)| samples.range(moment - step + 1..=moment)).collect();
        (!all.is_empty()).then(|| all.iter().map(|(_, value)| **value).sum::<f64>() / all.len() as f64)
    }

    fn cell(&self, meaning: &Meaning, moment: i64, (end, step): (i64, i64)) -> Option<f64> {
        match meaning {
            Meaning::InTheNight { metric, factor } => Some(self.in_the_night(metric, moment, end)? * factor),
            Meaning::MeanOfStep { metric } => self.mean_of_step(metric, moment, step),
            other => panic!("not of moments: {other:?}"),
        }
    }
}

/// What the sample says in whose time a moment lies: until the next one, and not for longer than from the one before.
fn said(samples: &BTreeMap<i64, f64>, moment: i64) -> Option<f64> {
    let (time, value) = samples.range(..=moment).next_back()?;
    let next = samples.range(moment + 1..).next().map(|(next, _)| next - time);
    let before = samples.range(..time).next_back().map(|(before, _)| time - before);
    let lasts = [next, before].into_iter().flatten().fold(LONGEST, i64::min);
    (moment < time + lasts).then_some(*value)
}

/// Some weeks of three people.
struct Weeks {
    people: BTreeMap<&'static str, Person>,
    samples: Samples,
}

impl Weeks {
    /// Brings them into the database of a Prometheus that does not run.
    async fn live(directory: &Path) -> Self {
        let mut weeks = Self { people: BTreeMap::new(), samples: Samples::default() };
        for (first, last) in STRETCHES {
            let days: (NaiveDate, NaiveDate) = (first.parse().expect("a day"), last.parse().expect("a day"));
            let at = days.1.and_time(NaiveTime::MIN).and_utc() + SETTLED;
            let clock = Clock::still_at(at);
            let settings = Settings {
                clock: clock.clone().into(),
                full_days: Some(0),
                has_traveller: true,
                ..Settings::default()
            };
            let simulator = Simulator::start(settings).await.expect("a free port");
            for person in PEOPLE {
                let output = directory.join(format!("{first}-{person}"));
                let run = Run { person, collections: COLLECTIONS, days, clock: clock.clone(), state: None };
                run.into_files(&simulator, &output).await;
                files(&output).iter().for_each(|file| import(file, &directory.join("data")));
                weeks.samples = weeks.samples.join(&Samples::of_run(&output));
                let parts = Documents::of(&simulator, person, COLLECTIONS, days, at).await.parts();
                let stretch = Person::of(parts, at);
                match weeks.people.get_mut(person) {
                    Some(known) => known.join(stretch),
                    None => drop(weeks.people.insert(person, stretch)),
                }
            }
        }
        weeks
    }

    /// The lines that VictoriaMetrics imports.
    fn lines(&self) -> String {
        self.samples.all().map(|(series, time, value)| format!("{series} {value} {time}\n")).collect()
    }
}

/// Each morning on a screen; the night as a click on its day opens it; some mornings on a telephone; some weeks.
fn looks(reader: Zone, day: NaiveDate, place: usize) -> Vec<Look> {
    let now = reader.moment(day.and_hms_opt(7, 30, 0).expect("a time"));
    let look = |span, width| Look { zone: UTC, now, span, width };
    let morning = || Span::Relative("now-26h", "now");
    let midnight = day.and_time(NaiveTime::MIN).and_utc();
    let [from, to] = [-23, 23].map(|hours| reader.local(midnight + TimeDelta::hours(hours)).naive_local());
    let mut looks = vec![look(morning(), 1_900)];
    match place % 4 {
        0 => looks.push(look(Span::Absolute(from, to), 1_000)),
        1 => looks.push(look(morning(), 390)),
        2 => looks.push(look(Span::Relative("now-7d", "now"), 1_000)),
        _ => {}
    }
    looks
}

/// Readers all around the world, each of whom looks at another wearer each day.
fn readings() -> Vec<Reading> {
    const CHOSEN: [&[&str]; 3] = [&["alice"], &["bob"], &["carol"]];
    let mut all = vec![];
    for (first, last) in STRETCHES {
        let (first, last): (NaiveDate, NaiveDate) = (first.parse().expect("a day"), last.parse().expect("a day"));
        // A click on the last day looks beyond it.
        for (place, day) in first.iter_days().take_while(|day| *day < last).enumerate() {
            for (number, reader) in READERS.into_iter().enumerate() {
                let accounts = CHOSEN[(place + number) % CHOSEN.len()];
                all.push(Reading { reader, looks: looks(reader, day, place + number), accounts });
            }
        }
    }
    all
}

/// The queries that tell of moments.
fn of_moments(boards: &[Dashboard]) -> Vec<Asked<'_>> {
    let is_of_moments =
        |asked: &Asked<'_>| matches!(asked.target.meaning, Meaning::InTheNight { .. } | Meaning::MeanOfStep { .. });
    targets(boards).into_iter().filter(is_of_moments).collect()
}

/// Compares each point of a query with the documents; `expr` is the query's own, or what is wrong on purpose.
async fn compare(store: &Store, weeks: &Weeks, asked: &Asked<'_>, expr: &str, readings: &[Reading]) -> Compared {
    let mut compared = Compared::default();
    for ((question, (reading, look)), cells) in answers(store, asked, expr, readings).await {
        let Times::Range { end, step, .. } = question.times else { panic!("{}: no range", asked.name()) };
        compared.questions += 1;
        let moments: BTreeSet<_> = question.moments().into_iter().chain(cells.keys().copied()).collect();
        for time in moments {
            let mut wanted = Results::new();
            for account in reading.accounts {
                let value = weeks.people[account].cell(&asked.target.meaning, time, (end, step));
                wanted.extend(value.map(|value| ([("account".to_owned(), (*account).to_owned())].into(), value)));
            }
            let place = look.zone.local(DateTime::from_timestamp_millis(time).expect("a time")).to_rfc3339();
            let got = cells.get(&time).cloned().unwrap_or_default();
            compared.cell(&format!("{} `{expr}`", asked.name()), &place, &got, &wanted);
        }
    }
    compared
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_minute_of_nights_and_days_is_what_the_documents_say_on_every_store() {
    const NAME: &str = "every_minute_of_nights_and_days_is_what_the_documents_say_on_every_store";
    let programs = ["prometheus", "promtool", "victoria-metrics"];
    if !there_are(&programs, NAME) || !newer_are_there(&["prometheus", "victoria-metrics"], NAME) {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let weeks = Weeks::live(directory.path()).await;
    let (boards, readings) = (all(), readings());
    tell(&format!("{} samples of three people's nights and days", weeks.samples.len()));
    let mut wrong = String::new();
    for (what, is_victoria) in [("Prometheus", false), ("VictoriaMetrics", true)] {
        for release in Release::BOTH {
            let store = match is_victoria {
                true => victoria_metrics(release, weeks.lines()).await,
                false => prometheus(release, directory.path()).await,
            };
            let begun = Instant::now();
            let (mut bad, mut cells, mut questions) = (0, 0, 0);
            for asked in of_moments(&boards) {
                let compared = compare(&store, &weeks, &asked, &asked.target.expr, &readings).await;
                bad += compared.wrong_cells();
                cells += compared.cells;
                questions += compared.questions;
                wrong += &compared.told();
            }
            let asked = format!("{questions} queries in {:.0?}", begun.elapsed());
            tell(&format!("{what} {release:?}: {bad} wrong of {cells} cells by the minute; {asked}"));
            assert!(cells > 100_000, "only {cells} cells");
            store.stop().await;
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// A way to get a query wrong, and what it is called.
pub(super) type Planted = (&'static str, fn(&str) -> String);

const ERRORS: [Planted; 6] = [
    ("an hour off", |expr| expr.replace("offset -500ms", "offset 1h")),
    ("a step late", |expr| expr.replace("offset -500ms", "offset $__interval")),
    ("other nights and naps too", |expr| expr.split(" and on (account) ").next().unwrap_or_default().to_owned()),
    ("the highest of the sources", |expr| {
        expr.replace("sum by (account) (max by (account, source)", "(max by (account)")
    }),
    ("a wrong unit", |expr| expr.replace(" * 1000", "")),
    ("a wrong series", |expr| expr.replace("oura_sample_", "oura_sample_other_")),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_planted_into_queries_of_moments_are_found() {
    if !there_are(&["prometheus", "promtool"], "errors_planted_into_queries_of_moments_are_found") {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let weeks = Weeks::live(directory.path()).await;
    let store = prometheus(Release::Installed, directory.path()).await;
    let boards = all();
    let some: Vec<_> = readings().into_iter().step_by(7).collect();
    for (name, planted) in ERRORS {
        let (mut found, mut missed) = (0, vec![]);
        for asked in of_moments(&boards) {
            let expr = planted(&asked.target.expr);
            if expr == asked.target.expr {
                continue;
            }
            match compare(&store, &weeks, &asked, &expr, &some).await.wrong_cells() {
                0 => missed.push(asked.name()),
                _ => found += 1,
            }
        }
        tell(&format!("{name}: found in {found} queries"));
        assert!(missed.is_empty() && found > 0, "{name}: not found in {missed:?}");
    }
}
