//! An exporter that Oura tells of news: its callback, its subscriptions, and documents that change.

use std::{net::TcpListener, path::Path, time::Duration};

use oura_exporter::{
    clock::Clock,
    simulator::{Event, Portal, Scope, Simulator},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::common::{Exporter, Page, Plan, Program, eventually, moment, simulator_with};

/// Every data type of the collections that are asked for, with every event.
pub(crate) const ALL: usize = 15 * 3;

/// A simulator and what an exporter beside it is told.
pub(crate) struct Scene {
    pub(crate) simulator: Simulator,
    pub(crate) url: String,
    pub(crate) listen: String,
    pub(crate) clock: Clock,
    state: TempDir,
}

impl Scene {
    pub(crate) async fn at(now: &str) -> Self {
        Self::by(Clock::at(moment(now))).await
    }

    pub(crate) async fn by(clock: Clock) -> Self {
        let simulator = simulator_with(clock.clone()).await;
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port on loopback");
        let listen = free.local_addr().expect("an address").to_string();
        let state = tempfile::tempdir().expect("a directory");
        Self { simulator, url: format!("http://{listen}/webhook"), listen, clock, state }
    }

    pub(crate) fn state(&self) -> &Path {
        self.state.path()
    }

    /// What the program is to be told by its environment.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        let application = self.simulator.applications().into_iter().find(|one| one.portal == Portal::New);
        let application = application.expect("one of each portal");
        vec![
            ("OURA_WEBHOOK_URL", self.url.clone()),
            ("OURA_WEBHOOK_LISTEN", self.listen.clone()),
            ("OURA_CLIENT_ID", application.client_id),
            ("OURA_CLIENT_SECRET", application.client_secret),
            ("OURA_STATE_DIR", self.state.path().display().to_string()),
        ]
    }

    pub(crate) fn plan(&self) -> Plan {
        let variables = self.variables();
        let client_options = oura_exporter::oura::ClientOptions {
            stagger: Duration::from_millis(100),
            ..Plan::default().client_options
        };
        Plan { variables, client_options, ..Plan::default().by(self.clock.clone()) }
    }

    /// An exporter that has read everything and has all its subscriptions.
    pub(crate) async fn subscribed(&self) -> Exporter {
        let exporter = self.plan().ready(&self.simulator).await;
        exporter.page_where("all subscriptions stand", |page| subscriptions(page, "active") == Some(ALL as f64)).await;
        exporter
    }

    /// The program itself with alice's token, all its subscriptions, and a log that tells everything.
    pub(crate) async fn program(&self) -> Program {
        let wearer = self.simulator.people().remove(0);
        let mut command = Command::new(env!("CARGO_BIN_EXE_oura-exporter"));
        command.env_clear().envs(self.variables()).env("OURA_API_URL", self.simulator.url()).env("OURA_LOG", "trace");
        command.env("OURA_ACCESS_TOKEN", wearer.token).env("OURA_ACCOUNT", wearer.name);
        let program = Program::start(&mut command).await;
        program.ready().await;
        program.said("45 webhooks are subscribed").await;
        program
    }

    /// The newest document that Oura has of the collection.
    pub(crate) async fn newest(&self, person: &str, collection: &str) -> Value {
        let wearer = self.simulator.people().into_iter().find(|wearer| wearer.name == person).expect("a person");
        let today = self.clock.now().date_naive();
        let url = format!(
            "{}/v2/usercollection/{collection}?start_date={}&end_date={}",
            self.simulator.url(),
            today - chrono::TimeDelta::days(7),
            today + chrono::TimeDelta::days(1)
        );
        let client = reqwest::Client::builder().user_agent("test").build().expect("a client");
        let answer = client.get(url).bearer_auth(wearer.token).send().await.expect("an answer");
        let list: Value = answer.json().await.expect("JSON");
        list["data"].as_array().and_then(|all| all.last().cloned()).expect("a document")
    }

    /// Changes a field of alice's newest document, and gives the event by which Oura tells of it.
    pub(crate) async fn change(&self, collection: &'static str, field: &'static str, value: i64) -> Event {
        let id = self.newest("alice", collection).await["id"].as_str().expect("an id").to_owned();
        let meant = id.clone();
        self.simulator.faults().edit(Scope::person("alice").and_collection(collection), move |documents| {
            for document in documents.iter_mut().filter(|one| one["id"] == meant.as_str()) {
                document[field] = json!(value);
            }
        });
        self.simulator.event("alice", "update", collection, &id)
    }

    /// How often the collection was asked for.
    pub(crate) fn asked(&self, person: &str, collection: &str) -> usize {
        let path = format!("/v2/usercollection/{collection}");
        let requests = self.simulator.requests();
        requests.iter().filter(|request| request.person == Some(person_of(person)) && request.path == path).count()
    }

    /// Sends the event, and gives the answer's status.
    pub(crate) async fn tell(&self, event: &Event) -> u16 {
        self.simulator.webhooks().send(event).await.expect("an answer").expect("a subscription")
    }
}

fn person_of(name: &str) -> &'static str {
    ["alice", "bob"].into_iter().find(|known| *known == name).expect("a person")
}

pub(crate) fn subscriptions(page: &Page, state: &str) -> Option<f64> {
    page.get(&format!("oura_webhook_subscriptions{{state=\"{state}\"}}"))
}

/// How many requests to the callback ended so.
pub(crate) fn events(page: &Page, result: &str) -> f64 {
    page.get(&format!("oura_webhook_events_total{{result=\"{result}\"}}")).expect("it is shown from the start")
}

/// Waits until so many requests to the callback have ended so.
pub(crate) async fn counted(exporter: &Exporter, result: &str, count: f64) {
    eventually(result, async || (events(&exporter.page().await, result) == count).then_some(())).await;
}
