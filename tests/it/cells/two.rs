//! Two exporters of the same accounts, one of which reads nothing any more and so has missed what was revised late: boards show what the
//! other knows, whether it is higher or lower.

use std::collections::BTreeMap;

use chrono::NaiveTime;
use oura_dashboards::{Meaning, all};

use super::{
    OF_HABITS,
    asking::{Compared, answers, compare, targets},
    grafana::{READERS, UTC},
    prometheus,
    readers::a_month,
    tell,
    truth::{Expected, Truth, parsed},
    victoria_metrics,
    year::{PEOPLE, Tellers, Year},
};
use crate::common::{
    needs::{newer_are_there, there_are},
    samples::Samples,
    servers::Release,
    stores::Store,
};

/// Enough for a month of points and what is usual before it.
const DAYS: usize = 75;
/// Either may be the one that lags behind.
const PAIRS: [Tellers; 2] = [
    Tellers { instance: "one:10058", lagging: Some("two:10058") },
    Tellers { instance: "two:10058", lagging: Some("one:10058") },
];
const DAY: i64 = 86_400_000;
/// What the page says of when an exporter read something.
const READ: &str = "oura_collection_last_success_timestamp_seconds";
/// Milliseconds from one scrape to the next, and how long the exporter that lags behind has read nothing.
const SCRAPED_EVERY: i64 = 240_000;
const BEHIND: i64 = 6 * 3_600_000;

/// Days of scrapes.
const SCRAPES: i64 = 8;
/// Days of which the newest is looked at.
const LOOKED_AT: usize = 20;

/// Adds what both exporters' pages say until noon of the last day, for as long as the longest step of a panel.
fn scrape(year: &mut Year, tellers: Tellers) {
    let midnight = year.days[year.days.len() - 1].and_time(NaiveTime::MIN).and_utc().timestamp_millis();
    for time in (midnight - SCRAPES * DAY..=midnight + DAY / 2).step_by(SCRAPED_EVERY.unsigned_abs() as usize) {
        for (instance, behind) in [(tellers.instance, 0), (tellers.lagging.expect("one"), BEHIND)] {
            for person in PEOPLE {
                let labels = format!("account=\"{person}\",collection=\"sleep\",job=\"oura\",instance=\"{instance}\"");
                let read = (time - behind) as f64 / 1000.0;
                year.samples.add(&format!("{READ}{{{labels}}}"), time, read);
            }
        }
    }
}

/// Of how many values of a day the exporter that lags behind has a higher one, and of how many a lower one.
fn differing(samples: &Samples, tellers: Tellers) -> (usize, usize) {
    let mut last = BTreeMap::<_, [Option<f64>; 2]>::new();
    for (series, time, value) in samples.all() {
        let (name, mut labels) = parsed(series);
        if name == READ {
            continue;
        }
        let instance = labels.remove("instance").expect("an instance");
        let place = usize::from(instance != tellers.instance);
        last.entry((name.to_owned(), labels, time.div_euclid(DAY))).or_default()[place] = Some(value);
    }
    let pairs = || last.values().filter_map(|[up_to_date, lagging]| up_to_date.zip(*lagging));
    let higher = pairs().filter(|(up_to_date, lagging)| lagging > up_to_date).count();
    (higher, pairs().filter(|(up_to_date, lagging)| lagging < up_to_date).count())
}

/// The query in which the higher of two values counts, as it would if every exporter were up to date.
fn the_higher_counts(expr: &str) -> String {
    expr.replace("> on (account) group_left () max", ">= on (account) group_left () 0 * max")
}

/// Compares a month of all boards of days; `change` is what is wrong on purpose.
async fn a_month_of_days(store: &Store, year: &Year, truth: &Truth, change: fn(&str) -> String) -> Compared {
    let last = year.days[year.days.len() - 1];
    let readings = [a_month(last, UTC), a_month(last, READERS[5])];
    let (boards, mut compared) = (all(), Compared::default());
    // What habits do is told of the higher value: its queries hold each metric many times over.
    for asked in targets(&boards).into_iter().filter(|asked| asked.board.uid != OF_HABITS) {
        compare(store, truth, &asked, &change(&asked.target.expr), &readings, &mut compared).await;
    }
    compared
}

/// Compares what Today shows of the record at noon of many days, without a page; `change` is what is wrong on purpose.
async fn noons(store: &Store, year: &Year, truth: &Truth, change: fn(&str) -> String) -> Compared {
    let (boards, expected, mut compared) = (all(), Expected::new(truth), Compared::default());
    for day in year.days.iter().rev().skip(SCRAPES.unsigned_abs() as usize).take(LOOKED_AT) {
        let readings = [a_month(*day, UTC)];
        for asked in targets(&boards) {
            let Meaning::Newest { of, .. } = &asked.target.meaning else { continue };
            let wanted = expected.at(of, *day).expect("of a day");
            for (_, cells) in answers(store, &asked, &change(&asked.target.expr), &readings).await {
                let got = cells.into_values().next().unwrap_or_default();
                compared.cell(&asked.name(), &day.to_string(), &got, &wanted);
            }
        }
    }
    compared
}

/// Days and Today are as the documents say, which they would not be if the higher value counted.
async fn assert_right(store: &Store, year: &Year, truth: &Truth, what: &str) {
    let compared = a_month_of_days(store, year, truth, str::to_owned).await;
    let planted = a_month_of_days(store, year, truth, the_higher_counts).await.wrong_cells();
    tell(&format!("{what}: {} wrong of {}; if the higher counted, {planted}", compared.wrong_cells(), compared.cells));
    assert_eq!(compared.wrong_cells(), 0, "\n{}", compared.told());
    assert!(planted > 50, "the higher value would be found {planted} times only");
    let today = noons(store, year, truth, str::to_owned).await;
    let planted = noons(store, year, truth, |expr| expr.replace("timestamp(", "0 * timestamp(")).await.wrong_cells();
    tell(&format!("Today: {} wrong of {}; if the higher counted, {planted}", today.wrong_cells(), today.cells));
    assert_eq!(today.wrong_cells(), 0, "\n{}", today.told());
    assert!(planted > 10, "the higher value would be found {planted} times only");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_exporters_the_one_that_is_up_to_date_counts() {
    const NAME: &str = "of_two_exporters_the_one_that_is_up_to_date_counts";
    let programs = ["prometheus", "promtool", "victoria-metrics"];
    if !there_are(&programs, NAME) || !newer_are_there(&["prometheus", "victoria-metrics"], NAME) {
        return;
    }
    for tellers in PAIRS {
        let mut year = Year::told_by(tellers, DAYS).await;
        scrape(&mut year, tellers);
        let truth = Truth::of(year.truth.iter().map(|(person, days)| (*person, days)));
        let directory = tempfile::tempdir().expect("a directory");
        year.write_blocks(directory.path());
        let (higher, lower) = differing(&year.samples, tellers);
        tell(&format!(
            "{} lags behind: {higher} of its values are higher, {lower} lower",
            tellers.lagging.expect("one")
        ));
        assert!(higher > 20 && lower > 20, "{higher} higher, {lower} lower");
        for release in Release::BOTH {
            for is_victoria in [false, true] {
                let store = match is_victoria {
                    true => victoria_metrics(release, year.lines()).await,
                    false => prometheus(release, directory.path()).await,
                };
                let what = if is_victoria { "VictoriaMetrics" } else { "Prometheus" };
                assert_right(&store, &year, &truth, &format!("{what} {release:?}")).await;
                store.stop().await;
            }
        }
    }
}
