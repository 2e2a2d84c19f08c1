//! An event as Oura tells it, and of which collections there are any.

use std::hash::BuildHasher;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::documents::Kind;

/// What Oura has events of; a test compares it with Oura's specification.
pub const DATA_TYPES: &[&str] = &[
    "tag",
    "enhanced_tag",
    "workout",
    "session",
    "sleep",
    "daily_sleep",
    "daily_readiness",
    "daily_activity",
    "daily_spo2",
    "sleep_time",
    "rest_mode_period",
    "ring_configuration",
    "daily_stress",
    "daily_cardiovascular_age",
    "daily_resilience",
    "vo2_max",
];

/// What happened to a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// It is new.
    Create,
    /// It is another one than before.
    Update,
    /// It is gone.
    Delete,
}

impl Change {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Create, Self::Update, Self::Delete];

    /// As Oura writes it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }

    fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|change| change.word() == word)
    }
}

/// What the events of a collection are called; none where Oura has none of it.
pub fn data_type(kind: &Kind) -> Option<&'static str> {
    // One collection has a capital in its route and none in its events.
    DATA_TYPES.iter().find(|name| kind.name.eq_ignore_ascii_case(name)).copied()
}

/// An event. It holds ids, so it shows itself to nobody.
pub(super) struct Event {
    /// What happened; none of what this build does not know.
    pub(super) change: Option<Change>,
    pub(super) data_type: String,
    pub(super) object_id: String,
    pub(super) user_id: String,
    /// The same for an event that is told again, and for no other.
    pub(super) digest: u64,
}

#[derive(Deserialize)]
struct Told<'a> {
    event_type: String,
    data_type: String,
    object_id: String,
    user_id: String,
    /// Taken as it is: it may be in UTC, local, or without any zone, and nothing but its sameness counts.
    #[serde(borrow)]
    event_time: Option<&'a RawValue>,
}

impl Event {
    /// Reads an event; none where it is none.
    pub(super) fn read(body: &[u8], hasher: &impl BuildHasher) -> Option<Self> {
        let Told { event_type, data_type, object_id, user_id, event_time } = serde_json::from_slice(body).ok()?;
        let digest = hasher.hash_one((&event_type, &data_type, &object_id, &user_id, event_time.map(RawValue::get)));
        Some(Self { change: Change::of(&event_type), data_type, object_id, user_id, digest })
    }
}
