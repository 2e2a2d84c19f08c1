//! The page of what is true now: its metrics, the collectors over the snapshot, an account's part as encoded text, and the
//! page woven of parts.

mod collector;
mod encoded;
mod entries;
mod metrics;
mod part;
mod woven;

pub use encoded::{Encoded, Others, Page};
pub use entries::of_the_page;
pub use metrics::{ACCOUNT_METRICS, EXPORTER_METRICS};
