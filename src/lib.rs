//! Oura Ring to Prometheus.
#![allow(missing_docs)]
pub mod catalogue;
pub mod cli;
pub mod clock;
pub mod config;
pub mod documents;
pub mod exporter;
pub mod http;
pub mod landing;
pub mod latest;
pub mod metric;
pub mod observation;
pub mod oura;
pub mod poll;
pub mod problem;
pub mod server;
pub mod simulator;
pub mod status;
pub mod tls;
