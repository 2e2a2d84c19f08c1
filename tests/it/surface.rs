//! What the exporter answers over HTTP: paths, methods, compression, health, and clients that misbehave.

use std::{collections::BTreeSet, io::Read as _, time::Duration};

use crate::common::{Exporter, NOON, Plan, Program, eventually, moment, simulator_at, simulator_with};
use chrono::TimeDelta;
use flate2::read::GzDecoder;
use oura_exporter::{
    clock::Clock,
    simulator::{Fault, Scope},
};
use reqwest::{Client, Method, header};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::Command,
};

/// A client that shows answers as they were sent.
fn plain_client() -> Client {
    oura_exporter::tls::choose_provider();
    Client::builder().no_gzip().build().expect("a client")
}

#[tokio::test]
async fn the_page_says_what_it_is() {
    let simulator = simulator_at(NOON).await;
    let exporter = Plan::default().ready(&simulator).await;
    let answer = plain_client().get(format!("{}/metrics", exporter.url)).send().await.expect("an answer");
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "text/plain; version=0.0.4; charset=utf-8");
    assert!(!answer.headers().contains_key(header::CONTENT_ENCODING), "nobody asked for gzip");
    let text = answer.text().await.expect("a body");
    assert!(text.ends_with('\n') && text.contains("\nprocess_start_time_seconds "), "{text}");
    exporter.stop().await;
}

#[tokio::test]
async fn gzip_when_asked_and_the_same_page() {
    let simulator = simulator_at(NOON).await;
    let exporter = Plan::default().ready(&simulator).await;
    let get = |accept: &'static str| {
        plain_client().get(format!("{}/metrics", exporter.url)).header(header::ACCEPT_ENCODING, accept).send()
    };
    let answer = get("deflate, gzip;q=1.0, *;q=0.5").await.expect("an answer");
    assert_eq!(answer.headers()[header::CONTENT_ENCODING], "gzip");
    assert_eq!(answer.headers()[header::VARY], "accept-encoding");
    let compressed = answer.bytes().await.expect("a body");
    let mut text = String::new();
    GzDecoder::new(&compressed[..]).read_to_string(&mut text).expect("one whole gzip member");
    assert!(text.contains("oura_readiness_score{"));
    assert!(compressed.len() < text.len() / 4);
    let refused = get("gzip;q=0").await.expect("an answer");
    assert!(!refused.headers().contains_key(header::CONTENT_ENCODING));
}

#[tokio::test]
async fn samples_have_their_own_time_in_the_format_that_is_asked_for() {
    let simulator = simulator_at(NOON).await;
    let exporter = Plan::default().ready(&simulator).await;
    let get = async |accept: &'static str| {
        let url = format!("{}/metrics/samples", exporter.url);
        let answer = plain_client().get(url).header(header::ACCEPT, accept).send().await.expect("an answer");
        let kind = answer.headers()[header::CONTENT_TYPE].to_str().expect("text").to_owned();
        (kind, answer.text().await.expect("a body"))
    };
    let (kind, plain) = get("*/*").await;
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    let (kind, open) = get("application/openmetrics-text;version=1.0.0,text/plain;q=0.5").await;
    assert_eq!(kind, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(open.ends_with("\n# EOF\n") && !plain.contains("# EOF"));
    let times = |page: &str| {
        let samples = page.lines().filter(|line| !line.starts_with('#'));
        let times = samples.map(|line| line.rsplit(' ').next().and_then(|time| time.parse().ok()).expect("a time"));
        times.collect::<Vec<f64>>()
    };
    let (seconds, milliseconds) = (times(&open), times(&plain));
    assert!(seconds.len() > 1000 && seconds.iter().map(|time| time * 1000.0).eq(milliseconds));
    let now = moment(NOON).timestamp() as f64;
    let of = |is_dense: bool| {
        let is_such = move |line: &&str| {
            !line.starts_with('#')
                && DENSE.iter().any(|name| line.starts_with(&format!("oura_sample_{name}{{"))) == is_dense
        };
        times(&open.lines().filter(is_such).collect::<Vec<_>>().join("\n"))
    };
    for (is_dense, days) in [(true, 2.0), (false, 14.0)] {
        let of = of(is_dense);
        let (oldest, newest) = (of.iter().copied().fold(now, f64::min), of.iter().copied().fold(0.0, f64::max));
        assert!(newest <= now + 60.0 && newest > now - 13.0 * 3600.0, "{is_dense}: {newest}");
        let from = now - days * 86_400.0;
        assert!(oldest >= from - 43_200.0 && oldest < from + 43_200.0, "{is_dense}: {oldest}");
    }
    for metric in DENSE.iter().chain(&["readiness_score", "night_total_sleep_seconds", "workout_duration_seconds"]) {
        assert!(plain.contains(&format!("\noura_sample_{metric}{{account=\"alice\"")), "{metric} is missing");
    }
    exporter.stop().await;
}

/// Metrics whose samples stand at times of their own; a new record goes back two days with them, and fourteen with days.
const DENSE: &[&str] = &[
    "heart_rate_bpm",
    "night_heart_rate_bpm",
    "night_hrv_seconds",
    "sleep_stage",
    "movement",
    "met",
    "activity_class",
    "ring_battery_ratio",
];

#[tokio::test]
async fn samples_are_of_what_was_learnt_in_the_time_that_is_asked_for() {
    let (clock, hand) = Clock::driven_from(moment(NOON));
    let simulator = simulator_with(clock.clone()).await;
    let exporter = Plan::default().often().by(clock).ready(&simulator).await;
    let lines = async |query: &str| {
        let (status, page) = exporter.get(&format!("/metrics/samples{query}")).await;
        assert_eq!(status, 200, "{query}: {page}");
        page.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let first = lines("").await;
    assert!(first.len() > 1000, "{} lines", first.len());
    for hours in [13, 50] {
        hand.advance(TimeDelta::hours(hours));
        let begun = lines("?learnt=1h").await.len();
        let news = async || (lines("?learnt=1h").await.len() > begun).then_some(());
        eventually("news of these hours", news).await;
    }
    let (usual, two_days, all) = (lines("").await, lines("?learnt=48h").await, lines("?learnt=14d").await);
    assert!(!first.iter().any(|line| usual.contains(line)), "what was learnt more than 12 hours ago is not repeated");
    assert!(!first.iter().any(|line| two_days.contains(line)), "nor what was learnt more than 48 hours ago");
    assert!(first.iter().all(|line| all.contains(line)), "all of it is there for who asks");
    assert!(usual.is_subset(&all) && two_days.is_subset(&all) && usual.is_subset(&two_days));
    for query in ["15d", "14d1s", "0s", "999ms", "nonsense", "", "-1h", "1e3", "48"] {
        let (status, words) = exporter.get(&format!("/metrics/samples?learnt={query}")).await;
        assert_eq!(status, 400, "{query}: {words}");
        assert_eq!(words, "learnt is not a duration of at most 14d; write learnt=48h\n", "{query}");
    }
    assert_eq!(exporter.get("/metrics/samples?other=nonsense").await.0, 200, "what is not known is left alone");
    exporter.stop().await;
}

#[tokio::test]
async fn samples_that_nobody_wants_are_not_served() {
    let simulator = simulator_at(NOON).await;
    let exporter = Plan::default().set("OURA_SAMPLES", "false").ready(&simulator).await;
    let (status, words) = exporter.get("/metrics/samples").await;
    assert_eq!(status, 404);
    assert!(words.contains("OURA_SAMPLES"), "{words}");
    assert!(!exporter.page().await.text.contains("oura_sample_"), "nor told of");
    exporter.stop().await;
}

#[tokio::test]
async fn unknown_paths_are_404_and_other_methods_405() {
    let simulator = simulator_at(NOON).await;
    let exporter = Plan::default().start(&simulator).await;
    for path in ["/nope", "/metrics/", "/-/nope", "/metrics/samples/"] {
        assert_eq!(exporter.get(path).await.0, 404, "{path}");
    }
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        let answer = plain_client().request(method.clone(), format!("{}/metrics", exporter.url)).send().await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status(), 405, "{method}");
        assert_eq!(answer.headers()[header::ALLOW], "GET, HEAD");
    }
    let head = plain_client().head(format!("{}/metrics", exporter.url)).send().await.expect("an answer");
    assert_eq!(head.status(), 200);
    assert!(head.bytes().await.expect("a body").is_empty());
}

#[tokio::test]
async fn healthy_at_once_and_ready_after_the_first_poll() {
    let simulator = simulator_at(NOON).await;
    simulator.faults().set(Scope::collection("sleep"), Fault::Delay(Duration::from_millis(1_500)));
    let exporter = Plan::default().start(&simulator).await;
    assert_eq!(exporter.get("/-/healthy").await, (200, "healthy\n".to_owned()));
    let (status, reason) = exporter.get("/-/ready").await;
    assert_eq!(status, 503);
    assert!(reason.starts_with("the first poll has not ended; waiting for account alice: "), "{reason}");
    exporter.ready().await;
    assert_eq!(exporter.get("/-/ready").await, (200, "ready\n".to_owned()));
}

#[tokio::test]
async fn the_landing_page_tells_each_account_and_collection_in_words() {
    let simulator = simulator_at(NOON).await;
    simulator.faults().set(Scope::collection("workout"), Fault::Status(500));
    let exporter = Plan::default().ready(&simulator).await;
    let (status, html) = exporter.get("/").await;
    assert_eq!(status, 200);
    assert!(html.contains("<h2>alice</h2>"), "{html}");
    assert!(html.contains("<td>daily_readiness<td>2026-11-22<td class=\"\">read just now"), "{html}");
    assert!(html.contains("server answered 500; nothing to do, it is tried again at the next poll"), "{html}");
}

/// The sentences about problems that come before everything else.
fn problems(html: &str) -> Vec<&str> {
    let above = html.split("<ul class=\"cards").next().unwrap_or_default();
    let list = above.split_once("problems\">").map_or("", |(_, list)| list).split("</ul>").next().unwrap_or_default();
    list.split("<li>").skip(1).collect()
}

#[tokio::test]
async fn a_problem_is_a_sentence_at_the_top_and_the_same_one_is_told_once() {
    let simulator = simulator_at(NOON).await;
    for collection in ["session", "workout"] {
        simulator.faults().set(Scope::collection(collection), Fault::Status(500));
    }
    simulator.faults().set(Scope::collection("daily_spo2"), Fault::Html);
    let exporter = Plan::default().ready(&simulator).await;
    let (_, html) = exporter.get("/").await;
    let told = problems(&html);
    let server = "server answered 500; nothing to do, it is tried again at the next poll.";
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told.iter().any(|told| told.starts_with("<strong>workout, session</strong>: ") && told.ends_with(server)),
        "{told:?}"
    );
    assert!(
        told.iter().any(|told| told.starts_with("<strong>daily_spo2</strong>: the answer cannot be read")),
        "{told:?}"
    );
    assert!(!html.contains("<details open"), "nobody has to look for it in a table");
    exporter.stop().await;
    simulator.faults().set(Scope::all(), Fault::Status(503));
    let exporter = Plan::default().ready(&simulator).await;
    let (_, html) = exporter.get("/").await;
    assert!(problems(&html)[0].starts_with("<strong>every collection</strong>: Oura's server answered 503"), "{html}");
    exporter.stop().await;
}

#[tokio::test]
async fn the_landing_page_asks_for_itself_each_minute_unless_it_is_to_stand_still() {
    let simulator = simulator_at(NOON).await;
    let exporter = Plan::default().ready(&simulator).await;
    let get = async |path: &str| plain_client().get(format!("{}{path}", exporter.url)).send().await.expect("an answer");
    assert_eq!(get("/").await.headers()["refresh"], "60");
    let still = get("/?still").await;
    assert!(still.headers().get("refresh").is_none(), "{still:?}");
    assert!(still.text().await.expect("text").contains("<a href=\"./\">let it do so every minute</a>"));
    for path in ["/metrics", "/-/ready", "/-/healthy"] {
        assert!(get(path).await.headers().get("refresh").is_none(), "{path}");
    }
    exporter.stop().await;
}

#[tokio::test]
async fn below_the_path_of_a_proxy_everything_is_as_at_the_root() {
    let simulator = simulator_at(NOON).await;
    let exporter = Plan::default().set("OURA_WEB_EXTERNAL_URL", "https://lan.example/oura/").ready(&simulator).await;
    for path in ["/", "/metrics", "/metrics/samples", "/-/ready", "/-/healthy"] {
        let host = "Host: lan.example";
        for path in [path.to_owned(), format!("/oura{path}")] {
            let answer = answer_to(&exporter, &[&format!("GET {path} HTTP/1.1"), host]).await;
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{path}: {answer}");
        }
    }
    let answer = answer_to(&exporter, &["GET /oura HTTP/1.1", "Host: lan.example"]).await;
    let moved = "HTTP/1.1 308 Permanent Redirect\r\n";
    assert!(answer.starts_with(moved) && answer.contains("location: /oura/\r\n"), "{answer}");
    let learnt = answer_to(&exporter, &["GET /oura/metrics/samples?learnt=nonsense HTTP/1.1", "Host: localhost"]).await;
    assert!(learnt.starts_with("HTTP/1.1 400 ") && learnt.contains("learnt is not a duration"), "{learnt}");
    for (path, host, status) in
        [("/oura/nope", "lan.example", "404"), ("/ouranos", "lan.example", "404"), ("/oura/", "evil.example", "421")]
    {
        let answer = answer_to(&exporter, &[&format!("GET {path} HTTP/1.1"), &format!("Host: {host}")]).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
    }
    let (_, html) = exporter.get("/oura/").await;
    let links: Vec<_> = html.split("href=\"").skip(1).filter_map(|link| link.split('"').next()).collect();
    assert_eq!(links, ["./", "sign-in", "metrics", "-/ready", "-/healthy", "?still"], "none of them leaves the path");
    exporter.stop().await;
}

/// What is answered to a request that is sent as these lines.
async fn answer_to(exporter: &Exporter, lines: &[&str]) -> String {
    let mut client = TcpStream::connect(exporter.address()).await.expect("a connection");
    let request = lines.join("\r\n") + "\r\nConnection: close\r\n\r\n";
    client.write_all(request.as_bytes()).await.expect("it is sent");
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.expect("an answer");
    answer
}

#[tokio::test]
async fn a_page_of_another_site_reads_nothing_by_a_name_that_leads_here() {
    let simulator = simulator_at(NOON).await;
    let exporter = Plan::default().set("OURA_ALLOWED_HOSTS", "oura.lan").ready(&simulator).await;
    for path in ["/", "/metrics", "/-/ready", "/nope"] {
        for host in ["evil.example", "evil.example:10058", "localhost.evil.example", "192.168.1.2"] {
            let answer = answer_to(&exporter, &[&format!("GET {path} HTTP/1.1"), &format!("Host: {host}")]).await;
            assert!(answer.starts_with("HTTP/1.1 421 Misdirected Request\r\n"), "{path} of {host}: {answer}");
            assert!(answer.contains("OURA_ALLOWED_HOSTS") && !answer.contains("oura_"), "{answer}");
        }
    }
    for host in ["localhost", "127.0.0.1:9", "[::1]", "ring.localhost", "oura.lan:443"] {
        let answer = answer_to(&exporter, &["GET /metrics HTTP/1.1", &format!("Host: {host}")]).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{host}: {answer}");
    }
    let without = answer_to(&exporter, &["GET /metrics HTTP/1.0"]).await;
    assert!(without.starts_with("HTTP/1.0 200 OK\r\n"), "{without}");
    let without = answer_to(&exporter, &["GET /metrics HTTP/1.1"]).await;
    assert!(without.starts_with("HTTP/1.1 400 Bad Request\r\n") && without.contains("Host"), "{without}");
    exporter.stop().await;
}

#[tokio::test]
async fn every_answer_tells_browsers_to_keep_it_to_themselves() {
    let simulator = simulator_at(NOON).await;
    let exporter = Plan::default().ready(&simulator).await;
    for (method, path, status) in [
        (Method::GET, "/", 200),
        (Method::GET, "/metrics", 200),
        (Method::GET, "/-/healthy", 200),
        (Method::GET, "/metrics/samples", 200),
        (Method::GET, "/metrics/samples?learnt=nonsense", 400),
        (Method::POST, "/metrics", 405),
        (Method::GET, "/nope", 404),
    ] {
        let answer = plain_client().request(method, format!("{}{path}", exporter.url)).send().await.expect("an answer");
        assert_eq!(answer.status(), status, "{path}");
        assert_eq!(answer.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
        assert_eq!(answer.headers()["cross-origin-resource-policy"], "same-origin", "{path}");
        let policy = answer.headers()[header::CONTENT_SECURITY_POLICY].to_str().expect("text");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
    }
    exporter.stop().await;
}

/// Clients that send half a request, that read nothing of what they asked for, and that speak another language.
async fn nuisances(address: &str) -> Vec<TcpStream> {
    let mut clients = Vec::new();
    for number in 0..120 {
        let mut client = TcpStream::connect(address).await.expect("a connection");
        let words = match number % 3 {
            0 => "GET /metr".to_owned(),
            1 => "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(200),
            _ => "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        };
        client.write_all(words.as_bytes()).await.expect("a few bytes");
        clients.push(client);
    }
    clients
}

#[tokio::test]
async fn clients_that_misbehave_cost_nothing() {
    let simulator = simulator_at(NOON).await;
    let exporter = Plan::default().ready(&simulator).await;
    let address = exporter.address().to_owned();
    let _nuisances = nuisances(&address).await;
    let mut odd = TcpStream::connect(&address).await.expect("a connection");
    odd.write_all(b"\x16\x03\x01 this is no HTTP\r\n\r\n").await.expect("bytes");
    let mut answer = Vec::new();
    odd.read_to_end(&mut answer).await.expect("an end");
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"), "{answer:?}");
    let page = exporter.page().await;
    assert!(page.get("oura_readiness_score").is_some(), "the others are served");
    exporter.stop().await;
}

#[tokio::test]
async fn clients_that_misbehave_do_not_keep_it_from_stopping() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oura-exporter"));
    let program = Program::start(command.arg("demo")).await;
    program.ready().await;
    let _nuisances = nuisances(&program.address).await;
    let (code, log) = program.terminate().await;
    assert_eq!(code, Some(0), "{log}");
}
