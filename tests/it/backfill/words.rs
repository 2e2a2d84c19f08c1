//! What a backfill says: of wrong use, and of how much it has read.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use super::today;
use crate::{
    common::truth::ask,
    receiving::{Place, days_ago},
};

/// How wrong use ends, and what is said of it.
async fn misused(place: &Place, arguments: &[&str]) -> String {
    let mut command = place.program("state");
    command.arg("backfill").args(arguments);
    let said = place.ended(&mut command).await;
    assert!(said.out.is_empty() && place.simulator.requests().is_empty(), "{arguments:?}: {}", said.out);
    assert_eq!(said.code, Some(2), "{arguments:?}: {}", said.log);
    said.log
}

#[tokio::test]
async fn wrong_use_is_told_in_words_before_anything_is_asked() {
    let (place, day) = (Place::new().await, |days| (today() + TimeDelta::days(days)).to_string());
    let (before, yesterday, tomorrow, later) = (day(-9), day(-1), day(2), day(3));
    let files = ["--output", "/nowhere"];
    let told = [
        (vec!["--from", &yesterday, "--to", &before], "is after --to"),
        (vec!["--from", &tomorrow], "is in the future"),
        (vec!["--from", &before, "--to", &later], "is in the future; leave it out to include every day"),
        (vec!["--from", "1969-12-31"], "is before any ring"),
        (vec!["--from", "2026-02-30"], "not a day of the calendar; write 2021-01-31"),
        (vec!["--from", "last year"], "not a day of the calendar; write 2021-01-31"),
        (vec!["--from", &before, "--to", "31.01.2026"], "not a day of the calendar; write 2021-01-31"),
        (vec!["--to", &before], "--from"),
        (vec!["--from", &before, "--restart"], "--restart' cannot be used with"),
        (vec!["--from", &before, "--every", "5m"], "--every"),
    ];
    for (arguments, words) in told {
        let said = misused(&place, &[&arguments[..], &files].concat()).await;
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
    for (arguments, words) in [
        (vec!["--from", &before], "--output"),
        (vec!["--from", &before, "--output", "here", "--remote-write", "http://localhost:1/"], "cannot be used with"),
        (vec!["--from", &before, "--remote-write", "localhost"], "--remote-write"),
        (
            vec!["--from", &before, "--remote-write", "http://localhost:1/", "--group", "daemon"],
            "cannot be used with '--group <GROUP>'",
        ),
    ] {
        let said = misused(&place, &arguments).await;
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
}

#[tokio::test]
async fn an_account_that_is_nobodys_is_told_of() {
    let place = Place::new().await;
    let arguments = ["--output", "-", "--account", "nobody"];
    let said = place.ended(&mut place.backfill("state", days_ago(9, 8), &arguments)).await;
    assert!(said.code == Some(1) && said.log.contains("nobody is signed in under that name"), "{}", said.log);
}

/// How many different documents the service gave in answer to what was asked.
async fn documents_given(place: &Place) -> usize {
    let mut different = BTreeSet::new();
    for request in place.simulator.requests() {
        let query = request.query.iter().filter(|(name, _)| name != "next_token");
        let collection = request.path.rsplit('/').next().expect("a collection");
        let window: Vec<_> = query.map(|(name, value)| (name.as_str(), value.clone())).collect();
        for document in ask(&place.simulator, place.person, collection, &window).await {
            different.insert(format!("{collection} {document}"));
        }
    }
    different.len()
}

#[tokio::test]
async fn each_document_is_counted_once_however_often_it_is_read() {
    for collections in ["daily_readiness", "sleep,workout,enhanced_tag,rest_mode_period", "ring_battery_level"] {
        let mut place = Place::new().await;
        place.collections = collections;
        let said = place.ended(&mut place.backfill("state", days_ago(100, 8), &["--output", "-"])).await;
        assert_eq!(said.code, Some(0), "{}", said.log);
        let last = said.log.lines().rfind(|line| line.contains(" documents, ")).expect("a closing line");
        let counted =
            last.split(" documents, ").next().and_then(|count| count.rsplit(' ').next()?.parse::<usize>().ok());
        assert_eq!(counted, Some(documents_given(&place).await), "{collections}: {}", said.log);
    }
}
