//! A day of a thousand accounts within Oura's limit.

use std::{collections::BTreeMap, time::Instant};

use chrono::TimeDelta;
use oura_exporter::simulator::{APPLICATION_LIMIT, Settings};

use super::{Office, WINDOW, most_within, tell};
use crate::common::day_seconds;

/// The day, on which nobody travels, and its first moment by UTC.
const DAY: &str = "2026-08-19";
const MIDNIGHT: &str = "2026-08-19T00:00:00Z";
/// How far the clock is moved at a time.
const STEP: TimeDelta = TimeDelta::seconds(2);

/// What a day came to.
#[derive(Default)]
struct Lived {
    requests: usize,
    refused: usize,
    /// The most requests in any five minutes.
    busiest: usize,
    /// How many requests each account's token made.
    of_accounts: BTreeMap<String, usize>,
    /// The minute at which each account's night of the day was on the page.
    nights: BTreeMap<String, i64>,
    /// The budget ratio, every five minutes.
    ratios: Vec<f64>,
}

impl Lived {
    /// Takes in what went by since the last time.
    async fn look(&mut self, office: &Office, minute: i64) {
        let recorded = office.simulator.requests();
        office.simulator.forget_requests();
        self.requests += recorded.len();
        self.refused += recorded.iter().filter(|request| request.status == 429).count();
        self.busiest = self.busiest.max(most_within(&recorded, WINDOW));
        for request in recorded {
            *self.of_accounts.entry(request.token.expect("a token")).or_default() += 1;
        }
        let page = office.page(0).await;
        self.ratios.push(page.get("oura_api_budget_ratio").expect("a ratio"));
        for (name, _) in &office.accounts {
            let series = format!("oura_document_day_timestamp_seconds{{account=\"{name}\",collection=\"sleep\"}}");
            if page.get(&series) == day_seconds(DAY) {
                self.nights.entry(name.clone()).or_insert(minute);
            }
        }
    }

    /// The fewest and the most requests of an account.
    fn of_one(&self) -> (usize, usize) {
        let counts = || self.of_accounts.values().copied();
        (counts().min().expect("one"), counts().max().expect("one"))
    }

    fn tell(&self, accounts: usize, limit: u32) {
        let (fewest, most) = self.of_one();
        let ratio = self.ratios.iter().copied().fold(0.0, f64::max);
        tell(&format!(
            "{accounts} accounts, 24 h, limit {limit}: {} requests, {} refused, at most {} in five minutes; an account and \
             day {fewest} to {most}; nights {} of {accounts}; ratio {:.2} at the end, at most {ratio:.2}",
            self.requests,
            self.refused,
            self.busiest,
            self.nights.len(),
            self.ratios.last().expect("one"),
        ));
        for person in ["alice", "bob"] {
            let of_person = self.nights.iter().filter(|(name, _)| name.starts_with(person));
            let mut minutes: Vec<_> = of_person.map(|(_, minute)| *minute).collect();
            minutes.sort_unstable();
            let [first, half, last] = [0, 50, 100].map(|share| minutes[(minutes.len() - 1) * share / 100]);
            tell(&format!("{person}'s nights are on the page from minute {first} on, half by {half}, all by {last}"));
        }
    }
}

/// Lives a day with so many accounts and a part of Oura's limit.
async fn a_day_of(accounts: usize, part: u32) {
    let limit = APPLICATION_LIMIT / part;
    let settings = Settings { application_limit: Some(limit), ..Settings::default() };
    let mut office =
        Office::new(MIDNIGHT, &[("alice", accounts / 2), ("bob", accounts - accounts / 2)], settings).await;
    office.open(&[("OURA_REQUEST_BUDGET", &(4000 / part).to_string())]);
    let (begun, begin, mut lived) = (Instant::now(), office.clock.now(), Lived::default());
    while office.clock.now() < begin + TimeDelta::hours(24) {
        office.live(WINDOW, STEP).await;
        lived.look(&office, (office.clock.now() - begin).num_minutes()).await;
    }
    lived.tell(accounts, limit);
    tell(&format!("it took {:.0} s", begun.elapsed().as_secs_f64()));
    assert_eq!(lived.refused, 0, "429");
    assert_eq!(lived.nights.len(), accounts, "no night is lost");
    let (fewest, most) = lived.of_one();
    assert_eq!(lived.of_accounts.len(), accounts);
    assert!(most <= 2 * fewest, "{fewest} to {most} requests");
}

#[tokio::test]
#[ignore = "takes minutes: a hundred accounts with a tenth of Oura's limit for a day; cargo test --test it -- --ignored budget::day::a_hundred"]
async fn a_hundred_accounts_live_a_day_within_a_tenth_of_the_limit() {
    a_day_of(100, 10).await;
}

#[tokio::test]
#[ignore = "takes half an hour: a thousand with a tenth of it; cargo test --test it -- --ignored budget::day::a_thousand_accounts_live_a_day_within_a_tenth"]
async fn a_thousand_accounts_live_a_day_within_a_tenth_of_the_limit() {
    a_day_of(1000, 10).await;
}

#[tokio::test]
#[ignore = "takes hours: cargo test --test it -- --ignored budget::day::a_thousand_accounts_live_a_day_within_the"]
async fn a_thousand_accounts_live_a_day_within_the_limit() {
    a_day_of(1000, 1).await;
}
