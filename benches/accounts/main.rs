//! What an account costs, from one to ten thousand: memory, the first page, a scrape after one changed; and how little of it
//! is made anew. `cargo bench --bench accounts -- program [1000 [true]]` looks at the program itself, which asks a simulator
//! for so many accounts (with `true`: the record as well), and `-- record` at the record of an account after three weeks.

mod program;
mod record;

use std::{env, fs, process::Command, sync::Arc, time::Duration};

use chrono::{TimeDelta, Utc};
use oura_exporter::{
    auth::TokenSource,
    clock::Clock,
    documents::KINDS,
    oura::{Client, ClientOptions, Transport},
    page::{Others, Page},
    poll::{Account, Poller},
    simulator::{Settings, Simulator, Wearer},
    state::{AccountState, Snapshot},
    status::ApiStats,
    tls,
};
use tokio::runtime::Runtime;

/// How many accounts are looked at.
const SIZES: [usize; 4] = [1, 100, 1_000, 10_000];
/// How often a scrape is measured; the median counts.
const TIMES: usize = 9;
/// How many single accounts are read, each after it changed.
const PARTS: usize = 500;
/// The most that the memory of an account may differ between a thousand and ten thousand of them.
const LINEAR_WITHIN: f64 = 0.15;
/// The most CPU of a scrape of a thousand accounts after one changed, in seconds.
const MOST_A_SCRAPE: f64 = 0.1;
/// The most CPU of a page of ten thousand, the first one or a later one, in seconds.
const MOST_OF_ALL: f64 = 2.0;

fn main() {
    let arguments: Vec<_> = env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["measure", count] => println!("{}", measure(count.parse().expect("a number"))),
        ["record"] => record::print(),
        ["record", count] => println!("{}", record::measure(count.parse().expect("a number"))),
        ["program"] => program::table(&SIZES, false),
        ["program", count] => program::table(&[count.parse().expect("a number")], false),
        ["program", count, record] => {
            program::table(&[count.parse().expect("a number")], record.parse().expect("true or false"));
        }
        _ => table(),
    }
}

/// What so many accounts came to: bytes of memory before and after them and after the first page, seconds of CPU, bytes.
struct Cost {
    count: f64,
    accounts: f64,
    with_page: f64,
    first: f64,
    part: f64,
    scrape: f64,
    plain: f64,
    gzipped: f64,
}

/// Measures each size in a process of its own.
fn table() {
    println!(
        "| accounts | their states | with their page | first page | one part | scrape after one changed | page | gzipped |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    let costs = SIZES.map(cost_of);
    for cost in &costs {
        let Cost { count, accounts, with_page, first, part, scrape, plain, gzipped } = cost;
        println!(
            "| {count} | {:.1} MB | {:.1} MB | {:.1} ms | {:.3} ms | {:.1} ms | {:.2} MB | {:.2} MB |",
            accounts / 1e6,
            with_page / 1e6,
            first * 1e3,
            part * 1e3,
            scrape * 1e3,
            plain / 1e6,
            gzipped / 1e6
        );
    }
    let [one, _, thousand, all] = &costs;
    let each = |many: &Cost| (many.with_page - one.with_page) / (many.count - 1.0);
    println!(
        "ratio: a page of one account of {} that changed is made in 1/{:.0} of the time of all",
        all.count,
        all.first / all.part
    );
    println!("ratio: a scrape after one of {} changed costs {:.2} of the first", all.count, all.scrape / all.first);
    let linear = each(all) / each(thousand);
    println!(
        "ratio: an account of ten thousand takes {linear:.2} of the memory of one of a thousand ({:.1} kB)",
        each(all) / 1e3
    );
    assert!((linear - 1.0).abs() <= LINEAR_WITHIN, "memory is not linear");
    assert!(thousand.scrape < MOST_A_SCRAPE, "a scrape of a thousand takes {} s", thousand.scrape);
    assert!(all.first < MOST_OF_ALL, "the first page of ten thousand takes {} s", all.first);
    assert!(all.scrape < MOST_OF_ALL, "a scrape of ten thousand takes {} s", all.scrape);
}

/// What this program, started with these arguments, prints.
fn of_a_child(arguments: &[&str]) -> Vec<f64> {
    let child = Command::new(env::current_exe().expect("this program")).args(arguments).output().expect("it runs");
    let said = String::from_utf8_lossy(&child.stdout).into_owned();
    assert!(child.status.success(), "{said}{}", String::from_utf8_lossy(&child.stderr));
    said.split_whitespace().filter_map(|figure| figure.parse().ok()).collect()
}

fn cost_of(count: usize) -> Cost {
    let figures = of_a_child(&["measure", &count.to_string()]);
    let [accounts, with_page, first, part, scrape, plain, gzipped] = figures[..] else { panic!("{figures:?}") };
    Cost { count: count as f64, accounts, with_page, first, part, scrape, plain, gzipped }
}

/// Puts up so many accounts with what two people's first poll finds, and reads their page.
fn measure(count: usize) -> String {
    let (people, stats) = (people(), ApiStats::new().expect("good names"));
    let snapshot = Arc::new(Snapshot::new(vec![], Clock::still_at(Utc::now()), TimeDelta::hours(36)));
    for number in 0..count {
        snapshot.post(of_its_own(&people[number % people.len()], number));
    }
    let page = Page::new(Arc::clone(&snapshot), stats, Others::default()).expect("legal metrics");
    let accounts = resident("self");
    let (first, plain, gzipped) = {
        let (took, read) = timed(|| page.current().expect("a page"));
        (took, read.plain().len(), read.gzipped().len())
    };
    let with_page = resident("self");
    let news = |turn: usize| {
        let number = turn * 7 % count;
        let changed = of_its_own(&people[number % people.len()], number);
        let name = changed.name.clone();
        snapshot.post(changed);
        name
    };
    // Linux counts the time of a thread in steps that are longer than one of them.
    let (parts, _) = timed(|| {
        for turn in 0..PARTS {
            let changed = news(turn);
            page.of([changed.as_str()]).expect("a page").expect("it is there");
        }
    });
    let part = parts / PARTS as f64;
    let scrape = median(|turn| {
        news(turn);
        timed(|| page.current().expect("a page")).0
    });
    format!("{accounts} {with_page} {first} {part} {scrape} {plain} {gzipped}")
}

/// An account with values of its own, which shares no memory with another one.
fn of_its_own(like: &AccountState, number: usize) -> AccountState {
    let mut state = like.clone();
    state.name = format!("subject-{number:05}");
    for collection in &mut state.collections {
        let Some(shown) = &mut collection.shown else { continue };
        for (place, observation) in Arc::make_mut(shown).observations.iter_mut().enumerate() {
            if observation.value > 2.0 && observation.value < 1e6 {
                observation.value =
                    (observation.value * (0.7 + ((number * 7 + place * 3) % 60) as f64 / 100.0)).round();
            }
        }
    }
    state
}

/// Two people as their first poll leaves them.
fn people() -> Vec<AccountState> {
    tls::choose_provider();
    Runtime::new().expect("a runtime").block_on(async {
        let (clock, stats) = (Clock::system(), ApiStats::new().expect("good names"));
        let simulator = Simulator::start(Settings::default()).await.expect("a free port");
        let options = ClientOptions { stagger: Duration::ZERO, ..ClientOptions::default() };
        let transport = Transport::new(&simulator.url(), false, options, clock.clone(), stats.clone());
        let transport = Arc::new(transport.expect("a transport"));
        let account = |Wearer { name, token }| {
            let client = Arc::new(Client::new(Arc::clone(&transport), TokenSource::Fixed(token.into())));
            Account { name: name.to_owned(), client }
        };
        let accounts: Vec<_> = simulator.people().into_iter().map(account).collect();
        let snapshot = Arc::new(Snapshot::new(vec![], clock.clone(), TimeDelta::hours(36)));
        let poller = Poller {
            snapshot: Arc::clone(&snapshot),
            kinds: KINDS.iter().collect(),
            interval: Duration::from_secs(300),
            client_options: options,
            clock,
            stats,
            samples: None,
            inbox: None,
        };
        poller.by_hand(accounts).catch_up().await;
        snapshot.accounts()
    })
}

fn median(mut measure: impl FnMut(usize) -> f64) -> f64 {
    let mut times: Vec<_> = (1..=TIMES).map(&mut measure).collect();
    times.sort_by(f64::total_cmp);
    times[TIMES / 2]
}

/// The seconds of CPU that something took of this thread.
fn timed<T>(something: impl FnOnce() -> T) -> (f64, T) {
    let spent = || {
        let said = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux counts the time on the CPU");
        said.split(' ').next().and_then(|spent| spent.parse::<f64>().ok()).expect("nanoseconds") / 1e9
    };
    let before = spent();
    let made = something();
    (spent() - before, made)
}

/// The bytes of memory that a process has.
fn resident(process: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("Linux tells the memory");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a figure");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("kilobytes") * 1024.0
}
