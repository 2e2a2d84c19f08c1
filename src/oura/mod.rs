//! The client of Oura's API: one send for everything, pages, retries, and errors told apart.

mod client;
mod error;
mod gate;
mod pages;
mod transport;

pub use client::{Client, Standing};
pub use error::ApiError;
pub(crate) use error::causes;
pub(crate) use transport::is_loopback;
pub use transport::{Patience, Transport, USER_AGENT};
