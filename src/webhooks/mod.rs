//! Webhooks: Oura tells that a document has changed, and its collection is asked for at once.
//!
//! `callback` answers on a listener of its own, by `signature` and `secret`; what is true goes as an `event` into the
//! `inbox`, which knows by `owners` whose it is and by `flow` whether events come as usual. The poller takes it out. `keeper`
//! makes and keeps the subscriptions over `api`, by a `plan`, but for `refusals`; `stats` counts, and
//! `probe` finds out whether the public address leads here.

mod api;
mod callback;
mod event;
mod flow;
mod inbox;
mod keeper;
mod owners;
mod plan;
mod probe;
mod refusals;
mod secret;
mod signature;
mod stats;

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use anyhow::Context as _;
use futures_util::future::BoxFuture;

pub use self::{
    api::{Api, Refused, Subscription},
    callback::Callback,
    event::{Change, DATA_TYPES, data_type},
    inbox::{Documents, Inbox, Mailbox},
    keeper::Keeper,
    probe::reaches,
    stats::{WEBHOOKS, WebhookStats},
};
use self::{keeper::Memory, plan::Plan, refusals::Refusals};
use crate::{
    auth::{Application, Store},
    clock::Clock,
    documents::Kind,
};

/// Where webhooks are on, and in whose name.
#[derive(Clone, Debug)]
pub struct Place {
    /// The callback as Oura sees it (`OURA_WEBHOOK_URL`).
    pub url: String,
    /// The path of it.
    pub path: String,
    /// Where it is answered (`OURA_WEBHOOK_LISTEN`).
    pub listen_address: String,
    /// The application, whose secret signs events.
    pub application: Application,
    /// Where the verification token and the memory are kept.
    pub store: Store,
}

/// All parts of it.
pub struct Webhooks {
    /// Where it is answered.
    pub listen_address: String,
    /// What is answered there.
    pub callback: Arc<Callback>,
    /// Who keeps the subscriptions.
    pub keeper: Keeper,
    /// Where the poller finds what Oura tells.
    pub inbox: Arc<Inbox>,
    /// What is told of it.
    pub stats: WebhookStats,
}

impl Webhooks {
    /// Webhooks for the collections of `kinds`, whose subscriptions are at the API at `api_url`.
    ///
    /// # Errors
    /// Where there is no token, nor room for one.
    pub fn new(place: Place, api_url: &str, kinds: &[&'static Kind], clock: &Clock) -> anyhow::Result<Self> {
        let state = place.store.directory().to_owned();
        let token = secret::kept(&state).context("webhooks need a verification token")?;
        let inbox = Arc::new(Inbox::new(kinds, Some(place.store), clock.clone()));
        let stats = WebhookStats::new(Arc::clone(&inbox))?;
        let callback = Callback {
            path: place.path,
            secret: place.application.client_secret.clone(),
            token: token.clone(),
            inbox: Arc::clone(&inbox),
            stats: stats.clone(),
            clock: clock.clone(),
            told: Mutex::default(),
        };
        let keeper = Keeper {
            api: Api::new(api_url, place.application)?,
            url: place.url,
            token,
            inbox: Arc::clone(&inbox),
            stats: stats.clone(),
            clock: clock.clone(),
            file: Memory::file(&state),
            told: None,
            refusals: Refusals::default(),
            is_whole: false,
        };
        Ok(Self { listen_address: place.listen_address, callback: Arc::new(callback), keeper, inbox, stats })
    }

    /// The same, where each request for a subscription waits for what `pay` gives for its URL.
    #[must_use]
    pub fn paid_by(mut self, pay: impl Fn(&str) -> BoxFuture<'static, ()> + Send + Sync + 'static) -> Self {
        self.keeper.api = self.keeper.api.paid_by(pay);
        self
    }
}

/// How the subscriptions of an exporter stand at Oura.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Those that work.
    pub active: usize,
    /// Those that are wanted and are not there, or lead elsewhere still.
    pub missing: usize,
    /// Those that another program has.
    pub foreign: usize,
}

/// How the subscriptions to the collections of `kinds` stand at the API at `api_url`, which is only asked.
///
/// # Errors
/// Where Oura does not say, or what is remembered cannot be read.
pub async fn standing(
    place: &Place,
    api_url: &str,
    kinds: &[&'static Kind],
    clock: &Clock,
) -> anyhow::Result<Standing> {
    let api = Api::new(api_url, place.application.clone())?;
    let found = keeper::listed(&api).await?;
    let memory: Memory = Memory::file(place.store.directory()).read()?;
    let own = memory.own(&place.url);
    let data_types: BTreeSet<_> = kinds.iter().filter_map(|kind| data_type(kind)).collect();
    let wanted = plan::wanted(data_types.into_iter());
    let Plan { active, foreign, .. } = Plan::new(&wanted, &found, &own, clock.now());
    let (active, foreign) = (active.len(), foreign.len());
    Ok(Standing { active, missing: wanted.len().saturating_sub(active + foreign), foreign })
}

/// Which subscriptions are ours: those that lead to `url`, or to where the callback was before.
///
/// # Errors
/// Where what is remembered cannot be read.
pub fn ours(state: Option<&PathBuf>, url: Option<&str>) -> anyhow::Result<impl Fn(&Subscription) -> bool> {
    let memory = state.map_or_else(|| Ok(Memory::default()), |state| Memory::file(state).read())?;
    let own = memory.own(url.unwrap_or_default());
    Ok(move |one: &Subscription| own.has(one))
}
