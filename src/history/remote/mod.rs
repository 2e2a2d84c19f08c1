//! Remote write 1.0: requests of one class of age, a receiver's refusals told apart, and nothing lost to a bad sample.

mod batches;
mod deliver;
mod receiver;
mod wire;

pub(super) use batches::batches;
pub(super) use deliver::{Delivered, LONGEST_ASKED, Undelivered};
pub use receiver::{Access, Receiver};
pub use wire::body;

use super::series::Series;

/// What one request holds: series, and points in milliseconds since 1970, in order of time.
pub type Batch = Vec<(Series, Vec<(i64, f64)>)>;
