//! Oura Ring to Prometheus: every number on the page is true, dated, and says when it cannot be trusted.
//!
//! # The way through
//!
//! Data goes one way. A document knows nothing of HTTP, and the page knows nothing of Oura.
//!
//! ```text
//!  auth ──► oura ──► documents ──► observations ──┬─► state ──► page ► /metrics        (what is true now)
//!  (sign-   (client:  (one file     (name, labels,  └─► samples ─┬► /metrics/samples   (every document at its own time,
//!   in,      pages,    a kind)       value, date)                ├► remote write        revisions too)
//!   tokens)  retries)                                            └► backfill           (years)
//! ```
//!
//! 1. [`poll`] decides who is asked for what and when: each account on its own, each collection at its own pace, and at once
//!    where [`webhooks`] have told of news.
//! 2. [`auth`] signs people in and keeps them signed in; a token is never lost.
//! 3. [`oura`] is the client: one private send, pages, retries, the rate limit, and errors told apart.
//! 4. [`documents`] has one file for each kind of document, with its fields, its enums and one table of metrics; the
//!    list [`documents::KINDS`] names them all, and everything that concerns every kind loops over it.
//! 5. [`metric`] is what such a table is made of; [`observation`] is what comes out of it: a value with name, labels
//!    and date.
//! 6. [`state`] keeps what is true now: one [`state::AccountState::apply`] decides what an answer changes, and what is too old
//!    is not shown; [`page`] makes the page of it in a
//!    `prometheus::Registry`; [`problem`] says why a collection cannot be trusted; [`status`] counts what the exporter
//!    itself does, and [`by_account`] keeps what is counted for each account.
//! 7. [`samples`] is the record: what is told of every document and when, and the journal of it. [`remote_write`] sends it on,
//!    and [`backfill`] brings in the years.
//! 8. [`server`] answers over [`http`], by the names that [`hosts`] lets through and to whom [`web_config`] admits: the page,
//!    its health, [`discovery`] for a Prometheus that scrapes account by account, and [`landing`] for people, who sign in on the pages of [`sign_in`].
//!
//! # Around it
//!
//! [`cli`] reads the command line, [`config`] the environment, both by the one table [`config::VARIABLES`]; [`exporter`]
//! puts the parts together. `simulator`, a crate of its own, is an Oura Cloud on loopback with the traps of the real one, for
//! the demo and the tests. [`catalogue`] lists every metric there is and makes METRICS.md of it. [`defect`] keeps a panic
//! to the collection in which it happens. [`version`] says which program this is, and [`shard`] which of several
//! exporters shows an account. [`http_client`] makes the
//! clients of all of them, and `html` is what the pages for people share. [`clock`] and [`tls`] are what time and cryptography
//! are asked of; [`durable`] writes files that are never half written. No room uses one above it: `tests/it/rooms.rs` has the
//! order, and holds it.
//!
//! # A new kind of document
//!
//! Write `documents/<kind>.rs` after its neighbours, add its line to [`documents::KINDS`], with an example of a document if
//! the simulator has no model of it, and run the `UPDATE_DOCS` line in CONTRIBUTING.md.

pub mod auth;
pub mod backfill;
pub mod by_account;
pub mod catalogue;
pub mod cli;
pub mod clock;
pub mod config;
pub mod defect;
pub mod discovery;
pub mod documents;
pub mod durable;
pub mod exporter;
pub mod hosts;
mod html;
pub mod http;
pub mod http_client;
pub mod landing;
pub mod metric;
pub mod observation;
pub mod oura;
pub mod page;
pub mod poll;
pub mod problem;
pub mod remote_write;
pub mod samples;
pub mod server;
pub mod shard;
pub mod sign_in;
#[cfg(feature = "demo")]
pub use oura_simulator as simulator;
pub mod state;
mod state_file;
pub mod status;
pub mod tls;
pub mod version;
pub mod web_config;
pub mod webhooks;
