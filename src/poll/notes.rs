//! What an answer changes in an account's state, and what is logged of it: once when it begins, once when it ends.

use serde_json::value::RawValue;
use tracing::{info, warn};

use super::account::Follower;
use crate::{
    documents::Reading,
    latest::CollectionState,
    observation::Sighting,
    problem::{Problem, Reason},
};

impl Follower {
    /// Reads an answer's documents; a failure only if none of them can be read.
    pub(super) fn read(&mut self, place: usize, documents: &[Box<RawValue>]) -> Result<Reading, Problem> {
        let kind = self.poller.kinds[place];
        let moment = self.state.moment(self.poller.clock.now());
        let reading = kind.read(documents, &moment);
        if let Some(recent) = &self.poller.samples {
            recent.add(&self.state.name, |take| kind.samples(documents, take), moment.now);
        }
        let count = reading.unreadable.len();
        if count > 0 {
            self.poller.stats.errors(&self.state.name, kind.name, Reason::Document, count as u64);
        }
        if count > 0 && count == documents.len() {
            return Err(Problem::of_documents(&reading.unreadable));
        }
        Ok(reading)
    }

    /// Takes note of an answer.
    pub(super) fn succeeded(&mut self, place: usize, reading: Reading) {
        self.sighted(reading.sighting);
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

    fn sighted(&mut self, sighting: Option<Sighting>) {
        if let Some(sighting) = sighting
            && self.sighting.is_none_or(|known| known.at <= sighting.at)
        {
            self.sighting = Some(sighting);
            self.state.zone = sighting.zone;
        }
    }

    /// Whoever keeps a sign-in tells its troubles, and their end.
    fn is_told_elsewhere(&self, reason: Reason) -> bool {
        self.state.is_signed_in && matches!(reason, Reason::Token | Reason::State)
    }

    /// A failure of the whole account is logged for the first of its collections only.
    fn log_begin(&self, place: usize, problem: &Problem) {
        if self.is_told_elsewhere(problem.reason) {
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
        if self.is_told_elsewhere(reason) {
            return;
        }
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
