//! Whose events are whose: the accounts by Oura's id of their person.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use crate::auth::Person;

/// For so long an unknown person may be about to sign in; Oura asks again meanwhile.
const SIGNING_IN: TimeDelta = TimeDelta::minutes(10);
/// So many unknown persons are remembered; Oura tells only of those who once consented.
const MOST_UNKNOWN: usize = 1_000;
/// How often the stored sign-ins are looked at for somebody who is not known.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Who a person is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// These accounts; one person may have several.
    Of(Vec<String>),
    /// Nobody yet, and it may be too early to say so.
    NotYet,
    /// Nobody.
    Nobody,
}

/// Who is known, and since when others are asked about. It holds ids, so it shows itself to nobody.
#[derive(Default)]
pub(super) struct Owners {
    /// By id, as Oura has told it since the start.
    told: BTreeMap<String, BTreeSet<String>>,
    /// Those of the stored sign-ins, whose ids nobody knows.
    stored: Vec<(String, Person)>,
    looked: Option<Instant>,
    unknown: BTreeMap<String, DateTime<Utc>>,
}

impl Owners {
    /// Takes note that the account is of the person with this id, and of nobody else.
    pub(super) fn is_of(&mut self, account: &str, id: &str) {
        self.unknown.remove(id);
        self.stored.retain(|(name, _)| name != account);
        // It is said again and again, of thousands.
        if self.told.get(id).is_some_and(|accounts| accounts.contains(account)) {
            return;
        }
        self.forget(account);
        self.told.entry(id.to_owned()).or_default().insert(account.to_owned());
    }

    /// Forgets whose the account was.
    pub(super) fn forget(&mut self, account: &str) {
        self.told.retain(|_, accounts| {
            accounts.remove(account);
            !accounts.is_empty()
        });
        self.stored.retain(|(name, _)| name != account);
    }

    /// Whether it is time to look at the stored sign-ins for the person with this id; whoever is told so has to do it.
    pub(super) fn is_to_look(&mut self, id: &str) -> bool {
        let is_due = self.looked.is_none_or(|looked| looked.elapsed() >= LOOK_EVERY);
        let is_to_look = is_due && self.accounts(id).is_empty();
        if is_to_look {
            self.looked = Some(Instant::now());
        }
        is_to_look
    }

    /// Takes the stored sign-ins over.
    pub(super) fn stored(&mut self, persons: Vec<(String, Person)>) {
        self.stored = persons;
    }

    /// Who the person with this id is.
    pub(super) fn of(&mut self, id: &str, now: DateTime<Utc>) -> Owner {
        let accounts = self.accounts(id);
        if !accounts.is_empty() {
            self.unknown.remove(id);
            return Owner::Of(accounts);
        }
        if self.unknown.len() >= MOST_UNKNOWN && !self.unknown.contains_key(id) {
            self.unknown.clear();
        }
        let since = *self.unknown.entry(id.to_owned()).or_insert(now);
        if now - since < SIGNING_IN { Owner::NotYet } else { Owner::Nobody }
    }

    fn accounts(&self, id: &str) -> Vec<String> {
        if let Some(accounts) = self.told.get(id) {
            return accounts.iter().cloned().collect();
        }
        // Of whom Oura has told something else since, the account is followed as somebody else's still.
        let is_anothers = |name: &String| self.told.values().any(|accounts| accounts.contains(name));
        let stored = self.stored.iter().filter(|(name, person)| person.is(id) && !is_anothers(name));
        stored.map(|(name, _)| name.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> DateTime<Utc> {
        "2026-11-22T12:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(minutes)
    }

    fn of(accounts: &[&str]) -> Owner {
        Owner::Of(accounts.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn a_person_is_known_by_what_oura_told_and_by_the_stored_sign_ins_before() {
        let mut owners = Owners::default();
        assert!(owners.is_to_look("id-of-anna") && !owners.is_to_look("id-of-ben"), "not at each event");
        let anna = Person::new("id-of-anna", &[]).unwrap();
        owners.stored(vec![("anna".to_owned(), anna)]);
        assert_eq!(owners.of("id-of-anna", at(0)), of(&["anna"]));
        owners.is_of("anna", "id-of-anna");
        owners.is_of("anna-again", "id-of-anna");
        assert_eq!(owners.of("id-of-anna", at(0)), of(&["anna", "anna-again"]), "one person may have two accounts");
        owners.is_of("anna-again", "id-of-ben");
        assert_eq!(owners.of("id-of-ben", at(0)), of(&["anna-again"]), "an account may change hands");
        owners.forget("anna");
        assert_eq!(owners.of("id-of-anna", at(0)), Owner::NotYet, "who is signed out is nobody's");
    }

    #[test]
    fn whoever_takes_an_account_over_has_no_events_there_while_it_is_followed_as_the_one_befores() {
        let mut owners = Owners::default();
        owners.is_of("anna", "id-of-anna");
        owners.is_of("zoe", "id-of-zoe");
        let persons = [("anna", "id-of-ben"), ("dan", "id-of-dan"), ("zoe", "id-of-zoe")];
        owners.stored(persons.map(|(name, id)| (name.to_owned(), Person::new(id, &[]).unwrap())).into());
        for (id, owner) in [
            ("id-of-ben", Owner::NotYet),
            ("id-of-anna", of(&["anna"])),
            ("id-of-dan", of(&["dan"])),
            ("id-of-zoe", of(&["zoe"])),
        ] {
            assert_eq!(owners.of(id, at(0)), owner, "{id}");
        }
        owners.forget("anna");
        owners.stored(vec![("anna".to_owned(), Person::new("id-of-ben", &[]).unwrap())]);
        assert_eq!(owners.of("id-of-ben", at(0)), of(&["anna"]), "afterwards they are theirs");
        assert_eq!(owners.of("id-of-anna", at(0)), Owner::NotYet);
    }

    #[test]
    fn a_stranger_may_be_signing_in_for_ten_minutes() {
        let mut owners = Owners::default();
        for (minutes, owner) in [(0, Owner::NotYet), (9, Owner::NotYet), (10, Owner::Nobody), (1_000, Owner::Nobody)] {
            assert_eq!(owners.of("id-of-ben", at(minutes)), owner, "{minutes}");
        }
        owners.is_of("ben", "id-of-ben");
        assert_eq!(owners.of("id-of-ben", at(1_001)), of(&["ben"]));
        (0..2_000).for_each(|number| drop(owners.of(&format!("stranger-{number}"), at(0))));
        assert!(owners.unknown.len() <= MOST_UNKNOWN);
    }
}
