//! An Oura Cloud on loopback, for demo and tests: sign-in, two made-up people with years of data, faults on demand.
//!
//! A request goes through `server` (connections), `cloud` (who asks, and what is to go wrong), `routes`, `query` and
//! `window` (which documents, in which page). Documents are made when they are asked for: `people` and `life` say who
//! somebody is and what happens to them, `night` and `schedule` what they do on a day, `syncs` when their phone tells the
//! service, `answers` what was said since, `analysis` what it makes of their sleep, and `sleep` (with `stages`), `scores`, `activity`, `heart`,
//! `battery`, `wellbeing` and `events` how it tells of them. All of it follows from a seed, so any day can be asked for at
//! any time; and as documents change only at syncs, `versions` can list all that a document ever was. Collections
//! that have no model here follow an `example`. The authorization server is `oauth`; `visitor` is what a token of it opens. `webhooks` has
//! the subscriptions, and sends events to their callbacks.

mod activity;
mod analysis;
mod answers;
mod application_limit;
mod at_random;
mod battery;
mod cloud;
mod collections;
mod control;
mod cursor;
mod events;
mod example;
mod faults;
mod heart;
mod ids;
mod night;
mod noise;
mod oauth;
mod people;
mod person_timeline;
mod query;
mod replies;
mod routes;
mod rule;
mod sandbox;
mod schedule;
mod scores;
mod server;
mod sleep;
mod stages;
mod syncs;
mod time_source;
mod versions;
mod visitor;
mod webhooks;
mod wellbeing;
mod window;
mod zone;

#[cfg(test)]
mod tests;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use chrono::{DateTime, NaiveDate, Utc};
use tokio::{net::TcpListener, task::JoinHandle};

use cloud::Cloud;
pub use collections::{COLLECTIONS, Collection, Kind};
pub use example::{Example, ExampleError};
pub use faults::{Fault, Faults, Scope};
pub use oauth::{Application, Authorizations, Exchange, Granted, Portal, TokenFault};
pub use rule::{Rule, RuleError};
pub use time_source::TimeSource;
pub use versions::Version;
pub use webhooks::{DATA_TYPES, Delivery, EVENT_TYPES, Event, Stamp, Subscription, Undelivered, Webhooks};

/// What Oura's own limit is said to be: so many requests of an application in five minutes.
pub const APPLICATION_LIMIT: u32 = 5000;

/// A running Oura Cloud; it stops when it is dropped.
#[derive(Debug)]
pub struct Simulator {
    cloud: Arc<Cloud>,
    address: SocketAddr,
    server: JoinHandle<()>,
    /// Who tells of what syncs change.
    teller: Option<JoinHandle<()>>,
}

/// What a simulator is like.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What time it is there.
    pub clock: TimeSource,
    /// What all data follow from.
    pub seed: u64,
    /// How many years of history everybody has.
    pub years: u32,
    /// For how many days from its start nothing is missing and the rings sync every few minutes, so that a demo is full;
    /// none: for ever; 0: life is as it really is, the days before the start included.
    pub full_days: Option<u32>,
    /// Whether there is carol of Los Angeles besides, who flies twice a year; she has a token, but cannot sign in.
    pub has_traveller: bool,
    /// How many people there are besides, 200 at most, `wearer000` and on, who live in four zones and go to bed at all hours of the evening; like
    /// carol, they have tokens and cannot sign in.
    pub crowd: u8,
    /// Whether faults can be switched over HTTP as well, at `/simulator/faults`, by whoever can reach it.
    pub has_control: bool,
    /// Whether whoever has subscribed to webhooks is told of every document that a sync changes; else events come by
    /// [`Webhooks::send`] alone.
    pub has_events: bool,
    /// How many requests all accounts together may make in any five minutes, by the simulator's clock; beyond, a 429 speaks for
    /// the application. None: as many as they like.
    pub application_limit: Option<u32>,
    /// Collections that the simulator has no model of: it answers for them with documents after these examples.
    pub examples: Vec<Example>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            clock: TimeSource::system(),
            seed: 1,
            years: 5,
            full_days: None,
            has_traveller: false,
            crowd: 0,
            has_control: false,
            has_events: false,
            application_limit: Some(APPLICATION_LIMIT),
            examples: Vec::new(),
        }
    }
}

/// Somebody who wears a ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wearer {
    /// What they are called.
    pub name: &'static str,
    /// The access token that opens their data.
    pub token: String,
}

/// A request that the simulator got.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The path as it was sent.
    pub path: String,
    /// The parameters, decoded, in their order.
    pub query: Vec<(String, String)>,
    /// The User-Agent header.
    pub user_agent: Option<String>,
    /// Whose token it bore.
    pub person: Option<&'static str>,
    /// The token itself: one person may have given several.
    pub token: Option<String>,
    /// The status of the answer; 0 while there is none.
    pub status: u16,
    /// The size of the answer's body as sent, that is, compressed, in bytes.
    pub body_bytes: usize,
    /// When it came, by the simulator's clock.
    pub at: DateTime<Utc>,
    /// Which TCP connection it came over, counted from 1.
    pub connection: u64,
}

impl Simulator {
    /// Starts on 127.0.0.1 at a free port.
    pub async fn start(settings: Settings) -> std::io::Result<Self> {
        Self::start_on((Ipv4Addr::LOCALHOST, 0).into(), settings).await
    }

    /// Starts at this address.
    ///
    /// # Errors
    /// When it is not free, or not one of this machine.
    pub async fn start_on(address: SocketAddr, settings: Settings) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let has_events = settings.has_events;
        let cloud = Arc::new(Cloud::new(settings));
        let teller = has_events.then(|| tokio::spawn(webhooks::tell(Arc::clone(&cloud), cloud.now())));
        let server = tokio::spawn(server::run(listener, Arc::clone(&cloud)));
        Ok(Self { cloud, address, server, teller })
    }

    /// Where it is, for instance `http://127.0.0.1:10059`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everybody who wears a ring.
    pub fn people(&self) -> Vec<Wearer> {
        self.cloud.tokens().map(|(name, token)| Wearer { name, token }).collect()
    }

    /// Every distinct state of this person's documents of `day`, the oldest first, whatever time it is now: the last is what
    /// Oura finally says of that day. Before the first `readable_from` there is no document.
    ///
    /// A document is of the day that it names as `day` or `start_day`; a row of a time series, of the wearer's calendar day.
    /// The routes answer with exactly these documents at any moment from `readable_from` on until the next version's,
    /// but for what [`Faults`] change on their way out. Nobody's and unknown collections have no version.
    pub fn versions(&self, person: &str, collection: &str, day: NaiveDate) -> Vec<Version> {
        let life = self.cloud.lives.iter().find(|life| life.person.name == person);
        let both = life.zip(self.cloud.collections.iter().find(|one| one.name == collection));
        both.map(|(life, collection)| versions::versions(life, collection, day)).unwrap_or_default()
    }

    /// When the ring's data of this person come to the service from `from` to `until`, in order.
    pub fn syncs(&self, person: &str, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        let life = self.cloud.lives.iter().find(|life| life.person.name == person);
        life.map(|life| versions::ring_syncs(life, from, until)).unwrap_or_default()
    }

    /// What goes wrong; it can be switched at any time.
    pub fn faults(&self) -> &Faults {
        &self.cloud.faults
    }

    /// The applications registered with it: one of each portal.
    pub fn applications(&self) -> Vec<Application> {
        self.cloud.authorizations.applications().to_vec()
    }

    /// The authorization server: its switches, and what it has seen.
    pub fn authorizations(&self) -> &Authorizations {
        &self.cloud.authorizations
    }

    /// The subscriptions of webhooks, and a pen for what is sent to their callbacks.
    pub fn webhooks(&self) -> &Webhooks {
        &self.cloud.webhooks
    }

    /// What the service calls this person, as `personal_info.id` says it; none if it knows nobody of that name.
    pub fn user_id(&self, person: &str) -> Option<String> {
        self.cloud.user_id(person)
    }

    /// Something that happened just now to this person's document, as the service tells it.
    pub fn event(&self, person: &str, event_type: &str, data_type: &str, object_id: &str) -> Event {
        self.cloud.event(person, event_type, data_type, object_id)
    }

    /// How many requests were answered so far.
    pub fn answer_count(&self) -> u64 {
        self.cloud.answer_count()
    }

    /// Every request so far, in order; after 20,000 of them the oldest are forgotten.
    pub fn requests(&self) -> Vec<Recorded> {
        self.cloud.recorded()
    }

    /// How many requests there were so far, those included that are forgotten.
    pub fn request_count(&self) -> u64 {
        self.cloud.request_count()
    }

    /// Forgets the requests so far.
    pub fn forget_requests(&self) {
        self.cloud.forget();
    }

    /// Stops; returns when the port is closed.
    pub async fn stop(mut self) {
        self.server.abort();
        let _aborted = (&mut self.server).await;
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.server.abort();
        self.teller.iter().for_each(JoinHandle::abort);
    }
}
