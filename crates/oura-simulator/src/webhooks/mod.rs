//! Webhooks: the subscriptions of the applications, and the deliveries that go to their callbacks, true and false ones.
//!
//! `subscriptions` has the routes by which an application makes and keeps them, `delivery` what is sent and how it is
//! signed, `post` the way to a callback. A test says when, what, and what is wrong with it; `by_itself` tells of whatever syncs
//! change, where the settings want it, and `by_hand` of what somebody asks for over HTTP.

mod by_hand;
mod by_itself;
mod delivery;
mod post;
mod routes;
mod subscriptions;

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};

pub(crate) use by_hand::answer as answer_by_hand;
pub(crate) use by_itself::tell;
pub use delivery::{Delivery, Event, Stamp};
pub use post::Undelivered;
pub(crate) use routes::Order;
pub use subscriptions::{DATA_TYPES, EVENT_TYPES, Subscription};

use crate::{Application, TimeSource, noise::Noise};

/// So many events are remembered.
const MOST_SENT: usize = 1_000;

/// How long a subscription lives.
const LIFETIME: TimeDelta = TimeDelta::days(90);

/// The webhooks of a simulator: the subscriptions, and what makes deliveries.
pub struct Webhooks {
    applications: Vec<Application>,
    clock: TimeSource,
    noise: Noise,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    subscriptions: Vec<Subscription>,
    made: i64,
    /// Which application a subscription was made for, by its identifier.
    made_for: HashMap<String, usize>,
    /// Subscriptions to which data type are refused, and with which status.
    refused: Option<(String, u16)>,
    /// What was sent, and how the callback answered, the newest last.
    sent: VecDeque<(Event, Option<u16>)>,
}

impl Webhooks {
    pub(crate) fn new(seed: u64, clock: TimeSource, applications: &[Application]) -> Self {
        let noise = Noise::new(seed).of("webhooks");
        Self { applications: applications.to_vec(), clock, noise, state: Mutex::default() }
    }

    /// Every subscription that stands, in the order in which they were made.
    pub fn subscriptions(&self) -> Vec<Subscription> {
        self.state().subscriptions.clone()
    }

    /// A subscription as another program with the same application has made it.
    pub fn plant(&self, callback_url: &str, event_type: &str, data_type: &str) -> Subscription {
        let now = self.clock.now();
        self.state().add(&self.noise, now, [callback_url, event_type, data_type])
    }

    /// From now on every subscription ends after `left`.
    pub fn end_after(&self, left: TimeDelta) {
        let end = self.clock.now() + left;
        self.state().subscriptions.iter_mut().for_each(|one| one.expiration_time = end);
    }

    /// Drops the subscriptions for which `is_lost` holds, as nobody asked for.
    pub fn lose(&self, is_lost: impl Fn(&Subscription) -> bool) {
        self.state().subscriptions.retain(|one| !is_lost(one));
    }

    /// From now on subscriptions to this data type are neither made, nor changed, nor renewed, but refused with that status; no
    /// others are.
    pub fn refuse(&self, data_type: &str, status: u16) {
        self.state().refused = Some((data_type.to_owned(), status));
    }

    /// From now on none is refused.
    pub fn refuse_none(&self) {
        self.state().refused = None;
    }

    /// Sends the delivery to this callback, and gives the status of the answer.
    ///
    /// # Errors
    /// Where no answer comes.
    pub async fn deliver(&self, delivery: &Delivery, callback_url: &str) -> Result<u16, Undelivered> {
        delivery.deliver(callback_url).await
    }

    /// Sends the event to the callback that is subscribed to it, signed as the service signs; none if nobody is.
    ///
    /// # Errors
    /// Where no answer comes.
    pub async fn send(&self, event: &Event) -> Result<Option<u16>, Undelivered> {
        let is_meant = |one: &&Subscription| one.data_type == event.data_type && one.event_type == event.event_type;
        let found = self.state().subscriptions.iter().find(is_meant).cloned();
        let Some(Subscription { id, callback_url, .. }) = found else { return Ok(None) };
        let made_for = self.state().made_for.get(&id).and_then(|place| self.applications.get(*place));
        let delivery = match made_for {
            Some(application) => {
                Delivery::signed(&application.client_secret, Stamp::Milliseconds.text(self.clock.now()), event.body())
            }
            None => self.delivery(event),
        };
        let answer = delivery.deliver(&callback_url).await;
        let sent = &mut self.state().sent;
        sent.push_back((event.clone(), answer.as_ref().ok().copied()));
        if sent.len() > MOST_SENT {
            sent.pop_front();
        }
        answer.map(Some)
    }

    /// What was sent so far, and the status of the answer; none where no answer came.
    pub(crate) fn sent(&self) -> Vec<(Event, Option<u16>)> {
        self.state().sent.iter().cloned().collect()
    }

    /// The event as the service sends it now: signed for the application of the new portal, with a time in milliseconds.
    pub fn delivery(&self, event: &Event) -> Delivery {
        self.delivery_of(event.body(), self.clock.now(), Stamp::Milliseconds)
    }

    /// These bytes as a delivery that was truly signed at that moment.
    pub fn delivery_of(&self, body: Vec<u8>, at: DateTime<Utc>, stamp: Stamp) -> Delivery {
        let secret = self.applications.last().map_or("", |application| &application.client_secret);
        Delivery::signed(secret, stamp.text(at), body)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, noise: &Noise, now: DateTime<Utc>, about: [&str; 3]) -> Subscription {
        let noise = noise.at(self.made);
        self.made += 1;
        let (high, low) = (noise.of("high").bits(), noise.of("low").bits());
        let [callback_url, event_type, data_type] = about.map(str::to_owned);
        let subscription = Subscription {
            id: format!(
                "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
                high >> 32,
                high & 0xffff,
                high >> 16 & 0xfff,
                low >> 52,
                low & 0xffff_ffff_ffff
            ),
            callback_url,
            event_type,
            data_type,
            expiration_time: now + LIFETIME,
        };
        self.subscriptions.push(subscription.clone());
        subscription
    }
}

impl fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhooks").field("subscriptions", &self.state().subscriptions.len()).finish_non_exhaustive()
    }
}
