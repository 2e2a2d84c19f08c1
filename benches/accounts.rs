//! What an account costs, from one to ten thousand: memory, the first page, a scrape after one changed; and how little of it
//! is made anew. `cargo bench --bench accounts -- program 1000 [true]` looks at the program itself, which asks a simulator
//! for so many accounts (with `true`: the record as well).

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread::sleep,
    time::{Duration, Instant},
};

use chrono::{TimeDelta, Utc};
use oura_exporter::{
    auth::{self, Store, TokenSource, Tokens},
    clock::Clock,
    documents::KINDS,
    oura::{Client, ClientOptions, Transport},
    page::{Others, Page},
    poll::{Account, Poller},
    simulator::{Portal, Settings, Simulator, Wearer},
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
        ["program", count, rest @ ..] => program(count.parse().expect("a number"), rest.first() == Some(&"true")),
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
    let costs = SIZES.map(of_a_child);
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

fn of_a_child(count: usize) -> Cost {
    let child = Command::new(env::current_exe().expect("this program")).args(["measure", &count.to_string()]).output();
    let output = child.expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let figures: Vec<f64> = said.split_whitespace().filter_map(|figure| figure.parse().ok()).collect();
    let [accounts, with_page, first, part, scrape, plain, gzipped] = figures[..] else {
        panic!("{said}{}", String::from_utf8_lossy(&output.stderr))
    };
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

/// Has the program follow so many accounts of a simulator in this process, and says what it takes.
fn program(count: usize, has_record: bool) {
    tls::choose_provider();
    let runtime = Runtime::new().expect("a runtime");
    let simulator = runtime.block_on(Simulator::start(Settings::default())).expect("a free port");
    let state = tempfile::tempdir().expect("a directory");
    sign_in(&simulator, &Store::new(state.path()), count);
    let application = simulator.applications().into_iter().find(|application| application.portal == Portal::New);
    let application = application.expect("one of each portal");
    let mut command = Command::new(env!("CARGO_BIN_EXE_oura-exporter"));
    command.env_clear().env("OURA_API_URL", simulator.url()).env("OURA_STATE_DIR", state.path());
    command.env("OURA_CLIENT_ID", application.client_id).env("OURA_CLIENT_SECRET", application.client_secret);
    command.env("OURA_SAMPLES", has_record.to_string());
    command.env("OURA_REQUEST_BUDGET", "100000000").env("OURA_POLL_INTERVAL", "6h");
    command.args(["--web.listen-address", "127.0.0.1:0"]).stderr(Stdio::piped());
    let started = Instant::now();
    let mut child = command.spawn().expect("it starts");
    let url = address(&mut child);
    let http = reqwest::Client::builder().build().expect("a client");
    let status = |path: &str| {
        let asked = http.get(format!("{url}{path}")).timeout(Duration::from_secs(60)).send();
        runtime.block_on(asked).map_or(0, |answer| answer.status().as_u16())
    };
    while status("/-/ready") != 200 {
        sleep(Duration::from_secs(1));
        simulator.forget_requests();
    }
    let pid = child.id().to_string();
    println!("{count} accounts, record: {has_record}: all read after {:.0} s", started.elapsed().as_secs_f64());
    println!("resident: {:.1} MB", resident(&pid) / 1e6);
    let asked = Instant::now();
    let page = runtime.block_on(async {
        let answer = http.get(format!("{url}/metrics")).header("Accept-Encoding", "gzip").send().await;
        answer.expect("an answer").bytes().await.expect("a page").len()
    });
    println!(
        "a page of {:.2} MB gzipped after {:.2} s; resident: {:.1} MB",
        page as f64 / 1e6,
        asked.elapsed().as_secs_f64(),
        resident(&pid) / 1e6
    );
    child.kill().expect("it runs");
}

/// Token files of so many accounts.
fn sign_in(simulator: &Simulator, store: &Store, count: usize) {
    let now = Utc::now();
    for number in 0..count {
        let granted = simulator.authorizations().grant(Portal::New, "alice", &[]);
        let tokens = Tokens {
            access: granted.access_token.into(),
            refresh: Some(granted.refresh_token.into()),
            issued_at: now,
            expires_at: Some(now + TimeDelta::hours(20)),
            scopes: None,
            portal: auth::Portal::New,
            signed_in_at: now,
            person: None,
        };
        store.write(&format!("subject-{number:05}"), &tokens).expect("it is stored");
    }
}

/// Where the program says that it serves; the rest of its log goes nowhere.
fn address(child: &mut Child) -> String {
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    let line = lines.find(|line| line.contains("serving http://")).expect("it serves");
    std::thread::spawn(move || lines.for_each(drop));
    let (_, url) = line.split_once("serving ").expect("an address");
    url.trim_end_matches("/metrics").to_owned()
}
