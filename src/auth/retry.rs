//! When a renewal is tried again: soon after a passing trouble, later each time after a refusal, never once it is final.

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    no_token::{NoToken, SignInNeeded},
    oauth_error::Refusal,
    store_error::StoreError,
};

/// The waits after the first refusals; from then on the last one.
const AFTER_REFUSALS: [TimeDelta; 4] =
    [TimeDelta::minutes(1), TimeDelta::minutes(5), TimeDelta::minutes(15), TimeDelta::hours(1)];
/// A grant that Oura calls invalid is so for certain when it still is that much later.
const CERTAIN_AFTER: TimeDelta = TimeDelta::hours(1);
/// The wait after a trouble of Oura's or the network's, or a lock that somebody holds.
const AFTER_TROUBLE: TimeDelta = TimeDelta::minutes(1);
/// The wait after a trouble of the disk: looking again costs little.
pub(super) const AFTER_DISK_TROUBLE: TimeDelta = TimeDelta::seconds(10);
/// The first and the longest wait where Oura's API refuses even a new token.
const FIRST_REPLACEMENT: TimeDelta = TimeDelta::minutes(15);
const LAST_REPLACEMENT: TimeDelta = TimeDelta::hours(6);

/// How the renewal of one pair goes.
#[derive(Debug, Default)]
pub(super) struct Renewals {
    refusals: usize,
    invalid_since: Option<DateTime<Utc>>,
    last: Option<Failure>,
}

#[derive(Debug)]
struct Failure {
    problem: NoToken,
    at: DateTime<Utc>,
    /// None: never again with this pair.
    again: Option<DateTime<Utc>>,
}

impl Renewals {
    /// Why no renewal is tried at `now`, if none is. A clock that was set back keeps nobody waiting.
    pub(super) fn blocked(&self, now: DateTime<Utc>) -> Option<NoToken> {
        let last = self.last.as_ref()?;
        last.again.is_none_or(|again| last.at <= now && now < again).then(|| last.problem.clone())
    }

    /// Whether the last try was refused.
    pub(super) fn is_refused(&self) -> bool {
        self.last.as_ref().is_some_and(|last| matches!(last.problem, NoToken::SignIn(_)))
    }

    /// Takes note of a refusal, and says what it means.
    pub(super) fn refused(&mut self, refusal: Refusal, now: DateTime<Utc>) -> NoToken {
        let mut is_final = false;
        if refusal.is_of_the_grant() {
            let since = *self.invalid_since.get_or_insert(now);
            is_final = now - since >= CERTAIN_AFTER;
        }
        let wait = AFTER_REFUSALS[self.refusals.min(AFTER_REFUSALS.len() - 1)];
        self.refusals += 1;
        let again = (!is_final).then(|| now + wait);
        let problem = NoToken::SignIn(SignInNeeded::Refused { refusal, again });
        self.last = Some(Failure { problem: problem.clone(), at: now, again });
        problem
    }

    /// Takes note of a trouble that passes.
    pub(super) fn failed(&mut self, problem: NoToken, now: DateTime<Utc>) -> NoToken {
        let wait = match &problem {
            NoToken::State(StoreError::Locked { .. }) => AFTER_TROUBLE,
            NoToken::State(_) => AFTER_DISK_TROUBLE,
            _ => AFTER_TROUBLE,
        };
        self.last = Some(Failure { problem: problem.clone(), at: now, again: Some(now + wait) });
        problem
    }
}

/// How often the pair was renewed because Oura's API refused its access token, before it had ended.
#[derive(Debug, Default)]
pub(super) struct Replacements {
    in_a_row: u32,
    is_accepted: bool,
    last: Option<DateTime<Utc>>,
}

impl Replacements {
    /// Until when a token that Oura's API refuses is not replaced; none if it may be now.
    pub(super) fn blocked(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let last = self.last?;
        let doublings = self.in_a_row.saturating_sub(1).min(8);
        let again = last + (FIRST_REPLACEMENT * (1 << doublings)).min(LAST_REPLACEMENT);
        (last <= now && now < again).then_some(again)
    }

    /// Takes note of a replacement.
    pub(super) fn replaced(&mut self, now: DateTime<Utc>) {
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.is_accepted = false;
        self.last = Some(now);
    }

    /// Oura's API has accepted a token since; the wait that has begun stays, or a flickering API would cost as many tokens.
    pub(super) fn accepted(&mut self) {
        self.in_a_row = 0;
        self.is_accepted = true;
    }

    /// Whether the API has accepted what the last replacement gave.
    pub(super) const fn is_accepted(&self) -> bool {
        self.is_accepted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::oauth_error::ErrorCode;

    fn refusal(code: ErrorCode) -> Refusal {
        Refusal { status: 400, code: Some(code), description: String::new() }
    }

    /// The minutes at which somebody who asks every minute is refused.
    fn refused_at(codes: impl Fn(usize) -> ErrorCode, minutes: i64) -> Vec<i64> {
        let (mut renewals, mut asked) = (Renewals::default(), vec![]);
        for minute in 0..minutes {
            let now = DateTime::UNIX_EPOCH + TimeDelta::minutes(minute);
            if renewals.blocked(now).is_none() {
                renewals.refused(refusal(codes(asked.len())), now);
                asked.push(minute);
            }
        }
        asked
    }

    #[test]
    fn a_refusal_is_tried_again_after_1_5_15_and_60_minutes_and_then_hourly() {
        let every_time = |code| move |_| code;
        let hourly = [0, 1, 6, 21, 81, 141, 201];
        assert_eq!(refused_at(every_time(ErrorCode::InvalidClient), 230), hourly);
        assert_eq!(refused_at(every_time(ErrorCode::Other), 230), hourly);
        assert_eq!(refused_at(every_time(ErrorCode::InvalidRequest), 230), hourly);
    }

    #[test]
    fn only_a_grant_that_is_invalid_twice_an_hour_apart_is_final() {
        assert_eq!(refused_at(|_| ErrorCode::InvalidGrant, 9999), [0, 1, 6, 21, 81], "81 minutes after the first");
        let once = |at: usize| move |n| if n == at { ErrorCode::InvalidGrant } else { ErrorCode::InvalidClient };
        assert_eq!(refused_at(once(0), 300).len(), 8, "once is not twice");
        let twice = |n| if n == 3 || n == 5 { ErrorCode::InvalidGrant } else { ErrorCode::InvalidClient };
        assert_eq!(refused_at(twice, 9999), [0, 1, 6, 21, 81, 141], "whatever came between");
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_nobody_waiting() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(9);
        let (mut renewals, mut replacements) = (Renewals::default(), Replacements::default());
        renewals.refused(refusal(ErrorCode::Other), now);
        replacements.replaced(now);
        for back in [TimeDelta::seconds(1), TimeDelta::days(1)] {
            assert_eq!(renewals.blocked(now - back), None);
            assert_eq!(replacements.blocked(now - back), None);
        }
    }

    #[test]
    fn new_tokens_that_are_refused_as_well_are_replaced_later_each_time() {
        let (mut replacements, mut at) = (Replacements::default(), vec![]);
        for minute in 0..24 * 60 {
            let now = DateTime::UNIX_EPOCH + TimeDelta::minutes(minute);
            if replacements.blocked(now).is_none() {
                replacements.replaced(now);
                at.push(minute);
            }
        }
        assert_eq!(at, [0, 15, 45, 105, 225, 465, 825, 1185]);
        replacements.accepted();
        let last = DateTime::UNIX_EPOCH + TimeDelta::minutes(1185);
        assert_eq!(replacements.blocked(last), Some(last + FIRST_REPLACEMENT), "not at once for all that");
    }
}
