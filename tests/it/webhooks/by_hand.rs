//! An exporter with webhooks that asks when it is told to, and whose time a test moves on.

use std::{ffi::OsString, sync::Arc, time::Duration};

use chrono::TimeDelta;
use http_body_util::BodyExt as _;
use hyper::{Request, header::HOST};
use oura_exporter::{
    clock::{Clock, ManualClock},
    config::{AccountConfig, Accounts, Config, Flags},
    exporter::Exporter,
    http,
    oura::ClientOptions,
    poll::Followers,
    server::Server,
    webhooks::Webhooks,
};
use tokio::{net::TcpListener, task::JoinHandle};

use super::scene::Scene;
use crate::common::{Page, eventually, moment};

/// An exporter, and the scene around it.
pub(crate) struct ByHand {
    pub(crate) scene: Scene,
    pub(crate) hand: ManualClock,
    followers: Followers,
    server: Arc<Server>,
    tasks: Vec<JoinHandle<()>>,
}

impl ByHand {
    /// One that has read everything of alice and has all its subscriptions.
    pub(crate) async fn at(now: &str, collections: &str) -> Self {
        Self::with(now, &[("OURA_COLLECTIONS", collections)], true).await
    }

    /// The same beside another program that has a subscription of this data type.
    pub(crate) async fn foreign(now: &str, data_type: &str, collections: &str) -> Self {
        let (clock, hand) = Clock::driven_from(moment(now));
        let scene = Scene::by(clock).await;
        scene.simulator.webhooks().plant("https://other.example/hook", "create", data_type);
        Self::in_scene(scene, hand, &[("OURA_COLLECTIONS", collections)], true).await
    }

    pub(crate) async fn with(now: &str, more: &[(&'static str, &str)], has_webhooks: bool) -> Self {
        let (clock, hand) = Clock::driven_from(moment(now));
        Self::in_scene(Scene::by(clock).await, hand, more, has_webhooks).await
    }

    async fn in_scene(scene: Scene, hand: ManualClock, more: &[(&'static str, &str)], has_webhooks: bool) -> Self {
        let Exporter { server, poller, accounts, webhooks, .. } = exporter(&scene, more, has_webhooks);
        let mut by_hand = Self { scene, hand, followers: poller.by_hand(accounts), server, tasks: vec![] };
        let Some(Webhooks { listen_address, callback, keeper, .. }) = webhooks else { return by_hand };
        let listener = TcpListener::bind(listen_address).await.expect("its port is free");
        let answer = move |request| {
            let callback = Arc::clone(&callback);
            async move { callback.answer(request).await }
        };
        by_hand.tasks.push(tokio::spawn(http::serve(listener, answer, std::future::pending())));
        by_hand.tasks.push(tokio::spawn(keeper.run()));
        by_hand.look().await;
        eventually("all subscriptions stand", async || {
            (by_hand.page().await.get("oura_webhook_subscriptions{state=\"missing\"}") == Some(0.0)).then_some(())
        })
        .await;
        by_hand
    }

    /// Asks for everything that is due.
    pub(crate) async fn look(&mut self) {
        self.followers.catch_up().await;
    }

    /// Lets so much time go by, and asks for everything that is due.
    pub(crate) async fn after(&mut self, time: TimeDelta) {
        self.hand.advance(time);
        self.look().await;
    }

    pub(crate) async fn page(&self) -> Page {
        page_of(&self.server).await
    }

    /// What an exporter shows that begins now and reads everything once.
    pub(crate) async fn page_of_another(&self) -> Page {
        let Exporter { server, poller, accounts, .. } = exporter(&self.scene, &[("OURA_SAMPLES", "false")], false);
        poller.by_hand(accounts).catch_up().await;
        page_of(&server).await
    }

    /// How often the collection of alice was asked for since the last time that this was asked.
    pub(crate) fn asked(&self, collection: &str) -> usize {
        let asked = self.scene.asked("alice", collection);
        self.scene.simulator.forget_requests();
        asked
    }
}

/// An exporter that is put together and does not run.
fn exporter(scene: &Scene, more: &[(&'static str, &str)], has_webhooks: bool) -> Exporter {
    let mut variables = scene.variables();
    variables.retain(|(name, _)| has_webhooks || !name.starts_with("OURA_WEBHOOK"));
    variables.push(("OURA_API_URL", scene.simulator.url()));
    variables.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
    let variables = variables.into_iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let mut config =
        Config::from_environment(variables, Flags::default(), Accounts::NotNeeded).expect("a good configuration");
    let alice = scene.simulator.people().remove(0);
    config.accounts = vec![AccountConfig { name: alice.name.to_owned(), token: alice.token.into() }];
    let client_options = ClientOptions { retries: 0, stagger: Duration::ZERO, ..ClientOptions::default() };
    let address = "127.0.0.1:10058".parse().expect("an address");
    Exporter::new(config, address, scene.clock.clone(), client_options).expect("an exporter")
}

async fn page_of(server: &Server) -> Page {
    let request = Request::get("/metrics").header(HOST, "localhost").body(()).expect("a request");
    let body = server.answer(&request).into_body().collect().await.expect("a body").to_bytes();
    Page::parse(std::str::from_utf8(&body).expect("UTF-8"))
}

impl Drop for ByHand {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
