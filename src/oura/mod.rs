//! The client of Oura's API: one send for everything, pages, retries, and errors told apart.

pub(crate) mod body;
mod client;
mod error;
mod gate;
mod pages;
mod person;
mod room;
mod transport;

pub use client::{Client, Standing};
pub use error::ApiError;
pub(crate) use error::causes;
pub use person::{COLLECTION as WHO_IT_IS, SCOPE as WHO_SCOPE, person_id, person_in};
pub(crate) use room::apart;
pub use room::{MOST_DOCUMENTS, Room};
pub(crate) use transport::is_loopback;
pub use transport::{Patience, Transport, USER_AGENT};
