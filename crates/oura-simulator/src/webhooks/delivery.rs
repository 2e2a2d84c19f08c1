//! What is sent to a callback: an event's bytes, the time, and the signature over both.

use std::{fmt::Write as _, time::Duration};

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;

use super::post::{Outgoing, Undelivered, send};

/// Something that happened to a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub event_type: String,
    /// To which kind of document.
    pub data_type: String,
    /// To which one.
    pub object_id: String,
    /// When, as the service writes it: in UTC, or with the wearer's offset and milliseconds.
    pub event_time: String,
    /// Whose it is.
    pub user_id: String,
}

impl Event {
    /// The bytes that are sent.
    pub fn body(&self) -> Vec<u8> {
        let Self { event_type, data_type, object_id, event_time, user_id } = self;
        let body = json!({
            "event_type": event_type, "data_type": data_type, "object_id": object_id, "event_time": event_time,
            "user_id": user_id,
        });
        body.to_string().into_bytes()
    }
}

/// How the time of a delivery is written: live ones have milliseconds, the specification shows seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// Thirteen digits.
    Milliseconds,
    /// Ten digits.
    Seconds,
}

impl Stamp {
    pub(super) fn text(self, at: DateTime<Utc>) -> String {
        match self {
            Self::Milliseconds => at.timestamp_millis().to_string(),
            Self::Seconds => at.timestamp().to_string(),
        }
    }
}

/// What goes to a callback; whoever wants a false one changes a true one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The header `x-oura-timestamp`.
    pub timestamp: String,
    /// The header `x-oura-signature`.
    pub signature: String,
    /// The body.
    pub body: Vec<u8>,
    /// How long is waited in the middle of the body; none: it is sent at once.
    pub pause: Option<Duration>,
}

impl Delivery {
    /// A delivery that is signed with `secret`.
    pub fn signed(secret: &str, timestamp: String, body: Vec<u8>) -> Self {
        let signature = signature(secret, &timestamp, &body);
        Self { timestamp, signature, body, pause: None }
    }

    /// The same, which stops in the middle of its body for so long.
    #[must_use]
    pub fn slow(self, pause: Duration) -> Self {
        Self { pause: Some(pause), ..self }
    }

    pub(super) async fn deliver(&self, callback_url: &str) -> Result<u16, Undelivered> {
        let headers = [
            ("content-type", "application/json"),
            ("x-oura-timestamp", self.timestamp.as_str()),
            ("x-oura-signature", self.signature.as_str()),
        ];
        let outgoing = Outgoing { method: "POST", url: callback_url, headers: &headers, body: &self.body };
        Ok(send(outgoing, self.pause).await?.status)
    }
}

/// Upper-case hex of HMAC-SHA256 over the timestamp and the bytes.
fn signature(secret: &str, timestamp: &str, body: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(timestamp.as_bytes());
    mac.update(body);
    let mut text = String::new();
    for byte in mac.finalize().into_bytes() {
        let _ = write!(text, "{byte:02X}");
    }
    text
}
