//! Whether the refusal of one collection means that its scope is missing: what speaks for it, and what against.

use chrono::{DateTime, TimeDelta, Utc};

use super::{AccountState, CollectionState};
use crate::{
    auth::Grant,
    documents::Kind,
    oura::AccountStatus,
    problem::{Problem, Reason},
};

/// Refusals that last that long, and are that many, are no passing fault. They have to be several as well, because two
/// may lie far apart when the machine slept or the network was away between them.
const LASTING: TimeDelta = TimeDelta::hours(1);
const SEVERAL: u32 = 3;

/// Oura's documents and other clients disagree about which scope opens this collection: it may be this one as well. So it needs
/// both as far as we know, and that it works says nothing of either.
const DISPUTED: (&str, &str) = ("daily_stress", "daily");

/// The scopes that may be what opens a collection.
fn scopes(kind: &Kind) -> impl Iterator<Item = &'static str> {
    let other = (kind.name == DISPUTED.0).then_some(DISPUTED.1);
    [kind.scope].into_iter().chain(other)
}

/// Whether what opens the collection was granted, as far as Oura said.
pub fn is_granted(kind: &Kind, grant: Option<&Grant>) -> Option<bool> {
    let grant = grant?;
    scopes(kind).map(|scope| grant.has(scope)).try_fold(true, |all, has| Some(all && has?))
}

/// The scope that a collection is refused for want of, if it is for that.
pub fn missing_scope(kind: &Kind, grant: Option<&Grant>) -> &'static str {
    let is_missing = |scope: &&str| grant.and_then(|grant| grant.has(scope)) == Some(false);
    scopes(kind).find(is_missing).unwrap_or(kind.scope)
}

/// Whether that the first collection works says that the token has the scope of the second.
fn is_witness(one: &Kind, other: &Kind) -> bool {
    one.name != other.name && one.scope == other.scope && one.name != DISPUTED.0
}

/// The refusals of a collection since it last worked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusals {
    first: DateTime<Utc>,
    last: DateTime<Utc>,
    count: u32,
}

impl Refusals {
    /// Those of `before`, and one at `now`.
    pub fn and_one(before: Option<Self>, now: DateTime<Utc>) -> Self {
        let Some(before) = before else { return Self { first: now, last: now, count: 1 } };
        Self { last: now, count: before.count.saturating_add(1), ..before }
    }

    /// Whether they are no passing fault.
    pub fn are_lasting(&self) -> bool {
        self.count >= SEVERAL && self.last.signed_duration_since(self.first) >= LASTING
    }
}

/// What is known about a collection that is refused while the token is good elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusalEvidence {
    /// Another collection of the same scope works with this token.
    pub sibling_works: bool,
    /// Whether the wearer granted the scope, as far as Oura said what was granted.
    pub is_granted: Option<bool>,
    /// The collection itself has worked with this token.
    pub worked: bool,
    /// Its refusals since.
    pub refusals: Refusals,
}

impl RefusalEvidence {
    /// Whether the scope is missing: only if nothing speaks against it.
    pub fn is_scope_missing(&self) -> bool {
        !self.sibling_works && self.is_granted != Some(true) && (!self.worked || self.refusals.are_lasting())
    }

    /// Whether that is beyond doubt, so that asking again soon is of no use.
    pub fn is_certain(&self) -> bool {
        self.is_scope_missing() && (self.is_granted == Some(false) || self.refusals.are_lasting())
    }
}

impl AccountState {
    /// Takes note of what is granted now. After a new sign-in the past says nothing about what may be read any more; whether
    /// there was one.
    pub(super) fn granted(&mut self, grant: Option<Grant>) -> bool {
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
    pub(super) fn judge(&mut self) {
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
}

impl CollectionState {
    /// Takes note of what its refusals mean: that this scope is missing, or nothing that we know of.
    fn concluded(&mut self, missing_scope: Option<&str>) {
        let Some(scope) = missing_scope else {
            self.permitted = self.worked.then_some(true);
            self.problem = Some(Problem::from(AccountStatus::Good).into());
            return;
        };
        self.permitted = Some(false);
        self.problem = Some(Problem::of_scope(scope).into());
        if !self.worked {
            // It may have been read by an earlier sign-in, which granted more: what it showed is not to be shown any more.
            self.last_success = None;
            self.shown = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many refusals, the last one that many minutes after the first.
    fn refusals(count: u32, minutes: i64) -> Refusals {
        let first = DateTime::UNIX_EPOCH;
        Refusals { first, last: first + TimeDelta::minutes(minutes), count }
    }

    fn evidence(sibling_works: bool, is_granted: Option<bool>, worked: bool, refusals: Refusals) -> RefusalEvidence {
        RefusalEvidence { sibling_works, is_granted, worked, refusals }
    }

    #[test]
    fn a_collection_whose_scope_is_disputed_needs_both_and_proves_neither() {
        let kind = |name| crate::documents::kind(name).unwrap();
        let grant = |scopes: &[&str]| {
            let scopes = Some(scopes.iter().map(|scope| (*scope).to_owned()).collect());
            Some(Grant { signed_in_at: DateTime::UNIX_EPOCH, scopes })
        };
        for (name, granted, expected, missing) in [
            ("daily_stress", grant(&["daily", "stress"]), Some(true), "stress"),
            ("daily_stress", grant(&["daily"]), Some(false), "stress"),
            ("daily_stress", grant(&["stress"]), Some(false), "daily"),
            ("daily_resilience", grant(&["stress"]), Some(true), "stress"),
            ("workout", grant(&["daily"]), Some(false), "workout"),
            ("workout", None, None, "workout"),
        ] {
            let (kind, grant) = (kind(name), granted.as_ref());
            assert_eq!((is_granted(kind, grant), missing_scope(kind, grant)), (expected, missing), "{name}: {grant:?}");
        }
        assert!(
            is_witness(kind("daily_sleep"), kind("sleep"))
                && is_witness(kind("vO2_max"), kind("daily_cardiovascular_age"))
        );
        assert!(
            !is_witness(kind("daily_stress"), kind("daily_resilience")) && !is_witness(kind("sleep"), kind("sleep"))
        );
        assert!(
            is_witness(kind("daily_resilience"), kind("daily_stress")) && !is_witness(kind("sleep"), kind("workout"))
        );
    }

    #[test]
    fn refusals_add_up_and_last_only_if_they_are_several_over_an_hour() {
        let (begin, minutes) = (DateTime::UNIX_EPOCH, TimeDelta::minutes);
        let one = Refusals::and_one(None, begin);
        let two = Refusals::and_one(Some(one), begin + minutes(5));
        assert_eq!(two, refusals(2, 5));
        assert_eq!([refusals(1, 0), refusals(2, 600), refusals(99, 59)].map(|few| few.are_lasting()), [false; 3]);
        assert_eq!([refusals(3, 60), refusals(7, 61)].map(|many| many.are_lasting()), [true; 2]);
    }

    #[test]
    fn a_missing_scope_is_concluded_only_if_nothing_speaks_against_it() {
        let (once, lasting) = (refusals(1, 0), refusals(5, 60));
        for (evidence, is_missing, is_certain, why) in [
            (evidence(false, None, false, once), true, false, "never worked, nothing known"),
            (evidence(false, Some(false), false, once), true, true, "Oura said that it was not granted"),
            (evidence(false, None, false, lasting), true, true, "refused for an hour"),
            (evidence(false, None, true, once), false, false, "it has worked"),
            (evidence(false, None, true, refusals(2, 5)), false, false, "it has worked, and two are few"),
            (evidence(false, Some(false), true, once), false, false, "it worked, whatever Oura said"),
            (evidence(false, None, true, lasting), true, true, "it has worked, and is refused for an hour"),
            (evidence(true, None, false, lasting), false, false, "the scope is there, another one works"),
            (evidence(true, Some(false), false, lasting), false, false, "it is, whatever Oura said"),
            (evidence(false, Some(true), false, lasting), false, false, "it was granted"),
            (evidence(false, Some(true), true, lasting), false, false, "it was granted, and worked"),
        ] {
            assert_eq!((evidence.is_scope_missing(), evidence.is_certain()), (is_missing, is_certain), "{why}");
        }
    }
}
