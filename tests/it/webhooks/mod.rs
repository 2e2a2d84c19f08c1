//! Webhooks: from Oura's event to the page, what is not taken for one, and the subscriptions.

mod bad;
mod by_hand;
pub(crate) mod day;
mod hands;
mod load;
mod polls;
mod scene;
mod shown;
mod subscriptions;
