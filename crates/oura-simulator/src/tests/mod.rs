//! The simulator as its clients see it, over HTTP.

mod answers;
mod auth;
mod control;
mod data;
mod events;
mod example;
mod failing;
mod office;
mod real_life;
mod schema;
mod versions;
mod windows;

use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::time::Instant;

use super::{Settings, Simulator, TimeSource};

/// A Wednesday on which both people are up and about: 17:30 in Helsinki, 10:30 in New York.
pub(super) const NOON: &str = "2026-08-19T14:30:00Z";

/// A simulator and a client of it.
pub(super) struct Bench {
    pub(super) simulator: Simulator,
    client: reqwest::Client,
}

/// A clock that shows `moment` now and runs on from there.
pub(super) fn running_from(moment: &str) -> TimeSource {
    let (moment, start) = (moment.parse::<DateTime<Utc>>().unwrap(), Instant::now());
    TimeSource::new(move || moment + start.elapsed())
}

/// A clock that shows what is put into the other half.
pub(super) fn set_by_hand(moment: &str) -> (TimeSource, Arc<Mutex<DateTime<Utc>>>) {
    let shared = Arc::new(Mutex::new(moment.parse().unwrap()));
    let shown = Arc::clone(&shared);
    (TimeSource::new(move || *shown.lock().unwrap()), shared)
}

/// What came back: the status and the body, null if it is not JSON.
pub(super) type Got = (u16, Value);

impl Bench {
    pub(super) async fn at(moment: &str) -> Self {
        Self::seeded(moment, 1).await
    }

    pub(super) async fn seeded(moment: &str, seed: u64) -> Self {
        Self::of(Settings { clock: running_from(moment), seed, ..Settings::default() }).await
    }

    pub(super) async fn of(settings: Settings) -> Self {
        let _already = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().user_agent("bench/1").build().unwrap();
        Self { simulator: Simulator::start(settings).await.unwrap(), client }
    }

    pub(super) fn request(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.get(format!("{}/v2/{path}", self.simulator.url()))
    }

    pub(super) fn token(&self, person: &str) -> String {
        self.simulator.people().into_iter().find(|wearer| wearer.name == person).unwrap().token
    }

    pub(super) async fn get(&self, person: &str, path: &str) -> Got {
        got(self.request(&format!("usercollection/{path}")).bearer_auth(self.token(person))).await
    }

    /// The documents of an answer that must be good.
    pub(super) async fn data(&self, person: &str, path: &str) -> Vec<Value> {
        let (status, body) = self.get(person, path).await;
        assert_eq!(status, 200, "{path}: {body}");
        body["data"].as_array().unwrap().clone()
    }

    /// The same field of each document.
    pub(super) async fn each(&self, person: &str, path: &str, field: &str) -> Vec<String> {
        let data = self.data(person, path).await;
        data.iter().map(|document| document[field].as_str().unwrap_or("null").to_owned()).collect()
    }
}

pub(super) async fn got(request: reqwest::RequestBuilder) -> Got {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or_default())
}
