//! Whose a journal is: it is written only as long as the account's sign-in is the one with which it was begun, or a later one
//! of the same person.

use std::io;

use crate::{
    auth::{SignedIn, Store},
    problem::TokenOrigin,
};

/// What makes an account another one than it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// It is signed out.
    SignedOut,
    /// It is, or may be, another person's.
    ToAnother,
}

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
        /// As it was last seen there; none: it could not be read yet, of which whoever follows the account tells.
        seen: Option<SignedIn>,
    },
}

impl Whose {
    /// Whose a journal is that is begun now, for an account that comes by its token in that way.
    ///
    /// # Errors
    /// Where the sign-in is gone.
    pub(crate) fn of(store: &Store, origin: TokenOrigin<'_>) -> io::Result<Self> {
        let TokenOrigin::SignIn(account) = origin else { return Ok(Self::ByHand) };
        let store = store.clone();
        let seen = match store.read(account) {
            Ok(None) => return Err(signed_out()),
            tokens => tokens.ok().flatten().map(|tokens| tokens.signed_in()),
        };
        Ok(Self::SignIn { store, account: account.to_owned(), seen })
    }

    /// The sign-in, if it is one.
    pub(crate) const fn sign_in(&self) -> Option<&SignedIn> {
        match self {
            Self::ByHand => None,
            Self::SignIn { seen, .. } => seen.as_ref(),
        }
    }

    /// Whether a journal is theirs that was begun with that sign-in, or with none.
    pub(crate) fn has(&self, begun_with: Option<&SignedIn>) -> bool {
        match self {
            Self::ByHand => begun_with.is_none(),
            Self::SignIn { seen: None, .. } => true,
            Self::SignIn { seen: Some(seen), .. } => begun_with.is_some_and(|before| !seen.may_be_anothers(before)),
        }
    }

    /// Takes it for theirs with whose sign-in the journal was begun, until the present one can be read.
    pub(crate) fn suppose(&mut self, begun_with: Option<&SignedIn>) {
        if let Self::SignIn { seen: seen @ None, .. } = self {
            *seen = begun_with.cloned();
        }
    }

    /// Looks at the sign-in, and says what makes it another one; one that cannot be read now is none.
    pub(crate) fn lost(&mut self) -> Option<Lost> {
        let Self::SignIn { store, account, seen } = self else { return None };
        let now = match store.read(account) {
            Err(_) => return None,
            Ok(None) => return Some(Lost::SignedOut),
            Ok(Some(tokens)) => tokens.signed_in(),
        };
        if seen.as_ref().is_some_and(|before| now.may_be_anothers(before)) {
            return Some(Lost::ToAnother);
        }
        *seen = Some(now);
        None
    }

    /// Looks at the sign-in; whether it is another one of the same person by now, or Oura has said who that is.
    ///
    /// # Errors
    /// Where it is gone, cannot be read, or may be another person's.
    pub(crate) fn look(&mut self) -> io::Result<bool> {
        let Self::SignIn { store, account, seen } = self else { return Ok(false) };
        let now = present(store, account)?;
        if seen.as_ref().is_some_and(|before| now.may_be_anothers(before)) {
            return Err(io::Error::other("somebody else may have signed in"));
        }
        let is_new = seen.as_ref() != Some(&now);
        *seen = Some(now);
        Ok(is_new)
    }
}

fn present(store: &Store, account: &str) -> io::Result<SignedIn> {
    let tokens = store.read(account).map_err(io::Error::other)?;
    tokens.map(|tokens| tokens.signed_in()).ok_or_else(signed_out)
}

fn signed_out() -> io::Error {
    io::Error::other("the account is not signed in")
}
