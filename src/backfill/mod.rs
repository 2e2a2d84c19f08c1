//! Going back in time: the record and the dense samples of any stretch of days, into files or to a receiver.
//!
//! `run` begins and ends it; `everybody` goes through the days month by month (`chunks`), and leaves out who fails: `ask` gets
//! them from Oura, `facts` makes points of them by the same places as the record's, and a `sink` takes these: `files` of
//! OpenMetrics text, standard output, or `sending` by remote write. Each account has its own `place`, which is kept in a `note`
//! beside the files, or in a `checkpoint`. `hands` holds that each account stays one person's, `identity` keeps whose it is from one run to
//! the next, and `strip` takes an earlier person out of the files. `size` says beforehand how much it will be, `progress` how far it has come.

mod ask;
mod checkpoint;
mod chunks;
mod everybody;
mod facts;
mod files;
mod hands;
mod identity;
mod note;
mod place;
mod progress;
mod run;
mod sending;
mod sink;
mod size;
mod strip;

pub use ask::RetryPolicy;
pub use files::Readers;
pub use run::{Backfill, Interrupted};
pub use sink::Destination;
