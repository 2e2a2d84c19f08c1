//! The log lines of a turn: what the account's state says is news, and what came of each turn for whoever looks closely.

use chrono::{DateTime, Utc};
use tracing::{debug, info, warn};

use crate::{
    documents::Unreadable,
    observation::Moment,
    problem::Reason,
    state::{AccountState, CollectionState, News},
};

/// Logs what is news about the collection in `place`.
pub(super) fn log(state: &AccountState, place: usize, news: &News) {
    let (account, access) = (&state.name, state.access());
    let collection = state.collections[place].kind.name;
    match news {
        News::DenseMissing(problem) => {
            let (reason, words) = (problem.reason.label(), problem.with_advice(access));
            warn!(account, collection, reason, "its dense samples cannot be read: {words}");
        }
        News::DenseAgain => info!(account, collection, "its dense samples can be read again"),
        News::Unreadable(Unreadable { count, field }) => {
            let advice = Reason::Document.advice(access);
            warn!(account, collection, count, field, "documents cannot be read, the others are shown; {advice}");
        }
        News::WordsCapped => {
            warn!(account, collection, "more than 100 different words in one label; the others are counted as other");
        }
        News::Begins { collection, problem } => {
            let (reason, words) = (problem.reason.label(), problem.with_advice(access));
            match collection {
                Some(collection) => warn!(account, collection, reason, "{words}"),
                None => warn!(account, reason, "{words}"),
            }
        }
        News::Ends { collection: Some(collection), .. } => info!(account, collection, "works again"),
        News::Ends { collection: None, reason } => {
            info!(account, reason = reason.label(), "all collections work again");
        }
    }
}

/// Logs what came of a turn that brought so many documents: what is shown now, or why nothing is.
pub(super) fn log_turn(state: &AccountState, place: usize, documents: usize, now: DateTime<Utc>) {
    let (account, collection) = (&state.name, &state.collections[place]);
    let (name, unreadable) = (collection.kind.name, collection.unreadable.count);
    if let Some(problem) = &collection.problem {
        let reason = problem.reason.label();
        debug!(account, collection = name, reason, "reading failed, the previous values stay: {}", problem.what);
        return;
    }
    let shown = shown(collection, documents, &state.moment(now));
    debug!(account, collection = name, documents, unreadable, "turn ended: {shown}");
}

/// What is shown of a collection, in words.
fn shown(collection: &CollectionState, documents: usize, moment: &Moment) -> String {
    let Some(shown) = &collection.shown else {
        let why = if documents == 0 { "Oura has no documents" } else { "no document is about anything that has ended" };
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
