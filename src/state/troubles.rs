//! Which troubles were told: each once when it begins and once when it ends, and one that comes and goes not too often.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::problem::Reason;

/// A trouble that is over and begins again is told again after that long at the earliest.
const AT_MOST_EVERY: TimeDelta = TimeDelta::minutes(15);

/// What is in trouble and why: a collection, or the account as a whole.
pub(super) type Trouble = (Option<&'static str>, Reason);

/// The troubles of an account that were told.
#[derive(Clone, Debug, Default)]
pub(super) struct Troubles(HashMap<Trouble, Told>);

#[derive(Clone, Copy, Debug)]
struct Told {
    at: DateTime<Utc>,
    is_open: bool,
}

impl Troubles {
    /// Whether the trouble, which there is at `now`, is to be told; then it counts as told.
    pub(super) fn begins(&mut self, trouble: Trouble, now: DateTime<Utc>) -> bool {
        let is_known = self
            .0
            .get(&trouble)
            .is_some_and(|told| told.is_open || (told.at <= now && now.signed_duration_since(told.at) < AT_MOST_EVERY));
        if !is_known {
            self.0.insert(trouble, Told { at: now, is_open: true });
        }
        !is_known
    }

    /// Whether the end of the trouble is to be told: if its beginning was.
    pub(super) fn ends(&mut self, trouble: Trouble) -> bool {
        self.0.get_mut(&trouble).is_some_and(|told| std::mem::take(&mut told.is_open))
    }

    /// Closes those that there are no more because another trouble took their place.
    pub(super) fn close(&mut self, is_there: impl Fn(&Trouble) -> bool) {
        self.0.iter_mut().filter(|(trouble, _)| !is_there(trouble)).for_each(|(_, told)| told.is_open = false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_is_told_when_it_begins_and_when_it_ends_and_not_each_time_that_it_comes_back() {
        let (start, trouble) = (DateTime::UNIX_EPOCH, (Some("sleep"), Reason::Server));
        let at = |minutes| start + TimeDelta::minutes(minutes);
        let mut troubles = Troubles::default();
        assert!(troubles.begins(trouble, at(0)) && !troubles.begins(trouble, at(5)), "once");
        assert!(troubles.ends(trouble) && !troubles.ends(trouble), "once");
        assert!(!troubles.begins(trouble, at(10)) && !troubles.ends(trouble), "it comes and goes");
        assert!(!troubles.begins(trouble, at(14)) && troubles.begins(trouble, at(15)), "it stays");
        assert!(troubles.begins((Some("sleep"), Reason::Timeout), at(16)), "another one");
        troubles.close(|(_, reason)| *reason == Reason::Timeout);
        assert!(!troubles.ends(trouble) && troubles.begins(trouble, at(60)), "another took its place");
        troubles.ends(trouble);
        assert!(troubles.begins(trouble, at(-600)), "a clock that was set back silences nobody");
    }
}
