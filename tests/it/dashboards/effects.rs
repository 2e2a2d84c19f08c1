//! The effects of habits against a direct computation over the documents, and over wearers of whom the truth is planted.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    time::Instant,
};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use fastrand::Rng;
use oura_dashboards::{
    Meaning, all,
    meaning::EffectColumn::{self, DaysWith, DaysWithout, Difference, Interval, Judgement, MeanWith, MeanWithout, T},
};
use oura_exporter::{clock::Clock, simulator::Simulator};
use serde_json::Value;

use super::{board::dashboards, prometheus::filled_in};
use crate::{
    common::{
        backfill::Run,
        moment,
        needs::there_are,
        samples::files,
        servers::import,
        simulator_with,
        stores::Store,
        truth::{ask, documents},
    },
    record::expected::{Values, values},
};

/// How many days before today are looked at, as the board opens.
const DAYS: i64 = 365;
/// And how few: some habits then have days on one side only.
const FEW: [i64; 4] = [6, 9, 13, 20];
/// The moment of the question.
const AT: &str = "2026-11-22T12:00:00Z";

fn flags() -> [&'static str; 1] {
    ["--storage.tsdb.retention.time=10y"]
}

/// The queries of the board, each with its outcome and column.
fn queries() -> Vec<(&'static str, f64, EffectColumn, String)> {
    let board = all().into_iter().find(|board| board.uid == "oura-effects").expect("the board");
    let file = dashboards().into_iter().find(|file| file.stem == board.uid).expect("its file");
    let targets = board.panels.iter().flat_map(|panel| panel.targets.iter().flatten());
    let effect = |target: &oura_dashboards::model::Target| match target.meaning {
        Meaning::Effect { metric, factor, column } => Some((metric, factor, column, filled_in(&file, &target.expr))),
        _ => None,
    };
    targets.filter_map(effect).collect()
}

/// A wearer's outcomes and habits by day.
#[derive(Default)]
struct Life {
    outcomes: BTreeMap<&'static str, BTreeMap<NaiveDate, f64>>,
    habits: BTreeMap<NaiveDate, BTreeSet<String>>,
}

impl Life {
    fn outcome(&mut self, metric: &'static str, day: NaiveDate, values: &Values) {
        if let Some(value) = values.get(&format!("oura_sample_{metric}")) {
            self.outcomes.entry(metric).or_default().insert(day, *value);
        }
    }

    fn habit(&mut self, day: NaiveDate, habit: &str) {
        self.habits.entry(day).or_default().insert(habit.to_owned());
    }

    /// The outcomes of the days after those with a habit, and of the others.
    fn sides(&self, metric: &str, factor: f64, habit: &str, (today, over): (NaiveDate, i64)) -> (Vec<f64>, Vec<f64>) {
        let outcomes = &self.outcomes[metric];
        let (mut with, mut without) = (vec![], vec![]);
        for day in (1..=over).map(|back| today - TimeDelta::days(back)) {
            let Some(outcome) = outcomes.get(&(day + TimeDelta::days(1))) else { continue };
            let done = self.habits.get(&day).is_some_and(|habits| habits.contains(habit));
            if done { with.push(outcome * factor) } else { without.push(outcome * factor) }
        }
        (with, without)
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The square of the error of the mean.
fn error(values: &[f64]) -> f64 {
    let squares: f64 = values.iter().map(|value| (value - mean(values)).powi(2)).sum();
    squares / (values.len() as f64 - 1.0) / values.len() as f64
}

/// What a column must say, by the definition that the board's text gives.
fn expected(column: EffectColumn, with: &[f64], without: &[f64]) -> Option<f64> {
    let fewest = with.len().min(without.len());
    let difference = mean(with) - mean(without);
    let whole = (error(with) + error(without)).sqrt();
    let student = |normal: f64, more: f64, less: f64| normal * (1.0 + more / (fewest as f64 - less));
    let enough = fewest >= 5;
    match column {
        DaysWith => (!with.is_empty()).then_some(with.len() as f64),
        DaysWithout => (!without.is_empty()).then_some(without.len() as f64),
        MeanWith => (!with.is_empty()).then(|| mean(with)),
        MeanWithout => (!without.is_empty()).then(|| mean(without)),
        Difference => (fewest > 0).then_some(difference),
        Interval => enough.then(|| student(1.959_964, 1.2223, 2.0654) * whole),
        T => enough.then_some(difference / whole),
        Judgement if fewest == 0 => None,
        Judgement if !enough => Some(0.0),
        Judgement => Some(if difference.abs() > student(2.575_829, 1.9541, 2.5182) * whole { 2.0 } else { 1.0 }),
    }
}

fn by_day(documents: Vec<Value>) -> BTreeMap<NaiveDate, Vec<Value>> {
    let mut days = BTreeMap::<_, Vec<Value>>::new();
    for document in documents {
        let day = document["day"].as_str().and_then(|day| day.parse().ok()).expect("a day");
        days.entry(day).or_default().push(document);
    }
    days
}

/// What the documents of a year say, and the day after each.
async fn life(simulator: &Simulator, today: NaiveDate) -> Life {
    let mut life = Life::default();
    let first = today - TimeDelta::days(DAYS + 1);
    let read = async |collection| by_day(documents(simulator, "alice", collection, first, today).await);
    for (collection, metric) in [("daily_readiness", "readiness_score"), ("daily_sleep", "sleep_score")] {
        for (day, of_day) in read(collection).await {
            life.outcome(metric, day, &values(collection, day, &of_day));
        }
    }
    for (day, of_day) in read("sleep").await {
        let values = values("sleep", day, &of_day);
        life.outcome("night_average_hrv_seconds", day, &values);
        if values.get("oura_sample_day_naps").is_some_and(|naps| *naps > 0.0) {
            life.habit(day, "nap");
        }
        if values.get("oura_sample_night_bedtime_start_offset_seconds").is_some_and(|offset| *offset > 0.0) {
            life.habit(day - TimeDelta::days(1), "to bed late");
        }
    }
    for day in read("workout").await.into_keys() {
        life.habit(day, "workout");
    }
    let window = [("start_date", (first - TimeDelta::days(15)).to_string()), ("end_date", today.to_string())];
    for tag in ask(simulator, "alice", "enhanced_tag", &window).await {
        let day = |key: &str| tag[key].as_str().and_then(|day| day.parse::<NaiveDate>().ok());
        let start = day("start_day").expect("a day");
        let end = day("end_day").unwrap_or(start);
        let word = tag["tag_type_code"].as_str().unwrap_or("text_only").to_owned();
        start.iter_days().take_while(|day| *day <= end).for_each(|day| life.habit(day, &word));
    }
    life
}

/// The queries of the board, each over few days and over all.
fn over_each_window() -> impl Iterator<Item = ((&'static str, f64, EffectColumn, String), i64)> {
    queries().into_iter().flat_map(|query| FEW.into_iter().chain([DAYS]).map(move |over| (query.clone(), over)))
}

fn are_same(must: Option<f64>, is: Option<f64>) -> bool {
    match (must, is) {
        (Some(must), Some(is)) => (must - is).abs() <= 1e-9 * must.abs().max(1.0),
        (must, is) => must == is,
    }
}

#[tokio::test]
async fn effects_are_those_of_the_documents() {
    if !there_are(&["prometheus", "promtool"], "effects_are_those_of_the_documents") {
        return;
    }
    let at = moment(AT);
    let simulator = simulator_with(Clock::still_at(at)).await;
    let directory = tempfile::tempdir().expect("a directory");
    let today = at.date_naive();
    let days = (today - TimeDelta::days(DAYS + 20), today);
    let collections = "daily_readiness,daily_sleep,sleep,workout,enhanced_tag";
    let run = Run { person: "alice", collections, days, clock: Clock::still_at(at), state: None };
    let output = directory.path().join("alice");
    run.into_files(&simulator, &output).await;
    files(&output).iter().for_each(|file| import(file, &directory.path().join("data")));
    let prometheus = Store::prometheus_in(directory.path(), "", &flags()).await;
    let life = life(&simulator, today).await;
    let habits_of = |over| life.habits.range(today - TimeDelta::days(over)..today).flat_map(|(_, habits)| habits);
    let (mut compared, mut one_sided, mut alcohol, mut wrong) = (0, 0, String::new(), vec![]);
    for ((metric, factor, column, query), over) in over_each_window() {
        let query = query.replace("[364d24h", &format!("[{}d24h", over - 1));
        let answers = prometheus.all_at(&query, at).await;
        let answers: BTreeMap<_, _> =
            answers.into_iter().map(|(labels, value)| (labels["tag"].clone(), value)).collect();
        for habit in habits_of(over).collect::<BTreeSet<_>>() {
            let (with, without) = life.sides(metric, factor, habit, (today, over));
            one_sided += usize::from(with.is_empty() != without.is_empty() && with.len() + without.len() >= 5);
            let (must, is) = (expected(column, &with, &without), answers.get(habit).copied());
            compared += 1;
            if !are_same(must, is) {
                wrong.push(format!("{metric}, {habit}, {column:?}, {over} days: {is:?}, not {must:?}"));
            }
            if habit == "tag_sleep_alcohol" && metric == "readiness_score" && over == DAYS {
                let _ = write!(alcohol, " {column:?} {is:?}");
            }
        }
    }
    println!("{compared} cells, {one_sided} of habits with days on one side only; alcohol and readiness:{alcohol}");
    assert!(compared > 100 && one_sided > 0 && alcohol.contains("Some"), "{compared} cells, {one_sided},{alcohol}");
    assert!(wrong.is_empty(), "{} of {compared} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// How many wearers there are, and of what effects.
const WEARERS: usize = 1_000;
const PLANTED: [f64; 5] = [0.0, 2.0, 4.0, 6.0, 8.0];

/// About a normal distribution, of mean 0 and deviation 1.
fn normal(random: &mut Rng) -> f64 {
    (0..12).map(|_| random.f64()).sum::<f64>() - 6.0
}

fn planted(wearer: usize) -> f64 {
    PLANTED[wearer % PLANTED.len()]
}

/// A year of made-up wearers, each with a tag on some days and a readiness that is so much lower on the day after.
fn wearers(at: DateTime<Utc>) -> String {
    let mut random = Rng::with_seed(12);
    let mut text = String::new();
    let today = at.date_naive();
    let seconds = |day: NaiveDate| day.and_hms_opt(0, 1, 0).expect("a time").and_utc().timestamp();
    let mut tags = String::new();
    text.push_str("# TYPE oura_sample_readiness_score gauge\n");
    for wearer in 0..WEARERS {
        let often = 0.04 + 0.36 * random.f64();
        let mut was_tagged = false;
        for day in (0..=DAYS).rev().map(|back| today - TimeDelta::days(back)) {
            let loss = if was_tagged { planted(wearer) } else { 0.0 };
            let score = 75.0 - loss + 7.0 * normal(&mut random);
            let _ = writeln!(text, "oura_sample_readiness_score{{account=\"w{wearer}\"}} {score:.3} {}", seconds(day));
            was_tagged = random.f64() < often;
            if was_tagged {
                let series = format!("oura_sample_day_tags{{account=\"w{wearer}\",tag=\"tag_sleep_alcohol\"}}");
                let _ = writeln!(tags, "{series} 1 {}", seconds(day));
            }
        }
    }
    text + "# TYPE oura_sample_day_tags gauge\n" + &tags + "# EOF\n"
}

#[tokio::test]
async fn planted_effects_are_found_and_chance_is_not() {
    if !there_are(&["prometheus", "promtool"], "planted_effects_are_found_and_chance_is_not") {
        return;
    }
    let at = moment(AT);
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("wearers.om");
    fs::write(&file, wearers(at)).expect("a file");
    import(&file, &directory.path().join("data"));
    let prometheus = Store::prometheus_in(directory.path(), "", &flags()).await;
    let begun = Instant::now();
    let mut columns = BTreeMap::new();
    for (_, _, column, query) in queries().into_iter().filter(|(metric, ..)| *metric == "readiness_score") {
        if matches!(column, Difference | Interval | Judgement) {
            let by_wearer = |(labels, value): (BTreeMap<String, String>, f64)| (labels["account"].clone(), value);
            let answer: BTreeMap<_, _> = prometheus.all_at(&query, at).await.into_iter().map(by_wearer).collect();
            columns.insert(format!("{column:?}"), answer);
        }
    }
    let of = |column: EffectColumn, wearer: usize| columns[&format!("{column:?}")].get(&format!("w{wearer}")).copied();
    let judged: Vec<_> = (0..WEARERS).filter(|wearer| of(Interval, *wearer).is_some()).collect();
    let covered = |wearer: &&usize| {
        let (difference, width) = (of(Difference, **wearer), of(Interval, **wearer));
        difference.zip(width).is_some_and(|(difference, width)| (difference + planted(**wearer)).abs() <= width)
    };
    let share = |of: usize, all: usize| of as f64 / all as f64;
    let coverage = share(judged.iter().filter(covered).count(), judged.len());
    let real = |planted_so: f64| {
        let those: Vec<_> = judged.iter().filter(|wearer| planted(**wearer) == planted_so).collect();
        share(those.iter().filter(|wearer| of(Judgement, ***wearer) == Some(2.0)).count(), those.len())
    };
    println!("{} wearers in {:?}: {coverage:.3} of the intervals hold the truth", judged.len(), begun.elapsed());
    PLANTED
        .iter()
        .for_each(|planted| println!("  of an effect of {planted}, {:.3} are called likely real", real(*planted)));
    assert!(judged.len() > WEARERS * 9 / 10, "{} wearers", judged.len());
    assert!((0.93..=0.97).contains(&coverage), "{coverage}");
    assert!(real(0.0) < 0.05 && real(8.0) > 0.8, "{} by chance, {} of 8 points", real(0.0), real(8.0));
}
