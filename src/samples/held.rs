//! A record whose journal another process has: kept in memory meanwhile, and taken up as soon as the journal is free.

use std::sync::{Arc, atomic::Ordering};

use chrono::{DateTime, Utc};
use tracing::{info, warn};

use super::{
    Record, Samples, SeriesPoints, Telling,
    buffer::Kept,
    dense::place_after,
    journal::{Journal, Unusable},
};
use crate::problem::TokenOrigin;

/// What a record waits for.
pub(super) struct Held {
    /// Its own tellings begin here: those before are the other process's.
    from: u64,
    /// How the account comes by its token, besides its name.
    by: By,
}

/// A [`TokenOrigin`] without the name.
#[derive(Clone, Copy)]
enum By {
    SignIn,
    Hand,
    File,
}

impl Held {
    pub(super) fn since(record: &Record, origin: TokenOrigin<'_>) -> Self {
        let by = match origin {
            TokenOrigin::SignIn(_) => By::SignIn,
            TokenOrigin::ByHand => By::Hand,
            TokenOrigin::ByFile => By::File,
        };
        Self { from: record.numbers().end, by }
    }

    fn origin<'a>(&self, account: &'a str) -> TokenOrigin<'a> {
        match self.by {
            By::SignIn => TokenOrigin::SignIn(account),
            By::Hand => TokenOrigin::ByHand,
            By::File => TokenOrigin::ByFile,
        }
    }
}

impl Samples {
    /// Takes up the journals that other processes have let go of, with what was told meanwhile.
    pub fn take_up(&self, now: DateTime<Utc>) {
        if self.held.load(Ordering::Relaxed) == 0 {
            return;
        }
        let Some(store) = self.store() else { return };
        let (mut left, mut is_news) = (0, false);
        for (account, kept) in self.lock().iter_mut() {
            let Some(held) = &kept.held else { continue };
            match Journal::open(store, account, held.origin(account), now) {
                Ok(opened) => {
                    kept.take_over(account, held.from, opened, now);
                    is_news = true;
                }
                Err(unusable) if unusable.is_held() => left += 1,
                Err(unusable) => kept.give_up(account, &unusable),
            }
        }
        self.held.store(left, Ordering::Relaxed);
        if is_news {
            self.version.fetch_add(1, Ordering::Relaxed);
            self.news.notify_one();
        }
    }
}

impl Kept {
    /// Goes on in the journal, to which what was told from the number `from` on is added as far as it does not know it.
    fn take_over(
        &mut self,
        account: &str,
        from: u64,
        (mut journal, mut record): (Journal, Record),
        now: DateTime<Utc>,
    ) {
        let meanwhile = self.record.tellings(from..u64::MAX);
        let told: Vec<_> = meanwhile.into_iter().filter_map(|telling| record.tell_again(telling, now)).collect();
        if !told.is_empty() {
            journal.add(&told, &record);
        }
        info!(account, "{} is free: the record is kept in it from now on", journal.path().display());
        *self = Self { number: self.number, is_told_full: self.is_told_full, ..Self::in_journal(journal, record) };
    }

    fn give_up(&mut self, account: &str, unusable: &Unusable) {
        warn!(
            account,
            "the record stays in memory, and is sent again after a restart: {unusable}; {}",
            unusable.advice()
        );
        self.held = None;
    }
}

impl Record {
    /// Tells what was told elsewhere, where it stands, as far as this record says something else or less; none if it does not.
    fn tell_again(
        &mut self,
        Telling { learnt, collection, place, told, .. }: Telling,
        now: DateTime<Utc>,
    ) -> Option<Telling> {
        let told: Vec<SeriesPoints> = match place {
            Some(place) => {
                let known = self.documents(collection).find(|(known, _)| *known == place).map(|(_, document)| document);
                // What this record learnt later is nearer to the truth.
                let is_new = |(series, points): &SeriesPoints| match known {
                    Some(known) => {
                        let before = known.values.get(series);
                        before.is_none()
                            || known.learnt < learnt && before.copied() != points.last().map(|(_, value)| *value)
                    }
                    None => true,
                };
                let after = |stamp: i64| known.map_or(stamp, |known| stamp.max(known.last + 1));
                let moved = |(series, points): SeriesPoints| {
                    (series, points.into_iter().map(|(stamp, value)| (after(stamp), value)).collect())
                };
                told.into_iter().filter(is_new).map(moved).collect()
            }
            None => told.into_iter().filter_map(|(series, points)| self.unknown(series, points)).collect(),
        };
        (!told.is_empty()).then(|| self.told(now, collection, place, told))
    }

    /// The dense points of a series that are not known, or are others here.
    fn unknown(&self, series: Arc<super::Series>, points: Vec<(i64, f64)>) -> Option<SeriesPoints> {
        let place = |(time, value): (i64, f64)| Some((place_after(self.last_of(&series, time), time, value)?, value));
        let points: Vec<_> = points.into_iter().filter_map(place).collect();
        (!points.is_empty()).then_some((series, points))
    }
}
