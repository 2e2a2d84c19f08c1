//! What a receiver never takes is found and told, and costs nothing else; what fails in passing is waited for.

use std::{collections::BTreeSet, sync::Arc};

use chrono::Utc;
use oura_exporter::simulator::{Fault, Scope};
use tokio::task::JoinSet;

use super::{
    assert_same,
    documents::{Parts, assert_same_points, is_dense},
    tell,
};
use crate::{
    common::samples::Samples,
    receiving::{
        Place, days_ago,
        faults::{Which, rows},
        receiver::{Behaviour, Receiver, Rule, Trouble},
    },
};

/// The number that follows these words; 0 where they are not said.
fn number_after(log: &str, words: &str) -> usize {
    let number = log.split_once(words).map(|(_, rest)| rest.chars().take_while(char::is_ascii_digit).collect());
    number.map_or(0, |digits: String| digits.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_a_receiver_never_takes_is_left_out_and_that_is_told() {
    let mut place = Place::new().await;
    place.collections = "daily_readiness,sleep";
    let (place, days) = (Arc::new(place), days_ago(11, 7));
    let all = Arc::new(place.undisturbed(days, &[]).await);
    let mut runs = JoinSet::new();
    // What is dense stands at the same place in every run.
    for (number, row) in rows(&all, is_dense, "again in ").into_iter().enumerate() {
        let (place, all) = (Arc::clone(&place), Arc::clone(&all));
        runs.spawn(async move {
            let receiver = row.receiver().await;
            let url = receiver.url();
            let arguments = ["--remote-write", &url];
            let said = place.ended(&mut place.backfill(&number.to_string(), days, &arguments)).await;
            let (kept, log) = (receiver.kept(), &said.log);
            kept.assert_proper(row.fault);
            let lost = all.only(|series, time| (row.refuses)(series, time)).len();
            assert_eq!(said.code, Some(i32::from(lost > 0)), "{}: {log}", row.fault);
            assert!(log.contains(row.says) && said.out.is_empty(), "{}: {log}", row.fault);
            let taken = all.only(|series, time| !(row.refuses)(series, time));
            let now = Utc::now();
            let (taken, kept_parts) = (Parts::of(&taken, now), Parts::of(&kept.samples, now));
            assert_same_points(&kept_parts.dense, &taken.dense, row.fault);
            assert_eq!(kept_parts.days, taken.days, "{}", row.fault);
            let (took, refused) = (number_after(log, "the receiver took "), number_after(log, "it refused "));
            // What it had before may count as refused.
            assert!((lost..=lost + row.has.len()).contains(&refused), "{}: {lost} and not {refused}: {log}", row.fault);
            assert_eq!(took + refused, all.len(), "{}: {log}", row.fault);
            tell(&format!("{}: {refused} refused of {}, {} requests", row.fault, all.len(), kept.requests));
        });
    }
    runs.join_all().await;
}

#[tokio::test]
async fn ouras_rate_limit_is_waited_for_and_what_fails_in_passing_is_asked_again() {
    let mut place = Place::new().await;
    place.collections = "daily_readiness,sleep";
    let (days, state) = (days_ago(30, 8), "state");
    let all = place.undisturbed(days, &[]).await;
    let faults = place.simulator.faults();
    let times = |times, fault| Fault::Times(times, Box::new(fault));
    faults.set(Scope::collection("sleep"), times(2, Fault::RateLimited { retry_after_seconds: 1 }));
    faults.set(Scope::collection("daily_readiness"), times(1, Fault::CutJson));
    faults.set(Scope::collection("daily_readiness"), times(1, Fault::Drop));
    let said = place.ended(&mut place.backfill(state, days, &["--output", "-"])).await;
    assert_eq!(said.code, Some(0), "{}", said.log);
    assert!(said.log.contains("has asked for a pause until") && said.log.contains("; waiting"), "{}", said.log);
    assert_same(&Samples::of_text(&said.out), &all, "limited, cut and dropped");
}

#[tokio::test]
async fn a_collection_without_its_scope_is_left_out_and_told_and_the_others_are_whole() {
    let mut place = Place::new().await;
    place.collections = "daily_readiness";
    let days = days_ago(70, 8);
    let readiness = place.ended(&mut place.backfill("state", days, &["--output", "-"])).await;
    place.collections = "daily_readiness,sleep,daily_spo2,daily_sleep";
    for (fault, reason) in [(Fault::ScopeMissing, "scope"), (Fault::Status(403), "")] {
        for collection in ["sleep", "daily_spo2", "daily_sleep"] {
            place.simulator.faults().set(Scope::collection(collection), fault.clone());
        }
        let before = place.simulator.requests().len();
        let said = place.ended(&mut place.backfill("state", days, &["--output", "-"])).await;
        assert_eq!(said.code, Some(1), "{}", said.log);
        assert!(said.log.contains("3 collections were left out"), "{}", said.log);
        for collection in ["sleep", "daily_spo2", "daily_sleep"] {
            let told = said
                .log
                .lines()
                .filter(|line| line.contains("left out: ") && line.contains(&format!("collection {collection},")));
            let told: Vec<_> = told.collect();
            assert!(told.len() == 1 && told[0].contains(reason), "{collection}: {}", said.log);
        }
        let asked = place.simulator.requests().split_off(before);
        let asked: Vec<_> = asked.iter().filter(|request| request.path.ends_with("/sleep")).collect();
        assert!(asked.len() <= 2, "what is left out is not asked for again: {}", asked.len());
        assert_same(&Samples::of_text(&said.out), &Samples::of_text(&readiness.out), "the others");
        place.simulator.faults().clear();
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_receiver_is_told_at_once_and_the_next_run_sends_all() {
    let mut place = Place::new().await;
    let everything: Which = Arc::new(|_, _| true);
    let refusing = |status, words| Rule::Samples(status, words, Arc::clone(&everything));
    // The second has a request of two dozen samples for each day.
    let (dense, small) = (("daily_readiness,sleep", days_ago(9, 7)), ("daily_readiness,daily_sleep", days_ago(85, 7)));
    let rules = [
        (dense, refusing(400, "unsupported path"), "refuses every sample; check the URL"),
        (small, refusing(400, "unsupported path"), "refuses every sample; check the URL"),
        (small, refusing(422, ""), "refuses every sample; check the URL"),
        (dense, Rule::Authorization("Bearer other".to_owned()), "OURA_REMOTE_WRITE_BEARER_TOKEN"),
    ];
    for (number, ((collections, days), rule, words)) in rules.into_iter().enumerate() {
        place.collections = collections;
        let all = place.undisturbed(days, &[]).await;
        let receiver = Receiver::that(Behaviour { rules: vec![rule], ..Behaviour::default() }).await;
        let (state, url) = (number.to_string(), receiver.url());
        let said = place.ended(&mut place.backfill(&state, days, &["--remote-write", &url])).await;
        assert!(said.code == Some(1) && said.log.contains(words), "{}", said.log);
        assert!(receiver.requests() < 200, "{} requests", receiver.requests());
        receiver.set(Behaviour::default());
        let said = place.ended(&mut place.backfill(&state, days, &["--remote-write", &url])).await;
        assert_eq!(said.code, Some(0), "{}", said.log);
        assert_same(&receiver.kept().samples, &all, words);
    }
}

#[tokio::test]
async fn a_run_that_came_to_its_end_begins_anew_and_one_that_was_cut_off_goes_on_unless_told_otherwise() {
    let mut place = Place::new().await;
    place.collections = "daily_readiness,sleep";
    let (receiver, days) = (Receiver::start().await, days_ago(40, 7));
    let all = place.undisturbed(days, &[]).await;
    let url = receiver.url();
    let whole = ["--remote-write", &url];
    for run in 1..=2 {
        let said = place.ended(&mut place.backfill("state", days, &whole)).await;
        assert!(said.code == Some(0) && !said.log.contains("continuing there"), "{}", said.log);
        assert_eq!(receiver.kept().sent.samples, run * all.len(), "all of it each time");
    }
    let half = receiver.requests() / 4;
    for (arguments, goes_on) in [(&whole[..], true), (&["--remote-write", &url, "--restart"], false)] {
        let cut = receiver.requests() + half;
        let away = Behaviour { troubles: vec![(cut..usize::MAX, Trouble::Hang)], ..Behaviour::default() };
        receiver.set(away);
        let mut running = place.backfill("state", days, &whole);
        let mut running = running.stderr(std::process::Stdio::null()).spawn().expect("it starts");
        receiver.came(cut + 1).await;
        running.kill().await.expect("it waits");
        receiver.set(Behaviour::default());
        let before = receiver.kept().sent.samples;
        let said = place.ended(&mut place.backfill("state", days, arguments)).await;
        assert_eq!((said.code, said.log.contains("continuing there")), (Some(0), goes_on), "{}", said.log);
        assert_eq!(receiver.kept().sent.samples - before < all.len(), goes_on);
        assert_same(&receiver.kept().samples, &all, "in the end");
    }
    let requests: BTreeSet<_> = receiver.kept().sent.times.iter().map(|time| time.div_euclid(86_400_000)).collect();
    assert!(requests.len() >= 34, "{} days", requests.len());
}
