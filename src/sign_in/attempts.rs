//! The sign-ins that were begun on the page: each is answered once, within ten minutes, by whoever knows its state.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};

use crate::auth::{Doubt, Login, Redirected, Replaces};

/// How long a person may take: Oura's codes live that long, too.
pub(super) const LIFE: TimeDelta = TimeDelta::minutes(10);
/// How many may wait for their answer: none that waits is forgotten for a new one.
const MOST: usize = 64;
/// How many strangers may begin in the life of one, all of them and each: the other places are for those who are known.
const MOST_OF_STRANGERS: usize = 32;
const MOST_OF_ONE: usize = 8;

/// All that were begun of late.
#[derive(Default)]
pub(super) struct Attempts(Mutex<Recent>);

#[derive(Default)]
struct Recent {
    attempts: Vec<Attempt>,
    /// Which strangers began one and when, whatever came of it: each beginning is a request to Oura.
    strangers: Vec<(IpAddr, DateTime<Utc>)>,
}

/// A sign-in that was begun.
#[derive(Clone)]
pub(super) struct Attempt {
    /// Names it in addresses; it opens nothing.
    pub(super) id: String,
    /// The name of the account.
    pub(super) account: String,
    pub(super) login: Arc<Login>,
    /// Whom it may put in the place of the account.
    pub(super) replaces: Replaces,
    begun: DateTime<Utc>,
    pub(super) stage: Stage,
    /// The origin of the page on which it was begun, as the browser knows it.
    pub(super) origin: String,
    /// Whether the browser was sent on to Oura: who comes back to the page wants to stay there.
    was_sent: bool,
}

/// A sign-in that begins.
pub(super) struct New {
    pub(super) id: String,
    pub(super) account: String,
    pub(super) login: Login,
    pub(super) replaces: Replaces,
    pub(super) origin: String,
}

/// How far it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nobody has come back from Oura.
    Waiting,
    /// Oura is asked for the tokens.
    Busy,
    /// The tokens of this sign-in are stored.
    Done {
        signed_in_at: DateTime<Utc>,
        /// What could not be told of the person.
        doubts: Vec<Doubt>,
    },
    /// It has ended without tokens.
    Failed {
        why: String,
        /// What the button says that does it all the same, where whoever consented is not the person of the account.
        button: Option<String>,
    },
}

/// Why an answer is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotTaken {
    #[error(
        "this answer belongs to a sign-in that was not started on this page, or that is older than ten minutes. If \
         oura-exporter login waits for it in a terminal, paste this page's address there; otherwise start again"
    )]
    Unknown,
    #[error("this sign-in has already been answered, and each is answered only once. If it failed, start again")]
    Answered,
}

/// Why no sign-in is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TooMany {
    #[error(
        "too many sign-ins were started from your address within ten minutes: continue one of them, or wait that long; \
         the command oura-exporter login needs no page"
    )]
    OfOne,
    #[error(
        "too many sign-ins were started here within ten minutes, so no more can start: try again after that time; the \
         command oura-exporter login needs no page"
    )]
    OfAll,
}

impl Attempts {
    /// Whether another one may be begun now, before Oura is asked: by somebody who is known, or by the stranger at that
    /// address. Those whose time is over are forgotten.
    ///
    /// # Errors
    /// Where there were too many of late.
    pub(super) fn admit(&self, stranger: Option<IpAddr>, now: DateTime<Utc>) -> Result<(), TooMany> {
        let mut recent = self.lock();
        recent.attempts.retain(|attempt| attempt.is_alive(now));
        recent.strangers.retain(|(_, begun)| (now - *begun).abs() < LIFE);
        if recent.attempts.iter().filter(|attempt| attempt.is_open()).count() >= MOST {
            return Err(TooMany::OfAll);
        }
        let Some(address) = stranger.map(network) else { return Ok(()) };
        if recent.strangers.iter().filter(|(other, _)| *other == address).count() >= MOST_OF_ONE {
            return Err(TooMany::OfOne);
        }
        if recent.strangers.len() >= MOST_OF_STRANGERS {
            return Err(TooMany::OfAll);
        }
        recent.strangers.push((address, now));
        Ok(())
    }

    /// Adds one that was admitted. Where there is no room it is that of the oldest that has ended.
    pub(super) fn add(&self, new: New, now: DateTime<Utc>) {
        let New { id, account, login, replaces, origin } = new;
        let attempts = &mut self.lock().attempts;
        if attempts.len() >= MOST
            && let Some(ended) = attempts.iter().position(|attempt| !attempt.is_open())
        {
            attempts.remove(ended);
        }
        let (login, stage) = (Arc::new(login), Stage::Waiting);
        attempts.push(Attempt { id, account, login, replaces, begun: now, stage, origin, was_sent: false });
    }

    /// The one of that id.
    pub(super) fn get(&self, id: &str, now: DateTime<Utc>) -> Option<Attempt> {
        self.lock().attempts.iter().find(|attempt| attempt.id == id && attempt.is_alive(now)).cloned()
    }

    /// Whether the browser is to be sent on to Oura by itself: once.
    pub(super) fn sends(&self, id: &str) -> bool {
        let attempts = &mut self.lock().attempts;
        let attempt = attempts.iter_mut().find(|attempt| attempt.id == id && attempt.stage == Stage::Waiting);
        attempt.is_some_and(|attempt| !std::mem::replace(&mut attempt.was_sent, true))
    }

    /// Takes an answer for the attempt to which it is. With an `id` a person has pasted it there, and it may be the bare code.
    pub(super) fn take(&self, answer: &Redirected, id: Option<&str>, now: DateTime<Utc>) -> Result<Attempt, NotTaken> {
        let is_meant = |attempt: &Attempt| match id {
            Some(id) => attempt.id == id && (answer.is_bare() || answer.is_to(attempt.login.state())),
            None => answer.is_to(attempt.login.state()),
        };
        let attempts = &mut self.lock().attempts;
        let attempt = attempts.iter_mut().find(|attempt| is_meant(attempt) && attempt.is_alive(now));
        let attempt = attempt.ok_or(NotTaken::Unknown)?;
        if attempt.stage != Stage::Waiting {
            return Err(NotTaken::Answered);
        }
        attempt.stage = Stage::Busy;
        Ok(attempt.clone())
    }

    /// Takes note of how it has ended.
    pub(super) fn end(&self, id: &str, stage: Stage) {
        if let Some(attempt) = self.lock().attempts.iter_mut().find(|attempt| attempt.id == id) {
            attempt.stage = stage;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Recent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt {
    fn is_alive(&self, now: DateTime<Utc>) -> bool {
        // Of a clock that was ahead, it would live for as long.
        (now - self.begun).abs() < LIFE
    }

    fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Waiting | Stage::Busy)
    }
}

/// The address that counts as one stranger's: of IPv6 they have at least a whole /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn admitted(attempts: &Attempts, address: &str, now: DateTime<Utc>) -> Result<(), TooMany> {
        attempts.admit(Some(address.parse().unwrap()), now)
    }

    #[test]
    fn each_stranger_begins_so_many_in_ten_minutes_and_another_one_still_may() {
        for [one, same, other] in [
            ["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"],
            ["2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1"],
            ["172.17.0.1", "172.17.0.1", "10.0.0.1"],
        ] {
            let attempts = Attempts::default();
            for _ in 0..MOST_OF_ONE {
                assert_eq!(admitted(&attempts, one, NOW), Ok(()));
            }
            assert_eq!(admitted(&attempts, same, NOW), Err(TooMany::OfOne));
            assert_eq!(admitted(&attempts, other, NOW), Ok(()));
            assert_eq!(attempts.admit(None, NOW), Ok(()), "who is known is not counted");
            assert_eq!(admitted(&attempts, one, NOW + LIFE), Ok(()));
        }
    }

    #[test]
    fn strangers_together_leave_places_to_those_who_are_known() {
        let attempts = Attempts::default();
        for host in 0..MOST_OF_STRANGERS {
            assert_eq!(admitted(&attempts, &format!("198.51.100.{host}"), NOW), Ok(()));
        }
        assert_eq!(admitted(&attempts, "203.0.113.1", NOW), Err(TooMany::OfAll));
        assert_eq!(attempts.admit(None, NOW), Ok(()));
        assert_eq!(admitted(&attempts, "203.0.113.1", NOW + LIFE), Ok(()));
    }
}
