//! The subscriptions that Oura refuses one by one: tried again ever more rarely, while all others are made and kept.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::api::{Pair, Refused};

/// The waits after refusals in a row.
const AGAIN: [Duration; 4] =
    [Duration::from_secs(60), Duration::from_secs(300), Duration::from_secs(900), Duration::from_secs(3600)];
/// The same while others stand, so that it is neither the callback nor the application.
const AGAIN_ALONE: [Duration; 2] = [Duration::from_secs(3600), Duration::from_secs(6 * 3600)];

/// What Oura refuses, by what it is of.
#[derive(Default)]
pub(super) struct Refusals(BTreeMap<Pair, Refusal>);

struct Refusal {
    count: usize,
    at: Instant,
    words: String,
}

impl Refused {
    /// Whether it may be meant for one subscription, and not for all that could be asked for.
    pub(super) const fn is_of_one(&self) -> bool {
        match self {
            Self::Application(_) | Self::Rejected(_) | Self::Unexpected(_) | Self::Unreadable | Self::Server(_) => true,
            Self::Exists | Self::Unknown | Self::RateLimited(_) | Self::Unreachable(_) => false,
        }
    }
}

impl Refusals {
    /// Oura has refused that one at `now`, in these words.
    pub(super) fn add(&mut self, pair: Pair, words: String, now: Instant) {
        let count = self.0.get(&pair).map_or(1, |before| before.count.saturating_add(1));
        self.0.insert(pair, Refusal { count, at: now, words });
    }

    /// That one stands, or is another's.
    pub(super) fn end(&mut self, pair: Pair) {
        self.0.remove(&pair);
    }

    /// Keeps those for which `is_wanting` holds.
    pub(super) fn retain(&mut self, is_wanting: impl Fn(Pair) -> bool) {
        self.0.retain(|pair, _| is_wanting(*pair));
    }

    /// Whether that one may be tried at `now`, where others stand or none does.
    pub(super) fn may_try(&self, pair: Pair, now: Instant, others_stand: bool) -> bool {
        self.0.get(&pair).is_none_or(|refusal| now >= refusal.again(others_stand))
    }

    /// When the first of them is to be tried again.
    pub(super) fn next(&self, others_stand: bool) -> Option<Instant> {
        self.0.values().map(|refusal| refusal.again(others_stand)).min()
    }

    /// What they are, in words that stay the same as long as they do; none where there are none.
    pub(super) fn words(&self) -> Option<String> {
        let ((_, first), others) = (self.0.first_key_value()?, self.0.len() - 1);
        let mut of: Vec<_> = self.0.keys().skip(1).map(|(data_type, _)| *data_type).collect();
        of.dedup();
        let others = if others == 0 { String::new() } else { format!("; nor {others} more, of {}", of.join(", ")) };
        Some(format!("{}{others}", first.words))
    }
}

impl Refusal {
    fn again(&self, others_stand: bool) -> Instant {
        let waits = if others_stand { &AGAIN_ALONE[..] } else { &AGAIN[..] };
        let wait = waits.get(self.count.saturating_sub(1)).or(waits.last());
        self.at + wait.copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhooks::Change;

    #[test]
    fn what_is_refused_is_tried_again_rarely_where_others_stand_and_soon_where_none_does() {
        let (start, pair) = (Instant::now(), ("sleep", Change::Create));
        let mut refusals = Refusals::default();
        let minutes = |refusals: &Refusals, others_stand| {
            refusals.next(others_stand).map(|next| next.duration_since(start).as_secs() / 60)
        };
        assert_eq!(minutes(&refusals, true), None);
        for (soon, alone) in [(1, 60), (5, 360), (15, 360), (60, 360), (60, 360)] {
            refusals.add(pair, "no".to_owned(), start);
            assert_eq!((minutes(&refusals, false), minutes(&refusals, true)), (Some(soon), Some(alone)));
            assert!(!refusals.may_try(pair, start, true) && refusals.may_try(("sleep", Change::Delete), start, true));
        }
        refusals.add(("tag", Change::Delete), "neither".to_owned(), start);
        refusals.add(("sleep", Change::Update), "neither".to_owned(), start);
        assert_eq!(refusals.words().as_deref(), Some("no; nor 2 more, of sleep, tag"));
        refusals.end(pair);
        refusals.retain(|(data_type, _)| data_type != "tag");
        assert_eq!((refusals.words().as_deref(), minutes(&refusals, false)), (Some("neither"), Some(1)));
    }
}
