//! What is true now: the state of every account, when a value is too old to show, and the page made of it.

mod board;
mod collector;
mod metrics;
mod page;
mod state;

pub use board::Board;
pub use collector::Latest;
pub use metrics::{ACCOUNT_METRICS, BOARD_METRICS};
pub use page::{Encoded, Page};
pub use state::{AccountState, CollectionState};
