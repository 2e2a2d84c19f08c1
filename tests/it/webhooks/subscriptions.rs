//! The subscriptions: made, verified, renewed, mended and taken down, and those of others left alone.

use std::{collections::BTreeSet, fs, time::Duration};

use chrono::TimeDelta;
use oura_exporter::{
    clock::{Clock, ManualClock},
    simulator::Subscription,
};
use tokio::{process::Command, time::sleep};

use super::scene::{ALL, Scene, events, subscriptions};
use crate::{
    budget::most_within,
    common::{Exporter, NOON, Program, eventually, moment},
};

const OTHERS: &str = "https://other.example/hook?key=secret";

/// Waits until so many stand, and gives what Oura has.
async fn standing(scene: &Scene, exporter: &Exporter, count: usize) -> Vec<Subscription> {
    let is_so = |page: &crate::common::Page| subscriptions(page, "active") == Some(count as f64);
    exporter.page_where(&format!("{count} stand"), is_so).await;
    scene.simulator.webhooks().subscriptions()
}

fn ids(subscriptions: &[Subscription]) -> BTreeSet<&str> {
    subscriptions.iter().map(|one| one.id.as_str()).collect()
}

#[tokio::test]
async fn they_are_made_once_renewed_in_time_and_mended_when_address_or_token_change() {
    let mut scene = Scene::at(NOON).await;
    let exporter = scene.plan().ready(&scene.simulator).await;
    let first = standing(&scene, &exporter, ALL).await;
    let pairs: BTreeSet<_> = first.iter().map(|one| (&one.data_type, &one.event_type)).collect();
    assert_eq!((first.len(), pairs.len()), (ALL, ALL));
    assert!(first.iter().all(|one| one.callback_url == scene.url));
    assert_eq!(events(&exporter.page().await, "verified"), ALL as f64, "each was verified while it was made");
    let end = first[0].expiration_time.timestamp() as f64;
    assert_eq!(exporter.page().await.get("oura_webhook_subscription_expiry_timestamp_seconds"), Some(end));
    exporter.stop().await;

    // Whether it is a week to the end or two, whose they are is known; each of these starts finds things as they say.
    let again = async |scene: &Scene, verified: f64| {
        let exporter = scene.plan().start(&scene.simulator).await;
        let found = standing(scene, &exporter, ALL).await;
        assert_eq!(events(&exporter.page().await, "verified"), verified);
        exporter.stop().await;
        assert_eq!(ids(&found), ids(&first));
        found
    };
    for (days, renewed) in [(8, false), (6, true)] {
        scene.simulator.webhooks().end_after(TimeDelta::days(days));
        let left = |one: &Subscription| one.expiration_time - scene.clock.now();
        let found = again(&scene, 0.0).await;
        assert_eq!(found.iter().all(|one| left(one) > TimeDelta::days(80)), renewed, "{days} days before the end");
    }
    scene.url = scene.url.replace("/webhook", "/elsewhere");
    assert!(again(&scene, ALL as f64).await.iter().all(|one| one.callback_url == scene.url), "the address is new");
    fs::remove_file(scene.state().join("webhook-token")).expect("there is a token");
    again(&scene, ALL as f64).await;
    again(&scene, 0.0).await;
    scene.simulator.webhooks().lose(|one| one.event_type == "delete");
    let exporter = scene.plan().start(&scene.simulator).await;
    assert_eq!(standing(&scene, &exporter, ALL).await.len(), ALL, "what Oura lost is made again");
    assert_eq!(events(&exporter.page().await, "verified"), 15.0);
    exporter.stop().await;
}

#[tokio::test]
async fn what_they_ask_of_oura_is_a_part_of_the_budget() {
    // A budget that is smaller than all that is to be made, too, and one whose callback Oura cannot verify.
    for (budget, is_reached) in [(70, true), (30, true), (40, false)] {
        let (clock, hand) = Clock::driven_from(moment(NOON));
        let scene = Scene::by(clock).await;
        let mut plan = scene.plan();
        if !is_reached {
            plan = plan.set("OURA_WEBHOOK_URL", &scene.url.replace(&scene.listen, "127.0.0.1:9"));
            plan.variables.retain(|(name, value)| *name != "OURA_WEBHOOK_URL" || value.contains(":9/"));
        }
        plan.variables.push(("OURA_REQUEST_BUDGET", budget.to_string()));
        plan.variables.push(("OURA_POLL_INTERVAL", "2m".to_owned()));
        let exporter = plan.start(&scene.simulator).await;
        let begin = scene.clock.now();
        let is_made = || !is_reached || scene.simulator.webhooks().subscriptions().len() == ALL;
        while scene.clock.now() < begin + TimeDelta::minutes(10) || !is_made() {
            assert!(scene.clock.now() < begin + TimeDelta::hours(1), "{budget}: not all are made in an hour");
            hand.advance(TimeDelta::seconds(2));
            // Whatever may be asked at this moment.
            sleep(Duration::from_millis(2)).await;
        }
        if is_reached {
            standing(&scene, &exporter, ALL).await;
        }
        exporter.stop().await;
        let (requests, of_subscriptions) = (scene.simulator.requests(), so_far(&scene));
        // A look, and each is made; or three looks, with a few that are tried at each.
        let expected = if is_reached { ALL + 1..=ALL + 1 } else { 1 + 4..=3 * (1 + 4) };
        assert!(expected.contains(&of_subscriptions), "{budget}: {of_subscriptions}");
        let most = most_within(&requests, TimeDelta::minutes(5));
        assert!(most <= budget, "{most} requests in five minutes, of {}", requests.len());
    }
}

/// How many requests for subscriptions there were since they were last forgotten.
fn so_far(scene: &Scene) -> usize {
    scene.simulator.requests().iter().filter(|request| request.path.starts_with("/v2/webhook")).count()
}

/// The same, which are forgotten then.
fn asked(scene: &Scene) -> usize {
    let asked = so_far(scene);
    scene.simulator.forget_requests();
    asked
}

/// Lets a minute pass after the other, each with whatever may be asked at its end.
async fn minutes(hand: &ManualClock, count: u32) {
    for _ in 0..count {
        hand.advance(TimeDelta::minutes(1));
        sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn one_that_oura_refuses_keeps_no_other_from_being_made_and_is_tried_again_once_and_then_rarely() {
    // The first of the plan, the last, and one in the middle.
    for (data_type, status) in [("daily_activity", 422), ("workout", 400), ("daily_stress", 403), ("sleep", 500)] {
        let (clock, hand) = Clock::driven_from(moment(NOON));
        let scene = Scene::by(clock).await;
        scene.simulator.webhooks().refuse(data_type, status);
        let exporter = scene.plan().ready(&scene.simulator).await;
        let found = standing(&scene, &exporter, ALL - 3).await;
        assert!(found.iter().all(|one| one.data_type != data_type), "{data_type}");
        assert_eq!(subscriptions(&exporter.page().await, "missing"), Some(3.0), "{data_type}");
        assert_eq!(asked(&scene), 1 + ALL, "{data_type}: a look, and each is tried once");
        eventually("they are tried again", async || {
            hand.advance(TimeDelta::seconds(6));
            (so_far(&scene) > 3).then_some(())
        })
        .await;
        assert_eq!(asked(&scene), 1 + 3, "{data_type}: it may have been in passing");
        minutes(&hand, 45).await;
        let looks = asked(&scene);
        assert!((1..=3).contains(&looks), "{data_type}: it is looked, and nothing is tried again: {looks}");
        scene.simulator.webhooks().refuse_none();
        eventually("all stand", async || {
            hand.advance(TimeDelta::minutes(1));
            (scene.simulator.webhooks().subscriptions().len() == ALL).then_some(())
        })
        .await;
        standing(&scene, &exporter, ALL).await;
        assert_eq!(subscriptions(&exporter.page().await, "missing"), Some(0.0), "{data_type}");
        exporter.stop().await;
    }
}

#[tokio::test]
async fn what_oura_refuses_is_named_in_the_log() {
    let scene = Scene::at(NOON).await;
    scene.simulator.webhooks().refuse("daily_activity", 422);
    let wearer = scene.simulator.people().remove(0);
    let mut command = program(&scene, &[]);
    command.env("OURA_ACCESS_TOKEN", wearer.token).env("OURA_COLLECTIONS", "daily_activity,sleep");
    let program = Program::start(&mut command).await;
    program.said("3 webhooks are subscribed; others are not").await;
    let (_, log) = program.terminate().await;
    for words in
        ["cannot make the subscription to create of daily_activity at", "status 422", "nor 2 more, of daily_activity"]
    {
        assert!(log.contains(words), "{words}: {log}");
    }
}

#[tokio::test]
async fn one_that_oura_does_not_renew_or_change_is_tried_again_and_no_other_waits_for_it() {
    for (days, status, active) in [(6, 422, ALL), (6, 502, ALL), (8, 422, ALL - 3)] {
        let (clock, hand) = Clock::driven_from(moment(NOON));
        let mut scene = Scene::by(clock).await;
        scene.subscribed().await.stop().await;
        scene.simulator.webhooks().end_after(TimeDelta::days(days));
        if days == 8 {
            scene.url = scene.url.replace("/webhook", "/elsewhere");
        }
        scene.simulator.webhooks().refuse("sleep", status);
        let exporter = scene.plan().ready(&scene.simulator).await;
        let left = |one: &Subscription| one.expiration_time - scene.clock.now();
        let is_well =
            |one: &Subscription| one.callback_url == scene.url && (days == 8 || left(one) > TimeDelta::days(80));
        let well = |count: usize| {
            let found = scene.simulator.webhooks().subscriptions();
            (found.iter().filter(|one| is_well(one)).count() == count).then_some(())
        };
        eventually("all others are well", async || well(ALL - 3)).await;
        standing(&scene, &exporter, active).await;
        assert_eq!(subscriptions(&exporter.page().await, "missing"), Some((ALL - active) as f64), "{days} {status}");
        scene.simulator.webhooks().refuse_none();
        eventually("they are well, too", async || {
            hand.advance(TimeDelta::seconds(6));
            well(ALL)
        })
        .await;
        exporter.stop().await;
    }
}

#[tokio::test]
async fn whoever_deletes_or_changes_one_at_oura_is_noticed_within_a_quarter_of_an_hour_however_the_clock_is_set() {
    let (clock, hand) = Clock::driven_from(moment(NOON));
    let scene = Scene::by(clock).await;
    let exporter = scene.plan().ready(&scene.simulator).await;
    standing(&scene, &exporter, ALL).await;
    let webhooks = scene.simulator.webhooks();
    for (hours_back, data_type) in [(0, "sleep"), (24, "daily_activity"), (1, "workout")] {
        hand.set_back(TimeDelta::hours(hours_back));
        webhooks.lose(|one| one.data_type == data_type);
        asked(&scene);
        hand.advance(TimeDelta::minutes(16));
        eventually("they are made again", async || {
            // However late the wait begins.
            hand.advance(TimeDelta::seconds(6));
            (webhooks.subscriptions().len() == ALL).then_some(())
        })
        .await;
        assert_eq!(asked(&scene), 1 + 3, "a look, and those are made");
    }
    webhooks.lose(|one| one.data_type == "sleep" && one.event_type == "update");
    webhooks.plant(OTHERS, "update", "sleep");
    hand.advance(TimeDelta::minutes(16));
    eventually("it is another's", async || {
        hand.advance(TimeDelta::seconds(6));
        (subscriptions(&exporter.page().await, "foreign") == Some(1.0)).then_some(())
    })
    .await;
    exporter.stop().await;
}

#[tokio::test]
async fn a_pause_that_oura_asks_for_while_they_are_made_is_kept_and_the_rest_follows() {
    let (clock, hand) = Clock::driven_from(moment(NOON));
    let scene = Scene::by(clock).await;
    scene.simulator.webhooks().refuse("daily_stress", 429);
    let exporter = scene.plan().ready(&scene.simulator).await;
    let made = eventually("some are made", async || {
        let page = exporter.page().await;
        subscriptions(&page, "active").filter(|active| *active > 0.0)
    })
    .await;
    assert!(made < ALL as f64, "{made}");
    asked(&scene);
    for _ in 0..9 {
        hand.advance(TimeDelta::seconds(6));
        // Whatever may be asked at this moment.
        sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(asked(&scene), 0, "the pause is a minute");
    scene.simulator.webhooks().refuse_none();
    eventually("all stand", async || {
        hand.advance(TimeDelta::seconds(6));
        (scene.simulator.webhooks().subscriptions().len() == ALL).then_some(())
    })
    .await;
    exporter.stop().await;
}

fn program(scene: &Scene, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oura-exporter"));
    command.args(arguments).env_clear().envs(scene.variables()).env("OURA_API_URL", scene.simulator.url());
    command
}

/// What a command says on both channels, and whether it ended well.
async fn said(mut command: Command) -> (bool, String) {
    let output = command.output().await.expect("it runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).expect("UTF-8"))
}

#[tokio::test]
async fn anothers_are_left_alone_and_named_and_ours_are_listed_and_taken_down() {
    let scene = Scene::at(NOON).await;
    let theirs = ["update", "delete"].map(|event| scene.simulator.webhooks().plant(OTHERS, event, "sleep"));
    let exporter = scene.plan().ready(&scene.simulator).await;
    let found = standing(&scene, &exporter, ALL - 2).await;
    assert_eq!(subscriptions(&exporter.page().await, "foreign"), Some(2.0));
    assert!(theirs.iter().all(|one| found.contains(one)), "as they were");
    let (is_well, text) = said(program(&scene, &["webhooks", "list"])).await;
    assert!(is_well, "{text}");
    let lines = |word: &str| text.lines().filter(|line| line.contains(word)).count();
    assert_eq!((lines(" ours "), lines(" foreign ")), (ALL - 2, 2), "{text}");
    assert!(text.contains("https://other.example/hook") && !text.contains("secret"), "{text}");
    exporter.stop().await;
    let (is_well, text) = said(program(&scene, &["webhooks", "remove"])).await;
    assert!(is_well && text.contains("Removed 43 subscriptions.") && text.contains("2 belong to another"), "{text}");
    assert_eq!(scene.simulator.webhooks().subscriptions(), theirs);
    let (is_well, text) = said(program(&scene, &["webhooks", "remove"])).await;
    assert!(is_well && text.contains("Removed 0 subscriptions."), "{text}");
}

#[tokio::test]
async fn an_application_that_is_refused_or_a_callback_that_is_not_reached_leave_everything_else_as_it_is() {
    let scene = Scene::at(NOON).await;
    let unreachable = scene.url.replace(&scene.listen, "127.0.0.1:9");
    for (name, value) in
        [("OURA_CLIENT_SECRET", "guess"), ("OURA_CLIENT_ID", "guess"), ("OURA_WEBHOOK_URL", &unreachable)]
    {
        let mut plan = scene.plan().set(name, value);
        plan.variables.retain(|(known, given)| *known != name || given == value);
        let exporter = plan.ready(&scene.simulator).await;
        let page = exporter.page().await;
        assert_eq!(page.get("oura_up"), Some(1.0), "{name}");
        assert_eq!(scene.simulator.webhooks().subscriptions(), [], "{name}");
        let count = |state| subscriptions(&page, state);
        assert_eq!((count("active"), count("missing")), (Some(0.0), Some(ALL as f64)), "{name}");
        exporter.stop().await;
    }
}

#[tokio::test]
async fn what_oura_refuses_is_named_with_what_it_was_asked_for() {
    let scene = Scene::at(NOON).await;
    let listed = "cannot list the subscriptions at http://127.0.0.1:";
    for (name, value, words) in [
        (
            "OURA_API_URL",
            format!("{}/elsewhere", scene.simulator.url()),
            ["Oura answers with status 404", "OURA_API_URL"],
        ),
        ("OURA_CLIENT_SECRET", "guess".to_owned(), ["OURA_CLIENT_SECRET", "status 401"]),
        ("OURA_API_URL", "http://127.0.0.1:9".to_owned(), ["cannot be reached", listed]),
    ] {
        for arguments in [&["webhooks", "list"][..], &["webhooks", "remove"]] {
            let mut command = program(&scene, arguments);
            command.env(name, &value);
            let (is_well, text) = said(command).await;
            assert!(!is_well && text.contains(listed) && !text.contains("callback"), "{name} {arguments:?}: {text}");
            assert!(words.iter().all(|word| text.contains(word)), "{name} {arguments:?}: {text}");
        }
    }
}

#[tokio::test]
async fn check_says_whether_the_address_leads_to_the_exporter() {
    let scene = Scene::at(NOON).await;
    let token = scene.simulator.people().remove(0).token;
    let check = |url: &str| {
        let mut command = program(&scene, &["check"]);
        command.env("OURA_ACCESS_TOKEN", &token).env("OURA_COLLECTIONS", "daily_sleep").env("OURA_WEBHOOK_URL", url);
        said(command)
    };
    let (is_well, text) = check(&scene.url).await;
    assert!(!is_well && text.contains("there is no verification token"), "{text}");
    let exporter = scene.subscribed().await;
    let (is_well, text) = check(&scene.url).await;
    assert!(is_well && text.contains(&format!("Webhooks: {} leads to this exporter.", scene.url)), "{text}");
    assert!(text.contains("Active subscriptions: 3."), "those of sleep: {text}");
    scene.simulator.webhooks().lose(|one| one.data_type == "daily_sleep" && one.event_type != "update");
    scene.simulator.webhooks().plant(OTHERS, "create", "daily_sleep");
    let (is_well, text) = check(&scene.url).await;
    for words in ["missing: 1; active: 1; of another program", "application: 1, whose", "its log says why it cannot"] {
        assert!(!is_well && text.contains(words) && !text.contains("secret"), "{words}: {text}");
    }
    scene.simulator.webhooks().plant(OTHERS, "delete", "daily_sleep");
    let (is_well, text) = check(&scene.url).await;
    assert!(is_well && text.contains("Active subscriptions: 1; of another program"), "{text}");
    assert!(text.contains("with the same application: 2, whose"), "{text}");
    for (url, words) in [
        (scene.url.replace("/webhook", "/web"), "answers with status 404"),
        (format!("{}/", exporter.url), "leads to something else than this exporter"),
        (format!("{}/v2/usercollection/sleep", scene.simulator.url()), "answers with status 400"),
    ] {
        let (is_well, text) = check(&url).await;
        assert!(!is_well && text.contains(words), "{url}: {text}");
    }
    exporter.stop().await;
    let (is_well, text) = check(&scene.url).await;
    assert!(!is_well && text.contains("does not answer"), "{text}");
    assert!(!text.contains(fs::read_to_string(scene.state().join("webhook-token")).expect("a token").trim()), "{text}");
}
