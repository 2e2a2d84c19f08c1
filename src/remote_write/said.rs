//! What the log says of live sending: each cause when it is new, and not again within a quarter of an hour.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;
use tracing::{info, warn};

use super::WriteRefusal;

/// The same is not said sooner again.
const QUIET: Duration = Duration::from_secs(15 * 60);

/// What was said, and what is to be said.
#[derive(Default)]
pub(super) struct Said {
    /// Why the receiver takes nothing: the last cause, and when each was said.
    cause: String,
    causes: BTreeMap<String, Instant>,
    /// What was lost and is not said, and when that was said last, by cause.
    lost: BTreeMap<WriteRefusal, (u64, Option<Instant>)>,
    /// Whether it cannot be written down how far it went.
    is_unwritten: bool,
}

impl Said {
    /// Says why the receiver takes nothing, if that is new.
    pub(super) fn away(&mut self, is_new: bool, cause: &str, now: Instant) {
        if self.is_to_be_said(is_new, cause, now) {
            warn!("remote write: {cause}; samples are kept for twenty days and sent when it takes them");
        }
    }

    fn is_to_be_said(&mut self, is_new: bool, cause: &str, now: Instant) -> bool {
        if is_new {
            self.causes.clear();
        }
        let is_changed = is_new || self.cause != cause;
        self.causes.retain(|_, said| now - *said < QUIET);
        cause.clone_into(&mut self.cause);
        let is_said = is_changed && !self.causes.contains_key(cause);
        if is_said {
            self.causes.insert(cause.to_owned(), now);
        }
        is_said
    }

    /// Takes note of what is lost.
    pub(super) fn lost(&mut self, refusal: WriteRefusal, count: u64) {
        self.lost.entry(refusal).or_default().0 += count;
    }

    /// Says what was lost since that was said last.
    pub(super) fn tell_lost(&mut self, now: Instant) {
        for (refusal, count) in self.losses(now) {
            let samples = if count == 1 { "1 sample is" } else { &format!("{count} samples are") };
            warn!("remote write: {samples} lost: {}", refusal.words());
        }
    }

    fn losses(&mut self, now: Instant) -> Vec<(WriteRefusal, u64)> {
        let mut losses = Vec::new();
        for (refusal, (count, said)) in &mut self.lost {
            if *count > 0 && said.is_none_or(|said| now - said >= QUIET) {
                losses.push((*refusal, std::mem::take(count)));
                *said = Some(now);
            }
        }
        losses
    }

    /// Says where it cannot be written down how far it went, and when it can be again.
    pub(super) fn kept(&mut self, kept: &anyhow::Result<()>) {
        match kept {
            Err(problem) if !self.is_unwritten => warn!("{problem:#}; after a restart, samples may be sent twice"),
            Ok(()) if self.is_unwritten => info!("remote write: progress is stored again"),
            _ => {}
        }
        self.is_unwritten = kept.is_err();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn each_cause_of_an_outage_is_said_when_it_is_new_and_not_again_within_a_quarter_of_an_hour() {
        let (mut said, start) = (Said::default(), Instant::now());
        let steps = [
            (0, true, "503", true),
            (1, false, "503", false),
            (2, false, "refused", true),
            (3, false, "503", false),
            (4, false, "refused", false),
            (5, false, "401", true),
            (6, false, "401", false),
            (40, false, "401", false),
            (41, false, "503", true),
            (42, true, "503", true),
        ];
        for (minute, is_new, cause, expected) in steps {
            assert_eq!(
                said.is_to_be_said(is_new, cause, start + MINUTE * minute),
                expected,
                "minute {minute}: {cause}"
            );
        }
    }

    #[test]
    fn what_is_lost_is_said_at_once_and_then_in_sums() {
        let (mut said, start) = (Said::default(), Instant::now());
        let mut told = Vec::new();
        for minute in 0..40 {
            said.lost(WriteRefusal::TooOld, 10);
            if minute == 3 {
                said.lost(WriteRefusal::Other, 1);
            }
            told.extend(said.losses(start + MINUTE * minute).into_iter().map(|loss| (minute, loss)));
        }
        let old = |count| (WriteRefusal::TooOld, count);
        assert_eq!(told, [(0, old(10)), (3, (WriteRefusal::Other, 1)), (15, old(150)), (30, old(150))]);
        assert_eq!(said.losses(start + MINUTE * 46), [old(90)], "the rest too, if nothing more is lost");
        assert_eq!(said.losses(start + MINUTE * 99), []);
    }
}
