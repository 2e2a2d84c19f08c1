//! Every cell of every board against the documents: boards asked as Grafana asks, over a year, on every store.

mod asking;
mod effects;
mod grafana;
mod nights;
mod now;
mod planted;
mod readers;
mod sums;
mod truth;
mod two;
mod year;

use std::{io::Write as _, path::Path, time::Instant};

use asking::{Compared, compare, targets};
use grafana::{READERS, UTC};
use oura_dashboards::all;
use readers::{a_month, a_year, readings};
use truth::Truth;
use year::Year;

use crate::common::{
    eventually,
    needs::{newer_are_there, there_are},
    servers::Release,
    stores::Store,
};

/// The board of what habits do.
const OF_HABITS: &str = "oura-effects";
/// A year, and a day more: days are compared whose every window lies within.
const DAYS: usize = 366;
/// Enough for a month of points and what is usual before it.
const PLANTED_DAYS: usize = 75;

fn tell(text: &str) {
    let _ = std::io::stderr().write_all(format!("{text}\n").as_bytes());
}

/// A Prometheus with what lies in `directory`.
async fn prometheus(release: Release, directory: &Path) -> Store {
    Store::prometheus_of_in(release, directory, "global: {}\n", &["--storage.tsdb.retention.time=10y"]).await
}

/// A VictoriaMetrics that has taken all of these lines, and caches answers as it does by itself.
async fn victoria_metrics(release: Release, lines: String) -> Store {
    let flags = ["-retentionPeriod=10y", "-search.disableCache=false", "-search.maxUniqueTimeseries=300000"];
    let store = Store::victoria_metrics_of(release, &flags).await;
    let last = lines.lines().last().expect("lines").to_owned();
    let url = store.write_url().replace("/write", "/import/prometheus");
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let answer = http.post(url).body(lines).send().await.expect("an answer");
    assert!(answer.status().is_success(), "{}", answer.status());
    let (series, time) = (last.split(' ').next().expect("a series"), last.rsplit(' ').next().expect("a time"));
    let time = chrono::DateTime::from_timestamp_millis(time.parse().expect("a number")).expect("a time");
    eventually("what was imported is there", async || {
        store.flush().await;
        let found = store.samples(series, "2s", time + chrono::TimeDelta::seconds(1)).await;
        (!found.is_empty()).then_some(())
    })
    .await;
    store
}

/// Compares all that is about days on all boards.
async fn every_cell(store: &Store, truth: &Truth) -> Compared {
    let (boards, readings) = (all(), readings());
    let mut compared = Compared::default();
    for asked in targets(&boards) {
        // What looks back on a year at each moment takes its time: two readers are enough for it.
        let readings = if asked.board.uid == OF_HABITS { &readings[..2] } else { &readings[..] };
        compare(store, truth, &asked, &asked.target.expr, readings, &mut compared).await;
    }
    compared
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_cell_of_a_year_is_what_the_documents_say_on_every_store() {
    const NAME: &str = "every_cell_of_a_year_is_what_the_documents_say_on_every_store";
    let programs = ["prometheus", "promtool", "victoria-metrics"];
    if !there_are(&programs, NAME) || !newer_are_there(&["prometheus", "victoria-metrics"], NAME) {
        return;
    }
    let begun = Instant::now();
    let year = Year::of(DAYS).await;
    let truth = Truth::of(year.truth.iter().map(|(person, days)| (*person, days)));
    let directory = tempfile::tempdir().expect("a directory");
    year.write_blocks(directory.path());
    tell(&format!("a year of three people: {} samples in {:.0?}", year.samples.len(), begun.elapsed()));
    let mut wrong = String::new();
    for (what, is_victoria) in [("Prometheus", false), ("VictoriaMetrics", true)] {
        for release in Release::BOTH {
            let store = match is_victoria {
                true => victoria_metrics(release, year.lines()).await,
                false => prometheus(release, directory.path()).await,
            };
            let begun = Instant::now();
            let compared = every_cell(&store, &truth).await;
            let (bad, cells, questions) = (compared.wrong_cells(), compared.cells, compared.questions);
            let asked = format!("{questions} queries in {:.0?}", begun.elapsed());
            tell(&format!("{what} {release:?}: {bad} wrong of {cells} cells; {asked}"));
            if bad > 0 {
                wrong += &format!("{what} {release:?}:\n{}\n", compared.told());
            }
            if !is_victoria {
                sums::assert_equal(&store, &year, &a_year(year.days[year.days.len() - 1])).await;
            }
            store.stop().await;
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_planted_into_queries_are_found() {
    if !there_are(&["prometheus", "promtool"], "errors_planted_into_queries_are_found") {
        return;
    }
    let year = Year::of(PLANTED_DAYS).await;
    let truth = Truth::of(year.truth.iter().map(|(person, days)| (*person, days)));
    let directory = tempfile::tempdir().expect("a directory");
    year.write_blocks(directory.path());
    let store = prometheus(Release::Installed, directory.path()).await;
    let last = year.days[year.days.len() - 1];
    planted::assert_found(&store, &truth, &[a_month(last, UTC)]).await;
    planted::assert_a_wrong_zone_is_found(&store, &truth, &[a_month(last, READERS[1])]).await;
}
