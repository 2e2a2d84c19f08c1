//! What is true now: the state of every account, when a value is too old to show, and the page made of it.

mod board;
mod collector;
mod entries;
mod metrics;
mod page;
mod permission;
mod state;
mod words;

pub use board::Board;
pub use collector::Latest;
pub use entries::of_the_board;
pub use metrics::{ACCOUNT_METRICS, BOARD_METRICS};
pub use page::{Encoded, Page};
pub use permission::{RefusalEvidence, Refusals, is_granted, missing_scope};
pub use state::{AccountState, CollectionState, Watch};
pub use words::Mark;
