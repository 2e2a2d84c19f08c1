//! Everybody's months, one after the other: who fails is left out, and the others go on.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use chrono::NaiveDate;
use futures_util::{StreamExt as _, stream};
use tracing::warn;

use super::{
    ask::{LeftOut, MARGIN, ask},
    facts::{Answers, Plan},
    place::Place,
    run::{Backfill, Run, count},
    sink::{Part, Sink},
};
use crate::{
    documents::Unreadable,
    observation::{DateRange, Known},
    poll::Account,
    problem::{Problem, Reason},
    samples::Told,
};

/// How many accounts are asked side by side, and brought in together where they need not be in one file.
const TOGETHER: usize = 8;
/// So many accounts that fail one after the other do not fail by themselves: nobody goes on then.
const MOST_IN_A_ROW: usize = TOGETHER;

/// What is known of accounts that are brought in together.
struct Together<'a> {
    accounts: &'a [&'a Account],
    /// What is known of each account's wearer.
    known: HashMap<String, Known>,
    /// What was told of each account before.
    told: HashMap<String, Told>,
    /// The documents of the month before: months share some at their seams, and each is counted once.
    counted: HashSet<u64>,
    /// Those of the month that is under way.
    counting: HashSet<u64>,
}

/// What was asked of an account.
type Asked = Result<(Answers, LeftOut), Problem>;

impl Backfill {
    /// How many accounts are brought in together, from the first month to the last: so many are in memory. A file of a month has
    /// everybody.
    pub(super) fn at_a_time(&self, sink: &Sink) -> usize {
        if sink.is_text() { self.accounts.len().max(1) } else { TOGETHER }
    }

    pub(super) async fn everybody(
        &self,
        accounts: &[&Account],
        chunks: &[DateRange],
        run: &mut Run,
        sink: &mut Sink,
    ) -> anyhow::Result<()> {
        for accounts in accounts.chunks(self.at_a_time(sink)) {
            let mut together = self.together(accounts, run);
            for chunk in chunks {
                run.reached = *chunk;
                let mut parts = self.parts(*chunk, &mut together, run, sink).await?;
                if chunk.last == run.last {
                    // Nobody looks at these again before they are taken.
                    self.look_at_hands(accounts, run, sink).await?;
                    parts.retain(|part| !run.gone.contains_key(&part.account));
                }
                if !parts.is_empty() {
                    self.take(*chunk, parts, run, sink).await?;
                }
                run.progress.done(chunk.first, count(*chunk));
            }
        }
        self.look_at_hands(accounts, run, sink).await
    }

    /// Leaves out who is not the same person's any more.
    ///
    /// # Errors
    /// Where that one is alone.
    async fn look_at_hands(&self, accounts: &[&Account], run: &mut Run, sink: &mut Sink) -> anyhow::Result<()> {
        for account in accounts {
            if !run.gone.contains_key(&account.name) {
                self.is_theirs(account, run, sink).await?;
            }
        }
        Ok(())
    }

    /// Whether the account is the same person's still; else it is left out from now on.
    ///
    /// # Errors
    /// Where it is not, and is alone.
    async fn is_theirs(&self, account: &Account, run: &mut Run, sink: &mut Sink) -> anyhow::Result<bool> {
        let name = &account.name;
        let Some(wearer) = run.wearers.get_mut(name) else { return Ok(true) };
        let Err(changed) = wearer.holds(account).await else { return Ok(true) };
        if self.is_alone() {
            return Err(changed.into());
        }
        sink.forget(name).await?;
        run.leave_out(name, changed.among_others(sink.left_of_earlier_person()));
        Ok(false)
    }

    /// What is known of these accounts before the first month: what was told of each before.
    fn together<'a>(&self, accounts: &'a [&'a Account], run: &Run) -> Together<'a> {
        let told =
            |account: &Account| Told::open(self.store.as_ref(), &account.name, account.access(), run.last, run.now);
        let told = accounts.iter().map(|account| (account.name.clone(), told(account))).collect();
        Together { accounts, known: HashMap::new(), told, counted: HashSet::new(), counting: HashSet::new() }
    }

    /// What is left to be brought in of these accounts in a month; they are asked side by side, as far as the request budget lets
    /// them.
    async fn parts(
        &self,
        chunk: DateRange,
        together: &mut Together<'_>,
        run: &mut Run,
        sink: &mut Sink,
    ) -> anyhow::Result<Vec<Part>> {
        let rest =
            |account: &Account| sink.place(&account.name).map_or(Some(chunk), |place| place.rest(chunk, run.last));
        let there = together.accounts.iter().filter(|account| !run.gone.contains_key(&account.name));
        let there: Vec<_> = there.filter_map(|account| Some((*account, rest(account)?))).collect();
        let (now, kinds, persistence, left_out) = (run.now, &self.kinds, self.persistence, &run.left_out.clone());
        let asked = stream::iter(there).map(|(account, days)| async move {
            let covered = DateRange { first: days.first - MARGIN, last: days.last + MARGIN };
            (account, days, ask(account, kinds, covered, now, persistence, left_out).await)
        });
        let mut asked = asked.buffered(TOGETHER);
        let mut parts = Vec::new();
        while let Some((account, days, asked)) = asked.next().await {
            let Some(answers) = self.heard(account, asked, run, sink).await? else { continue };
            let name = &account.name;
            let Some(told) = together.told.get_mut(name) else { continue };
            let plan = Plan { now, until: run.until, days, target: &self.target };
            let facts = plan.tell(name, &answers, together.known.entry(name.clone()).or_default(), told);
            tell_of_unreadable(name, days.first, &facts.unreadable);
            run.progress.read(together.count(name, &answers));
            let then = then(name, days, run, sink);
            parts.push(Part { account: name.clone(), days, lines: facts.lines, then });
        }
        together.counted = std::mem::take(&mut together.counting);
        Ok(parts)
    }

    /// What an account answered; none: it is left out from now on.
    ///
    /// # Errors
    /// Where nobody goes on: the account is alone, or it is not the account that fails.
    async fn heard(
        &self,
        account: &Account,
        asked: Asked,
        run: &mut Run,
        sink: &mut Sink,
    ) -> anyhow::Result<Option<Answers>> {
        let name = &account.name;
        if !self.is_theirs(account, run, sink).await? {
            return Ok(None);
        }
        let problem = match asked {
            Ok((answers, left_out)) => {
                run.unheard_in_a_row = 0;
                run.left_out.extend(left_out);
                return Ok(Some(answers));
            }
            Err(problem) if self.is_alone() => anyhow::bail!("account {name}: {}", problem.what),
            Err(problem) => problem,
        };
        let remedy = problem.with_remedy(account.access());
        if is_its_own(problem.reason) {
            run.leave_out(name, remedy);
            return Ok(None);
        }
        let is_asked_again = problem.reason != Reason::State;
        let persists = || format!("{}, however often it was asked again; wait until that is over", problem.what);
        run.leave_out(name, if is_asked_again { persists() } else { remedy });
        run.unheard_in_a_row += 1;
        anyhow::ensure!(
            run.unheard_in_a_row < MOST_IN_A_ROW,
            "{MOST_IN_A_ROW} accounts failed one after the other, the last of them so: {}",
            problem.what
        );
        Ok(None)
    }

    /// Has the destination take a month.
    ///
    /// # Errors
    /// Where nobody goes on.
    async fn take(&self, chunk: DateRange, parts: Vec<Part>, run: &mut Run, sink: &mut Sink) -> anyhow::Result<()> {
        let taken = sink.take(chunk, parts).await?;
        run.progress.wrote(taken.samples);
        for (account, refused) in taken.each {
            let Some(refused) = refused else {
                run.untaken_in_a_row = 0;
                continue;
            };
            if self.is_alone() {
                return Err(refused.into());
            }
            run.leave_out(&account, refused.to_string());
            run.untaken_in_a_row += 1;
            if run.untaken_in_a_row >= MOST_IN_A_ROW {
                return Err(refused.into());
            }
        }
        taken.failed.map_or(Ok(()), Err)
    }
}

/// How far an account has come with these days.
fn then(account: &str, days: DateRange, run: &mut Run, sink: &Sink) -> Place {
    // Of what the receiver has not taken yet, no place is kept.
    let known = sink.place(account).and_then(|place| place.missing).or_else(|| run.missing.get(account).copied());
    let before = known.filter(|missing| *missing < days.first);
    let is_left_out = run.left_out_again().any(|name| name == account);
    let missing = before.or(is_left_out.then_some(days.first));
    if let Some(missing) = missing {
        run.missing.insert(account.to_owned(), missing);
    }
    if days.last < run.last {
        return Place::after(days, run.until.date_naive(), missing);
    }
    if let Some(day) = before.filter(|_| !is_left_out) {
        run.leave_out(account, format!("an earlier run left collections of it out from {day} on"));
    }
    Place::at_end(run.last, run.until.date_naive(), missing)
}

/// Whether the account alone is the cause.
const fn is_its_own(reason: Reason) -> bool {
    matches!(reason, Reason::Token | Reason::Membership | Reason::Defect)
}

impl Together<'_> {
    /// How many documents answers have that were not counted before.
    fn count(&mut self, account: &str, answers: &Answers) -> usize {
        let mut new = 0;
        for (kind, documents) in answers {
            for document in documents {
                let mut hasher = DefaultHasher::new();
                (account, kind.name, document.get()).hash(&mut hasher);
                let document = hasher.finish();
                if self.counting.insert(document) && !self.counted.contains(&document) {
                    new += 1;
                }
            }
        }
        new
    }
}

fn tell_of_unreadable(account: &str, month: NaiveDate, unreadable: &BTreeMap<&'static str, Unreadable>) {
    for (collection, Unreadable { count, field }) in unreadable {
        let month = month.format("%Y-%m").to_string();
        warn!(account, collection, month, count, field, "documents cannot be read and are left out");
    }
}
