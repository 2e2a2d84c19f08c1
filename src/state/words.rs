//! The state of an account and its collections in words: `login`, `check` and the landing page all take them from here.

use super::{AccountState, CollectionState, missing_scope};
use crate::{
    documents::Unreadable,
    problem::{Problem, Reason},
};

/// How a collection stands, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// It is asked for the first time.
    Waiting,
    /// It is read.
    Well,
    /// The wearer did not grant it: nothing is wrong with that, unless somebody counts on it.
    NotGranted,
    /// Something is to be done, or waited for.
    Bad,
}

impl CollectionState {
    /// How it stands.
    pub fn mark(&self) -> Mark {
        let is_of_the_account = self.problem.as_ref().is_some_and(|problem| problem.reason.is_of_the_account());
        match self.up {
            _ if self.is_overdue => Mark::Bad,
            None => Mark::Waiting,
            Some(true) if self.permitted == Some(false) => Mark::NotGranted,
            Some(true) if self.unreadable.is_empty() => Mark::Well,
            // Asked again after hours, it may fail for another reason for once; that changes nothing.
            Some(false) if self.was_never_permitted() && !is_of_the_account => Mark::NotGranted,
            Some(_) => Mark::Bad,
        }
    }
}

impl AccountState {
    /// What is wrong with a collection, or not granted, and what to do about it; none if nothing is.
    pub fn remark(&self, collection: &CollectionState) -> Option<String> {
        if let Some(problem) = &collection.problem {
            return Some(problem.with_advice(self.access()));
        }
        if collection.is_overdue {
            return Some(overdue(collection));
        }
        if !collection.unreadable.is_empty() {
            let Unreadable { count, field } = &collection.unreadable;
            let advice = Reason::Document.advice(self.access());
            return Some(format!("{count} of its documents cannot be read, the first fails at {field}; {advice}"));
        }
        let scope = missing_scope(collection.kind, self.grant.as_ref());
        (collection.mark() == Mark::NotGranted).then(|| Problem::of_scope(scope).with_advice(self.access()))
    }

    /// How the account stands in one sentence, and whether nothing is to be done about it.
    pub fn summary(&self) -> (bool, String) {
        let has = |mark| self.collections.iter().any(|collection| collection.mark() == mark);
        let fails = |collection: &CollectionState| collection.mark() == Mark::Bad && collection.up != Some(true);
        if self.collections.iter().any(fails) {
            (false, "Some collections cannot be read.".to_owned())
        } else if has(Mark::Bad) {
            (false, "Some documents cannot be read.".to_owned())
        } else if has(Mark::Waiting) {
            (true, "The first poll has not ended.".to_owned())
        } else if !has(Mark::Well) {
            (false, "No collection may be read.".to_owned())
        } else if has(Mark::NotGranted) {
            (true, format!("All that may be read is well. Not granted: {}.", self.not_granted()))
        } else {
            (true, "All is well.".to_owned())
        }
    }

    /// The collections that the wearer did not grant.
    fn not_granted(&self) -> String {
        let collections = self.collections.iter().filter(|collection| collection.mark() == Mark::NotGranted);
        collections.map(|collection| collection.kind.name).collect::<Vec<_>>().join(", ")
    }
}

fn overdue(collection: &CollectionState) -> String {
    let every = collection.watch.map(|watch| humantime::format_duration(watch.interval).to_string());
    format!(
        "overdue: it is asked for every {} and was not read for more than three times as long; look into the log, restart the \
         exporter, and report it if it comes again",
        every.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::{DateTime, TimeDelta, Utc};

    use super::*;
    use crate::{
        auth::Grant,
        documents::{KINDS, Shown},
        observation::Date,
        oura::AccountStatus,
        state::Watch,
    };

    const START: DateTime<Utc> = DateTime::UNIX_EPOCH;
    const STALE_AFTER: TimeDelta = TimeDelta::hours(36);

    /// Everything was read at the start, and is to be read again every so often.
    fn well(interval: Duration) -> AccountState {
        let kinds: Vec<_> = KINDS.iter().collect();
        let mut account = AccountState::new("anna", &kinds);
        for collection in &mut account.collections {
            collection.watch = Some(Watch { since: START, interval });
            collection.succeeded(START, None, Unreadable::default());
        }
        account
    }

    fn place(name: &str) -> usize {
        KINDS.iter().position(|kind| kind.name == name).unwrap()
    }

    fn refused(account: &mut AccountState, name: &str, now: DateTime<Utc>) {
        account.collections[place(name)].failed(Problem::from(AccountStatus::Good), now);
        account.judge();
    }

    fn not_granted(account: &mut AccountState, scope: &str) {
        let granted = KINDS.iter().map(|kind| kind.scope).filter(|granted| *granted != scope);
        let scopes = Some(granted.map(str::to_owned).collect());
        account.granted(Some(Grant { signed_in_at: START, scopes }));
        account.is_signed_in = true;
    }

    #[test]
    fn all_is_well_only_where_nothing_is_red_and_nothing_is_missing() {
        let minute = Duration::from_secs(60);
        assert_eq!(well(minute).summary(), (true, "All is well.".to_owned()));
        let waiting = AccountState::new("anna", &[&KINDS[0], &KINDS[1]]);
        assert_eq!(waiting.summary().1, "The first poll has not ended.");
        let mut odd = well(minute);
        odd.collections[0].succeeded(START, None, Unreadable { count: 1, field: "score".to_owned() });
        assert_eq!(odd.summary(), (false, "Some documents cannot be read.".to_owned()));
        assert_eq!(
            odd.remark(&odd.collections[0]).unwrap(),
            "1 of its documents cannot be read, the first fails at score; if it persists, report it with the field's \
             name"
        );
        let mut only = AccountState::new("anna", &[&KINDS[place("daily_spo2")]]);
        only.collections[0].failed(Problem::from(AccountStatus::Good), START);
        only.judge();
        assert_eq!((only.summary(), only.is_up()), ((false, "No collection may be read.".to_owned()), false));
    }

    #[test]
    fn what_was_not_granted_is_said_with_what_to_do_about_it_and_is_no_failure() {
        let mut account = well(Duration::from_secs(60));
        for name in ["workout", "session"] {
            account.collections[place(name)].worked = false;
            refused(&mut account, name, START);
        }
        assert_eq!(
            account.summary(),
            (true, "All that may be read is well. Not granted: workout, session.".to_owned())
        );
        assert!(account.is_up());
        let workout = &account.collections[place("workout")];
        assert_eq!(
            account.remark(workout).unwrap(),
            "the token lacks the scope workout; tick it in your application at Oura and on Oura's consent page, put the new \
             token into OURA_ACCESS_TOKEN and restart the exporter"
        );
        not_granted(&mut account, "workout");
        let workout = &account.collections[place("workout")];
        assert_eq!(
            account.remark(workout).unwrap(),
            "the token lacks the scope workout; tick it in your application at Oura, then run: oura-exporter login --account \
             anna, and tick it on Oura's consent page"
        );
    }

    #[test]
    fn an_answer_that_is_bare_for_want_of_a_scope_is_not_granted_either() {
        let mut account = well(Duration::from_secs(60));
        not_granted(&mut account, "personal");
        let observations = vec![];
        let shown = Shown { date: Date::Standing, observations };
        account.collections[place("personal_info")].succeeded(START, Some(shown), Unreadable::default());
        account.judge();
        let collection = &account.collections[place("personal_info")];
        assert_eq!(
            (collection.mark(), collection.up, collection.permitted),
            (Mark::NotGranted, Some(true), Some(false))
        );
        assert!(account.remark(collection).unwrap().starts_with("the token lacks the scope personal; tick it"));
        assert!(account.is_up());
    }

    #[test]
    fn whatever_keeps_a_collection_from_being_read_it_is_not_up_after_three_intervals() {
        let at = |account: &AccountState, seconds: i64| {
            let account = account.visible(START + TimeDelta::seconds(seconds), STALE_AFTER);
            (account.collections[0].up, account.is_up())
        };
        let (good, bad) = ((Some(true), true), (Some(false), false));
        let account = well(Duration::from_secs(300));
        assert_eq!([900, 901, -86_400].map(|seconds| at(&account, seconds)), [good, bad, good]);
        let fast = well(Duration::from_secs(1));
        assert_eq!([180, 181].map(|seconds| at(&fast, seconds)), [good, bad], "an answer may take its time");
        let mut never = well(Duration::from_secs(300));
        (never.collections[0].up, never.collections[0].last_success) = (None, None);
        assert_eq!([900, 901].map(|seconds| at(&never, seconds)), [(None, false), bad], "a first turn that never ends");
        let shown = never.visible(START + TimeDelta::hours(1), STALE_AFTER);
        let words = shown.remark(&shown.collections[0]).unwrap();
        assert!(words.starts_with("overdue: it is asked for every 5m and was not read"), "{words}");
        assert_eq!(shown.summary().1, "Some collections cannot be read.");
    }

    #[test]
    fn a_failure_says_itself_why_however_long_it_lasts() {
        let mut account = well(Duration::from_secs(300));
        refused(&mut account, "sleep", START);
        let shown = account.visible(START + TimeDelta::hours(9), STALE_AFTER);
        let words = shown.remark(&shown.collections[place("sleep")]).unwrap();
        assert!(
            words.starts_with("Oura refuses it, although the token is good; it is tried again within minutes"),
            "{words}"
        );
    }
}
