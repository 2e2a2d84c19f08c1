//! Keeping the subscriptions: made, verified, renewed and mended, from the start on and every quarter of an hour.

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tracing::{info, warn};

use super::{
    api::{Api, Pair, Refused, Subscription},
    event::Change,
    inbox::Inbox,
    plan::{Own, Plan, Step, wanted},
    refusals::{Refusals, Trouble},
    secret::Token,
    stats::{Counts, WebhookStats},
};
use crate::{clock::Clock, state_file::StateFile};

/// How often it is seen whether the subscriptions stand: whoever deletes or changes one tells nobody.
const EVERY: Duration = Duration::from_secs(900);
/// The waits after failures.
const AGAIN: [Duration; 3] = [Duration::from_secs(60), Duration::from_secs(300), EVERY];
/// However long Oura asks for a pause, it is tried again after this.
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 3600);
/// The clock on the wall is looked at that often: it goes on while the machine sleeps.
const LOOK: Duration = Duration::from_secs(60);
/// So many addresses of before are remembered.
const MOST_BEFORE: usize = 8;

/// What is remembered of our subscriptions, so that they are known when address or token change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Memory {
    urls: Vec<String>,
    /// Which token the subscriptions were made with, without telling it.
    token: String,
    ids: BTreeSet<String>,
}

impl Memory {
    /// Where it is kept.
    pub(super) fn file(state: &Path) -> StateFile {
        StateFile::new(state, "webhooks", &[])
    }

    /// What tells our subscriptions from others, where the callback is at `url`.
    pub(super) fn own(&self, url: &str) -> Own {
        let before = self.urls.iter().filter(|known| *known != url).cloned().collect();
        Own { url: url.to_owned(), before, ids: self.ids.clone() }
    }

    /// The same memory from now on with this address and token.
    fn at(mut self, url: &str, token: &Token) -> Self {
        self.urls.retain(|known| known != url);
        self.urls.push(url.to_owned());
        let most = self.urls.len().saturating_sub(MOST_BEFORE);
        self.urls.drain(..most);
        let digest = Sha256::digest(token.expose_secret());
        let digest = URL_SAFE_NO_PAD.encode(&digest[..9]);
        if self.token != digest {
            (self.token, self.ids) = (digest, BTreeSet::new());
        }
        self
    }
}

/// Keeps the subscriptions.
pub struct Keeper {
    pub(super) api: Api,
    pub(super) url: String,
    pub(super) token: Token,
    pub(super) inbox: Arc<Inbox>,
    pub(super) stats: WebhookStats,
    pub(super) clock: Clock,
    pub(super) file: StateFile,
    /// What the log was told last.
    pub(super) told: Option<String>,
    /// What Oura refuses one by one.
    pub(super) refusals: Refusals,
    /// Whether none was missing when it was last looked.
    pub(super) is_whole: bool,
}

/// What stands, as far as a round has come.
struct Round {
    active: Vec<(Pair, Option<DateTime<Utc>>)>,
    foreign: Vec<Subscription>,
    memory: Memory,
}

impl Keeper {
    /// Keeps them for ever. The callback has to be answered meanwhile: Oura asks it before it makes one.
    pub async fn run(mut self) {
        let missing = i64::try_from(wanted(self.inbox.data_types()).len()).unwrap_or(i64::MAX);
        self.stats.subscriptions(Counts { missing, ..Counts::default() });
        let mut failures = 0;
        loop {
            let wait = match self.round().await {
                Ok(others_stand) => {
                    failures = 0;
                    let next = self.refusals.next(others_stand);
                    let next = next.map(|next| next.saturating_duration_since(self.clock.instant()));
                    next.map_or(EVERY, |next| next.clamp(AGAIN[0], EVERY))
                }
                Err(error) => {
                    let wait = AGAIN[failures.min(AGAIN.len() - 1)].max(asked_for(&error));
                    failures += 1;
                    let what = if self.is_whole {
                        "all webhooks are subscribed, and cannot be looked after yet"
                    } else {
                        "not all webhooks are subscribed, so polls go on as without them"
                    };
                    self.tell(format!("{what}: {error:#}"), true);
                    wait
                }
            };
            self.wait(wait).await;
        }
    }

    /// Waits for so long, however the clock on the wall is set meanwhile, and no longer because the machine has slept.
    async fn wait(&self, wait: Duration) {
        let (until, begun) = (self.clock.instant() + wait, self.clock.now());
        let is_over_on_the_wall = || (self.clock.now() - begun).to_std().is_ok_and(|passed| passed >= wait);
        while self.clock.instant() < until && !is_over_on_the_wall() {
            self.clock.sleep_until(until.min(self.clock.instant() + LOOK)).await;
        }
    }

    /// Sees what stands, and does what is to be done about it; whether anything stands.
    async fn round(&mut self) -> anyhow::Result<bool> {
        let before: Memory = self.file.read()?;
        let memory = before.clone().at(&self.url, &self.token);
        if memory != before {
            // Before anything is made: whatever happens meanwhile, it is known as ours.
            self.file.write(&memory)?;
        }
        let found = listed(&self.api).await?;
        let wanted = wanted(self.inbox.data_types());
        let Plan { steps, active, foreign } = Plan::new(&wanted, &found, &memory.own(&self.url), self.clock.now());
        self.refusals.keep(&steps);
        let mut round = Round { active, foreign, memory: memory.clone() };
        round.memory.ids.retain(|id| found.iter().any(|one| one.id == *id));
        let done = self.all(steps, &mut round).await;
        if round.memory != memory {
            self.file.write(&round.memory)?;
        }
        self.show(&round, wanted.len());
        done?;
        let (words, is_warning) = words(&round, &self.refusals);
        self.tell(words, is_warning);
        Ok(!round.active.is_empty())
    }

    /// Does one step after the other: what Oura refuses of one keeps none of the others.
    async fn all(&mut self, mut steps: Vec<Step>, round: &mut Round) -> anyhow::Result<()> {
        let (mut trouble, others_stood) = (Trouble::default(), !round.active.is_empty());
        // What was never refused comes first: where the round ends early, another part of them has its turn each time.
        steps.sort_by_key(|step| self.refusals.count(step));
        for step in steps {
            let pair = step.pair();
            if !self.refusals.may_try(&step, self.clock.instant(), others_stood) {
                continue;
            }
            let error = match self.take(&step).await {
                Ok(one) => {
                    round.has(pair, &one);
                    self.refusals.end(pair);
                    trouble.end();
                    continue;
                }
                // Somebody was faster; the next look tells who.
                Err(Refused::Exists) => {
                    self.refusals.end(pair);
                    trouble.end();
                    continue;
                }
                Err(error) => error,
            };
            let (is_of_one, is_of_all) = (error.is_of_one(), trouble.is_of_all(&error, !round.active.is_empty()));
            let ((data_type, change), what, url) = (pair, step.word(), self.api.url());
            let one = format!("cannot {what} the subscription to {} of {data_type} at {url}", change.word());
            if !is_of_one {
                return Err(anyhow::Error::new(error).context(one));
            }
            self.refusals.add(&step, format!("{one}: {error}"), self.clock.instant());
            if is_of_all {
                return Err(anyhow::Error::new(error).context(format!("cannot {what} subscriptions at {url}")));
            }
        }
        Ok(())
    }

    async fn take(&self, step: &Step) -> Result<Subscription, Refused> {
        let done = match step {
            Step::Make(pair) => self.api.make(*pair, &self.url, &self.token).await,
            Step::Mend(id, pair) => self.api.mend(id, *pair, &self.url, &self.token).await,
            Step::Renew(id, _) => self.api.renew(id).await,
        };
        match done {
            // It has ended meanwhile.
            Err(Refused::Unknown) => self.api.make(step.pair(), &self.url, &self.token).await,
            done => done,
        }
    }

    /// Has the metrics and the polls go by what stands.
    fn show(&mut self, round: &Round, wanted: usize) {
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let foreign = round.foreign.len();
        let missing = wanted.saturating_sub(round.active.len() + foreign);
        self.is_whole = missing + foreign == 0;
        self.stats.subscriptions(Counts {
            active: count(round.active.len()),
            missing: count(missing),
            foreign: count(foreign),
            expiry: round.active.iter().filter_map(|(_, end)| *end).min().map(|end| end.timestamp()),
        });
        let is_whole = |name: &&'static str| Change::ALL.iter().all(|change| round.stands((*name, *change)));
        let whole = self.inbox.data_types().filter(is_whole);
        self.inbox.subscribed(&whole.collect());
    }

    /// Logs what is news.
    fn tell(&mut self, words: String, is_warning: bool) {
        if self.told.as_ref() != Some(&words) {
            if is_warning {
                warn!("{words}")
            } else {
                info!("{words}")
            }
            self.told = Some(words);
        }
    }
}

impl Round {
    /// Whether the subscription of `pair` is ours and works.
    fn stands(&self, pair: Pair) -> bool {
        self.active.iter().any(|(active, _)| *active == pair)
    }

    /// Takes note that the subscription of `pair` is as it should be.
    fn has(&mut self, pair: Pair, one: &Subscription) {
        self.active.retain(|(active, _)| *active != pair);
        self.active.push((pair, one.ends_at()));
        self.memory.ids.insert(one.id.clone());
    }
}

/// What the log is told of a round, and whether somebody may have to do something.
fn words(round: &Round, refusals: &Refusals) -> (String, bool) {
    let (active, foreign) = (round.active.len(), &round.foreign);
    let mut words = format!("{active} webhooks are subscribed");
    let (refused, late) = (refusals.words(|pair| !round.stands(pair)), refusals.words(|pair| round.stands(pair)));
    if let Some(other) = foreign.first() {
        words += &format!(
            "; {} belong to another program with the same application ({}), so they are left alone and their \
             collections are polled as before; to have them here, remove them there, or use an application of your own",
            foreign.len(),
            other.shown_url()
        );
    }
    if let Some((_, refused)) = refused.as_ref().filter(|_| active == 0 && foreign.is_empty()) {
        words = format!("no webhook is subscribed, so polls go on as without them: {refused}");
    } else if let Some((_, refused)) = &refused {
        words += &format!("; others are not, and are tried again later: their collections are polled: {refused}");
    }
    if let Some((count, late)) = &late {
        words += &format!("; {count} cannot be renewed yet: {late}");
    }
    (words, refused.is_some() || late.is_some() || !foreign.is_empty())
}

/// All subscriptions of the application.
///
/// # Errors
/// Where Oura does not say, with what it was asked.
pub(super) async fn listed(api: &Api) -> anyhow::Result<Vec<Subscription>> {
    api.list().await.with_context(|| format!("cannot list the subscriptions at {}", api.url()))
}

/// How long Oura wants to be left alone.
fn asked_for(error: &anyhow::Error) -> Duration {
    match error.downcast_ref::<Refused>() {
        Some(Refused::RateLimited(Some(wait))) => (*wait).min(LONGEST_PAUSE),
        _ => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[test]
    fn what_stands_and_is_not_renewed_is_told_from_what_is_missing() {
        let pairs = Change::ALL.map(|change| ("sleep", change));
        let told = |active: &[Pair], refused: &[Step]| {
            let active = active.iter().map(|pair| (*pair, None)).collect();
            let mut refusals = Refusals::default();
            refused.iter().for_each(|step| refusals.add(step, "Oura says no".to_owned(), Instant::now()));
            words(&Round { active, foreign: vec![], memory: Memory::default() }, &refusals)
        };
        let (make, renew) = (Step::Make, |pair| Step::Renew("a".to_owned(), pair));
        let polled = "others are not, and are tried again later: their collections are polled: Oura says no";
        for (active, refused, expected, is_warning) in [
            (&pairs[..], vec![], "3 webhooks are subscribed".to_owned(), false),
            (
                &pairs[..],
                vec![renew(pairs[1]), renew(pairs[2])],
                "3 webhooks are subscribed; 2 cannot be renewed yet: Oura says no; nor 1 more, of sleep".to_owned(),
                true,
            ),
            (&pairs[1..], vec![make(pairs[0])], format!("2 webhooks are subscribed; {polled}"), true),
            (
                &pairs[1..],
                vec![make(pairs[0]), renew(pairs[1])],
                format!("2 webhooks are subscribed; {polled}; 1 cannot be renewed yet: Oura says no"),
                true,
            ),
            // It has ended meanwhile.
            (&pairs[1..], vec![renew(pairs[0])], format!("2 webhooks are subscribed; {polled}"), true),
            (
                &[],
                vec![make(pairs[0])],
                "no webhook is subscribed, so polls go on as without them: Oura says no".to_owned(),
                true,
            ),
        ] {
            assert_eq!(told(active, &refused), (expected, is_warning));
        }
    }
}
