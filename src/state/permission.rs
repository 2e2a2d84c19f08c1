//! Whether the refusal of one collection means that its scope is missing: what speaks for it, and what against.

use chrono::{DateTime, TimeDelta, Utc};

use crate::{auth::Grant, documents::Kind};

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
pub(super) fn is_witness(one: &Kind, other: &Kind) -> bool {
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
