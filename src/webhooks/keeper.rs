//! Keeping the subscriptions: made, verified, renewed and mended, from the start on and every few hours.

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
    refusals::Refusals,
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
/// After so many refusals in a row by a service in trouble, more than one data type has, nothing more is asked of it.
const MOST_IN_TROUBLE: usize = Change::ALL.len() + 1;
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
                    next.map_or(EVERY, |next| next.min(EVERY))
                }
                Err(error) => {
                    let wait = AGAIN[failures.min(AGAIN.len() - 1)].max(asked_for(&error));
                    failures += 1;
                    self.tell(
                        format!("not all webhooks are subscribed, so polls go on as without them: {error:#}"),
                        true,
                    );
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
        let is_wanting = |pair: Pair| steps.iter().any(|step| step.pair() == pair);
        self.refusals.retain(is_wanting);
        let mut round = Round { active, foreign, memory: memory.clone() };
        round.memory.ids.retain(|id| found.iter().any(|one| one.id == *id));
        let done = self.all(steps, &mut round).await;
        if round.memory != memory {
            self.file.write(&round.memory)?;
        }
        self.show(&round, wanted.len());
        done?;
        self.tell_of(&round);
        Ok(!round.active.is_empty())
    }

    /// Does one step after the other: what Oura refuses of one keeps none of the others.
    async fn all(&mut self, steps: Vec<Step>, round: &mut Round) -> anyhow::Result<()> {
        let (mut in_trouble, others_stand) = (0, !round.active.is_empty());
        for step in steps {
            let pair = step.pair();
            if !self.refusals.may_try(pair, self.clock.instant(), others_stand) {
                continue;
            }
            let error = match self.take(&step).await {
                Ok(one) => {
                    round.has(pair, &one);
                    self.refusals.end(pair);
                    continue;
                }
                // Somebody was faster; the next look tells who.
                Err(Refused::Exists) => {
                    self.refusals.end(pair);
                    continue;
                }
                Err(error) => error,
            };
            in_trouble = if matches!(error, Refused::Server(_)) { in_trouble + 1 } else { 0 };
            let is_of_one = error.is_of_one() && in_trouble < MOST_IN_TROUBLE;
            let (data_type, change) = pair;
            let (what, change, url) = (step.word(), change.word(), self.api.url());
            let error = anyhow::Error::new(error)
                .context(format!("cannot {what} the subscription to {change} of {data_type} at {url}"));
            if !is_of_one {
                return Err(error);
            }
            self.refusals.add(pair, format!("{error:#}"), self.clock.instant());
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
    fn show(&self, round: &Round, wanted: usize) {
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let foreign = round.foreign.len();
        self.stats.subscriptions(Counts {
            active: count(round.active.len()),
            missing: count(wanted.saturating_sub(round.active.len() + foreign)),
            foreign: count(foreign),
            expiry: round.active.iter().filter_map(|(_, end)| *end).min().map(|end| end.timestamp()),
        });
        let is_active = |pair: Pair| round.active.iter().any(|(active, _)| *active == pair);
        let whole = self.inbox.data_types().filter(|name| Change::ALL.iter().all(|change| is_active((name, *change))));
        self.inbox.subscribed(&whole.collect());
    }

    fn tell_of(&mut self, round: &Round) {
        let (active, foreign) = (round.active.len(), &round.foreign);
        let mut words = format!("{active} webhooks are subscribed");
        let refused = self.refusals.words();
        if let Some(other) = foreign.first() {
            words += &format!(
                "; {} belong to another program with the same application ({}), so they are left alone and their \
                 collections are polled as before; to have them here, remove them there, or use an application of your \
                 own",
                foreign.len(),
                other.shown_url()
            );
        }
        if let Some(refused) = refused.as_ref().filter(|_| active == 0 && foreign.is_empty()) {
            words = format!("no webhook is subscribed, so polls go on as without them: {refused}");
        } else if let Some(refused) = &refused {
            words += &format!("; others are not, and are tried again later: their collections are polled: {refused}");
        }
        self.tell(words, refused.is_some() || !foreign.is_empty());
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
    /// Takes note that the subscription of `pair` is as it should be.
    fn has(&mut self, pair: Pair, one: &Subscription) {
        self.active.retain(|(active, _)| *active != pair);
        self.active.push((pair, one.ends_at()));
        self.memory.ids.insert(one.id.clone());
    }
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
