//! What is true now: the state of every account and of each of its collections, and the snapshot of it that readers see.

mod account;
mod apply;
mod keeper;
mod news;
mod permission;
mod snapshot;
mod troubles;
mod words;

pub use account::{AccountState, CollectionState, Watch};
pub use apply::{Answer, Change, Outcome, TokenNow};
pub use news::News;
pub use permission::{RefusalEvidence, Refusals, is_granted, missing_scope};
pub use snapshot::{Posted, Snapshot};
pub use words::Mark;
