//! The state of an account and its collections: what they show, whether they work, and why not.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, FixedOffset, Offset, TimeDelta, Utc};

use super::permission::{RefusalEvidence, Refusals, is_granted, is_witness, missing_scope};
use crate::{
    auth::Grant,
    documents::{Kind, Shown, Unreadable},
    observation::{Known, Moment},
    oura::AccountStatus,
    problem::{Problem, Reason, TokenOrigin},
};

/// A collection that was not read for so many of its intervals is not up, whatever keeps it.
const INTERVALS: u32 = 3;
/// No interval counts as shorter: an answer may take its time.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(60);

/// An account as its last answers left it.
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
    /// Whether it should have been asked for again long ago, as [`AccountState::visible`] sees it.
    pub is_overdue: bool,
    /// How often in a row it failed.
    pub failures: u32,
    /// What is wrong with it.
    pub problem: Option<Problem>,
    /// The documents of the last answer that could not be read.
    pub unreadable: Unreadable,
    /// Whether its words are more than a metric has series for.
    pub words_are_capped: bool,
    /// The newest values.
    pub shown: Option<Arc<Shown>>,
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
        }
    }

    /// Now, as the wearer lives it.
    pub fn moment(&self, now: DateTime<Utc>) -> Moment {
        self.known.moment(now)
    }

    /// The wearer's offset from UTC; UTC's own while no document has told it.
    pub fn zone(&self) -> FixedOffset {
        self.known.zone.map_or_else(|| Utc.fix(), |seen| seen.zone)
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

    /// What a person can do about a problem of that kind.
    pub fn advice(&self, reason: Reason) -> String {
        reason.advice(self.access())
    }

    /// Takes note of what is granted now. After a new sign-in the past says nothing about what may be read any more; whether
    /// there was one.
    pub fn granted(&mut self, grant: Option<Grant>) -> bool {
        let signed_in_at = |grant: &Option<Grant>| grant.as_ref().map(|grant| grant.signed_in_at);
        let is_new =
            self.grant.is_some() && signed_in_at(&grant).is_some_and(|at| Some(at) != signed_in_at(&self.grant));
        self.grant = grant.or_else(|| self.grant.take());
        if is_new {
            for collection in &mut self.collections {
                collection.worked = false;
                collection.refusals = None;
            }
        }
        is_new
    }

    /// Weighs anew what the refusals of single collections mean: what another one of the same scope says counts, too.
    pub fn judge(&mut self) {
        for place in 0..self.collections.len() {
            let evidence = self.evidence(place);
            let (kind, grant) = (self.collections[place].kind, self.grant.as_ref());
            let (is_granted, scope) = (is_granted(kind, grant), missing_scope(kind, grant));
            let collection = &mut self.collections[place];
            if let Some(evidence) = evidence {
                collection.concluded(evidence.is_scope_missing().then_some(scope));
            } else if collection.up == Some(true) {
                // Oura answers for personal_info whatever was granted, with nothing in it.
                collection.permitted = Some(is_granted != Some(false) || !collection.is_bare());
            }
        }
    }

    /// Whether the scope of the collection in `place` is missing beyond doubt.
    pub fn is_certainly_missing(&self, place: usize) -> bool {
        self.evidence(place).is_some_and(|evidence| evidence.is_certain())
    }

    /// What is known about the collection in `place`; none if it is not refused while the token is good elsewhere.
    fn evidence(&self, place: usize) -> Option<RefusalEvidence> {
        let collection = &self.collections[place];
        let problem = collection.problem.as_ref()?;
        let refusals = collection.refusals.filter(|_| matches!(problem.reason, Reason::Scope | Reason::Refused))?;
        let is_sibling = |other: &&CollectionState| is_witness(other.kind, collection.kind);
        let works = |other: &CollectionState| other.worked && other.refusals.is_none();
        Some(RefusalEvidence {
            sibling_works: self.collections.iter().filter(is_sibling).any(works),
            is_granted: is_granted(collection.kind, self.grant.as_ref()),
            worked: collection.worked,
            refusals,
        })
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
            is_overdue: false,
            failures: 0,
            problem: None,
            unreadable: Unreadable::default(),
            words_are_capped: false,
            shown: None,
        }
    }

    /// Takes note of an answer.
    pub fn succeeded(&mut self, now: DateTime<Utc>, shown: Option<Shown>, unreadable: Unreadable) {
        self.up = Some(true);
        self.permitted = Some(true);
        self.worked = true;
        self.refusals = None;
        self.last_success = Some(now);
        self.failures = 0;
        self.problem = None;
        self.unreadable = unreadable;
        self.shown = shown.map(Arc::new);
    }

    /// Takes note of a failure; the values stay, for as long as they may. What a refusal of this collection alone means is
    /// for [`AccountState::judge`] to say.
    pub fn failed(&mut self, problem: Problem, now: DateTime<Utc>) {
        self.up = Some(false);
        self.failures = self.failures.saturating_add(1);
        if problem.reason.is_refusal() {
            let refusals = Refusals::and_one(self.refusals, now);
            self.refusals = Some(refusals);
            if problem.reason == Reason::Membership && (!self.worked || refusals.are_lasting()) {
                self.permitted = Some(false);
            }
        }
        self.problem = Some(problem);
    }

    /// Takes note of what its refusals mean: that this scope is missing, or nothing that we know of.
    fn concluded(&mut self, missing_scope: Option<&str>) {
        let Some(scope) = missing_scope else {
            self.permitted = self.worked.then_some(true);
            self.problem = Some(Problem::from(AccountStatus::Good));
            return;
        };
        self.permitted = Some(false);
        self.problem = Some(Problem::of_scope(scope));
        if !self.worked {
            // It may have been read by an earlier sign-in, which granted more: what it showed is not to be shown any more.
            self.last_success = None;
            self.shown = None;
        }
    }

    /// Whether its newest document says nothing at all.
    fn is_bare(&self) -> bool {
        self.shown.as_ref().is_some_and(|shown| shown.observations.is_empty())
    }

    /// Whether it may not be read and, with this token, never could: a choice of the wearer's rather than a failure.
    pub fn was_never_permitted(&self) -> bool {
        self.permitted == Some(false) && !self.worked
    }

    /// Whether it was not read for so long that something must keep it from being asked for.
    fn is_overdue_at(&self, now: DateTime<Utc>) -> bool {
        let allowed = |watch: Watch| watch.interval.max(SHORTEST_INTERVAL).saturating_mul(INTERVALS);
        self.watch.is_some_and(|watch| self.age(now) > allowed(watch))
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
        let failing_too_long =
            self.up == Some(false) && self.last_success.is_none_or(|success| success + stale_after < moment.now);
        let day = self.shown.as_ref().and_then(|shown| shown.date.day(moment.zone));
        let age = day.map(|day| (moment.today() - day).num_days());
        !failing_too_long && age.zip(self.kind.keep_days).is_none_or(|(age, most)| age <= most)
    }
}
