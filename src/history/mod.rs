//! History: the same rows as the page, at their own time, as text to read in and as remote write.
//!
//! `series` is what a line of history belongs to; `recent` keeps the samples of the last days as they are polled, for
//! `/metrics/samples` and for `live`, which sends them on. `backfill` goes back in time: `ask` gets a stretch of days
//! from Oura, `timeline` makes points of it (by `zones`, where the wearer was, and `holds`, how long a value held), and
//! a `sink` takes them, month by month (`stretch`): `files` of `openmetrics` text, or `sending` by `remote`, the remote-write
//! client, whose place `cursor` keeps.

mod ask;
mod backfill;
mod cursor;
mod files;
mod holds;
mod ledger;
mod live;
mod openmetrics;
mod progress;
mod recent;
mod remote;
mod sending;
mod series;
mod sink;
mod state;
mod stretch;
mod timeline;
mod zones;

pub use ask::Persistence;
pub use backfill::{Backfill, Interrupted};
pub use live::{LIVE, LIVE_DEPTH, Live, LiveStats};
pub use openmetrics::{Format, Text};
pub use recent::{PAGE_DEPTH, Recent};
pub use remote::{Access, Batch, Receiver, body};
pub use series::{Lines, Points, Series, Shown, Target};
pub use sink::Destination;
pub use timeline::Cadence;
