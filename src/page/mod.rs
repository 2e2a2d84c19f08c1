//! The page of what is true now: its metrics, the collector over the snapshot, and the encoded text.

mod collector;
mod encoded;
mod entries;
mod metrics;

pub use collector::Latest;
pub use encoded::{Encoded, Page};
pub use entries::of_the_page;
pub use metrics::{ACCOUNT_METRICS, EXPORTER_METRICS};
