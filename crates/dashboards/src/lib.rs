//! Grafana dashboards of oura-exporter, made by code.
//!
//! A panel asks in [`expression`]s, which know what they mean beside how PromQL says it. The [`board`] puts panels in their
//! places; [`model`] is what Grafana reads. A board is one file of `boards`.

pub mod board;
pub mod boards;
pub mod effects;
mod exporters;
pub mod expression;
pub mod live;
pub mod meaning;
pub mod model;
pub mod panel;
pub mod units;

pub use boards::all;
pub use meaning::Meaning;
