//! A subscription as the service lists it, and what one can be made of.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

/// The data types that the service has events of.
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
/// What can happen to a document.
pub const EVENT_TYPES: &[&str] = &["create", "update", "delete"];

/// What an application has asked to be told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Its identifier.
    pub id: String,
    /// Where its events go.
    pub callback_url: String,
    /// Which events: one of [`EVENT_TYPES`].
    pub event_type: String,
    /// Of which documents: one of [`DATA_TYPES`].
    pub data_type: String,
    /// When it ends unless it is renewed.
    pub expiration_time: DateTime<Utc>,
}

impl Subscription {
    /// As the service shows it; the time has no zone.
    pub(super) fn shown(&self) -> Value {
        let end = self.expiration_time.to_rfc3339_opts(SecondsFormat::Millis, true);
        json!({
            "id": self.id,
            "callback_url": self.callback_url,
            "event_type": self.event_type,
            "data_type": self.data_type,
            "expiration_time": end.trim_end_matches('Z'),
        })
    }
}
