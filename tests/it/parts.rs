//! The page in parts: what is kept of an account is what would be made anew, and all parts together are the page.

use std::{
    collections::BTreeSet,
    io::Read as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use crate::common::{NOON, Page as Read, moment, simulator_with};
use chrono::TimeDelta;
use flate2::read::GzDecoder;
use oura_exporter::{
    auth::TokenSource,
    catalogue,
    clock::{Clock, ManualClock},
    documents::KINDS,
    oura::{Client, ClientOptions, Transport},
    page::{Encoded, Others, Page},
    poll::{Account, Poller},
    problem::Reason,
    simulator::{Fault, Scope, Simulator},
    state::{AccountState, Snapshot},
    status::ApiStats,
    tls,
};

/// Names of which one begins like another, and of every character that a name may have.
const NAMES: &[&str] = &["0", "Z", "a", "a-b", "a.b", "a_", "ab", "z-9._"];

/// Accounts of one person, polled by hand.
struct World {
    snapshot: Arc<Snapshot>,
    stats: ApiStats,
    hand: ManualClock,
    poller: Poller,
    accounts: Vec<Account>,
    _simulator: Simulator,
}

impl World {
    async fn of(names: &[&str]) -> Self {
        tls::choose_provider();
        let (clock, hand) = Clock::driven_from(moment(NOON));
        let simulator = simulator_with(clock.clone()).await;
        simulator.faults().set(Scope::collection("workout"), Fault::Status(500));
        let stats = ApiStats::new().expect("good names");
        let options = ClientOptions { retries: 0, stagger: Duration::ZERO, ..ClientOptions::default() };
        let transport = Transport::new(&simulator.url(), false, options, clock.clone(), stats.clone());
        let transport = Arc::new(transport.expect("a transport"));
        let token = simulator.people()[0].token.clone();
        let account = |name: &&str| {
            let client = Client::new(Arc::clone(&transport), TokenSource::Fixed(token.clone().into()));
            Account { name: (*name).to_owned(), client: Arc::new(client) }
        };
        let snapshot = Arc::new(Snapshot::new(vec![], clock.clone(), TimeDelta::hours(36)));
        let poller = Poller {
            snapshot: Arc::clone(&snapshot),
            kinds: KINDS.iter().collect(),
            interval: Duration::from_secs(300),
            client_options: options,
            clock,
            stats: stats.clone(),
            samples: None,
            inbox: None,
        };
        let accounts = names.iter().map(account).collect();
        Self { snapshot, stats, hand, poller, accounts, _simulator: simulator }
    }

    async fn poll(&self) {
        self.poller.by_hand(self.accounts.clone()).catch_up().await;
    }

    /// A page that has nothing yet.
    fn page(&self) -> Page {
        Page::new(Arc::clone(&self.snapshot), self.stats.clone(), Others::default()).expect("legal metrics")
    }
}

fn text(page: &Encoded) -> String {
    let plain = String::from_utf8(page.plain().to_vec()).expect("text");
    let mut gzipped = String::new();
    let whole = page.gzipped();
    let mut decoder = GzDecoder::new(&whole[..]);
    decoder.read_to_string(&mut gzipped).expect("one whole gzip member");
    assert!(decoder.into_inner().is_empty(), "nothing stands after it");
    assert!(plain == gzipped, "both are the same page");
    plain
}

fn of(page: &Page, names: &[&str]) -> String {
    text(&page.of(names.iter().copied()).expect("legal metrics").expect("they are there"))
}

/// What is wrong with a page as the text format has it: each family once, under its HELP and TYPE, and each series once.
fn faults(page: &str) -> Vec<String> {
    let (mut family, mut families, mut series, mut faults) = ("", BTreeSet::new(), BTreeSet::new(), vec![]);
    for line in page.lines() {
        if let Some(name) = line.strip_prefix("# HELP ").and_then(|rest| rest.split(' ').next()) {
            family = name;
            if !families.insert(name) {
                faults.push(format!("{name} comes twice"));
            }
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            faults.extend((rest.split(' ').next() != Some(family)).then(|| format!("{line} stands under {family}")));
        } else {
            let name = line.split(['{', ' ']).next().unwrap_or_default();
            let is_histogram = ["_bucket", "_sum", "_count"].iter().any(|end| name.strip_suffix(end) == Some(family));
            faults.extend((name != family && !is_histogram).then(|| format!("{line} stands under {family}")));
            let labels = line.rsplit_once(' ').map_or(line, |(series, _)| series);
            faults.extend((!series.insert(labels)).then(|| format!("{labels} comes twice")));
        }
    }
    faults
}

#[test]
fn a_page_that_is_not_legal_is_seen_to_be_none() {
    let good =
        "# HELP a A.\n# TYPE a gauge\na{b=\"c\"} 1\n# HELP d D.\n# TYPE d histogram\nd_bucket{le=\"1\"} 2\nd_sum 1\n";
    assert_eq!(faults(good), Vec::<String>::new());
    for wrong in ["a{b=\"c\"} 2", "# HELP a A.", "e 1", "# TYPE e gauge", "d_max 1"] {
        assert!(!faults(&format!("{good}{wrong}\n")).is_empty(), "{wrong}");
    }
}

#[tokio::test]
async fn the_parts_of_all_accounts_and_of_the_exporter_are_the_page_whatever_the_names() {
    let world = World::of(NAMES).await;
    world.poll().await;
    world.stats.errors("a", "sleep", Reason::Server, 3);
    let page = world.page();
    let all = text(&page.current().expect("a page"));
    assert_eq!(faults(&all), Vec::<String>::new());
    let series = |text: &str| Read::parse(text).starting_with("").into_iter().map(str::to_owned).collect::<Vec<_>>();
    let mut together = series(&text(&page.of_the_exporter().expect("a page")));
    assert!(!together.iter().any(|series| series.contains("account=")), "nothing of it is an account's");
    let lines: BTreeSet<_> = all.lines().collect();
    for name in NAMES {
        let own = of(&page, &[name]);
        assert_eq!(faults(&own), Vec::<String>::new());
        let label = format!("account=\"{name}\"");
        for line in own.lines() {
            assert!(line.starts_with('#') || line.contains(&label), "of {name}: {line}");
            assert!(lines.contains(line), "the page of all has no {line}");
        }
        assert!(
            own.contains(&format!("oura_api_errors_total{{{label},collection=\"workout\",reason=\"server\"}} 1\n"))
        );
        together.extend(series(&own));
    }
    together.sort();
    let mut whole = series(&all);
    whole.sort();
    assert_eq!(together, whole, "every series once");
    assert!(
        of(&page, &["a"]).contains("oura_api_errors_total{account=\"a\",collection=\"sleep\",reason=\"server\"} 3\n")
    );
    let two = of(&page, &["ab", "0"]);
    assert_eq!(faults(&two), Vec::<String>::new());
    assert_eq!(series(&two).len(), series(&of(&page, &["ab"])).len() + series(&of(&page, &["0"])).len());
    assert!(page.of(["A", "zz", "\"", ""]).expect("legal metrics").is_none(), "nobody of them is there");
    assert_eq!(of(&page, &["nobody", "ab"]), of(&page, &["ab"]), "one who is not there stops nobody else");
}

#[tokio::test]
async fn a_part_that_is_kept_is_at_every_moment_what_would_be_made_anew() {
    let world = World::of(&["anna"]).await;
    world.poll().await;
    let kept = world.page();
    let mut before = of(&kept, &["anna"]);
    let (mut changes, mut same) = (vec![], 0);
    // Nothing is polled any more: all that changes does so because time goes by.
    for step in 0..60 * 24 {
        world.hand.advance(TimeDelta::minutes(if step % 7 == 0 { 1 } else { 3 }));
        let now = of(&kept, &["anna"]);
        assert!(now == of(&world.page(), &["anna"]), "at {}", world.snapshot.now());
        if now == before {
            same += 1
        } else {
            changes.push(world.snapshot.now())
        }
        before = now;
    }
    assert!(same > 1_300, "it is not made anew at each look: {changes:?}");
    let midnight = |time: &&chrono::DateTime<chrono::Utc>| time.format("%H:%M").to_string().starts_with("22:0");
    assert_eq!(
        changes.iter().filter(midnight).count(),
        2,
        "ages by Helsinki's days, until all is too old: {changes:?}"
    );
    assert!(
        changes.len() >= 6 && before.contains("oura_up{account=\"anna\"} 0\n"),
        "overdue, and too old: {changes:?}"
    );
    assert!(!before.contains("oura_readiness_score"), "what is too old is gone");
    world.poll().await;
    assert!(of(&kept, &["anna"]).contains("oura_up{account=\"anna\"} 0\n"), "the workouts fail");
    assert!(of(&kept, &["anna"]).contains("oura_readiness_score{account=\"anna\"}"), "news are there at once");
    world.hand.advance(TimeDelta::hours(-20));
    assert!(of(&kept, &["anna"]) == of(&world.page(), &["anna"]), "also where a clock is set back");
    world.stats.errors("anna", "sleep", Reason::Timeout, 1);
    let counted = "oura_api_errors_total{account=\"anna\",collection=\"sleep\",reason=\"timeout\"} 1\n";
    assert!(of(&kept, &["anna"]).contains(counted), "what is counted without a new state is there, too");
}

/// The account with all its values the same.
fn with_all(state: &AccountState, name: &str, value: f64) -> AccountState {
    let mut state = state.clone();
    state.name = name.to_owned();
    for collection in &mut state.collections {
        if let Some(shown) = &mut collection.shown {
            Arc::make_mut(shown).observations.iter_mut().for_each(|observation| observation.value = value);
        }
    }
    state
}

/// The values that the wearer `name` has on the page.
fn values(page: &str, name: &str) -> Vec<String> {
    let metrics: BTreeSet<_> = catalogue::of_the_wearer().iter().map(|entry| entry.definition.name).collect();
    let label = format!("{{account=\"{name}\"");
    let of_the_wearer = page.lines().filter_map(|line| {
        let (metric, rest) = line.split_at(line.find(&label)?);
        metrics.contains(metric).then(|| rest.rsplit(' ').next().unwrap_or_default().to_owned())
    });
    of_the_wearer.collect()
}

/// Reads the page, or one account's, until it is over, and a few times at least; how often in all, and how often ben was there.
fn read(page: &Page, only: Option<&str>, is_over: &AtomicBool, count: usize) -> (usize, usize) {
    let (mut pages, mut with_ben) = (0, 0);
    while !is_over.load(Ordering::Relaxed) || pages < 20 {
        let page = match only {
            Some(name) => page.of([name]).expect("legal metrics").map(|page| text(&page)).unwrap_or_default(),
            None => text(&page.current().expect("a page")),
        };
        assert_eq!(faults(&page), Vec::<String>::new());
        for name in ["anna", "ben"] {
            let values = values(&page, name);
            let is_whole = values.len() == count && values.iter().all(|value| *value == values[0]);
            let may_be_gone = name == "ben" || only == Some("ben");
            assert!(is_whole || (values.is_empty() && may_be_gone), "{name}: {values:?}");
            with_ben += usize::from(name == "ben" && is_whole);
        }
        pages += 1;
    }
    (pages, with_ben)
}

#[tokio::test]
async fn readers_see_each_account_whole_or_not_at_all_while_accounts_change_come_and_go() {
    let world = World::of(&["anna"]).await;
    world.poll().await;
    let state = world.snapshot.account("anna").expect("she is there");
    let (page, is_over) = (world.page(), AtomicBool::new(false));
    let count = values(&text(&page.current().expect("a page")), "anna").len();
    assert!(count > 80, "{count} values");
    world.snapshot.post(with_all(&state, "anna", 1.0));
    assert!(values(&text(&page.current().expect("a page")), "anna").iter().all(|value| value == "1"));
    thread::scope(|scope| {
        let readers = [None, None, Some("ben")].map(|only| {
            let (page, is_over) = (&page, &is_over);
            scope.spawn(move || read(page, only, is_over, count))
        });
        for turn in 0..400 {
            world.snapshot.post(with_all(&state, "anna", f64::from(turn % 3 + 1)));
            match turn % 4 {
                0 => drop(world.snapshot.post(with_all(&state, "ben", f64::from(turn + 1)))),
                2 => world.snapshot.take_down("ben"),
                _ => thread::yield_now(),
            }
        }
        is_over.store(true, Ordering::Relaxed);
        let seen = readers.map(|reader| reader.join().expect("no reader saw half of an account"));
        assert!(seen.iter().all(|(pages, _)| *pages >= 20), "{seen:?}");
    });
    assert!(!text(&world.page().current().expect("a page")).contains("\"ben\""), "he was taken down last");
    let at_last = values(&of(&page, &["anna"]), "anna");
    assert_eq!((at_last.len(), at_last[0].as_str()), (count, "1"), "the last post: {at_last:?}");
}
