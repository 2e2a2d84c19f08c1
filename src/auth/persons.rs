//! Who has which account, as it was seen lately: thousands of accounts ask when Oura says whose they are.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{Person, Store};

/// So old what was seen may be; what this process learns meanwhile is added.
const FRESH: Duration = Duration::from_secs(2);

/// The persons of a store's accounts, in the order of the accounts' names.
#[derive(Debug, Default)]
pub(super) struct Persons(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    at: Option<Instant>,
    persons: Vec<(String, Person)>,
}

impl Persons {
    /// Those of `store`, looked at again where nobody was there or that was a while ago.
    fn of(&self, store: &Store) -> MutexGuard<'_, Seen> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.persons.is_empty() || seen.at.is_none_or(|at| at.elapsed() >= FRESH) {
            *seen = Seen { at: Some(Instant::now()), persons: store.persons() };
        }
        seen
    }
}

impl Store {
    /// What is to be kept of the person with that id, of whom `known` is kept; none if that is it already. Whoever signed in
    /// while no other account could be read has a salt of their own, by which nobody can compare them.
    pub(super) fn learns(&self, known: Option<&Person>, id: &str) -> Result<Option<Person>, getrandom::Error> {
        let seen = self.persons_seen().of(self);
        let is_known = known.is_some_and(|known| {
            known.is(id) && seen.persons.first().is_none_or(|(_, first)| first.is_comparable_with(known))
        });
        if is_known { Ok(None) } else { Person::new(id, &seen.persons).map(Some) }
    }

    /// Takes note that the account is of `person`; the names of all accounts of that person, where there are several.
    pub(super) fn learnt(&self, account: &str, person: Person) -> Option<Vec<String>> {
        let mut seen = self.persons_seen().of(self);
        match seen.persons.binary_search_by(|(name, _)| name.as_str().cmp(account)) {
            Ok(place) => seen.persons[place].1 = person.clone(),
            Err(place) => seen.persons.insert(place, (account.to_owned(), person.clone())),
        }
        let same = seen.persons.iter().filter(|(_, other)| *other == person);
        let names: Vec<_> = same.map(|(name, _)| name.clone()).collect();
        (names.len() > 1).then_some(names)
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;

    use super::*;
    use crate::auth::{Portal, Tokens};

    fn sign_in(store: &Store, account: &str, person: Option<Person>) {
        let now = Utc::now();
        let tokens = Tokens {
            access: "of-today".to_owned().into(),
            refresh: Some(format!("of-{account}").into()),
            issued_at: now,
            expires_at: None,
            scopes: None,
            portal: Portal::New,
            signed_in_at: now,
            person,
        };
        store.write(account, &tokens).unwrap();
    }

    #[test]
    fn who_is_learnt_at_once_is_told_from_the_others_and_known_as_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path());
        ["anna", "anna-2", "anna.b", "ben", "cora"].iter().for_each(|account| sign_in(&store, account, None));
        let learn = |account: &str, id: &str| {
            let person = store.learns(None, id).unwrap().expect("nobody is known");
            sign_in(&store, account, Some(person.clone()));
            assert_eq!(store.learns(Some(&person), id).unwrap(), None, "{account} is known");
            store.learnt(account, person)
        };
        assert_eq!(learn("ben", "id-of-ben"), None);
        assert_eq!(learn("cora", "id-of-cora"), None);
        assert_eq!(learn("anna-2", "id-of-dora"), None);
        assert_eq!(learn("anna.b", "id-of-emma"), None);
        let names = learn("anna", "id-of-ben").expect("one person has two accounts");
        assert_eq!(names, ["anna", "ben"]);
        let anna = store.persons().into_iter().find(|(name, _)| name == "anna").expect("it is stored").1;
        let (again, anew) = (store.learnt("anna", anna.clone()), Store::new(directory.path()).learnt("anna", anna));
        assert_eq!(again.as_deref(), Some(&names[..]), "once each");
        assert_eq!(anew.as_deref(), Some(&names[..]), "once each, of those that were stored before");
        let alone = Person::new("id-of-cora", &[]).unwrap();
        let again = store.learns(Some(&alone), "id-of-cora").unwrap();
        assert!(again.is_some_and(|again| again != alone), "with a salt of its own it cannot be compared");
    }
}
