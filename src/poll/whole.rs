//! Documents that are read whole: those of which there is more to tell, or whose light fields changed since they last were,
//! each not too often.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher as _},
};

use chrono::{DateTime, NaiveDate, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{documents::Kind, observation::Moment, samples::LEAST_BETWEEN};

/// What was read whole of one collection, by document.
#[derive(Debug, Default)]
pub(super) struct Wholes(HashMap<u64, Read>);

/// What a document's light fields and how much of it could be told were when it was last asked for whole, and when that
/// was.
#[derive(Clone, Copy, Debug)]
struct Read {
    /// None where Oura listed it, and then did not have it.
    digest: Option<u64>,
    at: DateTime<Utc>,
}

/// A document that is to be read whole.
pub(super) struct Due {
    /// What Oura calls it; shown nowhere.
    pub(super) id: String,
    /// Its day.
    pub(super) day: NaiveDate,
    digest: u64,
}

#[derive(Deserialize)]
struct Named {
    id: String,
    day: NaiveDate,
}

fn digest(of: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

impl Wholes {
    /// Whether nothing was read whole.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of `documents` that are to be read whole now, of days from `oldest` on.
    pub(super) fn due(
        &self,
        kind: &'static Kind,
        documents: &[Box<RawValue>],
        moment: &Moment,
        oldest: NaiveDate,
    ) -> Vec<Due> {
        let due = |document: &RawValue| {
            let Named { id, day } =
                serde_json::from_str(document.get()).ok().filter(|named: &Named| named.day >= oldest)?;
            let digest = digest((document.get(), kind.due(document, moment)?));
            let known = self.0.get(&self::digest(&id));
            let is_new = known.is_none_or(|read| {
                // Of a clock that was ahead, the last time lies in the future.
                read.digest != Some(digest) && (moment.now - read.at).abs() >= LEAST_BETWEEN
            });
            is_new.then_some(Due { id, day, digest })
        };
        documents.iter().filter_map(|document| due(document)).collect()
    }

    /// Takes note that these were asked for at `now`, and that `came` is what Oura had of them.
    pub(super) fn read(&mut self, due: &[Due], came: &[Box<RawValue>], now: DateTime<Utc>) {
        let named = came.iter().filter_map(|document| serde_json::from_str(document.get()).ok());
        let came: HashSet<_> = named.map(|Named { id, .. }| id).collect();
        for document in due {
            let known = came.contains(&document.id).then_some(document.digest);
            self.0.insert(digest(&document.id), Read { digest: known, at: now });
        }
    }
}
