//! What boards show of the newest documents, compared with the documents: at home and on journeys, when clocks were changed, and beside
//! a second exporter that has read nothing for hours.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
};

use chrono::{DateTime, Datelike as _, NaiveDate, TimeDelta, Utc};
use oura_dashboards::{Meaning, all, meaning::Operator};
use oura_exporter::{
    clock::Clock,
    simulator::{Settings, Simulator},
};
use serde_json::Value;

use super::{
    asking::{Compared, Reading, answers, targets},
    grafana::{Look, READERS, Span, UTC},
    nights::Planted,
    prometheus, tell,
    truth::{Expected, Results, Truth, parsed},
    year::PEOPLE,
};
use crate::{
    common::{
        Plan, moment,
        needs::there_are,
        servers::{Release, import},
        stores::{Labels, Store},
    },
    dashboards::prometheus::scraped,
    record::{answers::plain, expected::local, history::in_the_end},
};

/// Mornings, evenings and nights at home, in Tokyo, Auckland and New York, and on days on which clocks were changed.
const MOMENTS: [&str; 8] = [
    "2026-04-07T22:30:00Z",
    "2026-11-09T18:40:00Z",
    "2026-03-08T14:10:00Z",
    "2026-03-29T05:20:00Z",
    "2025-10-26T06:10:00Z",
    "2026-07-15T00:30:00Z",
    "2026-07-15T03:45:00Z",
    "2026-07-15T12:00:00Z",
];
/// For how long the second exporter has read nothing.
const BEHIND: TimeDelta = TimeDelta::hours(9);
/// Days of documents that the page may show.
const SHOWN: i64 = 3;
/// What an exporter that has just begun knows.
const DAYS: i64 = 16;

/// What an exporter says that has read all at that time.
async fn pages(at: DateTime<Utc>) -> (Simulator, String, String) {
    oura_exporter::tls::choose_provider();
    let settings = Settings { clock: Clock::still_at(at).into(), has_traveller: true, ..Settings::default() };
    let simulator = Simulator::start(settings).await.expect("a free port");
    let exporter = Plan { people: &PEOPLE, ..Plan::default() }.at_moment(at).still().ready(&simulator).await;
    let (_, samples) = exporter.get("/metrics/samples").await;
    let page = exporter.page().await.text;
    exporter.stop().await;
    (simulator, page, samples)
}

/// The page as it is scraped from an instance now, and the samples at their own time.
fn text_of(page: &str, samples: &str, instance: &str, now: DateTime<Utc>) -> String {
    let mut text = String::new();
    let lines = |page: &str| page.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>();
    for line in lines(page) {
        let (series, value) = line.rsplit_once(' ').expect("a sample");
        let _ = writeln!(text, "{} {value} {}", scraped(series, instance), now.timestamp());
    }
    for line in lines(samples) {
        let (sample, time) = line.rsplit_once(' ').expect("a time");
        let (series, value) = sample.rsplit_once(' ').expect("a value");
        let time = time.parse::<i64>().expect("milliseconds");
        let _ = writeln!(text, "{} {value} {}.{:03}", scraped(series, instance), time / 1000, time % 1000);
    }
    text
}

/// Of which person, series and day there are samples.
fn told(samples: &str) -> BTreeSet<(String, String, NaiveDate)> {
    let told = samples.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let words: Vec<_> = line.rsplitn(3, ' ').collect();
        let (name, labels) = parsed(words[2]);
        let time = words[0].parse().ok().and_then(DateTime::from_timestamp_millis).expect("a time");
        (labels["account"].clone(), plain(name, &labels), time.date_naive())
    });
    told.collect()
}

/// Whether there is a document of that day, which of sleep is one that is over.
fn has_document(simulator: &Simulator, person: &str, collection: &str, day: NaiveDate, at: DateTime<Utc>) -> bool {
    let versions = simulator.versions(person, collection, day);
    let documents = versions.into_iter().rfind(|version| version.readable_from <= at).map(|version| version.documents);
    let is_over = |document: &Value| local(&document["bedtime_end"]).is_some_and(|end| end <= at);
    documents.unwrap_or_default().iter().any(|document| collection != "sleep" || is_over(document))
}

/// What is true of three people now.
struct Now {
    at: DateTime<Utc>,
    truth: Truth,
    /// By person and collection, the day of the newest document.
    newest: BTreeMap<(&'static str, &'static str), NaiveDate>,
    /// The date where each person is.
    today: BTreeMap<&'static str, NaiveDate>,
}

impl Now {
    /// As the service has it; of days before those that the page may show, what `samples` tell.
    fn of(simulator: &Simulator, at: DateTime<Utc>, page: &str, samples: &str) -> Self {
        let days: Vec<_> = (-1..DAYS).rev().map(|back| at.date_naive() - TimeDelta::days(back)).collect();
        let told = told(samples);
        let (mut today, mut newest) = (BTreeMap::new(), BTreeMap::new());
        let of = PEOPLE.map(|person| {
            let ahead = format!("oura_wearer_utc_offset_seconds{{account=\"{person}\"}} ");
            let ahead = page.lines().find_map(|line| line.strip_prefix(&ahead)).expect("an offset");
            today.insert(person, (at + TimeDelta::seconds(ahead.parse().expect("seconds"))).date_naive());
            for collection in ["daily_readiness", "daily_sleep", "daily_activity", "daily_stress", "sleep"] {
                let has_one = |day: &&NaiveDate| has_document(simulator, person, collection, **day, at);
                newest.extend(days.iter().rfind(has_one).map(|day| ((person, collection), *day)));
            }
            let mut known = in_the_end(simulator, at, person, &days);
            for (day, values) in known.iter_mut().filter(|(day, _)| (today[person] - **day).num_days() >= SHOWN) {
                values.retain(|series, _| told.contains(&(person.to_owned(), series.clone(), *day)));
            }
            (person, known)
        });
        Self { at, truth: Truth::of(of.iter().map(|(person, days)| (*person, days))), newest, today }
    }

    fn day_of_newest(&self, person: &str, collection: &str) -> Option<NaiveDate> {
        let of = self.newest.iter().find(|((name, of), _)| *name == person && *of == collection);
        of.map(|(_, day)| *day).filter(|day| (self.today[person] - *day).num_days() < SHOWN)
    }

    /// What a cell must show of somebody; none if it is about something else.
    fn cell(&self, expected: &Expected<'_>, meaning: &Meaning, person: &str) -> Option<Results> {
        let own = |results: &Results| {
            let own = results.iter().filter(|(labels, _)| labels["account"] == person);
            own.map(|(labels, value)| (labels.clone(), *value)).collect::<Results>()
        };
        Some(match meaning {
            Meaning::Newest { of, collection } => {
                let day = self.day_of_newest(person, collection);
                day.map_or_else(Results::new, |day| own(&expected.at(of, day).expect("of a day")))
            }
            Meaning::DayOfNewest { collection } => {
                let day = self.day_of_newest(person, collection);
                let number = |day: NaiveDate| {
                    let age = (self.today[person] - day).num_days();
                    (age * 10 + i64::from(day.weekday().num_days_from_sunday())) as f64
                };
                let labels = Labels::from([("account".to_owned(), person.to_owned())]);
                day.map(|day| (labels, number(day))).into_iter().collect()
            }
            Meaning::Linear { of, factor, plus } => {
                let of = self.cell(expected, of, person)?;
                of.into_iter().map(|(labels, value)| (labels, value * factor + plus)).collect()
            }
            Meaning::Two { first, operator: Operator::Minus, second } => {
                let first = self.cell(expected, first, person)?;
                let second = expected.at(second, self.at.date_naive())?;
                let second = own(&second);
                first
                    .into_iter()
                    .filter_map(|(labels, value)| Some((labels.clone(), value - second.get(&labels)?)))
                    .collect()
            }
            _ => return None,
        })
    }
}

/// Compares all that boards say of the newest documents; `change` is what is wrong on purpose.
async fn compare(store: &Store, now: &Now, change: fn(&str) -> String) -> Compared {
    let (boards, expected, mut compared) = (all(), Expected::new(&now.truth), Compared::default());
    for (number, person) in PEOPLE.iter().enumerate() {
        let look = Look { zone: UTC, now: now.at, span: Span::Relative("now-26h", "now"), width: 1_000 };
        let accounts = std::slice::from_ref(&PEOPLE[number]);
        let reading = Reading { reader: READERS[number], looks: vec![look], accounts };
        for asked in targets(&boards).into_iter().filter(|asked| asked.target.instant) {
            let Some(wanted) = now.cell(&expected, &asked.target.meaning, person) else { continue };
            let expr = change(&asked.target.expr);
            for (_, cells) in answers(store, &asked, &expr, std::slice::from_ref(&reading)).await {
                compared.questions += 1;
                let got = cells.into_values().next().unwrap_or_default();
                let place = format!("{person} at {}", now.at);
                compared.cell(&format!("{} `{expr}`", asked.name()), &place, &got, &wanted);
            }
        }
    }
    compared
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_newest_is_what_the_documents_say_wherever_the_wearers_are() {
    if !there_are(&["prometheus", "promtool"], "what_is_newest_is_what_the_documents_say_wherever_the_wearers_are") {
        return;
    }
    let (mut wrong, mut bad, mut cells, mut planted) = (String::new(), 0, 0, BTreeMap::<&str, usize>::new());
    let errors: [Planted; 3] = [
        ("the day in UTC first", |expr| expr.replace("> time()", "> time() + 1e12")),
        ("any exporter's page", |expr| {
            expr.replace("== on (account) group_left () max", "<= on (account) group_left () max")
        }),
        ("a wrong series", |expr| expr.replace("(oura_", "(oura_other_")),
    ];
    for at in MOMENTS.map(moment) {
        let (simulator, page, samples) = pages(at).await;
        let (_, old_page, old_samples) = pages(at - BEHIND).await;
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("now.om");
        let both = text_of(&page, &samples, "one:10058", at) + &text_of(&old_page, &old_samples, "two:10058", at);
        fs::write(&file, both + "# EOF\n").expect("a file");
        import(&file, &directory.path().join("data"));
        let store = prometheus(Release::Installed, directory.path()).await;
        let now = Now::of(&simulator, at, &page, &(samples + &old_samples));
        let compared = compare(&store, &now, str::to_owned).await;
        bad += compared.wrong_cells();
        cells += compared.cells;
        wrong += &compared.told();
        for (name, error) in errors {
            *planted.entry(name).or_default() += compare(&store, &now, error).await.wrong_cells();
        }
        store.stop().await;
    }
    tell(&format!("{bad} wrong of {cells} cells of the newest; planted, found: {planted:?}"));
    assert!(wrong.is_empty(), "\n{wrong}");
    assert!(cells > 300 && planted.values().all(|found| *found > 3), "{cells} cells; {planted:?}");
}
