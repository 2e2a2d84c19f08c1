//! A budget that does not suffice: intervals are longer, evenly, mornings come first, and the ratio says by how much.

use chrono::{DateTime, TimeDelta, Utc};
use oura_exporter::simulator::Settings;

use super::{Office, tell};
use crate::common::{NOON, moment};

/// An hour at which it is early morning in New York, where bob still sleeps, and after noon in Helsinki.
const BOB_SLEEPS: &str = "2026-11-18T09:05:00Z";
/// Before he has a night of this day.
const BOB_WAKES: &str = "2026-11-18T11:20:00Z";
const RATIO: &str = "oura_api_budget_ratio";

/// The minutes between moments from `since` on.
fn intervals(asked: &[DateTime<Utc>], since: DateTime<Utc>) -> Vec<i64> {
    let asked: Vec<_> = asked.iter().filter(|at| **at >= since).collect();
    asked.windows(2).map(|pair| (*pair[1] - *pair[0]).num_minutes()).collect()
}

#[tokio::test]
async fn where_it_does_not_suffice_each_account_is_asked_at_even_intervals_and_mornings_first() {
    let mut office = Office::new(BOB_SLEEPS, &[("alice", 18), ("bob", 2)], Settings::default()).await;
    // 80 requests in five minutes are needed, and 10 are given.
    let variables =
        [("OURA_REQUEST_BUDGET", "20"), ("OURA_COLLECTIONS", "daily_sleep,daily_readiness,sleep,daily_activity")];
    office.open(&variables);
    let step = TimeDelta::seconds(30);
    office.until_ready(step, TimeDelta::minutes(60)).await;
    let ready = office.clock.now();
    office.live(TimeDelta::minutes(60), step).await;
    let page = office.page(0).await;
    let ratio = page.get(RATIO).expect("a ratio");
    assert!((7.5..9.5).contains(&ratio), "{ratio}");
    let since = office.clock.now();
    office.live(TimeDelta::minutes(300), TimeDelta::minutes(1)).await;
    let mut usual = vec![];
    for (account, _) in office.accounts.iter().filter(|(name, _)| name.starts_with("alice")) {
        for collection in ["daily_sleep", "daily_activity"] {
            let intervals = intervals(&office.asked(account, collection), since);
            assert!(intervals.len() >= 2, "{account} is asked: {intervals:?}");
            usual.extend(intervals);
        }
    }
    let (shortest, longest) = (usual.iter().min().expect("one"), usual.iter().max().expect("one"));
    assert!(*longest <= 2 * *shortest, "{shortest} to {longest} minutes");
    for account in ["bob0000", "bob0001"] {
        let asked = office.asked(account, "sleep");
        let asleep: Vec<_> = asked.into_iter().filter(|at| *at < moment(BOB_WAKES)).collect();
        let nights = intervals(&asleep, ready);
        tell(&format!(
            "ratio {ratio:.2}: alice's every {shortest} to {longest} min, {account}'s night after {nights:?}"
        ));
        assert!(nights.len() >= 10, "{nights:?}");
        assert!(nights.iter().all(|minutes| *minutes <= 10), "whose night is not there yet comes first: {nights:?}");
    }
    let page = office.page(0).await;
    let up =
        office.accounts.iter().filter(|(name, _)| page.get(&format!("oura_up{{account=\"{name}\"}}")) == Some(1.0));
    assert_eq!(up.count(), 20, "longer intervals are no failure");
    assert!(office.simulator.requests().iter().all(|request| request.status == 200));
}

#[tokio::test]
async fn the_ratio_is_what_the_accounts_ask_over_what_is_given() {
    for (people, budget, given) in [(&[("alice", 1)][..], "4000", 3900.0), (&[("alice", 1), ("bob", 1)], "300", 270.0)]
    {
        let mut office = Office::new(NOON, people, Settings::default()).await;
        office.open(&[("OURA_REQUEST_BUDGET", budget)]);
        office.until_ready(TimeDelta::seconds(2), TimeDelta::minutes(10)).await;
        office.live(TimeDelta::minutes(30), TimeDelta::seconds(30)).await;
        office.simulator.forget_requests();
        office.live(TimeDelta::hours(2), TimeDelta::seconds(30)).await;
        let ratio = office.page(0).await.get(RATIO).expect("a ratio");
        let asked = office.simulator.requests().len() as f64 / 24.0;
        tell(&format!(
            "{asked:.1} requests in five minutes of {given}: {:.4}, and the ratio says {ratio:.4}",
            asked / given
        ));
        assert!((ratio / (asked / given) - 1.0).abs() < 0.1, "{ratio} for {asked} of {given}");
    }
}
