//! Keeping the subscriptions: made, verified, renewed and mended, from the start on and every few hours.

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::time::sleep;
use tracing::{info, warn};

use super::{
    api::{Api, Pair, Refused, Subscription},
    event::Change,
    inbox::Inbox,
    plan::{Own, Plan, Step, wanted},
    secret::Token,
    stats::{Counts, WebhookStats},
};
use crate::{clock::Clock, state_file::StateFile};

/// How often it is seen whether the subscriptions stand.
const EVERY: TimeDelta = TimeDelta::hours(6);
/// The waits after failures.
const AGAIN: [TimeDelta; 4] =
    [TimeDelta::minutes(1), TimeDelta::minutes(5), TimeDelta::minutes(15), TimeDelta::minutes(60)];
/// The clock is looked at that often: a wait goes by the clock on the wall, also while the machine sleeps.
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
                Ok(()) => {
                    failures = 0;
                    EVERY
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
            let until = self.clock.now() + wait;
            while self.clock.now() < until {
                let left = (until - self.clock.now()).to_std().unwrap_or_default();
                sleep(left.min(LOOK)).await;
            }
        }
    }

    /// Sees what stands, and does what is to be done about it.
    async fn round(&mut self) -> anyhow::Result<()> {
        let memory: Memory = self.file.read()?;
        let memory = memory.at(&self.url, &self.token);
        // Before anything is made: whatever happens meanwhile, it is known as ours.
        self.file.write(&memory)?;
        let found = listed(&self.api).await?;
        let wanted = wanted(self.inbox.data_types());
        let Plan { steps, active, foreign } = Plan::new(&wanted, &found, &memory.own(&self.url), self.clock.now());
        let mut round = Round { active, foreign, memory };
        round.memory.ids.retain(|id| found.iter().any(|one| one.id == *id));
        let done = self.all(steps, &mut round).await;
        self.file.write(&round.memory)?;
        self.show(&round, wanted.len());
        done?;
        self.tell_of(&round);
        Ok(())
    }

    async fn all(&self, steps: Vec<Step>, round: &mut Round) -> anyhow::Result<()> {
        for step in steps {
            let (pair, done) = match &step {
                Step::Make(pair) => (*pair, self.api.make(*pair, &self.url, &self.token).await),
                Step::Mend(id, pair) => (*pair, self.api.mend(id, *pair, &self.url, &self.token).await),
                Step::Renew(id, pair) => (*pair, self.api.renew(id).await),
            };
            let done = match done {
                // It has ended meanwhile.
                Err(Refused::Unknown) => self.api.make(pair, &self.url, &self.token).await,
                done => done,
            };
            match done {
                Ok(one) => round.has(pair, &one),
                // Somebody was faster; the next look tells who.
                Err(Refused::Exists) => {}
                Err(error) => {
                    let ((data_type, change), what) = (pair, step.word());
                    let (change, url) = (change.word(), self.api.url());
                    return Err(error).with_context(|| {
                        format!("cannot {what} the subscription to {change} of {data_type} at {url}")
                    });
                }
            }
        }
        Ok(())
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
        let Some(other) = foreign.first() else {
            return self.tell(format!("{active} webhooks are subscribed"), false);
        };
        let words = format!(
            "{active} webhooks are subscribed; {} belong to another program with the same application ({}), so they \
             are left alone and their collections are polled as before; to have them here, remove them there, or use an \
             application of your own",
            foreign.len(),
            other.shown_url()
        );
        self.tell(words, true);
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
fn asked_for(error: &anyhow::Error) -> TimeDelta {
    match error.downcast_ref::<Refused>() {
        Some(Refused::RateLimited(Some(wait))) => TimeDelta::from_std(*wait).unwrap_or(EVERY).min(EVERY),
        _ => TimeDelta::zero(),
    }
}
