//! Whose sign-in an account is of, while it is followed: one person's, and nobody else's.

use super::tokens::{SignedIn, Tokens};

/// Whose it is, as far as was seen.
#[derive(Debug, Default)]
pub(super) struct Whose {
    /// The last sign-in, also while there are no tokens.
    seen: Option<SignedIn>,
    is_one_persons: bool,
}

impl Whose {
    /// One person's only: whoever was `seen`, or else comes first.
    pub(super) const fn one_persons(seen: Option<SignedIn>) -> Self {
        Self { seen, is_one_persons: true }
    }

    /// Whether these tokens are, or may be, of somebody else.
    pub(super) fn refuses(&self, tokens: &Tokens) -> bool {
        self.is_one_persons && self.seen.as_ref().is_some_and(|before| tokens.may_be_anothers(before))
    }

    /// Takes note that these are in use.
    pub(super) fn is_of(&mut self, tokens: &Tokens) {
        self.seen = Some(tokens.signed_in());
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;
    use crate::auth::{Person, Portal};

    fn tokens(hour: i64, person: Option<&Person>) -> Tokens {
        let at = DateTime::UNIX_EPOCH + TimeDelta::hours(hour);
        let (refresh, expires_at, scopes, portal) = (None, None, None, Portal::New);
        let access = "access".to_owned().into();
        Tokens { access, refresh, issued_at: at, expires_at, scopes, portal, signed_in_at: at, person: person.cloned() }
    }

    #[test]
    fn who_may_be_somebody_else_is_refused_where_one_person_is_meant() {
        let anna = Person::new("id-of-anna", &[]).unwrap();
        let ben = Person::new("id-of-ben", &[("anna".to_owned(), anna.clone())]).unwrap();
        let (anna, ben) = (Some(&anna), Some(&ben));
        for (before, after, is_refused) in [
            ((0, anna), (1, anna), false),
            ((0, anna), (1, ben), true),
            ((0, anna), (1, None), true),
            ((0, None), (1, None), true),
            ((0, None), (1, anna), true),
            ((0, None), (0, anna), false),
        ] {
            let (first, second) = (tokens(before.0, before.1), tokens(after.0, after.1));
            let mut whose = Whose::one_persons(None);
            assert!(!whose.refuses(&first), "whoever comes first");
            whose.is_of(&first);
            assert_eq!(whose.refuses(&second), is_refused, "{before:?} {after:?}");
            assert_eq!(Whose::one_persons(Some(first.signed_in())).refuses(&second), is_refused);
            let mut anybodys = Whose::default();
            anybodys.is_of(&first);
            assert!(!anybodys.refuses(&second));
        }
    }
}
