//! Answers that break off, waits in every notation, absurd dates and figures, defects: each stays where it happened, and shows.

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::common::{NOON, Page, Plan, Program, eventually, moment, simulator_at};
use chrono::TimeDelta;
use flate2::{Compression, write::GzEncoder};
use oura_exporter::{
    auth::TokenSource,
    clock::Clock,
    documents::{Dated, Document, KINDS, Kind, Pace, Query},
    metric::{Metric, help},
    observation::{Date, Known, Moment},
    oura::{ApiError, Client, ClientOptions, Transport},
    page,
    poll::{Account, Poller},
    simulator::{Fault, Scope, Simulator},
    state::{AccountState, Snapshot},
    status::ApiStats,
};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    process::Command,
};

const GOOD: &str = r#"{"data":[{"id":"a","day":"2026-11-22","score":80}],"next_token":null}"#;

fn client_options() -> ClientOptions {
    let (timeout, wait) = (Duration::from_secs(5), Duration::from_millis(5));
    ClientOptions { timeout, retries: 2, wait, stagger: Duration::from_millis(500) }
}

/// Serves these answers in turn, each on a connection of its own that is closed after it; the last one again and again. Gives
/// the address and how many were served.
async fn server(answers: Vec<Vec<u8>>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on loopback");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let served = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&served);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.expect("a request"));
            }
            let number = count.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
            stream.write_all(&answers[number]).await.expect("the answer is sent");
            stream.shutdown().await.expect("the connection ends");
        }
    });
    (url, served)
}

fn answer(head: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n").as_bytes(), body].concat()
}

fn good() -> Vec<u8> {
    answer(&format!("200 OK\r\nContent-Length: {}", GOOD.len()), GOOD.as_bytes())
}

fn gzipped(text: &str) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(text.as_bytes()).expect("to memory");
    gzip.finish().expect("to memory")
}

fn client(url: &str) -> Client {
    let stats = ApiStats::new().expect("legal metrics");
    let transport =
        Transport::new(url, false, client_options(), Clock::still_at(moment(NOON)), stats).expect("a client");
    Client::new(Arc::new(transport), TokenSource::Fixed("token".into()))
}

async fn documents(client: &Client) -> Result<usize, ApiError> {
    client.documents("daily_sleep", &[]).await.map(|documents| documents.len())
}

/// What breaks off: plain, in chunks, and within gzip on three levels.
fn broken_off() -> [(&'static str, Vec<u8>); 5] {
    let zip = gzipped(GOOD);
    let half = &zip[..zip.len() / 2];
    let gzip = "200 OK\r\nContent-Encoding: gzip\r\n";
    let chunk = |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
    [
        ("plain", answer(&format!("200 OK\r\nContent-Length: {}", GOOD.len()), &GOOD.as_bytes()[..30])),
        ("chunked", answer("200 OK\r\nTransfer-Encoding: chunked", &chunk(&GOOD.as_bytes()[..30]))),
        ("gzip", answer(&format!("{gzip}Content-Length: {}", zip.len()), half)),
        ("chunked gzip", answer(&format!("{gzip}Transfer-Encoding: chunked"), &chunk(half))),
        ("gzip that a proxy cut", answer(&format!("{gzip}Content-Length: {}", half.len()), half)),
    ]
}

#[tokio::test]
async fn a_body_that_breaks_off_is_network_trouble_and_asked_again() {
    for (what, broken) in broken_off() {
        let (url, served) = server(vec![broken.clone(), good()]).await;
        assert_eq!(documents(&client(&url)).await, Ok(1), "{what}");
        assert_eq!(served.load(Ordering::SeqCst), 2, "{what}");
        let (url, served) = server(vec![broken]).await;
        let error = documents(&client(&url)).await.expect_err(what);
        assert!(matches!(error, ApiError::Network(_)), "{what}: {error}");
        assert_eq!(served.load(Ordering::SeqCst), 3, "{what}");
    }
}

#[tokio::test]
async fn a_stream_that_is_complete_and_corrupt_is_unreadable_and_not_asked_again() {
    let zip = gzipped(GOOD);
    let changed = |place: usize| {
        let mut zip = zip.clone();
        zip[place] ^= 0xff;
        zip
    };
    for (what, body) in [
        ("no gzip at all", GOOD.as_bytes().to_vec()),
        ("another checksum", changed(zip.len() - 8)),
        ("a damaged block", changed(12)),
    ] {
        let head = format!("200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}", body.len());
        let (url, served) = server(vec![answer(&head, &body)]).await;
        let error = documents(&client(&url)).await.expect_err(what);
        assert_eq!(error, ApiError::Unreadable("its compression is broken".to_owned()), "{what}");
        assert_eq!(served.load(Ordering::SeqCst), 1, "{what}");
    }
}

#[tokio::test]
async fn a_status_that_says_try_again_is_tried_again() {
    for status in ["408 Request Timeout", "425 Too Early", "503 Service Unavailable"] {
        let passing = answer(&format!("{status}\r\nContent-Length: 0"), b"");
        let (url, served) = server(vec![passing.clone(), good()]).await;
        assert_eq!(documents(&client(&url)).await, Ok(1), "{status}");
        assert_eq!(served.load(Ordering::SeqCst), 2, "{status}");
        let (url, _) = server(vec![passing]).await;
        let error = documents(&client(&url)).await.expect_err(status);
        assert!(matches!(error, ApiError::Server(_)), "{status}: {error}");
    }
}

#[tokio::test]
async fn a_rate_limit_is_told_with_its_date_however_oura_writes_it() {
    for (retry_after, until) in [
        ("Sun, 22 Nov 2026 23:00:00 GMT", "2026-11-22 23:00:00 UTC"),
        ("Mon Nov 23 01:30:00 2026", "2026-11-23 01:30:00 UTC"),
        ("90.5", "2026-11-22 12:01:30 UTC"),
        ("50400", "2026-11-23 02:00:00 UTC"),
    ] {
        let head = format!("429 Too Many Requests\r\nContent-Length: 0\r\nRetry-After: {retry_after}");
        let (url, served) = server(vec![answer(&head, b"")]).await;
        let client = client(&url);
        let error = documents(&client).await.expect_err(retry_after);
        assert_eq!(error.to_string(), format!("Oura has asked for a pause until {until}"));
        assert_eq!(documents(&client).await, Err(error), "and nothing is asked until then");
        assert_eq!(served.load(Ordering::SeqCst), 1, "{retry_after}");
    }
}

/// Times at the ends of the calendar, and dates of no ring.
const NO_TIMES: [&str; 4] =
    ["-262143-01-01T00:00:00Z", "+262142-12-31T23:59:59Z", "2009-12-31T23:59:59Z", "2100-01-01T00:00:00+00:00"];

#[tokio::test]
async fn one_row_of_an_impossible_time_stands_alone() {
    for time in NO_TIMES {
        // A server of our own, because the simulator filters by these times. The newest row, which is asked for first, is the bad one.
        let bad = format!(r#"{{"timestamp":"{time}","bpm":50,"level":50}}"#);
        let good = r#"{"timestamp":"2026-11-22T11:00:00Z","bpm":61,"level":61}"#;
        let page = |rows: &str| {
            let body = format!(r#"{{"data":[{rows}]}}"#);
            answer(&format!("200 OK\r\nContent-Length: {}", body.len()), body.as_bytes())
        };
        let both = page(&format!("{bad},{good}"));
        for (name, answers) in [
            ("heartrate", vec![page(&bad), page(good)]),
            ("heartrate", vec![page(good), both.clone()]),
            ("ring_battery_level", vec![both]),
        ] {
            let (url, _) = server(answers).await;
            let kind = KINDS.iter().find(|kind| kind.name == name).expect("a kind");
            let account = Account { name: "alice".to_owned(), client: Arc::new(client(&url)) };
            let reading = account.ask_once(kind, moment(NOON)).await.expect("a reading");
            let unreadable = (reading.unreadable.count, reading.unreadable.field.as_str());
            assert_eq!(unreadable, (1, "timestamp"), "{name} {time}");
            let shown = reading.shown.expect("the good row is shown");
            assert_eq!(shown.date, Date::Instant(moment("2026-11-22T11:00:00Z")), "{name} {time}");
        }
    }
}

#[tokio::test]
async fn a_document_of_an_impossible_day_or_time_is_counted_and_its_field_named() {
    let days = ["-262143-01-01", "+262142-12-31", "2009-12-31", "2100-01-01"];
    let kinds: [(&str, &str, &[&str]); 6] = [
        ("daily_sleep", "day", &days),
        ("rest_mode_period", "end_day", &days),
        ("enhanced_tag", "start_day", &days),
        ("sleep", "bedtime_start", &NO_TIMES),
        ("workout", "end_datetime", &NO_TIMES),
        ("session", "start_datetime", &NO_TIMES),
    ];
    for (name, field, values) in kinds {
        let kind = KINDS.iter().find(|kind| kind.name == name).expect("a kind");
        for value in values {
            let mut document = json!({"day": "2026-11-22", "start_day": "2026-11-22", "type": "long_sleep"});
            document["sleep_phase_5_min"] = "4321".into();
            document["bedtime_end"] = "2026-11-22T06:00:00+02:00".into();
            document[field] = (*value).into();
            let raw = [serde_json::value::to_raw_value(&document).expect("JSON")];
            let reading = kind.read(&raw, &Known::default(), moment(NOON), None);
            assert_eq!(reading.unreadable.count, 1, "{name} {value}");
            assert_eq!(reading.unreadable.field, field, "{name} {value}");
            let now = reading.known.moment(moment(NOON));
            kind.samples(&raw, &now, |run| panic!("{name} {value}: {run:?}"));
        }
    }
}

#[tokio::test]
async fn an_impossible_time_among_good_ones_is_told_on_the_page() {
    for time in NO_TIMES {
        let simulator = simulator_at(NOON).await;
        simulator.faults().edit(Scope::collection("sleep"), move |documents| {
            let night_before = |document: &&mut Value| document["day"] == "2026-11-21";
            documents.iter_mut().filter(night_before).for_each(|night| night["bedtime_end"] = time.into());
        });
        let exporter = Plan::default().set("OURA_SAMPLES", "true").ready(&simulator).await;
        let page = exporter.page().await;
        assert_eq!(page.is_up("sleep"), Some(1.0), "{time}");
        assert!(page.errors("sleep", "document") >= 1.0, "{time}");
        assert!(page.get("oura_night_total_sleep_seconds").is_some(), "the others are shown");
        let (_, landing) = exporter.get("/").await;
        assert!(landing.contains("bedtime_end"), "{landing}");
        exporter.stop().await;
    }
}

#[tokio::test]
async fn a_set_up_before_any_ring_is_unknown_and_its_ring_is_read() {
    for time in ["1970-01-01T00:00:00Z", "+262142-01-01T00:00:00Z", "2009-06-01T00:00:00Z"] {
        let simulator = simulator_at(NOON).await;
        simulator.faults().edit(Scope::collection("ring_configuration"), move |documents| {
            *documents = vec![
                json!({"id": "a", "hardware_type": "gen4", "set_up_at": "2025-01-01T00:00:00Z"}),
                json!({"id": "b", "hardware_type": "gen3", "set_up_at": time}),
            ];
        });
        let page = Plan::default().ready(&simulator).await.page().await;
        let info = page.starting_with("oura_ring_info");
        assert!(info.len() == 1 && info[0].contains("gen4"), "{time}: {info:?}");
        assert_eq!(page.errors("ring_configuration", "document"), 0.0, "{time}");
    }
}

#[tokio::test]
async fn a_figure_that_nobody_can_have_measured_is_absent() {
    let cases = [
        ("daily_activity", "total_calories", json!(1e308), "oura_activity_total_energy_joules"),
        ("daily_activity", "steps", json!(-1e300), "oura_activity_steps"),
        ("personal_info", "weight", json!(1e7), "oura_personal_weight_grams"),
        ("ring_battery_level", "level", json!(1e299), "oura_ring_battery_ratio"),
    ];
    for (collection, field, value, metric) in cases {
        let simulator = simulator_at(NOON).await;
        let before = Plan::default().ready(&simulator).await.page().await;
        assert!(before.get(metric).is_some(), "{metric}");
        simulator.faults().edit(Scope::collection(collection), move |documents| {
            documents.iter_mut().for_each(|document| document[field] = value.clone());
        });
        let page = Plan::default().ready(&simulator).await.page().await;
        assert_eq!(page.get(metric), None);
        assert_eq!(page.is_up(collection), Some(1.0), "{metric}");
    }
}

#[tokio::test]
async fn an_absurd_size_or_heart_rate_spoils_nothing_else() {
    let simulator = simulator_at(NOON).await;
    simulator.faults().edit(Scope::collection("ring_configuration"), |documents| {
        documents.iter_mut().for_each(|ring| ring["size"] = serde_json::from_str(&"9".repeat(300)).expect("a number"));
    });
    simulator.faults().edit(Scope::collection("heartrate"), |documents| {
        let row = documents.iter_mut().find(|row| row["timestamp"].as_str() > Some("2026-11-22T"));
        row.expect("a row of today")["bpm"] = json!(1e308);
    });
    let page = Plan::default().ready(&simulator).await.page().await;
    let info = page.starting_with("oura_ring_info");
    assert!(info.len() == 1 && info[0].contains("size=\"\""), "{info:?}");
    for metric in ["oura_heart_rate_day_average_bpm", "oura_heart_rate_day_maximum_bpm"] {
        assert!(page.get(metric).is_some_and(|bpm| bpm > 30.0 && bpm < 220.0), "{metric}: {:?}", page.get(metric));
    }
}

/// A collection, what is wrong with each of its documents, and the metrics that are not shown then.
type Spoilt<'a> = (&'a str, fn(&mut Value), &'a [&'a str]);

#[tokio::test]
async fn what_is_to_come_or_cannot_be_is_not_shown() {
    let cases: [Spoilt; 5] = [
        ("heartrate", |row| row["bpm"] = json!(-7), &["oura_heart_rate_bpm"]),
        ("heartrate", |row| row["bpm"] = json!(0), &["oura_heart_rate_bpm"]),
        ("ring_battery_level", |row| row["level"] = json!(4000), &["oura_ring_battery_ratio"]),
        ("ring_battery_level", |row| row["timestamp"] = json!("2026-11-22T17:00:00Z"), &["oura_ring_battery_ratio"]),
        (
            "workout",
            |workout| {
                workout["start_datetime"] = json!("2026-11-22T17:00:00+00:00");
                workout["end_datetime"] = json!("2099-11-22T17:00:00+00:00");
            },
            &["oura_workout_last_duration_seconds", "oura_workout_last_start_timestamp_seconds"],
        ),
    ];
    for (collection, spoil, metrics) in cases {
        let simulator = simulator_at(NOON).await;
        simulator.faults().edit(Scope::collection(collection), move |all| all.iter_mut().for_each(spoil));
        let page = Plan::default().ready(&simulator).await.page().await;
        for metric in metrics {
            assert_eq!(page.get(&format!("{metric}{{account=\"alice\"}}")), None, "{collection} {metric}");
        }
        assert_eq!(page.is_up(collection), Some(1.0), "{collection}");
    }
}

const SECRET: &str = "her weight is 61 kg";

/// A kind of document with a defect in its metric, in its views, and in what is asked for: before anything is read.
#[derive(Deserialize)]
struct BadMetric {}

#[derive(Deserialize)]
struct BadViews {}

struct BadFields;

/// What all of them have in common.
macro_rules! usual {
    ($name:literal, $scope:literal) => {
        type View = Self;
        const NAME: &'static str = $name;
        const SCOPE: &'static str = $scope;
        const QUERY: Query = Query::Days { back: 2 };
        const PACE: Pace = Pace::Poll;
        const KEEP_DAYS: Option<i64> = Some(2);
        const REACH_DAYS: i64 = 0;
        const SELECTS_FIELDS: bool = true;
    };
}

impl<'de> Deserialize<'de> for BadFields {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        panic!("{SECRET}")
    }
}

impl Document for BadMetric {
    usual!("daily_stress", "stress");
    const METRICS: &'static [Metric<Self>] = &[help("Bad.").gauge("oura_bad_metric", |_| panic!("{SECRET}"))];

    fn views(documents: Vec<Self>, _: &Moment) -> Vec<Dated<Self>> {
        documents.into_iter().map(|view| Dated { date: Date::Standing, view }).collect()
    }
}

impl Document for BadViews {
    usual!("daily_spo2", "spo2");
    const METRICS: &'static [Metric<Self>] = &[];

    fn views(_: Vec<Self>, moment: &Moment) -> Vec<Dated<Self>> {
        // What the calendar cannot hold.
        let _never = moment.now + TimeDelta::MAX;
        vec![]
    }
}

impl Document for BadFields {
    usual!("daily_resilience", "stress");
    const METRICS: &'static [Metric<Self>] = &[];

    fn views(_: Vec<Self>, _: &Moment) -> Vec<Dated<Self>> {
        vec![]
    }
}

/// Whether the words are where a defect happened, and nothing of what it said.
fn names_a_place_alone(words: &str) -> bool {
    let place = words.strip_prefix("a defect in this program at ").and_then(|place| place.rsplit_once(".rs:"));
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '.');
    place.is_some_and(|(file, line)| file.chars().all(is_plain) && line.parse::<u32>().is_ok())
}

static WITH_DEFECTS: [Kind; 3] = [Kind::of::<BadMetric>(), Kind::of::<BadViews>(), Kind::of::<BadFields>()];

#[tokio::test]
async fn a_panic_in_a_turn_is_that_collections_failure_and_nobody_elses() {
    let simulator = simulator_at(NOON).await;
    let (clock, stats) = (Clock::at(moment(NOON)), ApiStats::new().expect("legal metrics"));
    let transport = Transport::new(&simulator.url(), false, client_options(), clock.clone(), stats.clone());
    let source = TokenSource::Fixed(simulator.people()[0].token.clone().into());
    let client = Arc::new(Client::new(Arc::new(transport.expect("a client")), source));
    let sound = KINDS.iter().filter(|kind| ["sleep", "heartrate"].contains(&kind.name));
    let kinds: Arc<[_]> = WITH_DEFECTS.iter().chain(sound).collect();
    let snapshot = Arc::new(Snapshot::new(vec![AccountState::new("alice", &kinds)], clock.clone(), TimeDelta::days(1)));
    let page = page::Page::new(Arc::clone(&snapshot), stats.clone(), page::Others::default()).expect("legal metrics");
    let poller = Poller {
        snapshot: Arc::clone(&snapshot),
        kinds,
        interval: Duration::from_millis(100),
        client_options: client_options(),
        clock,
        stats,
        samples: None,
        inbox: None,
    };
    let polling = tokio::spawn(poller.run(vec![Account { name: "alice".to_owned(), client }]));
    let page = eventually("each has failed twice", async || {
        let text = page.current().expect("a page").plain();
        let page = Page::parse(std::str::from_utf8(&text).expect("text"));
        WITH_DEFECTS.iter().map(|kind| kind.name).all(|name| page.errors(name, "defect") >= 2.0).then_some(page)
    })
    .await;
    for name in ["sleep", "heartrate"] {
        assert_eq!(page.is_up(name), Some(1.0), "{name}");
    }
    assert!(page.get("oura_night_total_sleep_seconds").is_some());
    for collection in &snapshot.accounts()[0].collections[..3] {
        assert_eq!(page.is_up(collection.kind.name), Some(0.0));
        let problem = collection.problem.as_ref().expect("a problem");
        assert!(names_a_place_alone(&problem.what), "{}", problem.what);
    }
    assert!(!polling.is_finished(), "polling goes on");
    polling.abort();
}

/// The log of the program at that level after its first poll, and what no log may hold.
async fn log_at(level: &str, faults: impl FnOnce(&Simulator)) -> String {
    let simulator = simulator_at(NOON).await;
    faults(&simulator);
    let token = simulator.people()[0].token.clone();
    let mut command = Command::new(env!("CARGO_BIN_EXE_oura-exporter"));
    command.env_clear().env("OURA_API_URL", simulator.url()).env("OURA_ACCESS_TOKEN", &token);
    command.env("OURA_LOG", level);
    let program = Program::start(&mut command).await;
    program.ready().await;
    let (_, log) = program.terminate().await;
    assert!(!log.contains(&token), "{log}");
    for request in simulator.requests() {
        for (_, page) in request.query.iter().filter(|(name, _)| name == "next_token") {
            assert!(!log.contains(page.as_str()), "{page}");
        }
    }
    assert!(!log.contains("next_token") && !log.contains("bpm"), "{log}");
    log
}

fn lines<'a>(log: &'a str, parts: &[&str]) -> Vec<&'a str> {
    log.lines().filter(|line| parts.iter().all(|part| line.contains(part))).collect()
}

#[tokio::test]
async fn debug_tells_what_was_asked_how_long_it_took_and_what_came_of_it() {
    let log = log_at("debug", |simulator| {
        simulator.faults().set(Scope::collection("workout"), Fault::Status(500));
        simulator.faults().edit(Scope::collection("session"), Vec::clear);
    })
    .await;
    let asked = lines(&log, &["asked", "collection=\"daily_sleep\"", "status=200", "ms=", "bytes="]);
    assert_eq!(asked.len(), 1, "{log}");
    let window = asked[0].split_once("window=\"").and_then(|(_, rest)| rest.split_once('"')).expect("a window").0;
    assert!(window.len() == "2026-11-18 to 2026-11-25".len() && window.contains(" to 20"), "{window}");
    assert_eq!(lines(&log, &["list read", "collection=\"daily_sleep\"", "documents=", "pages=1"]).len(), 1, "{log}");
    assert_eq!(lines(&log, &["turn ended", "is shown", "collection=\"sleep\""]).len(), 1, "{log}");
    assert_eq!(lines(&log, &["nothing is shown, Oura has no documents", "\"session\""]).len(), 1, "{log}");
    assert_eq!(lines(&log, &["asked in vain", "\"workout\"", "status=500"]).len(), 3, "{log}");
    assert_eq!(lines(&log, &["reading failed", "\"workout\"", "reason=\"server\""]).len(), 1, "{log}");
    assert_eq!(lines(&log, &["window=\"the newest\"", "\"heartrate\""]).len(), 1, "{log}");
    assert!(lines(&log, &["TRACE"]).is_empty(), "{log}");
}

#[tokio::test]
async fn trace_adds_pages_and_retries_and_info_has_none_of_it() {
    let failing = |simulator: &Simulator| {
        simulator.faults().set(Scope::collection("workout"), Fault::Times(1, Box::new(Fault::Status(503))));
    };
    let log = log_at("trace", failing).await;
    assert_eq!(lines(&log, &["asked again after", "\"workout\"", "wait_ms="]).len(), 1, "{log}");
    assert!(!lines(&log, &["page read", "\"daily_sleep\"", "page=1", "documents="]).is_empty(), "{log}");
    let log = log_at("info", failing).await;
    assert!(!log.contains("asked") && !log.contains("turn ended"), "{log}");
}
