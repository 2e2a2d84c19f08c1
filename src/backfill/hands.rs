//! Whose an account is while it is backfilled: it is left out where it becomes another person's under way.

use anyhow::Context as _;
use secrecy::SecretString;

use crate::{
    auth::{Person, SignedIn, Store, is_same},
    poll::Account,
    samples::{Whose, written_owner},
};

/// Whose an account was at the beginning.
pub(super) struct Wearer {
    whose: Whose,
    /// The token by hand, if it is one: nobody can tell whose another one is.
    token: Option<SecretString>,
    /// Whose that is, as far as the exporter was told.
    owner: Option<Person>,
}

/// An account is, or may be, another person's than at the beginning.
#[derive(Debug, thiserror::Error)]
#[error(
    "account {0} {CHANGED}: what was written until now is of the earlier person. Run the same command again to begin at the first \
     day: files are replaced then, but what a receiver has taken stays there"
)]
pub(super) struct ChangedHands(String);

const CHANGED: &str = "was signed out or changed hands during the backfill, or its token file has another token";

impl ChangedHands {
    pub(super) fn account(&self) -> &str {
        &self.0
    }

    /// What it means where others go on.
    pub(super) fn among_others(&self) -> String {
        format!("it {CHANGED}: files have nothing of it any more, but what a receiver has taken stays there")
    }
}

impl Wearer {
    /// Whose `account` is now, with its tokens in `store`.
    ///
    /// # Errors
    /// Where it has signed out, or its sign-in cannot be read.
    pub(super) async fn of(account: &Account, store: Option<&Store>) -> anyhow::Result<Self> {
        let whose = store.map_or(Ok(Whose::ByHand), |store| Whose::of(store, account.access()));
        let whose = whose.with_context(|| format!("account {}", account.name))?;
        let owner = store.and_then(|store| written_owner(store.directory(), &account.name));
        Ok(Self { whose, token: token_by_hand(account).await, owner })
    }

    /// Holds that it is still theirs: what was asked for until now is.
    ///
    /// # Errors
    /// Where it is not, or may not be.
    pub(super) async fn holds(&mut self, account: &Account) -> Result<(), ChangedHands> {
        let token = token_by_hand(account).await;
        let is_same_token = match (&self.token, &token) {
            (Some(before), Some(now)) => is_same(before, now),
            (before, now) => before.is_none() && now.is_none(),
        };
        let is_theirs = is_same_token && self.whose.look().is_ok();
        is_theirs.then_some(()).ok_or_else(|| ChangedHands(account.name.clone()))
    }

    /// What tells them from others, as far as Oura has said who they are; it is for digests.
    pub(super) fn identity(&self) -> String {
        let owner = || self.owner.as_ref().map(Person::to_string).unwrap_or_default();
        self.whose.sign_in().map_or_else(owner, SignedIn::identity)
    }
}

async fn token_by_hand(account: &Account) -> Option<SecretString> {
    let source = account.client.source();
    if source.is_kept() { None } else { source.token().await.ok() }
}
