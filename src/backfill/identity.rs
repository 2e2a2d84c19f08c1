//! Whose days an account's are, as notes keep it: another person's only where that is known.

use serde::{Deserialize, Serialize};

use crate::state_file::digest;

/// Whose it is, as far as is known, in digests.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct Identity {
    /// The sign-in; none: its file could not be read, or the token was made by hand.
    sign_in: Option<String>,
    /// The person; none: Oura has not said who it is.
    person: Option<String>,
}

impl Identity {
    pub(super) fn new(sign_in: Option<String>, person: Option<String>) -> Self {
        let digested = |text: Option<String>| text.map(|text| digest(&[text]));
        Self { sign_in: digested(sign_in), person: digested(person) }
    }

    /// Whether it is another person's than the one before: of two sign-ins all but what is known to be one person's, and else
    /// two persons that are both known.
    pub(super) fn is_anothers_than(&self, before: &Self) -> bool {
        let is_one = self.person.is_some() && self.person == before.person;
        match (&self.sign_in, &before.sign_in) {
            (Some(now), Some(then)) => now != then && !is_one,
            _ => self.person.is_some() && before.person.is_some() && !is_one,
        }
    }

    /// This, or the one before where nothing is known now.
    pub(super) fn or(&self, before: Self) -> Self {
        if *self == Self::default() { before } else { self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_known_difference_makes_another_person() {
        let of = |sign_in: &str, person: &str| {
            let known = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            Identity::new(known(sign_in), known(person))
        };
        for (before, now, is_anothers) in [
            (("monday", ""), ("monday", "anna"), false),
            (("monday", "anna"), ("monday", ""), false),
            (("monday", "anna"), ("", ""), false),
            (("", ""), ("monday", "anna"), false),
            (("", ""), ("", "anna"), false),
            (("monday", "anna"), ("tuesday", "anna"), false),
            (("monday", "anna"), ("", "anna"), false),
            (("monday", "anna"), ("tuesday", "ben"), true),
            (("monday", ""), ("tuesday", ""), true),
            (("monday", "anna"), ("tuesday", ""), true),
            (("", "anna"), ("", "ben"), true),
            (("", "anna"), ("monday", "ben"), true),
        ] {
            let (before, now) = (of(before.0, before.1), of(now.0, now.1));
            assert_eq!(now.is_anothers_than(&before), is_anothers, "{before:?} {now:?}");
            assert_eq!(before.is_anothers_than(&now), is_anothers, "{now:?} {before:?}");
        }
        let anna = of("monday", "anna");
        assert_eq!(of("", "").or(anna.clone()), anna, "what was known stays known");
        assert_eq!(anna.or(of("sunday", "")), anna);
    }
}
