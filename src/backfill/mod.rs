//! Going back in time: the record and the dense samples of any stretch of days, into files or to a receiver.
//!
//! `run` goes through the days month by month (`chunks`): `ask` gets them from Oura, `facts` makes points of them by the
//! same places as the record's, and a `sink` takes these: `files` of OpenMetrics text, standard output, or `sending` by
//! remote write, whose place `checkpoint` keeps. `hands` holds that each account stays one person's. `size` says beforehand how much it will be, `progress` how far it has come.

mod ask;
mod checkpoint;
mod chunks;
mod facts;
mod files;
mod hands;
mod progress;
mod run;
mod sending;
mod sink;
mod size;

pub use ask::RetryPolicy;
pub use files::Readers;
pub use run::{Backfill, Interrupted};
pub use sink::Destination;
