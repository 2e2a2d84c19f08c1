//! Getting a stretch of days from Oura: every collection, in step with the rate limit, past what fails in passing.

use std::{collections::BTreeMap, time::Duration};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::value::RawValue;
use tokio::time::sleep;
use tracing::{info, warn};

use super::facts::Answers;
use crate::{
    documents::Kind,
    observation::DateRange,
    poll::Account,
    problem::{Problem, Reason},
};

/// Days asked for beyond those that are told, on both sides: Oura cuts some collections by when a document began, and the
/// wearer's day may begin and end half a day off UTC's.
pub(super) const MARGIN: TimeDelta = TimeDelta::days(3);
/// How many collections of one account are asked at a time.
const AT_A_TIME: usize = 4;

/// How long is waited for what fails in passing.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// The first wait; the next ones are twice as long each, up to a minute.
    pub wait: Duration,
    /// How often is asked again.
    pub times: usize,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { wait: Duration::from_secs(2), times: 10 }
    }
}

impl RetryPolicy {
    /// The waits, one after the other.
    pub(super) fn waits(self) -> impl Iterator<Item = Duration> {
        let longest = Duration::from_secs(60);
        let waits = ExponentialBuilder::default().with_min_delay(self.wait).with_max_delay(longest);
        waits.with_max_times(self.times).with_jitter().build()
    }
}

/// Collections that are left out, and why.
pub(super) type LeftOut = BTreeMap<(String, &'static str), Problem>;

/// Asks for what there is of `days` but for what is `left_out`; gives what is to be left out from now on as well, since the account
/// may not read it.
///
/// # Errors
/// What is wrong with the account, or with Oura for longer than is waited.
pub(super) async fn ask(
    account: &Account,
    kinds: &[&'static Kind],
    days: DateRange,
    now: DateTime<Utc>,
    persistence: RetryPolicy,
    left_out: &LeftOut,
) -> Result<(Answers, LeftOut), Problem> {
    let wanted = kinds.iter().copied().filter(|kind| !left_out.contains_key(&(account.name.clone(), kind.name)));
    let asked = stream::iter(wanted).map(|kind| async move {
        let answer = one(account, kind, days, now, persistence).await;
        match answer {
            Ok(documents) => Ok((kind, Ok(documents))),
            Err(problem) if is_of_the_collection(problem.reason) => Ok((kind, Err(problem))),
            Err(problem) => Err(problem),
        }
    });
    let answers: Vec<_> = asked.buffered(AT_A_TIME).try_collect().await?;
    let (mut good, mut left_out) = (Answers::new(), LeftOut::new());
    for (kind, answer) in answers {
        match answer {
            Ok(documents) => good.push((kind, documents)),
            Err(problem) => {
                let (collection, reason) = (kind.name, problem.reason.label());
                let words = problem.with_remedy(account.access());
                warn!(account = account.name, collection, reason, "left out: {words}");
                left_out.insert((account.name.clone(), kind.name), problem);
            }
        }
    }
    Ok((good, left_out))
}

/// Whether the others go on without it.
const fn is_of_the_collection(reason: Reason) -> bool {
    matches!(reason, Reason::Scope | Reason::Refused | Reason::Request)
}

async fn one(
    account: &Account,
    kind: &'static Kind,
    days: DateRange,
    now: DateTime<Utc>,
    persistence: RetryPolicy,
) -> Result<Vec<Box<RawValue>>, Problem> {
    let mut waits = persistence.waits();
    loop {
        let problem = match account.ask_past(kind, days, now).await {
            Ok(documents) => return Ok(documents),
            Err(problem) => problem,
        };
        match problem.reason {
            Reason::RateLimit => {
                info!(account = account.name, "{}; waiting", problem.what);
                account.client.reopened().await;
            }
            Reason::Server | Reason::Timeout | Reason::Network | Reason::Unreadable | Reason::Paging => {
                let Some(wait) = waits.next() else { return Err(problem) };
                warn!(
                    account = account.name,
                    collection = kind.name,
                    "{}; trying again in {} s",
                    problem.what,
                    wait.as_secs()
                );
                sleep(wait).await;
            }
            _ => return Err(problem),
        }
    }
}
