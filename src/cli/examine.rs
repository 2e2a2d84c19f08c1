//! One call to each collection of an account, and what came of it: `login` and `check` say the same, because both ask here.

use futures_util::{StreamExt as _, stream};

use crate::{
    auth::Grant,
    clock::Clock,
    documents::Kind,
    poll::Account,
    problem::TokenOrigin,
    state::{AccountState, Answer, CollectionState, Mark, Outcome, TokenNow},
};

/// How many collections are asked at a time.
const AT_A_TIME: usize = 4;

/// Asks `kinds` of the account once each; `grant` is what its sign-in granted, if there was one.
pub(super) async fn examine(account: &Account, kinds: &[&'static Kind], grant: Option<Grant>) -> AccountState {
    let clock = Clock::system();
    let access = if grant.is_some() { TokenOrigin::SignIn(&account.name) } else { account.access() };
    let mut state = AccountState::new(&account.name, kinds).with_token_by(access);
    let asked = stream::iter(kinds).map(|kind| account.ask_once(kind, clock.now()));
    let readings: Vec<_> = asked.buffered(AT_A_TIME).collect().await;
    for (place, reading) in readings.into_iter().enumerate() {
        let answer = reading.map(|reading| Answer { reading, is_all: true, lacking: None });
        let token = TokenNow { grant: grant.clone(), ..TokenNow::default() };
        // What follows for later turns is of no use here: there is only this one.
        let _change = state.apply(Outcome { place, at: clock.now(), answer, token });
    }
    state
}

/// What is to be said of a collection that was asked once.
pub(super) fn words(account: &AccountState, collection: &CollectionState) -> String {
    let day = collection.shown.as_ref().and_then(|shown| shown.date.day(account.zone()));
    let works = || day.map_or_else(|| "works".to_owned(), |day| format!("works, newest {day}"));
    account.remark(collection).unwrap_or_else(works)
}

/// The collections with that mark.
pub(super) fn marked(account: &AccountState, mark: Mark) -> Vec<&CollectionState> {
    account.collections.iter().filter(|collection| collection.mark() == mark).collect()
}
