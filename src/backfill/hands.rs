//! Whose an account is while it is backfilled: it is left out where it becomes another person's under way.

use anyhow::Context as _;
use secrecy::SecretString;

use super::identity::Identity;
use crate::{
    auth::{Person, Store, is_same},
    poll::Account,
    problem::{Reason, TokenOrigin},
    samples::{Lost, Whose, written_owner},
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
#[error("account {account} was signed out or changed hands during the backfill, or its token file has another token")]
pub(super) struct ChangedHands {
    account: String,
    lost: Lost,
}

impl ChangedHands {
    pub(super) fn account(&self) -> &str {
        &self.account
    }

    /// What it means where nobody goes on, with what is `left` of the earlier person.
    pub(super) fn alone(&self, left: &str) -> String {
        match self.lost {
            Lost::SignedOut => {
                let login = Reason::Token.advice(TokenOrigin::SignIn(&self.account));
                format!("{self}: {left}; {login}; then run the same command again to begin at the first day")
            }
            Lost::ToAnother => format!("{self}: {left}; run the same command again to begin at the first day"),
        }
    }

    /// What it means where others go on, with what is `left` of the earlier person.
    pub(super) fn among_others(&self, left: &str) -> String {
        match self.lost {
            Lost::SignedOut => {
                let login = Reason::Token.advice(TokenOrigin::SignIn(&self.account));
                format!("it was signed out during the backfill: {left}; {login}")
            }
            Lost::ToAnother => {
                format!("it changed hands during the backfill, or its token file has another token: {left}")
            }
        }
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

    /// Holds that it is still theirs: what was asked for until now is. What cannot be read now says nothing.
    ///
    /// # Errors
    /// Where it is not, or may not be.
    pub(super) async fn holds(&mut self, account: &Account) -> Result<(), ChangedHands> {
        let token = token_by_hand(account).await;
        let is_another = self.token.as_ref().zip(token.as_ref()).is_some_and(|(before, now)| !is_same(before, now));
        let lost = if is_another { Some(Lost::ToAnother) } else { self.whose.lost() };
        self.token = token.or_else(|| self.token.take());
        lost.map_or(Ok(()), |lost| Err(ChangedHands { account: account.name.clone(), lost }))
    }

    /// What tells them from others, as far as Oura has said who they are.
    pub(super) fn identity(&self) -> Identity {
        match (&self.whose, self.whose.sign_in()) {
            (_, Some(seen)) => Identity::new(Some(seen.at().to_rfc3339()), seen.person().map(Person::to_string)),
            (Whose::ByHand, None) => Identity::new(None, self.owner.as_ref().map(Person::to_string)),
            // Whoever was told of before may be another one.
            (Whose::SignIn { .. }, None) => Identity::default(),
        }
    }
}

async fn token_by_hand(account: &Account) -> Option<SecretString> {
    let source = account.client.source();
    if source.is_kept() { None } else { source.token().await.ok() }
}
