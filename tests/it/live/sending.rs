//! Live remote write: each telling once and in order, over outages of the receiver and restarts of the exporter, until
//! whoever receives it has exactly what the ledger says.

use std::{collections::BTreeMap, time::Duration};

use chrono::TimeDelta;
use fastrand::Rng;
use tokio::time::sleep;

use super::{
    assert_same,
    book::Told,
    by_hand::{ByHand, Variables},
    is_apart,
    late_sync::{RETENTION, stored},
    scene::{SEED, Scene},
    tell,
};
use crate::{
    common::{
        Page, eventually,
        needs::there_are,
        stores::{RECEIVING, Store, taking},
    },
    receiving::{
        as_sent,
        receiver::{Behaviour, Kept, Receiver, Trouble},
    },
};

/// An exporter that sends, of somebody whose life is lived by hand.
struct Sender {
    scene: Scene,
    url: String,
    exporter: Option<ByHand>,
    random: Rng,
}

impl Sender {
    async fn new(person: &'static str, url: &str) -> Self {
        let scene = Scene::new(person).await;
        let mut sender = Self { scene, url: url.to_owned(), exporter: None, random: Rng::with_seed(SEED) };
        sender.start();
        sender
    }

    fn start(&mut self) {
        let url: Variables = vec![("OURA_REMOTE_WRITE_URL", self.url.clone())];
        let variables = [self.scene.variables(), url].concat();
        self.exporter = Some(ByHand::start(variables, "127.0.0.1:1", self.scene.clock.clone()));
    }

    /// Ends at once, whatever is under way, and begins again.
    async fn restart(&mut self) {
        self.exporter.take().expect("it runs").kill().await;
        self.scene.book.restarted();
        self.start();
    }

    async fn look(&mut self) {
        self.exporter.as_mut().expect("it runs").look().await;
        self.scene.looked();
    }

    fn advance(&mut self) {
        self.scene.advance(TimeDelta::minutes(self.random.i64(61..400)));
    }

    async fn page(&self) -> Page {
        Page::parse(&self.exporter.as_ref().expect("it runs").get("/metrics").await)
    }

    /// How many samples wait to be sent, as far as the sender has seen.
    async fn pending(&self) -> Option<f64> {
        self.page().await.get("oura_remote_write_pending_samples")
    }

    /// Waits until nothing waits to be sent.
    async fn all_sent(&self) {
        let all = async || (self.pending().await == Some(0.0)).then_some(());
        eventually("all is sent", all).await;
    }
}

/// What must have been told, by the names that a receiver sees.
fn expected(told: &Told) -> Told {
    told.iter().map(|(series, points)| (as_sent(series), points.clone())).collect()
}

/// What a receiver has.
fn kept(kept: &Kept) -> Told {
    let mut told = Told::new();
    for (series, time, value) in kept.samples.all() {
        told.entry(series.to_owned()).or_default().insert(time, value);
    }
    told
}

fn count(told: &Told) -> usize {
    told.iter().filter(|(series, _)| !is_apart(series)).map(|(_, points)| points.len()).sum()
}

/// Of which metrics there is one sample in a second, but for revisions; of those that stand at an event, there may be
/// several events in a day, of which the later may be told first; of all others there is one in a day.
const DENSE: &[&str] =
    &["met", "heart_rate", "night_heart", "night_hrv", "sleep_stage", "movement", "activity_class", "ring_battery"];
const EVENTS: &[&str] = &["workout", "session", "nap", "tag"];

/// Whether it is of one of these metrics.
fn is_of(series: &str, metrics: &[&str]) -> bool {
    metrics.iter().any(|name| series.starts_with(&format!("oura_sample_{name}")))
}

/// Of samples that stand in one place, those that came later stand later: a revision is never sent before what it revises.
fn assert_in_order(kept: &Kept) {
    let mut newest = BTreeMap::<(&str, i64), i64>::new();
    let mut revisions = 0;
    for (series, time) in kept.arrived.iter().filter(|(series, _)| !is_of(series, EVENTS)) {
        let place = (series.as_str(), time.div_euclid(if is_of(series, DENSE) { 1_000 } else { 86_400_000 }));
        let before = newest.insert(place, *time);
        assert!(before.is_none_or(|before| before < *time), "{series}: {time} came after {before:?}");
        revisions += usize::from(before.is_some());
    }
    assert!(revisions > 100, "{revisions} revisions");
}

/// The steps in which the receiver is away, and in the midst of which the exporter is started again.
const AWAY: [std::ops::Range<usize>; 2] = [6..9, 15..17];
const STEPS: usize = 24;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_telling_is_sent_once_and_in_order_over_outages_and_restarts() {
    let receiver = Receiver::start().await;
    let mut sender = Sender::new("alice", &receiver.url()).await;
    let receiver = receiver.by(sender.scene.clock.clone());
    let trouble = |trouble| Behaviour { troubles: vec![(0..usize::MAX, trouble)], ..Behaviour::default() };
    let mut in_vain = 0;
    for step in 0..STEPS {
        let is_away = AWAY.iter().any(|away| away.contains(&step));
        let status = if step % 2 == 0 { Trouble::Status(503, None) } else { Trouble::Status(429, Some(1)) };
        receiver.set(if is_away { trouble(status) } else { Behaviour::default() });
        let (before, asked) = (receiver.kept().samples.len(), receiver.requests());
        let told = count(&sender.scene.book.told);
        sender.look().await;
        if is_away {
            // In some steps of a night there is no news.
            if count(&sender.scene.book.told) > told {
                receiver.came(asked + 1).await;
                in_vain += 1;
            }
            assert_eq!(receiver.kept().samples.len(), before, "nothing was taken");
            if AWAY.iter().any(|away| away.start + 1 == step) {
                sender.restart().await;
            }
        } else {
            let told = count(&sender.scene.book.told);
            let all = async || (count(&kept(&receiver.kept())) >= told).then_some(());
            eventually("what is told is sent at once", all).await;
            sender.all_sent().await;
            if step % 5 == 4 {
                sender.restart().await;
            }
        }
        sender.advance();
    }
    assert!(in_vain >= 2, "asked in {in_vain} steps of outages");
    assert_sent_once(&sender, &receiver.kept()).await;
}

/// All that was told was sent, each of it once and in order, and nothing was refused.
async fn assert_sent_once(sender: &Sender, seen: &Kept) {
    seen.assert_proper("outages and restarts");
    assert_same(&kept(seen), &expected(&sender.scene.book.told), "sent live");
    assert_eq!(seen.arrived.len(), seen.samples.len(), "each was taken once");
    assert_in_order(seen);
    assert_eq!(sender.page().await.get("oura_remote_write_refused_samples_total"), Some(0.0));
    tell(&format!("{} samples in {} requests", seen.samples.len(), seen.requests));
}

/// A life that is sent to `store`, by an exporter that is killed at any moment, and what the store has in the end.
async fn killed(person: &'static str, store: &Store, flush: impl AsyncFn(), what: &str) {
    let mut sender = Sender::new(person, &store.write_url()).await;
    for _ in 0..STEPS {
        sender.look().await;
        if sender.random.u8(..3) == 0 {
            sleep(Duration::from_millis(sender.random.u64(0..60))).await;
            sender.restart().await;
        }
        sender.advance();
    }
    sender.look().await;
    sender.all_sent().await;
    let refused = sender.page().await.get("oura_remote_write_refused_samples_total");
    assert_eq!(refused, Some(0.0), "{what}");
    let told = &sender.scene.book.told;
    let enough = count(told);
    let all = async || {
        flush().await;
        Some(stored(store).await).filter(|stored| count(stored) >= enough)
    };
    assert_same(&eventually("the store shows all", all).await, told, what);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_has_what_is_sent_by_an_exporter_that_is_killed_at_any_moment() {
    const NAME: &str = "prometheus_has_what_is_sent_by_an_exporter_that_is_killed_at_any_moment";
    if there_are(&["prometheus"], NAME) {
        let prometheus = Store::prometheus(&taking(Some("30d")), &[RECEIVING, RETENTION]).await;
        killed("alice", &prometheus, async || {}, "sent to Prometheus").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn victoria_metrics_has_what_is_sent_by_an_exporter_that_is_killed_at_any_moment() {
    const NAME: &str = "victoria_metrics_has_what_is_sent_by_an_exporter_that_is_killed_at_any_moment";
    if there_are(&["victoria-metrics"], NAME) {
        let victoria = Store::victoria_metrics(&["-retentionPeriod=10y"]).await;
        killed("bob", &victoria, async || victoria.flush().await, "sent to VictoriaMetrics").await;
    }
}
