//! What an answer changes in an account's state, and what is logged of it: once when it begins, once when it ends.

use serde_json::value::RawValue;
use tracing::{debug, info, warn};

use super::account::{Follower, readable, size};
use crate::{
    documents::{Reading, Unreadable},
    latest::CollectionState,
    observation::Sighting,
    oura::apart,
    problem::{Problem, Reason},
};

impl Follower {
    /// Reads an answer's documents; a failure only if none of them can be read.
    pub(super) async fn read(&mut self, place: usize, documents: Vec<Box<RawValue>>) -> Result<Reading, Problem> {
        let kind = self.poller.kinds[place];
        let (bytes, moment) = (size(&documents), self.state.moment(self.poller.clock.now()));
        let asked = documents.len();
        let (recent, account) = (self.poller.samples.clone(), self.state.name.clone());
        let read = move || {
            let reading = kind.read(&documents, &moment);
            if let Some(recent) = recent {
                recent.add(&account, |take| kind.samples(&documents, take), moment.now);
            }
            reading
        };
        let reading = apart(bytes, read).await;
        let count = reading.unreadable.count;
        if count > 0 {
            self.poller.stats.errors(&self.state.name, kind.name, Reason::Document, count as u64);
        }
        readable(reading, asked)
    }

    /// Takes note of an answer.
    pub(super) fn succeeded(&mut self, place: usize, reading: Reading) {
        self.sighted(reading.sighting);
        self.state.authorized = Some(true);
        let before = self.reasons();
        self.log_unreadable(place, &reading);
        self.log_words(place, reading.words_are_capped);
        self.state.collections[place].succeeded(self.poller.clock.now(), reading.shown, reading.unreadable);
        self.state.judge();
        if let Some(reason) = before[place] {
            self.log_end(place, reason);
        }
        self.log_changes(&before);
    }

    /// Takes note of a failure.
    pub(super) fn failed(&mut self, place: usize, problem: Problem) {
        let before = self.reasons();
        match problem.reason {
            Reason::Token => self.state.authorized = Some(false),
            reason if reason.is_refusal() => self.state.authorized = Some(true),
            _ => {}
        }
        self.state.collections[place].failed(problem, self.poller.clock.now());
        self.state.judge();
        let reason = self.reasons()[place];
        // Documents that cannot be read are counted one by one where they are read.
        if let Some(reason) = reason.filter(|reason| *reason != Reason::Document) {
            let collection = self.poller.kinds[place].name;
            self.poller.stats.errors(&self.state.name, collection, reason, 1);
        }
        self.log_changes(&before);
    }

    /// Tells what came of a turn that brought so many documents: what is shown now, or why nothing is.
    pub(super) fn log_turn(&self, place: usize, documents: usize) {
        let (account, collection) = (&self.state.name, &self.state.collections[place]);
        let (name, unreadable) = (collection.kind.name, collection.unreadable.count);
        if let Some(problem) = &collection.problem {
            let reason = problem.reason.label();
            debug!(account, collection = name, reason, "turn failed, what was shown before stays: {}", problem.what);
            return;
        }
        debug!(
            account,
            collection = name,
            documents,
            unreadable,
            "turn ended: {}",
            self.told_of_shown(collection, documents)
        );
    }

    fn told_of_shown(&self, collection: &CollectionState, documents: usize) -> String {
        let moment = self.state.moment(self.poller.clock.now());
        let Some(shown) = &collection.shown else {
            let why =
                if documents == 0 { "Oura has no documents" } else { "no document tells of anything that is over" };
            return format!("nothing is shown, {why}");
        };
        let (day, keep) = (shown.date.day(moment.zone), collection.kind.keep_days);
        let Some(day) = day else { return "what holds until Oura says otherwise is shown".to_owned() };
        let age = moment.today().signed_duration_since(day).num_days();
        match keep.filter(|keep| age > *keep) {
            Some(keep) => format!("nothing is shown, the newest is of {day}, more than {keep} days ago"),
            None if shown.observations.is_empty() => format!("{day} says nothing that has a value"),
            None => format!("{day} is shown"),
        }
    }

    fn log_unreadable(&self, place: usize, reading: &Reading) {
        let (account, collection) = (&self.state.name, &self.state.collections[place]);
        if !reading.unreadable.is_empty() && collection.unreadable.is_empty() {
            let Unreadable { count, field } = &reading.unreadable;
            let advice = self.state.advice(Reason::Document);
            let collection = collection.kind.name;
            warn!(account, collection, count, field, "documents cannot be read, the others are shown; {advice}");
        }
    }

    /// Tells once that there are more words than series.
    fn log_words(&mut self, place: usize, are_capped: bool) {
        let (account, collection) = (&self.state.name, &mut self.state.collections[place]);
        if are_capped && !collection.words_are_capped {
            let collection = collection.kind.name;
            warn!(account, collection, "more than 100 different words in one label; the others are counted as `other`");
        }
        collection.words_are_capped |= are_capped;
    }

    fn sighted(&mut self, sighting: Option<Sighting>) {
        if let Some(sighting) = sighting
            && self.sighting.is_none_or(|known| known.at <= sighting.at)
        {
            self.sighting = Some(sighting);
            self.state.zone = sighting.zone;
        }
    }

    /// Logs the problems that `before` had not: what one collection answers may say something about another one, too.
    fn log_changes(&self, before: &[Option<Reason>]) {
        for (collection, before_it) in self.state.collections.iter().zip(before) {
            if let Some(problem) = collection.problem.as_ref().filter(|problem| *before_it != Some(problem.reason)) {
                self.log_begin(collection, problem, before);
            }
        }
    }

    /// Whoever keeps a sign-in tells its troubles, and their end.
    fn is_told_elsewhere(&self, reason: Reason) -> bool {
        self.state.is_signed_in && matches!(reason, Reason::Token | Reason::State)
    }

    /// A failure of the whole account is logged for the first of its collections only.
    fn log_begin(&self, collection: &CollectionState, problem: &Problem, before: &[Option<Reason>]) {
        if self.is_told_elsewhere(problem.reason) {
            return;
        }
        let (account, reason, words) = (&self.state.name, problem.reason.label(), self.state.told(problem));
        if !problem.reason.is_of_the_account() {
            warn!(account, collection = collection.kind.name, reason, "{words}");
        } else if !before.contains(&Some(problem.reason)) {
            warn!(account, reason, "{words}");
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
