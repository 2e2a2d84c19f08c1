//! Oura Ring to Prometheus.
#![allow(missing_docs)]
pub mod catalogue;
pub mod clock;
pub mod documents;
pub mod http;
pub mod latest;
pub mod metric;
pub mod observation;
pub mod oura;
pub mod poll;
pub mod problem;
pub mod status;
