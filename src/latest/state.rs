//! The state of an account and its collections: what they show, whether they work, and why not.

use std::sync::Arc;

use chrono::{DateTime, FixedOffset, Offset, TimeDelta, Utc};

use crate::{
    documents::{Kind, Shown, Unreadable},
    observation::{Known, Moment},
    problem::{Problem, Reason},
};

/// An account as its last answers left it.
#[derive(Clone)]
pub struct AccountState {
    /// The name given by the user.
    pub name: String,
    /// Whether Oura accepts the token; none until it has said so.
    pub authorized: Option<bool>,
    /// Whether a sign-in gives its tokens, and not the environment.
    pub is_signed_in: bool,
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
    /// Whether the last attempt succeeded; none before the first has ended.
    pub up: Option<bool>,
    /// Whether the account may read it; none while that is not known.
    pub permitted: Option<bool>,
    /// When it was last read.
    pub last_success: Option<DateTime<Utc>>,
    /// How often in a row it failed.
    pub failures: u32,
    /// What is wrong with it.
    pub problem: Option<Problem>,
    /// The documents of the last answer that could not be read.
    pub unreadable: Vec<Unreadable>,
    /// The newest values.
    pub shown: Option<Arc<Shown>>,
}

impl AccountState {
    /// An account of which nothing is known yet.
    pub fn new(name: &str, kinds: &[&'static Kind]) -> Self {
        let collections = kinds.iter().map(|kind| CollectionState::new(kind)).collect();
        Self {
            name: name.to_owned(),
            authorized: None,
            is_signed_in: false,
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

    /// The account without the values that are too old to be shown at `now`.
    pub fn visible(&self, now: DateTime<Utc>, stale_after: TimeDelta) -> Self {
        let mut state = self.clone();
        state.seen_at = now;
        let moment = self.moment(now);
        for collection in &mut state.collections {
            if !collection.is_fresh(&moment, stale_after) {
                collection.shown = None;
            }
        }
        state
    }

    /// Whether the last poll got every collection that the account may read.
    pub fn is_up(&self) -> bool {
        let mut may_read = self.collections.iter().filter(|collection| collection.permitted != Some(false)).peekable();
        may_read.peek().is_some() && may_read.all(|collection| collection.up == Some(true))
    }

    /// What a person can do about a problem of that kind.
    pub fn advice(&self, reason: Reason) -> String {
        match reason {
            Reason::Token if self.is_signed_in => format!("run: oura-exporter login --account {}", self.name),
            reason => reason.advice().to_owned(),
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
            last_success: None,
            failures: 0,
            problem: None,
            unreadable: vec![],
            shown: None,
        }
    }

    /// Takes note of an answer.
    pub fn succeeded(&mut self, now: DateTime<Utc>, shown: Option<Shown>, unreadable: Vec<Unreadable>) {
        self.up = Some(true);
        self.permitted = Some(true);
        self.last_success = Some(now);
        self.failures = 0;
        self.problem = None;
        self.unreadable = unreadable;
        self.shown = shown.map(Arc::new);
    }

    /// Takes note of a failure; the values stay, for as long as they may. What was permitted before counts as forbidden
    /// only after a second refusal: a single one may be a passing fault.
    pub fn failed(&mut self, problem: Problem) {
        self.up = Some(false);
        self.failures = self.failures.saturating_add(1);
        let again = self.problem.as_ref().is_some_and(|before| before.reason == problem.reason);
        let refused = matches!(problem.reason, Reason::Scope | Reason::Membership);
        if refused && (again || self.permitted != Some(true)) {
            self.permitted = Some(false);
        }
        self.problem = Some(problem);
    }

    fn is_fresh(&self, moment: &Moment, stale_after: TimeDelta) -> bool {
        let failing_too_long =
            self.up == Some(false) && self.last_success.is_none_or(|success| success + stale_after < moment.now);
        let day = self.shown.as_ref().and_then(|shown| shown.date.day(moment.zone));
        let age = day.map(|day| (moment.today() - day).num_days());
        !failing_too_long && age.zip(self.kind.keep_days).is_none_or(|(age, most)| age <= most)
    }
}
