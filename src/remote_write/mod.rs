//! Remote write 1.0: requests of one class of age, a receiver's refusals told apart, and nothing lost to a bad sample.
//!
//! `live` sends on what the record learns, `sent_log` knows how far that went, `said` what was said of it in the log. `batches` cuts points into requests,
//! `deliver` brings one through, `receiver` sends it once and reads the answer, `wire` is its body.

mod batches;
mod deliver;
mod live;
mod receiver;
mod said;
mod sent_log;
mod wire;

pub(crate) use batches::batches;
pub(crate) use deliver::{Delivered, Doubt, Undelivered};
pub use live::{LIVE, Live, LiveStats};
pub(crate) use receiver::WriteRefusal;
pub use receiver::{Credentials, Receiver};
pub use wire::body;

use crate::samples::{Series, SeriesPoints};

/// What one request holds: series, and points in milliseconds since 1970, in order of time.
pub type Batch = Vec<SeriesPoints>;
