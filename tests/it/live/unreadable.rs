//! Documents that this build cannot read, among two weeks of others: each is counted, and told once.

use std::{
    io,
    sync::{Arc, Mutex},
};

use chrono::TimeDelta;
use oura_exporter::{clock::Clock, simulator::Scope};
use serde_json::{Value, json};

use super::by_hand::{ByHand, variables};
use crate::common::{NOON, Page, moment, simulator_with};

/// What is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// How often something was said.
    fn count(&self, words: &str) -> usize {
        String::from_utf8(self.0.lock().expect("no panic").clone()).expect("UTF-8").matches(words).count()
    }
}

const TOLD: &str = "documents cannot be read, the others are shown";

/// Types that are none, or not known yet, of nights so long ago that only looking back finds them.
#[tokio::test]
async fn a_period_of_sleep_without_a_known_type_is_counted_each_time_and_told_once() {
    for kind in [Value::Null, json!("dream_like"), json!(7)] {
        let log = Log::default();
        let writer = log.clone();
        let logging = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        let _logging = tracing::subscriber::set_default(logging);
        let (clock, hand) = Clock::driven_from(moment(NOON));
        let simulator = simulator_with(clock.clone()).await;
        let spoilt = kind.clone();
        simulator.faults().edit(Scope::collection("sleep"), move |periods| {
            let old =
                periods.iter_mut().filter(|period| period["day"] == "2026-11-12" && period["type"] == "long_sleep");
            old.for_each(|period| period["type"] = spoilt.clone());
        });
        let all = [variables(&simulator, "alice"), vec![("OURA_COLLECTIONS", "daily_activity,sleep".to_owned())]];
        let mut exporter = ByHand::start(all.concat(), "127.0.0.1:1", clock.clone());
        for minutes in (0..4 * 60).step_by(10) {
            exporter.look().await;
            let page = Page::parse(&exporter.get("/metrics").await);
            assert_eq!(page.errors("sleep", "document"), f64::from(minutes / 60 + 1), "{kind}: once an hour");
            assert_eq!((page.is_up("sleep"), log.count(TOLD)), (Some(1.0), 1), "{kind} after {minutes} minutes");
            hand.advance(TimeDelta::minutes(10));
        }
        assert_eq!(log.count("field=\"type\""), 1, "{kind}");
        let samples = exporter.get("/metrics/samples").await;
        let nights = samples.lines().filter(|line| line.starts_with("oura_sample_night_total_sleep_seconds{")).count();
        assert!(nights >= 10, "{kind}: the other nights are told: {nights}");
        // It is put right, and another one is not.
        simulator.faults().clear();
        hand.advance(TimeDelta::hours(1));
        exporter.look().await;
        simulator.faults().edit(Scope::collection("sleep"), move |periods| {
            let newest = periods.iter_mut().filter(|period| period["day"] == "2026-11-22");
            newest.for_each(|period| period["type"] = kind.clone());
        });
        hand.advance(TimeDelta::hours(1));
        exporter.look().await;
        assert_eq!(log.count(TOLD), 2, "another one is told as well");
    }
}
