//! What was made before is what would be made now.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::{Bench, set_by_hand};
use crate::{Scope, Settings};

const EVENING: &str = "2026-08-18T21:10:00Z";

/// All that is answered to `path`, page by page.
async fn all(bench: &Bench, person: &str, path: &str) -> Vec<Value> {
    let (mut all, mut next) = (vec![], String::new());
    loop {
        let (status, page) = bench.get(person, &format!("{path}{next}")).await;
        assert_eq!(status, 200, "{path}: {page}");
        all.extend(page["data"].as_array().unwrap().clone());
        let Some(token) = page["next_token"].as_str() else { return all };
        next = format!("&next_token={token}");
    }
}

#[tokio::test]
async fn who_asks_again_gets_what_is_true_then() {
    let (clock, hand) = set_by_hand(EVENING);
    let settings = || Settings { clock: clock.clone(), full_days: Some(0), ..Settings::default() };
    let (kept, fresh) = (Bench::of(settings()).await, Bench::of(settings()).await);
    // Where anything is edited, nothing is kept.
    fresh.simulator.faults().edit(Scope::all(), |_| {});
    let begin: DateTime<Utc> = EVENING.parse().unwrap();
    for quarters in 0..56 {
        let now = begin + TimeDelta::minutes(30) * quarters;
        *hand.lock().unwrap() = now;
        let window = |days| {
            let text = |time: DateTime<Utc>| time.format("%Y-%m-%dT%H:%M:%SZ").to_string();
            format!(
                "start_datetime={}&end_datetime={}",
                text(begin - TimeDelta::days(days)),
                text(now + TimeDelta::days(1))
            )
        };
        for path in [
            "daily_activity?start_date=2026-08-12&end_date=2026-08-22".to_owned(),
            "sleep?start_date=2026-08-16&end_date=2026-08-22&fields=bedtime_end,type".to_owned(),
            "daily_readiness".to_owned(),
            "heartrate?latest=true".to_owned(),
            "ring_battery_level?latest=true".to_owned(),
            format!("heartrate?{}", window(1)),
            format!("ring_battery_level?{}", window(2)),
        ] {
            let truth = all(&fresh, "bob", &path).await;
            assert_eq!(all(&kept, "bob", &path).await, truth, "{path} at {now}");
        }
    }
}
