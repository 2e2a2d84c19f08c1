//! Two exporters of the same accounts, one of which has missed what was revised late: boards show what the other knows, whether it is
//! higher or lower.

use std::collections::BTreeMap;

use oura_dashboards::all;

use super::{
    OF_HABITS,
    asking::{Compared, compare, targets},
    grafana::{READERS, UTC},
    prometheus,
    readers::a_month,
    tell,
    truth::{Truth, parsed},
    victoria_metrics,
    year::{Tellers, Year},
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

/// Of how many values of a day the exporter that lags behind has a higher one, and of how many a lower one.
fn differing(samples: &Samples, tellers: Tellers) -> (usize, usize) {
    let mut last = BTreeMap::<_, [Option<f64>; 2]>::new();
    for (series, time, value) in samples.all() {
        let (name, mut labels) = parsed(series);
        let instance = labels.remove("instance").expect("an instance");
        let place = usize::from(instance != tellers.instance);
        last.entry((name.to_owned(), labels, time.div_euclid(DAY))).or_default()[place] = Some(value);
    }
    let pairs = || last.values().filter_map(|[up_to_date, lagging]| up_to_date.zip(*lagging));
    let higher = pairs().filter(|(up_to_date, lagging)| lagging > up_to_date).count();
    (higher, pairs().filter(|(up_to_date, lagging)| lagging < up_to_date).count())
}

/// The query in which the higher of two values counts, as it would without a look at when they were learnt.
fn the_higher_counts(expr: &str) -> String {
    expr.replace("timestamp(", "0 * timestamp(")
}

/// Compares a month of all boards of days; `change` is what is wrong on purpose.
async fn a_month_of_days(store: &Store, year: &Year, truth: &Truth, change: fn(&str) -> String) -> Compared {
    let last = year.days[year.days.len() - 1];
    let readings = [a_month(last, UTC), a_month(last, READERS[5])];
    let (boards, mut compared) = (all(), Compared::default());
    // What habits do is told of the higher value: a look at when each was learnt would take too long over a year.
    for asked in targets(&boards).into_iter().filter(|asked| asked.board.uid != OF_HABITS) {
        compare(store, truth, &asked, &change(&asked.target.expr), &readings, &mut compared).await;
    }
    compared
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_exporters_the_value_learnt_last_counts() {
    const NAME: &str = "of_two_exporters_the_value_learnt_last_counts";
    let programs = ["prometheus", "promtool", "victoria-metrics"];
    if !there_are(&programs, NAME) || !newer_are_there(&["prometheus", "victoria-metrics"], NAME) {
        return;
    }
    for tellers in PAIRS {
        let year = Year::told_by(tellers, DAYS).await;
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
                let compared = a_month_of_days(&store, &year, &truth, str::to_owned).await;
                let planted = a_month_of_days(&store, &year, &truth, the_higher_counts).await;
                let what = if is_victoria { "VictoriaMetrics" } else { "Prometheus" };
                let (wrong, cells) = (compared.wrong_cells(), compared.cells);
                let planted = planted.wrong_cells();
                tell(&format!("{what} {release:?}: {wrong} wrong of {cells}; if the higher counted, {planted}"));
                assert_eq!(wrong, 0, "\n{}", compared.told());
                assert!(planted > 50, "the higher value would be found {planted} times only");
                store.stop().await;
            }
        }
    }
}
