//! Tokens last: shared by several processes, renewed for a whole month, and never shown.

use std::{ffi::OsString, fmt::Debug, fs, io::Write as _, sync::Arc, time::Duration};

use crate::common::signed_in::{ANNA, SignedIn};
use crate::common::{NOON, Program, eventually, moment};
use chrono::TimeDelta;
use oura_exporter::{
    auth::{Store, TokenManager, TokenSource},
    clock::Clock,
    config::{Accounts, Config, Flags},
    oura::{Client, ClientOptions, Transport},
    simulator::Exchange,
    status::ApiStats,
};
use secrecy::ExposeSecret as _;

const EXPIRIES: usize = 50;
/// `check` runs at most so often until then.
const MOST_CHECKS: u32 = 4000;

fn renewed(exchanges: &[Exchange]) -> usize {
    exchanges.iter().filter(|exchange| exchange.grant_type == "refresh_token" && exchange.status == 200).count()
}

async fn shows(exporter: &Program, series: &str) {
    eventually(series, async || exporter.get("/metrics").await.filter(|page| page.contains(series))).await;
}

#[tokio::test]
async fn two_exporters_and_many_checks_share_one_directory_and_spend_no_token_twice() {
    let scene = SignedIn::with(Clock::system(), TimeDelta::zero()).await;
    scene.simulator.authorizations().set_token_lifetime(1);
    let exporters = [Program::start(&mut scene.program()).await, Program::start(&mut scene.program()).await];
    let (mut checks, mut content) = (0, 0);
    while renewed(&scene.exchanges(0)) < EXPIRIES {
        assert!(checks < MOST_CHECKS, "{checks} checks, and only {} expiries", renewed(&scene.exchanges(0)));
        checks += 1;
        let output = scene.program().arg("check").output().await.expect("the program starts");
        content += u32::from(output.status.success());
    }
    scene.simulator.authorizations().set_token_lifetime(3600);
    let exchanges = scene.exchanges(0);
    let text = format!("{} renewals by two exporters and {checks} checks, {content} content\n", renewed(&exchanges));
    let _ = std::io::stderr().write_all(text.as_bytes());
    assert!(exchanges.iter().all(|exchange| exchange.spent == 0 && exchange.status == 200), "{exchanges:?}");
    for exporter in exporters {
        shows(&exporter, "oura_account_authorized{account=\"anna\"} 1").await;
        shows(&exporter, "oura_up{account=\"anna\"} 1").await;
        let (code, log) = exporter.terminate().await;
        assert!(code == Some(0) && !log.contains("oura-exporter login"), "never out of order: {log}");
    }
    assert!(content > 0, "and the doctor was content");
}

#[tokio::test]
async fn a_month_with_tokens_of_an_hour_has_no_failed_poll() {
    let (clock, hand) = Clock::driven_from(moment(NOON));
    let scene = SignedIn::with(clock.clone(), TimeDelta::hours(1)).await;
    scene.simulator.authorizations().set_token_lifetime(3600);
    let token_manager = TokenManager::new(ANNA, scene.store.clone(), Arc::new(scene.authority()), clock.clone());
    let stats = ApiStats::new().expect("a registry");
    let client_options = ClientOptions { retries: 0, ..ClientOptions::default() };
    let transport =
        Transport::new(&scene.simulator.url(), false, client_options, clock.clone(), stats).expect("a client");
    let client = Client::new(Arc::new(transport), TokenSource::Kept(token_manager));
    let polls = TimeDelta::days(30).num_minutes() / 5;
    for poll in 0..polls {
        hand.advance(TimeDelta::minutes(5));
        let today = clock.now().date_naive().to_string();
        let days = [("start_date", today.clone()), ("end_date", today)];
        let asked = client.documents("daily_sleep", &days).await;
        assert!(asked.is_ok(), "poll {poll} at {}: {asked:?}", clock.now());
    }
    let exchanges = scene.exchanges(0);
    let text = format!("{polls} polls in a month, none failed; {} renewals\n", exchanges.len());
    let _ = std::io::stderr().write_all(text.as_bytes());
    let refused = scene.simulator.requests().iter().filter(|request| request.status == 401).count();
    assert_eq!(refused, 0, "none had to be repeated");
    assert!(exchanges.iter().all(|exchange| exchange.spent == 0 && exchange.status == 200), "{exchanges:?}");
    assert!((700..900).contains(&exchanges.len()), "{}", exchanges.len());
}

fn config(scene: &SignedIn) -> Config {
    let variables = [
        ("OURA_CLIENT_ID", scene.application.client_id.clone()),
        ("OURA_CLIENT_SECRET", scene.application.client_secret.clone()),
        ("OURA_ACCESS_TOKEN", "_0XBPWQQ_of-the-environment".to_owned()),
        ("OURA_STATE_DIR", scene.store.directory().display().to_string()),
    ];
    let variables = variables.map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Config::from_environment(variables, Flags::default(), Accounts::Needed).expect("a good configuration")
}

/// How everything that holds or handles secrets, and every error of theirs, shows itself.
async fn shown(scene: &SignedIn) -> Vec<String> {
    fn both(error: impl Debug + ToString) -> [String; 2] {
        [format!("{error:?}"), error.to_string()]
    }
    let config = config(scene);
    let mut texts = vec![format!("{config:?}"), format!("{:?}", config.sign_in.application)];
    texts.push(format!("{:?}{:?}", scene.stored(), scene.authority()));
    texts.push(format!("{:?}{:?}", scene.store, scene.store.lock(ANNA)));
    assert!(scene.refresh().await.is_ok());
    texts.extend(both(scene.refresh().await.expect_err("it is spent")));
    let token_manager = TokenManager::new(ANNA, scene.store.clone(), Arc::new(scene.authority()), Clock::system());
    texts.extend(both(token_manager.replace(&scene.stored().access).await.expect_err("it is spent")));
    let whole = fs::read_to_string(scene.file()).expect("a file");
    let store = Store::new(scene.store.directory().with_file_name("damaged"));
    store.write(ANNA, &scene.stored()).expect("it is stored");
    for damaged in
        [&whole[..whole.len() - 9], &whole.replace("\"version\": 1", "\"version\": 2"), &whole.replace("T", "X")]
    {
        fs::write(store.directory().join("anna.json"), damaged).expect("it is written");
        texts.extend(both(store.read(ANNA).expect_err("it is damaged")));
        let token_manager = TokenManager::new(ANNA, store.clone(), Arc::new(scene.authority()), Clock::system());
        texts.extend(both(token_manager.access_token().await.expect_err("it is damaged")));
    }
    texts
}

#[tokio::test]
async fn nothing_shows_a_token_or_a_secret() {
    let scene = SignedIn::with(Clock::system(), TimeDelta::hours(1)).await;
    let stored = scene.stored();
    let refresh = stored.refresh.as_ref().map(|token| token.expose_secret().to_owned());
    let secrets = [
        scene.application.client_id.clone(),
        scene.application.client_secret.clone(),
        stored.access.expose_secret().to_owned(),
        refresh.expect("a pair"),
        "_0XBPWQQ_".to_owned(),
        "_1XBPWQQ_".to_owned(),
    ];
    for text in shown(&scene).await {
        let told = secrets.iter().find(|secret| text.contains(secret.as_str()));
        assert!(told.is_none(), "{told:?} in {text}");
    }
    let closed = scene.authority();
    scene.simulator.stop().await;
    let client_options = Duration::from_secs(10);
    let unreachable =
        tokio::time::timeout(client_options, closed.refresh(&stored, moment(NOON))).await.expect("at once");
    let text = format!("{:?}", unreachable.expect_err("nobody listens"));
    assert!(secrets.iter().all(|secret| !text.contains(secret)), "{text}");
}
