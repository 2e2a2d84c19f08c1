//! The program itself: its exit codes, what it says of mistakes, and how it stops.

mod common;

use std::{
    fs,
    process::{Output, Stdio},
    time::Duration,
};

use common::{eventually, simulator_at};
use oura_exporter::simulator::{Fault, Scope};
use tokio::{net::TcpListener, process::Command, time::timeout};

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oura-exporter"));
    command.env_clear().stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

async fn run(command: &mut Command) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = command.output().await.expect("the program starts");
    (status.code(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
}

async fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("an address").to_string()
}

#[tokio::test]
async fn without_an_account_one_sentence_says_what_to_do() {
    let (code, text) = run(&mut program()).await;
    assert_eq!(code, Some(2));
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains("OURA_ACCESS_TOKEN") && text.contains("oura-exporter demo"), "{text}");
}

#[tokio::test]
async fn all_mistakes_are_named_at_once() {
    let mut command = program();
    command.env("OURA_POLL_INTERVAL", "often").env("OURA_STALE_AFTER", "0s").env("OURA_LISTEN_ADDRESS", "home");
    command.env("OURA_COLLECTIONS", "sleep,daily_sleeps").env("OURA_LOG", "loud").env("OURA_LOG_FORMAT", "xml");
    command.env("OURA_SANDBOX", "perhaps").env("OURA_API_URL", "ftp://x").env("OURA_ACCOUNT", "anna@example.com");
    command.env("OURA_ACCESS_TOKEN", "two words");
    let (code, text) = run(&mut command).await;
    assert_eq!(code, Some(2));
    let told = [
        r#"OURA_POLL_INTERVAL: "often" is not a duration; write 5m"#,
        r#"OURA_STALE_AFTER: "0s" is no time at all"#,
        r#"OURA_LISTEN_ADDRESS: "home" is not an address with a port"#,
        r#"OURA_COLLECTIONS: "daily_sleeps" is no collection; did you mean daily_sleep?"#,
        r#"OURA_LOG: "loud" is not a level"#,
        r#"OURA_LOG_FORMAT: "xml" is not a format"#,
        r#"OURA_SANDBOX: "perhaps" is neither true nor false"#,
        "OURA_API_URL: not an http or https URL",
        "OURA_ACCOUNT: a name is",
        "OURA_ACCESS_TOKEN: not a token",
    ];
    for line in told {
        assert!(text.contains(line), "{line} is missing in:\n{text}");
    }
    assert_eq!(text.lines().count(), told.len(), "{text}");
    assert!(!text.contains("two words") && !text.contains("anna@"), "neither secrets nor names are repeated: {text}");
}

#[tokio::test]
async fn a_flag_wins_over_its_variable_and_is_named_in_its_mistake() {
    let mut command = program();
    command.env("OURA_LOG", "info").args(["demo", "--log.level", "loud"]);
    let (code, text) = run(&mut command).await;
    assert_eq!(code, Some(2));
    assert!(text.contains(r#"--log.level: "loud" is not a level"#), "{text}");
}

#[tokio::test]
async fn a_token_may_come_from_a_file_but_not_from_two_places() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(&file, "\n").expect("a blank file");
    let mut command = program();
    let (code, text) = run(command.env("OURA_ACCESS_TOKEN_FILE", file.path())).await;
    assert_eq!(code, Some(2));
    assert!(text.contains("OURA_ACCESS_TOKEN_FILE: not a token"), "{text}");
    let (code, text) = run(command.env("OURA_ACCESS_TOKEN", "secret")).await;
    assert_eq!(code, Some(2));
    assert!(text.contains("both are set; unset one") && !text.contains("secret\""), "{text}");
    let (code, text) = run(program().env("OURA_ACCESS_TOKEN_FILE", "/nowhere/token")).await;
    assert_eq!(code, Some(2));
    assert!(text.contains(r#"OURA_ACCESS_TOKEN_FILE: "/nowhere/token" cannot be read"#), "{text}");
}

#[tokio::test]
async fn a_port_in_use_is_named_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let (code, text) = run(program().args(["demo", "--web.listen-address", &address])).await;
    assert_eq!(code, Some(1));
    let told = format!("cannot listen on {address}; stop what listens there or set OURA_LISTEN_ADDRESS");
    assert!(text.contains(&told) && text.contains("in use"), "{text}");
}

#[tokio::test]
async fn a_misspelt_variable_is_warned_of() {
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let mut command = program();
    command.args(["demo", "--web.listen-address", &address]).env("OURA_POL_INTERVAL", "5m");
    let (_, text) = run(command.env("OURA_EXPORTER_SERVICE_HOST", "10.0.0.1")).await;
    assert!(text.contains("OURA_POL_INTERVAL: there is no such variable; did you mean OURA_POLL_INTERVAL?"), "{text}");
    assert!(!text.contains("SERVICE_HOST"), "what a cluster sets is nobody's mistake: {text}");
}

#[tokio::test]
async fn sigterm_in_mid_poll_ends_it_well() {
    let simulator = simulator_at(common::NOON).await;
    simulator.faults().set(Scope::all(), Fault::Hang);
    let address = free_address().await;
    let mut command = program();
    command.env("OURA_API_URL", simulator.url()).env("OURA_LISTEN_ADDRESS", &address);
    let child = command.env("OURA_ACCESS_TOKEN", &simulator.people()[0].token).spawn().expect("the program starts");
    eventually("a request hangs", async || (!simulator.requests().is_empty()).then_some(())).await;
    let pid = child.id().expect("it runs").to_string();
    let killed = Command::new("kill").args(["-TERM", &pid]).status().await.expect("kill runs");
    assert!(killed.success());
    let ended = timeout(Duration::from_secs(5), child.wait_with_output()).await.expect("it stops within 5 s");
    let ended = ended.expect("an end");
    assert_eq!(ended.status.code(), Some(0));
    let log = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(log.contains("stopping"), "{log}");
}

#[tokio::test]
async fn the_health_check_follows_readiness() {
    let address = free_address().await;
    let check = async || run(program().args(["healthcheck", "--web.listen-address", &address])).await;
    let (code, text) = check().await;
    assert_eq!(code, Some(1));
    assert!(text.contains(&format!("no answer from http://{address}/-/ready")), "{text}");
    let _demo = program().args(["demo", "--web.listen-address", &address]).spawn().expect("the program starts");
    eventually("it becomes ready", async || (check().await.0 == Some(0)).then_some(())).await;
}

#[tokio::test]
async fn neither_log_nor_page_holds_a_token_a_name_or_an_address() {
    let simulator = simulator_at(common::NOON).await;
    simulator.faults().set(Scope::collection("daily_readiness"), Fault::Html);
    simulator.faults().set(Scope::collection("sleep"), Fault::ScopeMissing);
    simulator.faults().edit(Scope::collection("daily_sleep"), |documents| {
        documents.iter_mut().for_each(|document| document["score"] = "alice@example.com".into());
    });
    let address = free_address().await;
    let mut command = program();
    command.env("OURA_API_URL", simulator.url()).env("OURA_LISTEN_ADDRESS", &address).env("OURA_LOG", "trace");
    let token = simulator.people()[0].token.clone();
    let child = command.env("OURA_ACCESS_TOKEN", &token).spawn().expect("the program starts");
    let get = async |path: &str| reqwest::get(format!("http://{address}{path}")).await.ok()?.text().await.ok();
    oura_exporter::tls::choose_provider();
    eventually("it is ready", async || get("/-/ready").await.filter(|text| text == "ready\n")).await;
    let shown = get("/metrics").await.expect("a page") + &get("/").await.expect("a landing page");
    let pid = child.id().expect("it runs").to_string();
    Command::new("kill").args(["-TERM", &pid]).status().await.expect("kill runs");
    let log = child.wait_with_output().await.expect("an end");
    let all = shown + &String::from_utf8_lossy(&log.stdout) + &String::from_utf8_lossy(&log.stderr);
    for private in [token.as_str(), "example.com", "_0XB"] {
        assert!(!all.contains(private), "{private} in {all}");
    }
}

#[tokio::test]
async fn help_and_version() {
    let (code, text) = run(program().arg("--help")).await;
    assert_eq!(code, Some(0));
    for variable in oura_exporter::config::VARIABLES {
        assert!(text.contains(variable.name), "{} is missing in:\n{text}", variable.name);
    }
    let (code, text) = run(program().arg("--version")).await;
    assert_eq!((code, text.trim()), (Some(0), concat!("oura-exporter ", env!("CARGO_PKG_VERSION"))));
}
