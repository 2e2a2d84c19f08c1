//! Renewals that do not go as they should: refused, answered with no pair, of no use, or kept out by a lock.

use std::{fs, fs::File, path::PathBuf, sync::Arc, time::Duration};

use crate::common::signed_in::{ANNA, SignedIn};
use crate::common::{Page, Program, eventually, scene::Scene, scene::consent};
use chrono::{TimeDelta, Utc};
use oura_exporter::{
    auth::{NoToken, SignInNeeded, TokenManager},
    clock::{Clock, ManualClock},
    simulator::{Fault, Portal, Scope, TokenFault},
};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::timeout;
use tracing::subscriber::DefaultGuard;

/// Nothing takes longer unless it hangs.
const AT_MOST: Duration = Duration::from_secs(15);

/// Somebody whose token is due in this moment and works for twelve minutes more, and who keeps it.
struct Due {
    scene: SignedIn,
    token_manager: TokenManager,
    hand: ManualClock,
    _guard: DefaultGuard,
    log: PathBuf,
}

impl Due {
    async fn now() -> Self {
        let (clock, hand) = Clock::driven_from(Utc::now());
        let scene = SignedIn::with(clock.clone(), TimeDelta::hours(2)).await;
        hand.advance(TimeDelta::minutes(108));
        let token_manager = TokenManager::new(ANNA, scene.store.clone(), Arc::new(scene.authority()), clock);
        let log = scene.store.directory().with_file_name("log");
        let file = Arc::new(File::create(&log).expect("a file"));
        let subscriber = tracing_subscriber::fmt().with_writer(file).with_ansi(false).finish();
        Self { scene, token_manager, hand, _guard: tracing::subscriber::set_default(subscriber), log }
    }

    fn fail(&self, fault: TokenFault) {
        self.scene.simulator.authorizations().set_fault(fault);
    }

    fn heal(&self) {
        self.scene.simulator.authorizations().clear_faults();
    }

    async fn token(&self) -> Result<SecretString, NoToken> {
        timeout(AT_MOST, self.token_manager.access_token()).await.expect("it does not hang")
    }

    /// Asks every minute; the minutes in which Oura was asked for a new pair.
    async fn asked_in(&self, minutes: i64) -> Vec<i64> {
        let mut asked = vec![];
        for minute in 0..minutes {
            let before = self.scene.exchanges(0).len();
            for _ in 0..18 {
                let _either = self.token().await;
            }
            let new = self.scene.exchanges(0).len() - before;
            asked.extend((0..new).map(|_| minute));
            self.hand.advance(TimeDelta::minutes(1));
        }
        asked
    }

    fn lines(&self, what: &str) -> Vec<String> {
        let log = fs::read_to_string(&self.log).expect("a log");
        log.lines().filter(|line| line.contains(what)).map(str::to_owned).collect()
    }
}

fn refusal(status: u16, error: &'static str, description: &str) -> TokenFault {
    TokenFault::Refusal(status, error, description.to_owned())
}

#[tokio::test]
async fn a_refusal_is_not_the_end_and_the_token_at_hand_works_on() {
    for fault in [
        refusal(400, "invalid_grant", "The refresh token was issued to another client"),
        refusal(401, "invalid_client", "for a moment"),
        TokenFault::Status(400),
        TokenFault::EmptyBody(401),
        TokenFault::Html(400),
    ] {
        let due = Due::now().await;
        due.fail(TokenFault::Times(2, fault.clone().into()));
        let before = due.scene.stored();
        let token = due.token().await.expect("the one at hand");
        assert_eq!(token.expose_secret(), before.access.expose_secret(), "{fault:?}");
        assert!(!due.token_manager.needs_sign_in().await, "{fault:?}");
        assert_eq!(due.asked_in(8).await, [1, 6], "{fault:?}");
        assert!(!due.scene.stored().is_same(&before), "renewed at the third try: {fault:?}");
        assert_eq!((due.lines("WARN").len(), due.lines("login").len()), (1, 0), "{fault:?}");
        let told = due.lines("the sign-in is not renewed yet: Oura refuses");
        assert!(told.len() == 1 && told[0].contains("tried again at"), "{told:?}");
        assert!(told[0].contains("the current token expires at"), "{told:?}");
        assert_eq!(due.lines("the sign-in is renewed").len(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_token_that_ends_at_once_by_its_own_words_is_not_renewed_again_and_again() {
    for life in [1, 20, 240] {
        let due = Due::now().await;
        due.fail(TokenFault::ExpiresIn(life));
        let asked = due.asked_in(61).await;
        assert!((4..=5).contains(&asked.len()), "each quarter of an hour, whatever Oura says: {life} s: {asked:?}");
        assert!(due.scene.exchanges(0).iter().all(|exchange| exchange.spent == 0), "{life} s");
        assert!(due.lines("the sign-in is renewed").len() <= 5, "{life} s");
    }
}

#[tokio::test]
async fn refusals_are_tried_again_later_each_time_and_after_the_tokens_end_and_a_person_is_called_once() {
    for (status, error) in [(401, "invalid_client"), (400, "invalid_request"), (400, "try_later")] {
        let due = Due::now().await;
        due.fail(refusal(status, error, "no"));
        assert_eq!(due.asked_in(150).await, [0, 1, 6, 21, 81, 141], "{error}");
        let ended = due.token().await.expect_err("it has ended");
        assert!(matches!(ended, NoToken::SignIn(SignInNeeded::Refused { again: Some(_), .. })), "{ended}");
        assert!(due.token_manager.needs_sign_in().await);
        assert_eq!((due.lines("WARN").len(), due.lines("login --account anna").len()), (2, 1), "{error}");
        due.heal();
        due.hand.advance(TimeDelta::hours(1));
        assert!(due.token().await.is_ok() && !due.token_manager.needs_sign_in().await, "it heals by itself: {error}");
    }
}

#[tokio::test]
async fn only_a_grant_that_is_invalid_twice_an_hour_apart_is_not_asked_for_again() {
    for description in ["already used or revoked", "issued to another client", ""] {
        let due = Due::now().await;
        due.fail(refusal(400, "invalid_grant", description));
        assert_eq!(due.asked_in(300).await, [0, 1, 6, 21, 81], "{description}");
        let ended = due.token().await.expect_err("it has ended");
        assert!(matches!(ended, NoToken::SignIn(SignInNeeded::Refused { again: None, .. })), "{ended}");
        assert!(!ended.to_string().contains("OURA_CLIENT_ID"), "the application is not to blame: {ended}");
        due.heal();
        due.scene.sign_in(TimeDelta::hours(2));
        assert!(due.token().await.is_ok() && !due.token_manager.needs_sign_in().await, "a new login ends it");
        assert_eq!(due.lines("login --account anna").len(), 1);
    }
}

#[tokio::test]
async fn a_reply_that_is_no_pair_leaves_the_pair_before_in_place() {
    for fault in [
        TokenFault::AccessToken(""),
        TokenFault::AccessToken(" "),
        TokenFault::AccessToken("line\nbreak"),
        TokenFault::ExpiresIn(0),
        TokenFault::ExpiresIn(-1),
        TokenFault::ExpiresIn(i64::MIN),
        TokenFault::Html(200),
    ] {
        let due = Due::now().await;
        due.fail(fault.clone());
        let before = fs::read(due.scene.file()).expect("a file");
        let token = due.token().await.expect("the one at hand");
        assert_eq!(fs::read(due.scene.file()).expect("a file"), before, "{fault:?}");
        assert_eq!(token.expose_secret(), due.scene.stored().access.expose_secret(), "{fault:?}");
        assert_eq!(due.asked_in(3).await, [1, 2], "once a minute at most: {fault:?}");
        assert_eq!(due.lines("WARN").len(), 1, "{fault:?}");
        due.heal();
        due.hand.advance(TimeDelta::minutes(1));
        assert!(due.token().await.is_ok());
        assert_ne!(fs::read(due.scene.file()).expect("a file"), before, "{fault:?}");
    }
}

#[tokio::test]
async fn troubles_that_change_by_the_minute_are_one_line_each() {
    let due = Due::now().await;
    let faults = [TokenFault::Status(500), TokenFault::Status(503), TokenFault::Redirect, TokenFault::ExpiresIn(0)];
    for minute in 0..20 {
        due.fail(faults[minute % faults.len()].clone());
        let _either = due.token().await;
        due.hand.advance(TimeDelta::minutes(1));
    }
    assert_eq!(due.scene.exchanges(0).len(), 20, "a passing trouble is tried again every minute");
    assert_eq!(due.lines("WARN").len(), 2, "unavailable, and no pair");
}

#[tokio::test]
async fn a_lock_that_another_process_holds_keeps_nobody_from_polling_and_is_said_once() {
    let due = Due::now().await;
    let held = due.scene.store.lock(ANNA).expect("it is free");
    let before = due.scene.stored();
    let token = due.token().await.expect("the one at hand");
    assert_eq!(token.expose_secret(), before.access.expose_secret());
    assert!(due.token().await.is_ok(), "and again, without a wait");
    due.hand.advance(TimeDelta::minutes(13));
    let error = due.token().await.expect_err("it has ended");
    assert!(matches!(error, NoToken::State(_)) && error.to_string().contains("/.anna.lock"), "{error}");
    assert!(!due.token_manager.needs_sign_in().await, "no person can mend that by a login");
    assert!(due.scene.exchanges(0).is_empty(), "and Oura is not asked without it");
    drop(held);
    due.hand.advance(TimeDelta::minutes(1));
    assert!(due.token().await.is_ok(), "the lock is free");
    assert_eq!((due.lines("WARN").len(), due.lines("the sign-in is renewed").len()), (1, 1));
    let line = due.lines("WARN").remove(0);
    assert!(line.contains("another process has held it for 5 s") && !line.contains("login"), "{line}");
}

#[tokio::test]
async fn with_the_lock_held_the_exporter_says_so_and_check_and_logout_and_login_end() {
    let scene = SignedIn::with(Clock::system(), TimeDelta::zero()).await;
    let held = scene.store.lock(ANNA).expect("it is free");
    let program = Program::start(&mut scene.program()).await;
    let errors = "oura_api_errors_total{account=\"anna\",collection=\"daily_sleep\",reason=\"state\"}";
    let failed = async || Page::parse(&program.get("/metrics").await?).get(errors).filter(|count| *count >= 2.0);
    eventually("it fails with a reason of its own", failed).await;
    let page = program.get("/metrics").await.expect("a page");
    assert!(page.contains("oura_up{account=\"anna\"} 0") && !page.contains("oura_account_authorized"), "{page}");
    for arguments in [&["check"][..], &["logout", "--account", ANNA], &["login", "--no-browser", "--account", ANNA]] {
        let output = timeout(AT_MOST, scene.program().args(arguments).output()).await.expect("it does not hang");
        let output = output.expect("the program starts");
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains("/.anna.lock: another process has held it"), "{arguments:?}: {said}");
    }
    assert!(scene.exchanges(0).is_empty() && scene.file().exists(), "nothing is spent, nothing is lost");
    let (_, log) = program.terminate().await;
    assert_eq!(log.matches(".anna.lock: another process").count(), 1, "{log}");
    drop(held);
}

/// A scene with anna signed in, an exporter that polls without end, and tokens of a day.
async fn polled() -> (Scene, crate::common::Exporter, ManualClock, DefaultGuard, PathBuf) {
    let (clock, hand) = Clock::driven_from(Utc::now());
    let scene = Scene::at(Portal::New, clock.clone()).await;
    scene.simulator.authorizations().set_token_lifetime(24 * 3600);
    let (code, said) = scene.log_in(ANNA, async |url| consent(url, "alice", "allow").await).await;
    assert_eq!(code, Some(0), "{said}");
    let log = scene.tokens().with_file_name("log");
    let file = Arc::new(File::create(&log).expect("a file"));
    let subscriber = tracing_subscriber::fmt().with_writer(file).with_ansi(false).finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let exporter = scene.exporter(clock).await;
    (scene, exporter, hand, guard, log)
}

#[tokio::test]
async fn an_api_that_refuses_every_token_costs_one_renewal_and_then_one_later_each_time() {
    for fault in [Fault::TokenDead, Fault::Status(401)] {
        let (scene, exporter, hand, _guard, log) = polled().await;
        let renewals = || {
            let exchanges = scene.simulator.authorizations().exchanges();
            exchanges.iter().filter(|exchange| exchange.grant_type == "refresh_token").count()
        };
        scene.simulator.faults().set(Scope::all(), fault.clone());
        let refused = |page: &Page| {
            let errors = |collection| {
                format!("oura_api_errors_total{{account=\"anna\",collection=\"{collection}\",reason=\"token\"}}")
            };
            page.get(&errors("daily_sleep")).unwrap_or(0.0).min(page.get(&errors("heartrate")).unwrap_or(0.0))
        };
        let mut counts = vec![];
        for wait in [0, 5, 10, 14, 16, 59, 1] {
            hand.advance(TimeDelta::minutes(wait));
            let before = refused(&exporter.page().await);
            exporter.page_where("it is refused again and again", |page| refused(page) >= before + 3.0).await;
            counts.push(renewals());
        }
        assert_eq!(counts, [1, 1, 2, 2, 3, 3, 4], "at 0, 15, 45 and 105 minutes: {fault:?}");
        let page = exporter.page().await;
        assert_eq!(page.get("oura_account_authorized{account=\"anna\"}"), Some(0.0), "no token is left that works");
        assert!(page.text.contains("oura_readiness_score{account=\"anna\"}"), "the values stay: {}", page.text);
        let log = fs::read_to_string(log).expect("a log");
        assert_eq!(log.matches("refuses the token, although it was renewed").count(), 1, "{log}");
        assert_eq!(log.matches("login --account anna").count(), 1, "{log}");
    }
}

#[tokio::test]
async fn an_api_that_refuses_now_and_then_costs_no_renewal_each_time() {
    let due = Due::now().await;
    let mut asked = vec![];
    for minute in 0..60 {
        let before = due.scene.exchanges(0).len();
        let token = due.token().await.expect("one that works");
        due.token_manager.accepted();
        let _either = due.token_manager.replace(&token).await;
        due.token_manager.accepted();
        if due.scene.exchanges(0).len() > before {
            asked.push(minute);
        }
        due.hand.advance(TimeDelta::minutes(1));
    }
    assert_eq!(asked, [0, 15, 30, 45], "every quarter of an hour at most");
    assert!(due.scene.exchanges(0).iter().all(|exchange| exchange.spent == 0 && exchange.status == 200));
    assert!(due.token().await.is_ok());
    assert_eq!(due.lines("WARN").len(), 0, "and no line each time: the API accepts each token");
}
