//! The client of Oura's API: one send for everything, pages, retries, and errors told apart.

mod budget;
#[cfg(test)]
mod budget_tests;
mod client;
mod error;
mod packed;
mod pages;
mod person;
mod rate_limiter;
mod room;
mod transport;

pub use budget::{Need, Stretch, USUAL_BUDGET};
pub use client::{AccountStatus, Client, Turn};
pub use error::ApiError;
pub use person::{COLLECTION as WHO_IT_IS, SCOPE as WHO_SCOPE, person_id, person_in};
pub use room::Room;
pub(crate) use room::apart;
pub use transport::{ClientOptions, Transport};
