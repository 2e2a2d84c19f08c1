//! Whose a journal is: it is written only as long as the account's sign-in is the one with which it was begun, or a later one
//! of the same person.

use std::{io, path::Path};

use crate::{
    auth::{SignedIn, Store},
    problem::TokenOrigin,
};

/// Whose a journal is.
#[derive(Debug)]
pub(crate) enum Whose {
    /// Whose token by hand it is, which Oura says later.
    ByHand,
    /// Whose sign-in it is.
    SignIn {
        /// Where the sign-in is kept.
        store: Store,
        account: String,
        /// As it was last seen there.
        seen: SignedIn,
    },
}

impl Whose {
    /// Whose a journal is that is begun now, for an account that comes by its token in that way.
    ///
    /// # Errors
    /// Where the sign-in is gone, or cannot be read.
    pub(crate) fn of(state: &Path, origin: TokenOrigin<'_>) -> io::Result<Self> {
        let TokenOrigin::SignIn(account) = origin else { return Ok(Self::ByHand) };
        let store = Store::new(state);
        let seen = present(&store, account)?;
        Ok(Self::SignIn { store, account: account.to_owned(), seen })
    }

    /// The sign-in, if it is one.
    pub(crate) const fn sign_in(&self) -> Option<&SignedIn> {
        match self {
            Self::ByHand => None,
            Self::SignIn { seen, .. } => Some(seen),
        }
    }

    /// Whether a journal is theirs that was begun with that sign-in, or with none.
    pub(crate) fn has(&self, begun_with: Option<&SignedIn>) -> bool {
        match (self.sign_in(), begun_with) {
            (None, None) => true,
            (Some(seen), Some(before)) => !seen.may_be_anothers(before),
            _ => false,
        }
    }

    /// Looks at the sign-in; whether it is another one of the same person by now, or Oura has said who that is.
    ///
    /// # Errors
    /// Where it is gone, cannot be read, or may be another person's.
    pub(crate) fn look(&mut self) -> io::Result<bool> {
        let Self::SignIn { store, account, seen } = self else { return Ok(false) };
        let now = present(store, account)?;
        if now.may_be_anothers(seen) {
            return Err(io::Error::other("somebody else may have signed in"));
        }
        let is_new = now != *seen;
        *seen = now;
        Ok(is_new)
    }
}

fn present(store: &Store, account: &str) -> io::Result<SignedIn> {
    let tokens = store.read(account).map_err(io::Error::other)?;
    tokens.map(|tokens| tokens.signed_in()).ok_or_else(|| io::Error::other("the account is not signed in"))
}
