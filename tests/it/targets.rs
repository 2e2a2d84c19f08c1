//! One target an account: the pages of single accounts over HTTP, the list of targets, and a real Prometheus that goes by it.

use std::{collections::BTreeMap, ffi::OsString, fs};

use crate::common::{
    Exporter, NOON, Page, Plan, Program, eventually, moment,
    needs::{newer_are_there, there_are},
    scene::{Scene, consent},
    servers::{Release, file, promtool, text},
    simulator_at,
    stores::{Labels, Store},
};
use chrono::Utc;
use oura_exporter::{
    clock::Clock,
    config::{AccountConfig, Accounts, Config, Flags},
    oura::ClientOptions,
    simulator::{Portal, Simulator},
};
use reqwest::{Client, Method, header};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

async fn two_people() -> (Simulator, Exporter) {
    let simulator = simulator_at(NOON).await;
    let exporter = Plan { people: &["alice", "bob"], ..Plan::default() }.ready(&simulator).await;
    (simulator, exporter)
}

#[tokio::test]
async fn the_page_and_the_record_are_there_for_single_accounts_and_an_unknown_name_is_told_in_words() {
    let (_simulator, exporter) = two_people().await;
    for path in ["/metrics", "/metrics/samples"] {
        let lines = async |query: &str| {
            let (status, page) = exporter.get(&format!("{path}{query}")).await;
            assert_eq!(status, 200, "{path}{query}: {page}");
            page.lines().filter(|line| line.contains("{account=\"")).map(str::to_owned).collect::<Vec<_>>()
        };
        let is_of = |line: &String, name: &str| line.contains(&format!("{{account=\"{name}\""));
        let (all, alice) = (lines("").await.len(), lines("?account=alice").await);
        let both = lines("?account=bob&account=alice&account=bob").await.len();
        assert!(alice.len() > 100 && alice.iter().all(|line| is_of(line, "alice")), "{} lines", alice.len());
        assert!(lines("?account=nobody&account=bob").await.iter().all(|line| is_of(line, "bob")));
        assert_eq!((both, lines("?account=bob").await.len() + alice.len()), (all, all), "{path}");
        for (query, status, words) in [
            ("?account=eve", 404, "this exporter has no account named eve; see /sd for those that it has\n"),
            ("?account=<script>", 404, "this exporter has no account of these names; see /sd for those that it has\n"),
            (
                "?account=eve&account=%00",
                404,
                "this exporter has no account of these names; see /sd for those that it has\n",
            ),
            ("?account=", 400, "account is empty; write account=NAME, or leave it out for all accounts\n"),
            ("?account=alice&account", 400, "account is empty; write account=NAME, or leave it out for all accounts\n"),
        ] {
            assert_eq!(exporter.get(&format!("{path}{query}")).await, (status, words.to_owned()), "{path}{query}");
        }
    }
    let both = exporter.get("/metrics/samples?account=alice&learnt=14d").await.1;
    assert!(both.contains("oura_sample_readiness_score{account=\"alice\"}") && !both.contains("\"bob\""));
    assert_eq!(exporter.get("/metrics/samples?account=alice&learnt=x").await.0, 400);
    exporter.stop().await;
}

#[tokio::test]
async fn a_single_account_is_read_by_head_and_gzip_and_no_query_is_too_odd() {
    let (_simulator, exporter) = two_people().await;
    let client = Client::builder().no_gzip().build().expect("a client");
    for path in ["/metrics?account=alice", "/metrics/exporter", "/sd", "/sd/samples", "/metrics/samples?account=bob"] {
        let url = format!("{}{path}", exporter.url);
        let get = async |method: Method, coding: &'static str| {
            let request = client.request(method, &url).header(header::ACCEPT_ENCODING, coding);
            request.send().await.expect("an answer")
        };
        let (head, plain) = (get(Method::HEAD, "identity").await, get(Method::GET, "identity").await);
        assert_eq!((head.status(), plain.status()), (200.try_into().expect("a status"), head.status()), "{path}");
        assert_eq!(head.headers()[header::CONTENT_TYPE], plain.headers()[header::CONTENT_TYPE], "{path}");
        assert!(head.bytes().await.expect("none").is_empty());
        let gzipped = get(Method::GET, "gzip").await;
        assert_eq!(gzipped.headers()[header::CONTENT_ENCODING], "gzip", "{path}");
        assert!(gzipped.headers()[header::VARY].to_str().expect("words").contains("accept-encoding"), "{path}");
        assert_eq!(gzipped.bytes().await.expect("a body")[..2], [0x1f, 0x8b], "{path}");
        assert_eq!(get(Method::POST, "identity").await.status(), 405, "{path}");
    }
    let repeated = exporter.get(&format!("/metrics?{}", "account=alice&".repeat(900))).await;
    assert!(repeated.0 == 200 && !repeated.1.contains("\"bob\""), "{}", repeated.0);
    let huge = format!("GET /metrics?account={} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(200_000));
    let mut stream = TcpStream::connect(exporter.address()).await.expect("a connection");
    // It may be cut off before all of it is sent.
    let _sent = stream.write_all(huge.as_bytes()).await;
    let mut answer = vec![0; 12];
    let read = stream.read(&mut answer).await.unwrap_or_default();
    assert!(read == 0 || answer.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(exporter.get("/metrics?account=bob").await.0, 200, "the others are served");
    exporter.stop().await;
}

#[tokio::test]
async fn the_landing_page_leads_to_each_account_and_lists_them_where_they_are_too_many_to_show() {
    let (simulator, exporter) = two_people().await;
    let (_, html) = exporter.get("/").await;
    assert!(html.contains("<a href=\"metrics?account=bob\">"), "{html}");
    let (status, html) = exporter.get("/?account=bob").await;
    assert!(status == 200 && html.contains("<h2>bob</h2>") && !html.contains("alice"), "{html}");
    for (query, status) in
        [("account=", 400), ("account=eve", 404), ("account=%3Cb%3E", 404), ("account=eve&account=bob", 200)]
    {
        assert_eq!(exporter.get(&format!("/?{query}")).await.0, status, "{query}");
    }
    exporter.stop().await;
    let mut config = config(&simulator);
    let token = &simulator.people()[0].token;
    config.accounts = (0..60)
        .map(|number| AccountConfig { name: format!("subject-{number}"), token: token.clone().into() })
        .collect();
    config.collections.truncate(1);
    let exporter = Exporter::start(config, Clock::at(moment(NOON)), ClientOptions::default()).await;
    let (_, html) = exporter.get("/").await;
    assert_eq!(html.matches("<li><a href=\"./?account=subject-").count(), 60, "{html}");
    exporter.ready().await;
    let (status, html) = exporter.get("/?account=subject-59").await;
    assert!(status == 200 && html.contains("<h2>subject-59</h2>"), "{html}");
    exporter.stop().await;
}

fn config(simulator: &Simulator) -> Config {
    let variables = [("OURA_API_URL", simulator.url()), ("OURA_SAMPLES", "false".to_owned())];
    let variables = variables.map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Config::from_environment(variables, Flags::default(), Accounts::NotNeeded).expect("a good configuration")
}

/// The targets that are listed for whoever asks by these words.
async fn listed(exporter: &Exporter, path: &str, host: &str) -> Vec<Value> {
    let url = format!("{}{path}", exporter.url);
    let answer = Client::new().get(url).header(header::HOST, host).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/json");
    serde_json::from_str(&answer.text().await.expect("a body")).expect("a list")
}

#[tokio::test]
async fn targets_are_where_prometheus_came_to_directly_and_by_a_proxy() {
    let simulator = simulator_at(NOON).await;
    let people = || Plan { people: &["alice", "bob"], ..Plan::default() };
    let label = |target: &Value, name: &str| target["labels"][name].as_str().unwrap_or_default().to_owned();
    let exporter = people().ready(&simulator).await;
    let targets = listed(&exporter, "/sd", "localhost:9").await;
    let seen: Vec<_> = targets.iter().map(|one| (label(one, "account"), label(one, "__metrics_path__"))).collect();
    let of = |account: &str, path: &str| (account.to_owned(), path.to_owned());
    assert_eq!(seen, [of("alice", "/metrics"), of("bob", "/metrics"), of("", "/metrics/exporter")]);
    assert!(targets.iter().all(|one| one["targets"] == serde_json::json!(["localhost:9"])), "{targets:?}");
    assert!(targets.iter().all(|one| label(one, "__param_account") == label(one, "account")));
    assert!(targets.iter().all(|one| one["labels"].get("__scheme__").is_none()), "as the scrape configuration has it");
    let samples = listed(&exporter, "/sd/samples", "localhost").await;
    let paths: Vec<_> = samples.iter().map(|one| label(one, "__metrics_path__")).collect();
    assert_eq!(paths, ["/metrics/samples"; 2]);
    let misdirected = Client::new().get(format!("{}/sd", exporter.url)).header(header::HOST, "evil.example");
    assert_eq!(misdirected.send().await.expect("an answer").status(), 421, "no list leads anybody elsewhere");
    exporter.stop().await;

    let proxied = people().set("OURA_WEB_EXTERNAL_URL", "https://lan.example/oura/").set("OURA_SAMPLES", "false");
    let exporter = proxied.ready(&simulator).await;
    for (host, path, scheme) in
        [("lan.example", "/oura/sd", "https"), ("LAN.example:443", "/sd", "https"), ("127.0.0.1:7", "/sd", "")]
    {
        let targets = listed(&exporter, path, host).await;
        assert_eq!(
            (targets[0]["targets"][0].as_str(), label(&targets[0], "__scheme__")),
            (Some(host), scheme.to_owned())
        );
        for target in targets {
            let path = label(&target, "__metrics_path__");
            assert!(path.starts_with("/oura/metrics"), "{path}");
            let query = target["labels"]["__param_account"]
                .as_str()
                .map_or_else(String::new, |name| format!("?account={name}"));
            assert_eq!(exporter.get(&format!("{path}{query}")).await.0, 200, "{path}");
        }
    }
    let (status, words) = exporter.get("/sd/samples").await;
    assert!(status == 404 && words.contains("OURA_SAMPLES"), "{words}");
    exporter.stop().await;
}

/// The scrape configurations that docs/scale.md shows.
fn blocks() -> Vec<String> {
    let document = fs::read_to_string(file("docs/scale.md")).expect("docs/scale.md");
    let blocks = document.split("```yaml\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0));
    blocks.filter(|block| block.starts_with("scrape_configs:")).map(str::to_owned).collect()
}

/// The one for a single exporter with service discovery.
fn shown() -> String {
    blocks().into_iter().find(|block| block.contains("http_sd_configs")).expect("a block with service discovery")
}

#[test]
fn the_scrape_blocks_of_many_accounts_are_good() {
    if !there_are(&["promtool"], "the_scrape_blocks_of_many_accounts_are_good") {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("prometheus.yml");
    for block in blocks() {
        fs::write(&path, &block).expect("a file");
        let (is_good, said) = promtool(&["check", "config", text(&path)], "");
        assert!(is_good && said.contains("SUCCESS") && !said.contains("FAILED"), "{said}\n{block}");
    }
}

#[test]
fn each_shard_is_asked_for_its_list_and_relabelled_as_by_the_agent() {
    let several: Vec<_> = blocks().into_iter().filter(|block| block.contains("oura-exporter-2.")).collect();
    let [agent, lists] = &several[..] else { panic!("{several:?}") };
    let [agent, lists] = [agent, lists].map(|block| serde_saphyr::from_str::<Value>(block).expect("YAML"));
    let job = |config: &Value| config["scrape_configs"][0].clone();
    let read = job(&agent)["static_configs"][0]["targets"].as_array().expect("targets").clone();
    let asked = job(&lists)["http_sd_configs"].as_array().expect("lists").clone();
    let expected = read.iter().map(|target| format!("http://{}/sd", target.as_str().expect("an address")));
    let asked: Vec<_> = asked.iter().map(|list| list["url"].as_str().expect("a URL").to_owned()).collect();
    assert_eq!(asked, expected.collect::<Vec<_>>());
    assert_eq!(job(&lists)["metric_relabel_configs"], job(&agent)["metric_relabel_configs"]);
    assert_eq!(job(&lists)["honor_labels"], true, "the label account of a target is that of its series");
}

#[tokio::test]
async fn prometheus_finds_a_target_for_each_account_and_has_every_series_of_the_page_once() {
    let test = "prometheus_finds_a_target_for_each_account_and_has_every_series_of_the_page_once";
    if !there_are(&["prometheus"], test) || !newer_are_there(&["prometheus"], test) {
        return;
    }
    let scene = Scene::of(Portal::New).await;
    log_in(&scene, "anna", "alice").await;
    log_in(&scene, "ben-2.b_", "bob").await;
    let mut command = scene.program();
    command.env("OURA_POLL_INTERVAL", "36h").env("OURA_COLLECTIONS", "daily_sleep,daily_readiness,workout");
    let exporter = Program::start(&mut command).await;
    exporter.ready().await;
    let often = shown().replace("localhost:10058", &exporter.address);
    let often = often.replace("15m", "1s").replace("1m", "1s");
    let mut stores = vec![];
    for release in Release::BOTH {
        let store = Store::prometheus_of(release, &often, &[]).await;
        has_every_series(&store, &exporter, &["anna", "ben-2.b_"]).await;
        stores.push(store);
    }
    let (code, said) = scene.run(&["logout", "--account", "ben-2.b_"]).await;
    assert_eq!(code, Some(0), "{said}");
    for store in &stores {
        has_every_series(store, &exporter, &["anna"]).await;
    }
    log_in(&scene, "0", "bob").await;
    for store in &stores {
        has_every_series(store, &exporter, &["0", "anna"]).await;
    }
    exporter.terminate().await;
}

async fn log_in(scene: &Scene, account: &str, person: &str) {
    let (code, said) = scene.log_in(account, async |url| consent(url, person, "allow").await).await;
    assert_eq!(code, Some(0), "{said}");
}

/// Waits until Prometheus has, of both jobs, one target for each of `accounts`, all of which are up, and exactly the series of
/// the page.
async fn has_every_series(store: &Store, exporter: &Program, accounts: &[&str]) {
    let up = async || {
        let up = store.all_at("up", Utc::now()).await;
        let seen = up.iter().map(|(labels, value)| {
            let of = |name: &str| labels.get(name).cloned().unwrap_or_default();
            ((of("job"), of("account"), of("instance")), *value)
        });
        let seen: BTreeMap<_, _> = seen.collect();
        let mut expected = BTreeMap::new();
        let mut expect = |job: &str, account: &str| {
            expected.insert((job.to_owned(), account.to_owned(), exporter.address.clone()), 1.0);
        };
        accounts.iter().for_each(|account| ["oura", "oura-samples"].iter().for_each(|job| expect(job, account)));
        expect("oura", "");
        (seen == expected && seen.len() == up.len()).then_some(())
    };
    eventually("one target an account, and all are up", up).await;
    let same = async || {
        let page = Page::parse(&exporter.get("/metrics").await?);
        let mut on_the_page: Vec<_> = page.starting_with("").into_iter().map(in_order).collect();
        let selector = "{job=\"oura\",__name__=~\"(oura|process)_.*\"}";
        let all = store.all_at(selector, Utc::now()).await;
        let mut stored: Vec<_> = all.iter().map(|(labels, _)| written(labels, &exporter.address)).collect();
        stored.retain(|series| is_of_the_page(series));
        on_the_page.sort();
        stored.sort();
        let differs = |these: &[String], those: &[String]| {
            these.iter().filter(|one| !those.contains(one)).take(5).cloned().collect::<Vec<_>>()
        };
        let (lacks, has) = (differs(&on_the_page, &stored), differs(&stored, &on_the_page));
        println!(
            "{} on the page, {} stored; it lacks {lacks:#?} and has besides {has:#?}",
            on_the_page.len(),
            stored.len()
        );
        (on_the_page == stored).then_some(())
    };
    eventually("exactly the series of the page, each once", same).await;
}

/// Whether a series is the page's and not the record's, whose names both have in Prometheus.
fn is_of_the_page(series: &str) -> bool {
    !series.starts_with("oura_sample_")
        || series.starts_with("oura_sample_revisions_total{")
        || series.starts_with("oura_sample_lag_seconds{")
}

/// A series with its labels in the order of their names.
fn in_order(series: &str) -> String {
    let Some((name, labels)) = series.split_once('{') else { return series.to_owned() };
    let mut labels: Vec<_> = labels.trim_end_matches("\"}").split("\",").collect();
    labels.sort_unstable();
    format!("{name}{{{}\"}}", labels.join("\","))
}

/// A series as it stands on the page, with its labels in order; labels that the page does not have would make it another one.
fn written(labels: &Labels, instance: &str) -> String {
    let own = labels.iter().filter(|(name, value)| {
        let (name, value) = (name.as_str(), value.as_str());
        ![("__name__", labels["__name__"].as_str()), ("job", "oura"), ("instance", instance)].contains(&(name, value))
    });
    // Prometheus 3 writes the bounds of a histogram as decimals.
    let plain = |name: &str, value: &str| (name == "le").then(|| value.trim_end_matches(".0").to_owned());
    let own = own.map(|(name, value)| format!("{name}=\"{}\"", plain(name, value).unwrap_or_else(|| value.clone())));
    let own: Vec<_> = own.collect();
    let name = &labels["__name__"];
    if own.is_empty() { name.clone() } else { format!("{name}{{{}}}", own.join(",")) }
}
