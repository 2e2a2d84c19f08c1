//! What an answer changes in an account's state, and what is logged of it: once when it begins, once when it ends.

use tracing::{debug, info, warn};

use super::{
    account::{readable, size},
    fetch::Fetched,
    follower::Follower,
    troubles::Trouble,
};
use crate::{
    documents::{Reading, Unreadable},
    oura::apart,
    problem::{Problem, Reason},
    state::{AccountState, CollectionState},
};

impl Follower {
    /// Reads an answer's documents, for the page and for the record; a failure only if none of them can be read.
    pub(super) async fn read(&mut self, place: usize, answer: Fetched) -> Result<Reading, Problem> {
        let (kind, now) = (self.poller.kinds[place], self.poller.clock.now());
        let Fetched { documents, days, whole } = answer;
        let (whole, lacking) = match whole {
            Ok(whole) => (whole, None),
            Err(problem) => (vec![], Some(problem)),
        };
        let asked = documents.len();
        let bytes = size(&documents) + size(&whole);
        let (account, known) = (self.state.name.clone(), self.state.known.clone());
        let samples = self.poller.samples.clone();
        let read = move || {
            let reading = kind.read(&documents, &known, now, samples.as_ref().map(|_| days));
            if let Some(samples) = samples {
                samples.learn(&account, kind, &reading, days, now);
                let moment = reading.known.moment(now);
                let dense = if kind.is_series() { &documents } else { &whole };
                samples.learn_dense(&account, kind, |take| kind.samples(dense, &moment, take), now);
            }
            reading
        };
        let reading = apart(bytes, read).await;
        self.state.known.merge(&reading.known);
        self.tell_of_whole(place, lacking.as_ref());
        let count = reading.unreadable.count;
        if count > 0 {
            self.poller.stats.errors(&self.state.name, kind.name, Reason::Document, count as u64);
        }
        readable(reading, asked)
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

    /// Takes note of an answer; `is_all` of the documents that any answer has, or of the newest only.
    pub(super) fn succeeded(&mut self, place: usize, reading: Reading, is_all: bool) {
        self.state.authorized = Some(true);
        let before = self.reasons();
        self.log_unreadable(place, &reading, is_all);
        self.log_words(place, reading.words_are_capped);
        self.state.collections[place].succeeded(self.poller.clock.now(), reading.shown, reading.unreadable);
        self.state.judge();
        if let Some(reason) = before[place] {
            self.log_end(place, reason);
        }
        self.log_problems();
    }

    /// Takes note of a failure.
    pub(super) fn failed(&mut self, place: usize, problem: Problem) {
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
        self.log_problems();
    }

    /// Tells what came of a turn that brought so many documents: what is shown now, or why nothing is.
    pub(super) fn log_turn(&self, place: usize, documents: usize) {
        let (account, collection) = (&self.state.name, &self.state.collections[place]);
        let (name, unreadable) = (collection.kind.name, collection.unreadable.count);
        if let Some(problem) = &collection.problem {
            let reason = problem.reason.label();
            debug!(account, collection = name, reason, "reading failed, the previous values stay: {}", problem.what);
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
                if documents == 0 { "Oura has no documents" } else { "no document is about anything that has ended" };
            return format!("nothing is shown, {why}");
        };
        let (day, keep) = (shown.date.day(moment.zone), collection.kind.keep_days);
        let Some(day) = day else { return "the current value is shown, until Oura says otherwise".to_owned() };
        let age = moment.today().signed_duration_since(day).num_days();
        match keep.filter(|keep| age > *keep) {
            Some(keep) => format!("nothing is shown, the newest is of {day}, more than {keep} days ago"),
            None if shown.observations.is_empty() => format!("{day} has no values"),
            None => format!("{day} is shown"),
        }
    }

    /// Tells once that there are documents that cannot be read: an old one is in one answer an hour, and missing in the others.
    fn log_unreadable(&mut self, place: usize, reading: &Reading, is_all: bool) {
        let is_told = self.kept[place].told_unreadable;
        if !reading.unreadable.is_empty() && !is_told {
            let (account, collection) = (&self.state.name, self.poller.kinds[place].name);
            let Unreadable { count, field } = &reading.unreadable;
            let advice = self.state.advice(Reason::Document);
            warn!(account, collection, count, field, "documents cannot be read, the others are shown; {advice}");
        }
        self.kept[place].told_unreadable = !reading.unreadable.is_empty() || (is_told && !is_all);
    }

    /// Tells once that there are more words than series.
    fn log_words(&mut self, place: usize, are_capped: bool) {
        let (account, collection) = (&self.state.name, &mut self.state.collections[place]);
        if are_capped && !collection.words_are_capped {
            let collection = collection.kind.name;
            warn!(account, collection, "more than 100 different words in one label; the others are counted as other");
        }
        collection.words_are_capped |= are_capped;
    }

    /// Logs the problems that there are and that were not told: what one collection answers may say something about another
    /// one, too. A failure of the whole account is told for the first of its collections only.
    fn log_problems(&mut self) {
        let now = self.poller.clock.now();
        let Self { state, troubles, .. } = self;
        let there = |(subject, reason): &Trouble| {
            state.collections.iter().any(|one| has(one, *reason) && subject.is_none_or(|name| name == one.kind.name))
        };
        troubles.close(there);
        for collection in &state.collections {
            let Some(problem) = collection.problem.as_ref() else { continue };
            let trouble = subject(collection, problem.reason);
            if is_told_elsewhere(state, problem.reason) || !troubles.begins(trouble, now) {
                continue;
            }
            let (account, reason, words) = (&state.name, problem.reason.label(), state.told(problem));
            match trouble.0 {
                Some(collection) => warn!(account, collection, reason, "{words}"),
                None => warn!(account, reason, "{words}"),
            }
        }
    }

    /// And the end of one, for the last of its collections.
    fn log_end(&mut self, place: usize, reason: Reason) {
        let Self { state, troubles, .. } = self;
        let (account, collection) = (&state.name, &state.collections[place]);
        let trouble = subject(collection, reason);
        let is_over = trouble.0.is_some() || !state.collections.iter().any(|collection| has(collection, reason));
        if is_told_elsewhere(state, reason) || !is_over || !troubles.ends(trouble) {
            return;
        }
        match trouble.0 {
            Some(collection) => info!(account, collection, "works again"),
            None => info!(account, reason = reason.label(), "all collections work again"),
        }
    }
}

/// What a problem of a collection is a trouble of.
fn subject(collection: &CollectionState, reason: Reason) -> Trouble {
    ((!reason.is_of_the_account()).then_some(collection.kind.name), reason)
}

/// Whoever keeps a sign-in tells its troubles, and their end.
fn is_told_elsewhere(state: &AccountState, reason: Reason) -> bool {
    state.is_signed_in && matches!(reason, Reason::Token | Reason::State)
}

fn has(collection: &CollectionState, reason: Reason) -> bool {
    collection.problem.as_ref().is_some_and(|problem| problem.reason == reason)
}
