//! The one place that decides what an answer changes: values, problem, permission, and what the log is to be told.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{AccountState, CollectionState, News, Refusals};
use crate::{
    auth::Grant,
    documents::{Reading, Shown, Unreadable},
    problem::{Problem, Reason},
};

/// How a turn of one collection ended.
pub struct Outcome {
    /// The collection, by its place in [`AccountState::collections`].
    pub place: usize,
    /// When it ended.
    pub at: DateTime<Utc>,
    /// What Oura answered, or why it did not.
    pub answer: Result<Answer, Problem>,
    /// How the token stands afterwards.
    pub token: TokenNow,
}

/// What Oura answered.
pub struct Answer {
    /// What its documents say, of which none need be readable.
    pub reading: Reading,
    /// Whether these are all documents that any answer has, and not the newest only.
    pub is_all: bool,
    /// Why documents could not be read whole for their dense samples, if they were to be.
    pub lacking: Option<Problem>,
}

/// How an account's token stands.
#[derive(Default)]
pub struct TokenNow {
    /// What the person granted at the sign-in; none if there was none, or nobody can tell now.
    pub grant: Option<Grant>,
    /// When the access token ends; none if nobody knows.
    pub expires_at: Option<DateTime<Utc>>,
    /// Whether only a person can get another one.
    pub needs_sign_in: bool,
    /// Until when Oura last asked for no requests.
    pub rate_limited_until: Option<DateTime<Utc>>,
}

/// What follows from an outcome for whoever polls.
#[derive(Debug, Default)]
pub struct Change {
    /// What the log is to be told.
    pub news: Vec<News>,
    /// What is to be counted, and how often.
    pub failures: Vec<(Reason, u64)>,
    /// The other collections that are due at once, by their places: all after a new sign-in, and those whose refusal means
    /// something else now.
    pub due_at_once: Vec<usize>,
}

impl AccountState {
    /// Takes note of how a turn ended, and says what follows.
    pub fn apply(&mut self, outcome: Outcome) -> Change {
        let Outcome { place, at, answer, token } = outcome;
        let (mut change, before) = (Change::default(), self.reasons());
        self.rate_limited_until = token.rate_limited_until;
        let is_new_sign_in = self.granted(token.grant);
        match answer.and_then(|answer| self.readable(place, answer, &mut change)) {
            Ok(answer) => self.works(place, answer, at, &mut change),
            Err(problem) => self.fails(place, problem, at),
        }
        self.judge();
        if let Some(reason) = before[place] {
            self.tell_end(place, reason, &mut change.news);
        }
        self.count(place, &mut change);
        self.tell_problems(at, &mut change.news);
        if token.needs_sign_in {
            self.authorized = Some(false);
        }
        self.token_expires_at = token.expires_at;
        change.due_at_once = self.due_at_once(place, &before, is_new_sign_in);
        change
    }

    /// Takes note of what an answer tells besides its values; a problem if none of its documents can be read.
    fn readable(&mut self, place: usize, answer: Answer, change: &mut Change) -> Result<Answer, Problem> {
        let (reading, collection) = (&answer.reading, &mut self.collections[place]);
        self.known.merge(&reading.known);
        change.failures.extend(answer.lacking.iter().map(|problem| (problem.reason, 1)));
        let lacked = std::mem::replace(&mut collection.lacks_whole, answer.lacking.is_some());
        match &answer.lacking {
            Some(problem) if !lacked => change.news.push(News::DenseMissing(problem.clone())),
            None if lacked => change.news.push(News::DenseAgain),
            _ => {}
        }
        if !reading.unreadable.is_empty() {
            change.failures.push((Reason::Document, reading.unreadable.count as u64));
        }
        Problem::of_reading(reading).map_or(Ok(answer), Err)
    }

    fn works(&mut self, place: usize, answer: Answer, at: DateTime<Utc>, change: &mut Change) {
        let Answer { reading, is_all, .. } = answer;
        self.authorized = Some(true);
        let collection = &mut self.collections[place];
        collection.tell_unreadable(&reading.unreadable, is_all, &mut change.news);
        if reading.words_are_capped && !collection.words_are_capped {
            change.news.push(News::WordsCapped);
        }
        collection.words_are_capped |= reading.words_are_capped;
        collection.succeeded(at, reading.shown, reading.unreadable);
    }

    fn fails(&mut self, place: usize, problem: Problem, at: DateTime<Utc>) {
        match problem.reason {
            Reason::Token => self.authorized = Some(false),
            reason if reason.is_refusal() => self.authorized = Some(true),
            _ => {}
        }
        self.collections[place].failed(problem, at);
    }

    /// Counts the failure of the collection in `place`, if it fails, as what it means by now.
    fn count(&self, place: usize, change: &mut Change) {
        let problem = self.collections[place].problem.as_ref();
        // Documents that cannot be read are counted one by one.
        let reason = problem.map(|problem| problem.reason).filter(|reason| *reason != Reason::Document);
        change.failures.extend(reason.map(|reason| (reason, 1)));
    }

    /// Why each collection fails, if it does.
    fn reasons(&self) -> Vec<Option<Reason>> {
        let reason = |collection: &CollectionState| collection.problem.as_ref().map(|problem| problem.reason);
        self.collections.iter().map(reason).collect()
    }

    fn due_at_once(&self, place: usize, before: &[Option<Reason>], is_new_sign_in: bool) -> Vec<usize> {
        let now = self.reasons();
        let is_overturned =
            |other: &usize| before[*other] == Some(Reason::Scope) && now[*other] == Some(Reason::Refused);
        let others = (0..before.len()).filter(|other| *other != place);
        others.filter(|other| is_new_sign_in || is_overturned(other)).collect()
    }
}

impl CollectionState {
    /// Takes note of an answer.
    pub(super) fn succeeded(&mut self, now: DateTime<Utc>, shown: Option<Shown>, unreadable: Unreadable) {
        self.up = Some(true);
        self.permitted = Some(true);
        self.worked = true;
        self.refusals = None;
        self.was_read(now);
        self.failures = 0;
        self.problem = None;
        self.unreadable = unreadable;
        self.shown = shown.map(Arc::new);
    }

    /// Takes note of a failure; the values stay, for as long as they may. What a refusal of this collection alone means is
    /// for [`AccountState::judge`] to say.
    pub(super) fn failed(&mut self, problem: Problem, now: DateTime<Utc>) {
        self.up = Some(false);
        self.failures = self.failures.saturating_add(1);
        if problem.reason.is_refusal() {
            let refusals = Refusals::and_one(self.refusals, now);
            self.refusals = Some(refusals);
            if problem.reason == Reason::Membership && (!self.worked || refusals.are_lasting()) {
                self.permitted = Some(false);
            }
        }
        self.problem = Some(problem.into());
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::{documents::KINDS, oura::AccountStatus};

    const STRESS: usize = 0;
    const RESILIENCE: usize = 1;

    /// An account of two collections of one scope.
    fn account() -> AccountState {
        let kinds = ["daily_stress", "daily_resilience"];
        let kinds: Vec<_> = kinds.iter().filter_map(|name| KINDS.iter().find(|kind| kind.name == *name)).collect();
        AccountState::new("anna", &kinds)
    }

    fn answer() -> Answer {
        Answer { reading: Reading::default(), is_all: true, lacking: None }
    }

    fn problem(reason: Reason) -> Problem {
        Problem { reason, what: "what happened".to_owned() }
    }

    /// An answer of which so many documents could be read and so many could not.
    fn read(good: usize, bad: usize, is_all: bool) -> Answer {
        let unreadable = Unreadable { count: bad, field: "score".to_owned() };
        let reading = Reading { documents: good + bad, unreadable, ..Reading::default() };
        Answer { reading, is_all, lacking: None }
    }

    fn after(account: &mut AccountState, place: usize, minute: i64, answer: Result<Answer, Problem>) -> Change {
        let at = DateTime::UNIX_EPOCH + TimeDelta::minutes(minute);
        account.apply(Outcome { place, at, answer, token: TokenNow::default() })
    }

    fn begins(collection: Option<&'static str>, reason: Reason) -> Vec<News> {
        vec![News::Begins { collection, problem: problem(reason) }]
    }

    #[test]
    fn a_trouble_is_news_when_it_begins_and_when_it_ends_and_each_failure_counts() {
        let (stress, mut account) = (Some("daily_stress"), account());
        for (minute, answer, news, counted) in [
            (0, Err(problem(Reason::Server)), begins(stress, Reason::Server), Some(Reason::Server)),
            (5, Err(problem(Reason::Server)), vec![], Some(Reason::Server)),
            (10, Err(problem(Reason::Defect)), begins(stress, Reason::Defect), Some(Reason::Defect)),
            (15, Ok(answer()), vec![News::Ends { collection: stress, reason: Reason::Defect }], None),
            (20, Ok(answer()), vec![], None),
        ] {
            let change = after(&mut account, STRESS, minute, answer);
            assert_eq!(change.news, news, "minute {minute}");
            assert_eq!(change.failures, counted.map(|reason| (reason, 1)).into_iter().collect::<Vec<_>>());
        }
        assert_eq!(account.collections[STRESS].up, Some(true));
    }

    #[test]
    fn what_ails_the_whole_account_is_told_once_and_ends_with_the_last_of_its_collections() {
        let mut account = account();
        let refused = |reason| Err(problem(reason));
        assert_eq!(after(&mut account, STRESS, 0, refused(Reason::Network)).news, begins(None, Reason::Network));
        assert_eq!(after(&mut account, RESILIENCE, 0, refused(Reason::Network)).news, []);
        assert_eq!(after(&mut account, STRESS, 5, Ok(answer())).news, []);
        let end = vec![News::Ends { collection: None, reason: Reason::Network }];
        assert_eq!(after(&mut account, RESILIENCE, 5, Ok(answer())).news, end);
        account.is_signed_in = true;
        let change = after(&mut account, STRESS, 60, refused(Reason::Token));
        assert_eq!((change.news, account.authorized), (vec![], Some(false)), "whoever keeps the sign-in tells that");
    }

    #[test]
    fn documents_that_cannot_be_read_are_counted_each_time_and_told_until_all_can_be() {
        let mut account = account();
        let told = |count| vec![News::Unreadable(Unreadable { count, field: "score".to_owned() })];
        for (answer, news, count) in [
            (read(3, 2, true), told(2), 2),
            (read(3, 1, true), vec![], 1),
            (read(3, 0, false), vec![], 0),
            (read(3, 1, true), vec![], 1),
            (read(3, 0, true), vec![], 0),
            (read(0, 0, true), vec![], 0),
            (read(3, 1, false), told(1), 1),
        ] {
            let change = after(&mut account, STRESS, 0, Ok(answer));
            let counted: Vec<_> = (count > 0).then_some((Reason::Document, count)).into_iter().collect();
            assert_eq!((change.news, change.failures), (news, counted));
            assert_eq!(account.collections[STRESS].up, Some(true));
        }
        let change = after(&mut account, STRESS, 5, Ok(read(0, 4, true)));
        assert_eq!(change.failures, [(Reason::Document, 4)], "of which none can be read, the answer is a failure");
        assert!(matches!(&change.news[..], [News::Begins { collection: Some("daily_stress"), .. }]), "{change:?}");
        assert_eq!(account.collections[STRESS].up, Some(false));
    }

    #[test]
    fn dense_samples_that_are_missing_are_told_once_and_change_nothing_else() {
        let mut account = account();
        let lacking = |reason: Option<Reason>| Ok(Answer { lacking: reason.map(problem), ..answer() });
        let missing = vec![News::DenseMissing(problem(Reason::Timeout))];
        for (lacks, news) in [
            (Some(Reason::Timeout), missing.clone()),
            (Some(Reason::Server), vec![]),
            (None, vec![News::DenseAgain]),
            (None, vec![]),
            (Some(Reason::Timeout), missing),
        ] {
            let change = after(&mut account, STRESS, 0, lacking(lacks));
            assert_eq!((change.news, change.failures.len()), (news, lacks.iter().len()));
            assert_eq!(account.collections[STRESS].up, Some(true));
        }
    }

    #[test]
    fn a_new_sign_in_has_all_others_asked_and_one_that_works_has_its_sibling_asked_again() {
        let mut account = account();
        let refused = || Err(Problem::from(AccountStatus::Good));
        assert_eq!(after(&mut account, STRESS, 0, refused()).due_at_once, Vec::<usize>::new());
        assert_eq!(account.collections[STRESS].problem.as_ref().unwrap().reason, Reason::Scope);
        assert_eq!(after(&mut account, RESILIENCE, 0, Ok(answer())).due_at_once, [STRESS], "the scope is there");
        assert_eq!(account.collections[STRESS].problem.as_ref().unwrap().reason, Reason::Refused);
        let at = DateTime::UNIX_EPOCH + TimeDelta::minutes(5);
        let mut signed_in = |hour, place| {
            let grant = Grant { signed_in_at: DateTime::UNIX_EPOCH + TimeDelta::hours(hour), scopes: None };
            let token = TokenNow { grant: Some(grant), ..TokenNow::default() };
            account.apply(Outcome { place, at, answer: Ok(answer()), token }).due_at_once
        };
        assert_eq!(signed_in(1, STRESS), Vec::<usize>::new(), "the first that is known");
        assert_eq!(signed_in(1, STRESS), Vec::<usize>::new(), "the same");
        assert_eq!(signed_in(2, RESILIENCE), [STRESS]);
        assert_eq!(signed_in(3, STRESS), [RESILIENCE]);
    }
}
