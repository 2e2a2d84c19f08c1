//! What the log is to be told of an answer: each trouble once when it begins, and once when it ends.

use chrono::{DateTime, Utc};

use super::{AccountState, CollectionState, troubles::Trouble};
use crate::{
    documents::Unreadable,
    problem::{Problem, Reason},
};

/// What the log is to be told of an account or of the collection that was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Documents cannot be read whole: their values are shown all the same, but their dense samples are missing.
    DenseMissing(Problem),
    /// And they can be again.
    DenseAgain,
    /// Documents cannot be read at all; the others are shown.
    Unreadable(Unreadable),
    /// There are more different words than a label has series for.
    WordsCapped,
    /// Something begins to fail.
    Begins {
        /// The collection that fails; none: the whole account does.
        collection: Option<&'static str>,
        /// Why.
        problem: Problem,
    },
    /// It works again.
    Ends {
        /// The collection that failed; none: the whole account did.
        collection: Option<&'static str>,
        /// Why it failed.
        reason: Reason,
    },
}

impl AccountState {
    /// Tells the problems that there are and that were not told: what one collection answers may say something about another
    /// one, too. A failure of the whole account is told for the first of its collections only.
    pub(super) fn tell_problems(&mut self, at: DateTime<Utc>, news: &mut Vec<News>) {
        let is_signed_in = self.is_signed_in;
        let Self { collections, troubles, .. } = self;
        troubles.close(|(subject, reason): &Trouble| {
            collections.iter().any(|one| one.has(*reason) && subject.is_none_or(|name| name == one.kind.name))
        });
        for collection in collections.iter() {
            let Some(problem) = &collection.problem else { continue };
            let trouble = collection.trouble(problem.reason);
            if !is_told_elsewhere(is_signed_in, problem.reason) && troubles.begins(trouble, at) {
                news.push(News::Begins { collection: trouble.0, problem: (**problem).clone() });
            }
        }
    }

    /// Tells the end of a trouble if the collection in `place` has it no more, for the last of those that had it.
    pub(super) fn tell_end(&mut self, place: usize, reason: Reason, news: &mut Vec<News>) {
        let Self { collections, troubles, .. } = self;
        let collection = &collections[place];
        let trouble = collection.trouble(reason);
        let is_over = collection.problem.is_none()
            && (trouble.0.is_some() || !collections.iter().any(|collection| collection.has(reason)));
        if is_over && !is_told_elsewhere(self.is_signed_in, reason) && troubles.ends(trouble) {
            news.push(News::Ends { collection: trouble.0, reason });
        }
    }
}

impl CollectionState {
    /// Tells once that there are documents that cannot be read: an old one is in one answer an hour, and missing in the
    /// others.
    pub(super) fn tell_unreadable(&mut self, unreadable: &Unreadable, is_all: bool, news: &mut Vec<News>) {
        if !unreadable.is_empty() && !self.told_unreadable {
            news.push(News::Unreadable(unreadable.clone()));
        }
        self.told_unreadable = !unreadable.is_empty() || (self.told_unreadable && !is_all);
    }

    /// What a problem of it is a trouble of.
    fn trouble(&self, reason: Reason) -> Trouble {
        ((!reason.is_of_the_account()).then_some(self.kind.name), reason)
    }

    fn has(&self, reason: Reason) -> bool {
        self.problem.as_ref().is_some_and(|problem| problem.reason == reason)
    }
}

/// Whoever keeps a sign-in tells its troubles, and their end.
const fn is_told_elsewhere(is_signed_in: bool, reason: Reason) -> bool {
    is_signed_in && matches!(reason, Reason::Token | Reason::State)
}
