//! What is known of the table: its rows as they were last seen, read once for all who ask.

use std::{collections::BTreeMap, mem, path::PathBuf};

use super::database::{Row, Sum};
use crate::auth::{
    account,
    listing::{Candidate, ELSEWHERE, Listing, NO_NAME, no_account},
    person::Person,
    table_error::{TableError, TableTrouble},
    tokens::{Tokens, Unfit},
};

/// What is known of the table.
#[derive(Default)]
pub(super) struct Known {
    pub(super) looked: Looked,
    pub(super) accounts: BTreeMap<String, Kept>,
    /// What the table said when all of it was as it is here; none while some of it is not.
    pub(super) sum: Option<Sum>,
}

/// How the last look at the table ended.
#[derive(Default)]
pub(super) enum Looked {
    #[default]
    NotYet,
    Well,
    Trouble(TableError),
}

/// What a row was found to hold.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) version: i64,
    pub(super) tokens: Result<Option<Tokens>, TableTrouble>,
    pub(super) person: Option<Person>,
}

impl Kept {
    /// What the account's row holds.
    pub(super) fn of(account: &str, row: &Row) -> Self {
        let unfit = |cause| TableTrouble::Unfit { account: account.to_owned(), cause };
        let read = |text: &String| match Tokens::from_json(text) {
            Ok((name, tokens)) if name == account => Ok(tokens),
            Ok((name, _)) => Err(unfit(Unfit::of_other_account(name))),
            Err(cause) => Err(unfit(cause)),
        };
        let person = row.person.as_ref().and_then(|person| person.parse().ok());
        Self { version: row.version, tokens: row.tokens.as_ref().map(read).transpose(), person }
    }

    /// Whether somebody is signed in by that row, although it may be that nobody can read it.
    pub(super) const fn is_signed_in(&self) -> bool {
        !matches!(self.tokens, Ok(None))
    }
}

impl Known {
    /// Whether it is news after a first look that the table is in that trouble.
    pub(super) fn is_news(&self, error: &TableError) -> bool {
        match &self.looked {
            Looked::NotYet => false,
            Looked::Well => true,
            Looked::Trouble(before) => mem::discriminant(&before.trouble) != mem::discriminant(&error.trouble),
        }
    }

    /// The accounts, each with the place that tells it from others.
    pub(super) fn listing(&self, path: impl Fn(&str) -> PathBuf) -> Listing {
        let (mut listing, mut candidates) = (Listing::default(), vec![]);
        for (name, kept) in self.accounts.iter().filter(|(_, kept)| kept.is_signed_in()) {
            let path = path(name);
            if !account::is_name(name) {
                listing.refuse(path.clone(), no_account(&path, NO_NAME, ELSEWHERE));
                continue;
            }
            let tokens = kept.tokens.as_ref().ok().and_then(Option::as_ref);
            let fingerprint = tokens.and_then(Tokens::fingerprint);
            candidates.push(Candidate { name: name.clone(), path, fingerprint, refused: None });
        }
        listing.admit(candidates);
        listing
    }
}
