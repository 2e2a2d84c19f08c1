//! What an answer changes in an account's state, and what is logged of it: once when it begins, once when it ends.

use serde_json::value::RawValue;
use tracing::{info, warn};

use super::{account::Follower, fetch::Answer};
use crate::{
    documents::Reading,
    latest::CollectionState,
    observation::DateRange,
    problem::{Problem, Reason},
};

impl Follower {
    /// Reads an answer's documents, for the page and for the record; a failure only if none of them can be read.
    pub(super) fn read(&mut self, place: usize, answer: Answer) -> Result<Reading, Problem> {
        let (kind, now) = (self.poller.kinds[place], self.poller.clock.now());
        let Answer { documents, days, whole } = answer;
        let recorded = self.poller.samples.as_ref().map(|_| days);
        let reading = kind.read(&documents, &self.state.known, now, recorded);
        self.state.known.merge(&reading.known);
        self.record(place, &documents, &reading, days, whole);
        let count = reading.unreadable.len();
        if count > 0 {
            self.poller.stats.errors(&self.state.name, kind.name, Reason::Document, count as u64);
        }
        if count > 0 && count == documents.len() {
            return Err(Problem::of_documents(&reading.unreadable));
        }
        Ok(reading)
    }

    /// Lets the record learn what an answer says.
    fn record(
        &mut self,
        place: usize,
        documents: &[Box<RawValue>],
        reading: &Reading,
        days: DateRange,
        whole: Result<Vec<Box<RawValue>>, Problem>,
    ) {
        let Some(samples) = self.poller.samples.clone() else { return };
        let (kind, now, account) = (self.poller.kinds[place], self.poller.clock.now(), self.state.name.clone());
        samples.learn(&account, kind, reading, days, now);
        let whole = if kind.is_series() { Ok(documents) } else { whole.as_deref() };
        if let Ok(documents) = whole {
            let moment = self.state.moment(now);
            let mut runs = Vec::new();
            kind.samples(documents, &moment, |run| runs.push(run));
            samples.learn_dense(&account, kind, &runs, now);
        }
        self.tell_of_whole(place, whole.err());
    }

    /// Logs once that documents could not be read whole, and once that they can be again: their values are shown all the
    /// same, but their dense samples are missing.
    fn tell_of_whole(&mut self, place: usize, problem: Option<&Problem>) {
        let (account, collection) = (&self.state.name, self.poller.kinds[place].name);
        let lacked = std::mem::replace(&mut self.kept[place].lacks_whole, problem.is_some());
        match problem {
            Some(problem) => {
                self.poller.stats.errors(account, collection, problem.reason, 1);
                if !lacked {
                    let (reason, advice) = (problem.reason.label(), self.state.advice(problem.reason));
                    warn!(account, collection, reason, "its dense samples cannot be read: {}; {advice}", problem.what);
                }
            }
            None if lacked => info!(account, collection, "its dense samples can be read again"),
            None => {}
        }
    }

    /// Takes note of an answer.
    pub(super) fn succeeded(&mut self, place: usize, reading: Reading) {
        self.state.authorized = Some(true);
        let before = self.state.collections[place].problem.take();
        if let Some(problem) = before {
            self.log_end(place, problem.reason);
        }
        let account = &self.state.name;
        let collection = &mut self.state.collections[place];
        if let Some(document) = reading.unreadable.first().filter(|_| collection.unreadable.is_empty()) {
            let (count, field, advice) = (reading.unreadable.len(), &document.field, Reason::Document.advice());
            let collection = collection.kind.name;
            warn!(account, collection, count, field, "documents cannot be read, the others are shown; {advice}");
        }
        collection.succeeded(self.poller.clock.now(), reading.shown, reading.unreadable);
    }

    /// Takes note of a failure.
    pub(super) fn failed(&mut self, place: usize, problem: Problem) {
        if problem.reason != Reason::Document {
            let collection = self.poller.kinds[place].name;
            self.poller.stats.errors(&self.state.name, collection, problem.reason, 1);
        }
        self.log_begin(place, &problem);
        match problem.reason {
            Reason::Token => self.state.authorized = Some(false),
            Reason::Scope | Reason::Membership => self.state.authorized = Some(true),
            _ => {}
        }
        self.state.collections[place].failed(problem);
    }

    /// A failure of the whole account is logged for the first of its collections only.
    fn log_begin(&self, place: usize, problem: &Problem) {
        if problem.reason == Reason::Token && self.state.is_signed_in {
            // Whoever keeps the sign-in has told already.
            return;
        }
        let collection = &self.state.collections[place];
        let (account, reason, advice) = (&self.state.name, problem.reason.label(), self.state.advice(problem.reason));
        if problem.reason.is_of_the_account() {
            if !self.state.collections.iter().any(|collection| has(collection, problem.reason)) {
                warn!(account, reason, "{}; {advice}", problem.what);
            }
        } else if !has(collection, problem.reason) {
            warn!(account, collection = collection.kind.name, reason, "{}; {advice}", problem.what);
        }
    }

    /// And its end for the last of them.
    fn log_end(&self, place: usize, reason: Reason) {
        let (account, collection) = (&self.state.name, self.state.collections[place].kind.name);
        if !reason.is_of_the_account() {
            info!(account, collection, "works again");
        } else if !self.state.collections.iter().any(|collection| has(collection, reason)) {
            info!(account, reason = reason.label(), "all collections work again");
        }
    }
}

fn has(collection: &CollectionState, reason: Reason) -> bool {
    collection.problem.as_ref().is_some_and(|problem| problem.reason == reason)
}
