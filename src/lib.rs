//! Oura Ring to Prometheus.
#![allow(missing_docs)]
pub mod clock;
pub mod http;
