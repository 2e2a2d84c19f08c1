//! Events that nobody asks for: whatever a sync changes is told to who has subscribed to it, and again where it is not taken.

use std::{
    collections::{BTreeMap, VecDeque},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio::time::{Instant, sleep};

use super::{DATA_TYPES, Event};
use crate::{
    cloud::Cloud,
    person_timeline::{Life, View, shifted},
    syncs::syncs,
};

/// How often it is seen whether a phone has talked to the service.
const LOOK: Duration = Duration::from_secs(1);
/// For so many days documents may change.
const DAYS: i64 = 15;
/// The waits before an event is sent again that was not taken: about an hour, as with Oura.
const AGAIN: [Duration; 5] = [
    Duration::from_secs(2),
    Duration::from_secs(60),
    Duration::from_secs(300),
    Duration::from_secs(900),
    Duration::from_secs(1800),
];

/// A document: whose, of which data type, and its identifier.
type Name = (&'static str, &'static str, String);
/// What the documents were like, without what they say.
type Known = BTreeMap<Name, u64>;

/// An event that was not taken.
struct Untaken {
    event: Event,
    at: Instant,
    waits: std::slice::Iter<'static, Duration>,
}

/// Tells for ever of what changes after `last`.
pub(crate) async fn tell(cloud: Arc<Cloud>, mut last: DateTime<Utc>) {
    let mut untaken = VecDeque::new();
    loop {
        let now = cloud.now();
        let is_awaited = !cloud.webhooks.subscriptions().is_empty();
        if is_awaited && cloud.lives.iter().any(|life| has_synced(life, last, now)) {
            for ((person, data_type, id), change) in changes(&known(&cloud, last), &known(&cloud, now)) {
                let event = cloud.event(person, change, data_type, &id);
                send(&cloud, Untaken { event, at: Instant::now(), waits: AGAIN.iter() }, &mut untaken).await;
            }
        }
        last = now;
        for _ in 0..untaken.len() {
            match untaken.pop_front() {
                Some(one) if one.at <= Instant::now() => send(&cloud, one, &mut untaken).await,
                Some(one) => untaken.push_back(one),
                None => {}
            }
        }
        sleep(LOOK).await;
    }
}

/// Sends an event; one that is not taken comes back with its next wait.
async fn send(cloud: &Cloud, mut one: Untaken, untaken: &mut VecDeque<Untaken>) {
    let is_done = match cloud.webhooks.send(&one.event).await {
        // Nobody has subscribed to it.
        Ok(None) => true,
        Ok(Some(status)) => (200..300).contains(&status) || status == 404,
        Err(_) => false,
    };
    if let Some(wait) = one.waits.next().filter(|_| !is_done) {
        untaken.push_back(Untaken { at: Instant::now() + *wait, ..one });
    }
}

/// Whether this person's phone has talked to the service since `last`.
fn has_synced(life: &Life, last: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    let (first, end) = (shifted(life.day(last), -1), shifted(life.day(now), 1));
    let mut days = first.iter_days().take_while(|day| *day <= end);
    days.any(|day| syncs(life, day).iter().any(|sync| last < sync.at && sync.at <= now))
}

/// All documents that there may be events of.
fn known(cloud: &Cloud, now: DateTime<Utc>) -> Known {
    let mut known = Known::new();
    for life in &cloud.lives {
        let view = View::at(*life, now);
        let days = shifted(view.today(), -DAYS).iter_days().take(DAYS as usize + 2);
        for day in days {
            for collection in cloud.collections.iter().filter(|one| DATA_TYPES.contains(&one.name)) {
                for document in collection.documents(&view, day) {
                    let Some(id) = document["id"].as_str() else { continue };
                    let mut hasher = DefaultHasher::new();
                    document.to_string().hash(&mut hasher);
                    known.insert((life.person.name, collection.name, id.to_owned()), hasher.finish());
                }
            }
        }
    }
    known
}

/// What happened to which document. One that only became too old to be looked at is not gone.
fn changes(before: &Known, after: &Known) -> Vec<(Name, &'static str)> {
    let mut changes = Vec::new();
    for (name, state) in after {
        match before.get(name) {
            None => changes.push((name.clone(), "create")),
            Some(known) if known != state => changes.push((name.clone(), "update")),
            Some(_) => {}
        }
    }
    changes
}
