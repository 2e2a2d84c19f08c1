//! The state of an account and its collections: what they show, whether they work, and why not.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, FixedOffset, Offset, TimeDelta, Utc};

use super::{permission::Refusals, troubles::Troubles};
use crate::{
    auth::Grant,
    documents::{Kind, Shown, Unreadable},
    observation::{Known, Moment},
    problem::{Problem, TokenOrigin},
};

/// A collection that was not read for so many of its intervals is not up, whatever keeps it.
const INTERVALS: u32 = 3;
/// No interval counts as shorter: an answer may take its time.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(60);

/// An account as its last answers left it: [`AccountState::apply`] changes it, everybody else reads.
#[derive(Clone)]
pub struct AccountState {
    /// The name given by the user.
    pub name: String,
    /// Whether Oura accepts the token; none until it has said so.
    pub authorized: Option<bool>,
    /// Whether a sign-in gives its tokens, and not the environment.
    pub is_signed_in: bool,
    /// Whether a file gives its token, which is read again when it changes.
    pub has_token_file: bool,
    /// What the person granted at the sign-in; none if there was none, or nothing is known of it.
    pub grant: Option<Grant>,
    /// When the access token ends; none if nobody knows.
    pub token_expires_at: Option<DateTime<Utc>>,
    /// What documents have told of the wearer.
    pub known: Known,
    /// When this is looked at: ages are by it.
    pub seen_at: DateTime<Utc>,
    /// Until when Oura last asked for no requests.
    pub rate_limited_until: Option<DateTime<Utc>>,
    /// Its collections, in the order in which they are asked for.
    pub collections: Vec<CollectionState>,
    /// What the log was told of.
    pub(super) troubles: Troubles,
}

/// A collection as its last answer left it.
#[derive(Clone)]
pub struct CollectionState {
    /// Which one.
    pub kind: &'static Kind,
    /// Whether the last attempt succeeded, and is not overdue; none before the first has ended.
    pub up: Option<bool>,
    /// Whether the account may read it; none while that is not known.
    pub permitted: Option<bool>,
    /// Whether it was read with the present token, or one of the same sign-in.
    pub worked: bool,
    /// How often it was refused since.
    pub refusals: Option<Refusals>,
    /// When it was last read.
    pub last_success: Option<DateTime<Utc>>,
    /// Since when and how often it is asked for; none where nobody polls.
    pub watch: Option<Watch>,
    /// For how long it may stay unread beyond its interval: what was to be asked for seldom until now is not overdue because
    /// it is to be asked for often from now on.
    grace: Duration,
    /// Whether it should have been asked for again long ago, as [`AccountState::visible`] sees it.
    pub is_overdue: bool,
    /// How often in a row it failed.
    pub failures: u32,
    /// What is wrong with it.
    pub problem: Option<Box<Problem>>,
    /// The documents of the last answer that could not be read.
    pub unreadable: Unreadable,
    /// Whether its words are more than a metric has series for.
    pub words_are_capped: bool,
    /// The newest values.
    pub shown: Option<Arc<Shown>>,
    /// Whether documents could not be read whole the last time.
    pub(super) lacks_whole: bool,
    /// Whether the log was told that there are documents that cannot be read at all.
    pub(super) told_unreadable: bool,
}

/// How a collection is polled.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    /// From when on.
    pub since: DateTime<Utc>,
    /// How long it is between two polls, if nothing goes wrong.
    pub interval: Duration,
}

impl AccountState {
    /// An account of which nothing is known yet.
    pub fn new(name: &str, kinds: &[&'static Kind]) -> Self {
        let collections = kinds.iter().map(|kind| CollectionState::new(kind)).collect();
        Self {
            name: name.to_owned(),
            authorized: None,
            is_signed_in: false,
            has_token_file: false,
            grant: None,
            token_expires_at: None,
            known: Known::default(),
            seen_at: DateTime::UNIX_EPOCH,
            rate_limited_until: None,
            collections,
            troubles: Troubles::default(),
        }
    }

    /// The same, which comes by its token in that way.
    pub fn with_token_by(self, origin: TokenOrigin<'_>) -> Self {
        let is_signed_in = matches!(origin, TokenOrigin::SignIn(_));
        Self { is_signed_in, has_token_file: origin == TokenOrigin::ByFile, ..self }
    }

    /// The same, whose collections are polled from `since` on, each at its interval: from then on whoever looks can tell that
    /// nothing comes.
    pub fn polled(mut self, since: DateTime<Utc>, interval: impl Fn(&Kind) -> Duration) -> Self {
        for collection in &mut self.collections {
            collection.watch = Some(Watch { since, interval: interval(collection.kind) });
        }
        self
    }

    /// Now, as the wearer lives it.
    pub fn moment(&self, now: DateTime<Utc>) -> Moment {
        self.known.moment(now)
    }

    /// The wearer's offset from UTC; UTC's own while no document has told it.
    pub fn zone(&self) -> FixedOffset {
        self.known.zone.map_or_else(|| Utc.fix(), |seen| seen.zone)
    }

    /// The same, which shares nothing with this one but what this one shares with `before`.
    pub(super) fn copied(&self, before: Option<&Self>) -> Self {
        let mut state = self.clone();
        for (place, collection) in state.collections.iter_mut().enumerate() {
            let before = before.and_then(|before| before.collections.get(place)?.shown.as_ref());
            if let Some(shown) = &mut collection.shown
                && before.is_none_or(|before| !Arc::ptr_eq(before, shown))
            {
                *shown = Arc::new((**shown).clone());
            }
        }
        state
    }

    /// The account as it stands at `now`: what is overdue is not up, and values that are too old are not shown. A task that
    /// hangs writes nothing any more, so this goes by the clock of whoever looks.
    pub fn visible(&self, now: DateTime<Utc>, stale_after: TimeDelta) -> Self {
        let mut state = self.clone();
        state.seen_at = now;
        let moment = self.moment(now);
        for collection in &mut state.collections {
            if collection.up != Some(false) && collection.is_overdue_at(now) {
                collection.is_overdue = true;
                collection.up = Some(false);
            }
            if !collection.is_fresh(&moment, stale_after) {
                collection.shown = None;
            }
        }
        state
    }

    /// Until when [`Self::visible`] shows what it shows at `now`, unless there is a new state: until the wearer's midnight, by
    /// which ages are counted, or a collection is overdue, or the values of one that fails are too old.
    pub fn visible_until(&self, now: DateTime<Utc>, stale_after: TimeDelta) -> DateTime<Utc> {
        let changes = self.collections.iter().flat_map(|one| [one.overdue_from(), one.stale_from(stale_after)]);
        let next = changes.flatten().filter(|change| *change > now).min();
        let midnight = self.moment(now).next_day();
        next.map_or(midnight, |next| next.min(midnight))
    }

    /// Whether every collection works that the account may read, or could read once with this token.
    pub fn is_up(&self) -> bool {
        let mut may_read = self.collections.iter().filter(|collection| !collection.was_never_permitted()).peekable();
        may_read.peek().is_some() && may_read.all(|collection| collection.up == Some(true))
    }

    /// How the account comes by its token.
    pub fn access(&self) -> TokenOrigin<'_> {
        match (self.is_signed_in, self.has_token_file) {
            (true, _) => TokenOrigin::SignIn(&self.name),
            (false, true) => TokenOrigin::ByFile,
            (false, false) => TokenOrigin::ByHand,
        }
    }

    /// The collections whose first attempt has not ended.
    pub fn waiting(&self) -> impl Iterator<Item = &'static str> {
        self.collections.iter().filter(|collection| collection.up.is_none()).map(|collection| collection.kind.name)
    }

    /// Whether the token is refused, so that a person must act.
    pub fn needs_sign_in(&self) -> bool {
        self.authorized == Some(false)
    }
}

impl CollectionState {
    fn new(kind: &'static Kind) -> Self {
        Self {
            kind,
            up: None,
            permitted: None,
            worked: false,
            refusals: None,
            last_success: None,
            watch: None,
            grace: Duration::ZERO,
            is_overdue: false,
            failures: 0,
            problem: None,
            unreadable: Unreadable::default(),
            words_are_capped: false,
            shown: None,
            lacks_whole: false,
            told_unreadable: false,
        }
    }

    /// Whether its newest document says nothing at all.
    pub(super) fn is_bare(&self) -> bool {
        self.shown.as_ref().is_some_and(|shown| shown.observations.is_empty())
    }

    /// Whether it may not be read and, with this token, never could: a choice of the wearer's rather than a failure.
    pub fn was_never_permitted(&self) -> bool {
        self.permitted == Some(false) && !self.worked
    }

    /// Takes note that it is asked for that often from `now` on.
    pub fn is_asked_every(&mut self, interval: Duration, now: DateTime<Utc>) {
        let Some(watch) = self.watch.filter(|watch| watch.interval != interval) else { return };
        let (before, after) = (allowed(watch.interval), allowed(interval));
        self.watch = Some(Watch { interval, ..watch });
        if after < before {
            // It is overdue no later than before, and no sooner than if it had been read now.
            self.grace = self.grace.saturating_add(before - after).min(self.age(now));
        } else {
            self.grace = self.grace.saturating_sub(after - before);
        }
    }

    /// Takes note that it was read at `now`.
    pub(super) const fn was_read(&mut self, now: DateTime<Utc>) {
        self.last_success = Some(now);
        self.grace = Duration::ZERO;
    }

    /// Whether it was not read for so long that something must keep it from being asked for.
    fn is_overdue_at(&self, now: DateTime<Utc>) -> bool {
        self.overdue_from().is_some_and(|overdue| now >= overdue)
    }

    /// From when on it is overdue, if it is not read before; none where nobody polls.
    fn overdue_from(&self) -> Option<DateTime<Utc>> {
        let watch = self.watch?;
        let allowed = allowed(watch.interval).saturating_add(self.grace);
        just_after(self.last_success.unwrap_or(watch.since), TimeDelta::from_std(allowed).ok()?)
    }

    /// From when on its values are too old, if it fails.
    fn stale_from(&self, stale_after: TimeDelta) -> Option<DateTime<Utc>> {
        just_after(self.last_success?, stale_after)
    }

    /// Whether its interval is over by the clock on the wall, which goes on while the machine sleeps.
    pub fn is_due_at(&self, now: DateTime<Utc>) -> bool {
        self.up == Some(true) && self.watch.is_some_and(|watch| self.age(now) > watch.interval)
    }

    /// How long ago it was read; before the first time, how long it is asked for.
    fn age(&self, now: DateTime<Utc>) -> Duration {
        let since = self.last_success.or(self.watch.map(|watch| watch.since)).unwrap_or(now);
        now.signed_duration_since(since).to_std().unwrap_or_default()
    }

    fn is_fresh(&self, moment: &Moment, stale_after: TimeDelta) -> bool {
        let is_stale = || self.stale_from(stale_after).is_some_and(|stale| moment.now >= stale);
        let failing_too_long = self.up == Some(false) && (self.last_success.is_none() || is_stale());
        let day = self.shown.as_ref().and_then(|shown| shown.date.day(moment.zone));
        let age = day.map(|day| (moment.today() - day).num_days());
        !failing_too_long && age.zip(self.kind.keep_days).is_none_or(|(age, most)| age <= most)
    }
}

/// How long what is asked for that often may stay unread.
fn allowed(interval: Duration) -> Duration {
    interval.max(SHORTEST_INTERVAL).saturating_mul(INTERVALS)
}

/// The first moment that is later than so long after `time`; none where that is beyond all time.
fn just_after(time: DateTime<Utc>, after: TimeDelta) -> Option<DateTime<Utc>> {
    time.checked_add_signed(after)?.checked_add_signed(TimeDelta::nanoseconds(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::KINDS;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    /// A collection that was read at the start, and is asked for every so many minutes.
    fn read_every(minutes: u32) -> CollectionState {
        let mut collection = CollectionState::new(&KINDS[0]);
        collection.watch = Some(Watch { since: at(0), interval: MINUTE * minutes });
        collection.was_read(at(0));
        collection
    }

    /// After how many minutes it is overdue.
    fn overdue_after(collection: &CollectionState) -> i64 {
        collection.overdue_from().map_or(0, |overdue| (overdue - at(0)).num_minutes())
    }

    #[test]
    fn what_is_asked_for_more_often_from_now_on_is_not_overdue_at_once_and_never_later_than_before() {
        for (asked_at, overdue) in [(0, 15), (10, 25), (59, 74), (170, 180), (200, 180)] {
            let mut collection = read_every(60);
            collection.is_asked_every(MINUTE * 5, at(asked_at * 60));
            assert_eq!(overdue_after(&collection), overdue, "from minute {asked_at} on");
            collection.is_asked_every(MINUTE * 60, at(asked_at * 60));
            assert_eq!(overdue_after(&collection), 180, "and back");
            collection.is_asked_every(MINUTE * 5, at(asked_at * 60));
            collection.was_read(at(0));
            assert_eq!(overdue_after(&collection), 15, "it was read");
        }
    }

    #[test]
    fn intervals_that_go_up_and_down_put_nothing_off() {
        for wider in [1, 7, 59] {
            let mut collection = read_every(5);
            for second in 0..1_200 {
                let more = if second % 2 == 0 { 0 } else { wider };
                collection.is_asked_every(MINUTE * 5 + Duration::from_secs(more), at(second));
            }
            let overdue = overdue_after(&collection);
            assert!((15..=18).contains(&overdue), "{wider} s more: {overdue}");
        }
    }
}
