//! Days of many accounts within Oura's limit.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use oura_exporter::{config::Accounts, simulator::APPLICATION_LIMIT};

use super::{study::Study, tell};

/// A day on which nobody travels and no clock is changed begins by UTC.
const MIDNIGHT: &str = "2026-08-19T00:00:00Z";
const HOUR: TimeDelta = TimeDelta::hours(1);

/// Lives a day of so many people with so many accounts each and a part of Oura's limit.
async fn a_day_of((people, each): (u8, usize), part: u32, hours: i32, latest: TimeDelta) -> Study {
    let mut study = Study::new(MIDNIGHT, (people, each), APPLICATION_LIMIT / part).await;
    study.office.open(&[("OURA_REQUEST_BUDGET", &(4000 / part).to_string())]);
    let took = study.until_ready(HOUR * 6).await;
    study.expect_nights(study.office.clock.now() + HOUR * hours);
    study.live(HOUR * hours).await;
    study.conclude(&format!("read once in {} min, then", took.num_minutes()), latest);
    study
}

#[tokio::test]
#[ignore = "a minute: cargo test --workspace --test it -- --ignored --nocapture budget::day::a_hundred"]
async fn a_hundred_accounts_live_a_day_within_a_tenth_of_the_limit() {
    a_day_of((50, 2), 10, 24, TimeDelta::minutes(30)).await;
}

#[tokio::test]
#[ignore = "ten minutes: cargo test --workspace --test it -- --ignored --nocapture budget::day::a_thousand"]
async fn a_thousand_accounts_live_a_day_within_the_limit() {
    a_day_of((50, 20), 1, 24, TimeDelta::minutes(30)).await;
}

#[tokio::test]
#[ignore = "some minutes: cargo test --workspace --test it -- --ignored --nocapture budget::day::a_thousand"]
async fn a_thousand_accounts_live_a_day_within_a_tenth_of_the_limit() {
    a_day_of((50, 20), 10, 24, HOUR).await;
}

/// Lives a day of so many people with so many accounts each, of whom Oura tells by itself.
async fn a_day_of_events((people, each): (u8, usize), part: u32, hours: i32, latest: TimeDelta) -> Study {
    let mut study = Study::new(MIDNIGHT, (people, each), APPLICATION_LIMIT / part).await;
    study.open_with_webhooks(&[("OURA_REQUEST_BUDGET", &(4000 / part).to_string())]).await;
    let took = study.until_ready(HOUR * 12).await;
    study.expect_nights(study.office.clock.now() + HOUR * hours);
    study.expect_events(study.office.clock.now() + HOUR * hours);
    study.live(HOUR * hours).await;
    study.conclude(&format!("with webhooks, read once in {} min, then", took.num_minutes()), latest);
    study
}

#[tokio::test]
#[ignore = "a minute: cargo test --workspace --test it -- --ignored --nocapture budget::day::a_hundred"]
async fn a_hundred_accounts_with_webhooks_live_a_day_within_a_fortieth_of_the_limit() {
    // As many requests are there for each as for one of ten thousand.
    a_day_of_events((60, 3), 40, 24, HOUR).await;
}

#[tokio::test]
#[ignore = "twenty minutes: cargo test --workspace --test it -- --ignored --nocapture budget::day::ten_thousand"]
async fn ten_thousand_accounts_with_webhooks_live_a_day_within_the_limit() {
    a_day_of_events((100, 100), 1, 24, HOUR).await;
}

/// Two days without events between a day and half a day with them, of so many people with so many accounts each.
async fn an_outage_of_events((people, each): (u8, usize), part: u32) {
    let mut study = Study::new(MIDNIGHT, (people, each), APPLICATION_LIMIT / part).await;
    study.open_with_webhooks(&[("OURA_REQUEST_BUDGET", &(4000 / part).to_string())]).await;
    study.until_ready(HOUR * 12).await;
    let begin = study.office.clock.now();
    let (outage, end, finish) = (begin + HOUR * 24, begin + HOUR * 72, begin + HOUR * 84);
    study.expect_nights(finish);
    study.expect_events(finish);
    study.lose_events(outage, end);
    let told_again = study.told_of(end, finish);
    study.live(HOUR * 24).await;
    let [silent, flowing] = study.silent().await;
    tell(&format!("before the outage {} accounts are silent, {} are not", silent.len(), flowing.len()));
    without_events(&mut study).await;
    study.live(HOUR * 12).await;
    let [silent, flowing] = study.silent().await;
    tell(&format!("12 h after events are back {} accounts are silent, {} are not", silent.len(), flowing.len()));
    let is_told = |name: &String| told_again.iter().any(|person| name.starts_with(person.as_str()));
    assert!(!flowing.is_empty() && flowing.iter().all(is_told), "whose events are back, and nobody else's");
    assert!(!silent.iter().any(is_told), "{silent:?}");
    study.conclude("an outage of 48 h", HOUR * 2);
}

/// Two days in which nothing is told: in the end everybody is polled as without webhooks, and the page says why.
async fn without_events(study: &mut Study) {
    let asked = |study: &Study| study.asked.get("daily_activity").copied().unwrap_or_default();
    let mut before = asked(study);
    for hours in (6..=48).step_by(6) {
        study.live(HOUR * 6).await;
        let ([silent, _], count) = (study.silent().await, asked(study));
        let often = (count - before) as f64 / 6.0 / study.courses.len() as f64;
        let ratio = study.windows.last().expect("one").ratio;
        tell(&format!(
            "{hours} h after the last event: {} accounts are silent; daily_activity {often:.1} times an hour; ratio \
             {ratio:.2}",
            silent.len()
        ));
        before = count;
        if hours > 36 + 6 {
            assert_eq!(silent.len(), study.courses.len(), "nobody is told of any more");
            assert!(often > 0.85 * 12.0 / ratio.max(1.0), "polls are back: {often} an hour");
        }
    }
}

#[tokio::test]
#[ignore = "some minutes: cargo test --workspace --test it -- --ignored --nocapture two_days_without_events"]
async fn a_hundred_accounts_survive_two_days_without_events() {
    an_outage_of_events((50, 2), 10).await;
}

#[tokio::test]
#[ignore = "half an hour: cargo test --workspace --test it -- --ignored --nocapture two_days_without_events"]
async fn a_thousand_accounts_survive_two_days_without_events() {
    an_outage_of_events((50, 20), 1).await;
}

/// One of three shards, with its part of the budget.
fn shard(study: &Study, index: usize, budget: u32) -> super::Running {
    let own = study.application();
    let (shard, budget) = (format!("{index}/3"), (budget / 3).to_string());
    let variables = own.iter().map(|(name, value)| (*name, value.as_str()));
    let variables: Vec<_> =
        variables.chain([("OURA_SHARD", shard.as_str()), ("OURA_REQUEST_BUDGET", budget.as_str())]).collect();
    study.office.started(study.office.config(&variables, Accounts::MayCome)).0
}

/// A day of three shards, of which each hour one is killed in the midst of requests and started again three minutes later.
async fn a_shard_killed_each_hour((people, each): (u8, usize), part: u32) {
    let mut study = Study::new(MIDNIGHT, (people, each), APPLICATION_LIMIT / part).await;
    study.sign_in(TimeDelta::days(3));
    for index in 0..3 {
        let running = shard(&study, index, 4000 / part);
        study.office.running.push(running);
    }
    study.until_ready(HOUR * 6).await;
    study.expect_nights(study.office.clock.now() + HOUR * 24);
    kill_each_hour(&mut study, 4000 / part).await;
    everybody_is_shown_once(&study).await;
    study.conclude("three shards, one killed each hour", HOUR);
}

/// A day in which each hour a shard is killed while a request of it has no answer yet, and started again.
async fn kill_each_hour(study: &mut Study, budget: u32) {
    for hour in 0..24 {
        study.until_asked_by(format!("{}/3", hour % 3).parse().expect("a shard")).await;
        let killed = study.office.running.remove(0);
        killed.kill().await;
        study.live(TimeDelta::minutes(3)).await;
        let running = shard(study, hour % 3, budget);
        study.office.running.push(running);
        study.office.until_followed().await;
        study.live(TimeDelta::minutes(57)).await;
    }
}

async fn everybody_is_shown_once(study: &Study) {
    let mut shown = BTreeMap::<String, usize>::new();
    for exporter in 0..3 {
        let page = study.office.page(exporter).await;
        for (name, _) in &study.office.accounts {
            if page.get(&format!("oura_up{{account=\"{name}\"}}")) == Some(1.0) {
                *shown.entry(name.clone()).or_default() += 1;
            }
        }
    }
    assert_eq!(shown.len(), study.courses.len(), "nobody is lost");
    assert!(shown.values().all(|times| *times == 1), "everybody is on one page");
}

#[tokio::test]
#[ignore = "two minutes: cargo test --workspace --test it -- --ignored --nocapture budget::day::a_hundred"]
async fn a_hundred_accounts_of_three_shards_live_through_a_kill_each_hour() {
    a_shard_killed_each_hour((33, 3), 10).await;
}

#[tokio::test]
#[ignore = "ten minutes: cargo test --workspace --test it -- --ignored --nocapture budget::day::a_thousand"]
async fn a_thousand_accounts_of_three_shards_live_through_a_kill_each_hour() {
    a_shard_killed_each_hour((37, 27), 1).await;
}
