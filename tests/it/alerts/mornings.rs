//! Mornings through the whole chain: how many messages came about each, and what they said.

use super::{
    chain::{Chain, Target},
    service::{
        Known, NAP, NAP_IN_AUCKLAND, NAP_IN_HONOLULU, NOTHING,
        Night::{self, Half, Napped, Slept},
        Readiness::{self, Null, Score},
        SCORE_OF_YESTERDAY, Service, TODAY, scored,
    },
};
use crate::common::{
    Exporter, moment,
    needs::{newer_are_there, there_are},
    servers::Release,
};
use chrono::TimeDelta;
use oura_exporter::clock::{Clock, ManualClock};
use serde_json::json;

/// When what happens happens: by the clock of alice in Helsinki, and in minutes of UTC, two hours behind.
const TIMES: [(&str, i64); 6] =
    [("02:45", 45), ("06:30", 270), ("09:00", 420), ("14:00", 720), ("18:00", 960), ("00:30", 1350)];
const AT_0245: usize = 0;
const AT_0630: usize = 1;
const AT_0900: usize = 2;
const AT_1400: usize = 3;
const AT_1800: usize = 4;

/// A morning, and what is promised of it: the messages, and what each says.
struct Morning {
    name: &'static str,
    /// What is known from when on.
    known: &'static [(usize, Known)],
    says: &'static [&'static [&'static str]],
}

const MORNINGS: [Morning; 16] = [
    Morning {
        name: "synced-at-06:30",
        known: &[(AT_0630, scored(55))],
        says: &[&["warning: readiness 55 of 100 today."]],
    },
    Morning {
        name: "synced-at-14:00",
        known: &[(AT_1400, scored(65))],
        says: &[&["info: readiness 65 of 100 today."]],
    },
    Morning { name: "none-at-all", known: &[], says: &[] },
    Morning { name: "score-null", known: &[(AT_0630, (Null, Slept(8)))], says: &[] },
    Morning {
        name: "score-without-sleep",
        known: &[(AT_0630, (Score(65), Night::None))],
        says: &[&["info: readiness 65 of 100 today."]],
    },
    Morning {
        name: "revised-65-72-65",
        known: &[(AT_0630, scored(65)), (AT_1400, scored(72)), (AT_1800, scored(65))],
        says: &[&["info: readiness 65 of 100 today."]],
    },
    Morning {
        name: "revised-75-58-75",
        known: &[(AT_0630, scored(75)), (AT_1400, scored(58)), (AT_1800, scored(75))],
        says: &[&["warning: readiness 58 of 100 today."]],
    },
    Morning {
        name: "revised-58-65",
        known: &[(AT_0630, scored(58)), (AT_1400, scored(65))],
        says: &[&["warning: readiness 58 of 100 today."]],
    },
    Morning {
        name: "revised-65-58-65",
        known: &[(AT_0630, scored(65)), (AT_1400, scored(58)), (AT_1800, scored(65))],
        says: &[&["info: readiness 65 of 100 today."], &["warning: readiness 58 of 100 today."]],
    },
    Morning { name: "half-a-night", known: &[(AT_0245, (Score(41), Half)), (AT_0630, scored(80))], says: &[] },
    Morning {
        name: "nap-later",
        known: &[(AT_0630, (Score(80), Slept(5))), (AT_1800, (Score(80), Napped(5, NAP)))],
        says: &[&["info: 5h 0m 0s of sleep."]],
    },
    Morning {
        name: "two-bad-things",
        known: &[(AT_0630, (Score(55), Slept(3)))],
        says: &[&["warning: 3h 0m 0s of sleep.", "warning: readiness 55 of 100 today."]],
    },
    Morning {
        name: "travel-west",
        known: &[(AT_0630, scored(65)), (AT_0900, (Score(65), Napped(8, NAP_IN_HONOLULU)))],
        says: &[&["info: readiness 65 of 100 today."]],
    },
    Morning {
        name: "travel-east",
        known: &[(AT_0630, scored(65)), (AT_1400, (Score(65), Napped(8, NAP_IN_AUCKLAND)))],
        says: &[&["info: readiness 65 of 100 today."]],
    },
    Morning {
        name: "low-at-02:45-already",
        known: &[(AT_0245, (Score(41), Half)), (AT_0630, scored(62))],
        says: &[&["info: readiness 62 of 100 today."]],
    },
    Morning {
        name: "another-job-and-instance",
        known: &[(AT_0630, scored(65))],
        says: &[&["info: readiness 65 of 100 today."]],
    },
];
/// Two exporters of one account each: what the one says that has read last, and the other, and what is promised.
const PAIRS: [(&str, u32, u32, &[&[&str]]); 2] =
    [("the-newer-is-well", 80, 55, &[]), ("the-newer-is-low", 55, 80, &[&["warning: readiness 55 of 100 today."]])];

impl Morning {
    fn known_at(&self, place: usize) -> Known {
        let steps = self.known.iter().rev();
        steps.copied().find(|(from, _)| *from <= place).map_or(NOTHING, |(_, known)| known)
    }
}

/// All that runs beside the chain.
struct Stage {
    clock: Clock,
    hand: ManualClock,
    services: Vec<(Service, Exporter)>,
    pairs: Vec<(Service, Exporter)>,
    /// What the job of the last morning's exporter is called.
    last_job: &'static str,
}

impl Stage {
    async fn new() -> Self {
        let midnight = moment(&format!("{TODAY}T00:00:00Z"));
        let (clock, hand) = Clock::driven_from(midnight + TimeDelta::minutes(TIMES[AT_0245].1));
        let mut services = vec![];
        for morning in &MORNINGS {
            let service = Service::new(clock.clone(), morning.known_at(AT_0245)).await;
            let exporter = service.exporter(morning.name, clock.clone()).await;
            services.push((service, exporter));
        }
        let mut pairs = vec![];
        let late = midnight + TimeDelta::minutes(TIMES[AT_1400].1);
        for (name, newer, older, _) in PAIRS {
            for (score, at) in [(newer, late), (older, late - TimeDelta::minutes(30))] {
                let service = Service::new(Clock::still_at(at), scored(score)).await;
                let exporter = service.exporter(name, Clock::still_at(at)).await;
                pairs.push((service, exporter));
            }
        }
        Self { clock, hand, services, pairs, last_job: "oura" }
    }

    fn targets(&self) -> Vec<Target> {
        let all = self.services.iter().chain(&self.pairs).map(|(_, exporter)| exporter.address().to_owned());
        let mut targets: Vec<_> = all.map(|address| Target { address, job: "oura" }).collect();
        targets[self.services.len() - 1].job = self.last_job;
        targets
    }

    /// It is that time, and every service knows what is known then.
    fn move_to(&self, place: usize) {
        self.hand.advance(TimeDelta::minutes(TIMES[place].1 - TIMES[place - 1].1));
        for ((service, _), morning) in self.services.iter().zip(&MORNINGS) {
            service.set(morning.known_at(place));
        }
    }

    /// Every page has what its service knows.
    async fn pages_follow(&self, place: usize) {
        let now = self.clock.now().timestamp() as f64;
        for ((_, exporter), morning) in self.services.iter().zip(&MORNINGS) {
            let read = ["daily_readiness", "sleep", "ring_battery_level"].map(|collection| {
                let labels = format!("account=\"{}\",collection=\"{collection}\"", morning.name);
                format!("oura_collection_last_success_timestamp_seconds{{{labels}}}")
            });
            let score = format!("oura_readiness_score{{account=\"{}\"}}", morning.name);
            let expected = match morning.known_at(place).0 {
                Score(score) => Some(f64::from(score)),
                Null => None,
                Readiness::None => Some(f64::from(SCORE_OF_YESTERDAY)),
            };
            let what = format!("{} at {}", morning.name, TIMES[place].0);
            let is_read = |page: &crate::common::Page| read.iter().all(|series| page.get(series) >= Some(now));
            exporter.page_where(&what, |page| is_read(page) && page.get(&score) == expected).await;
        }
    }

    /// The last of the mornings' exporters ends, and another one begins at another address, in a job of another name.
    async fn replace_the_last(&mut self) {
        let (service, exporter) = self.services.pop().expect("the last morning");
        exporter.stop().await;
        let exporter = service.exporter(MORNINGS[MORNINGS.len() - 1].name, self.clock.clone()).await;
        self.services.push((service, exporter));
        self.last_job = "rings";
    }
}

async fn mornings(release: Release) {
    let (mut stage, mut chain) = (Stage::new().await, Chain::start(release).await);
    chain.scrape(&stage.targets());
    stage.pages_follow(AT_0245).await;
    chain.settle().await;
    for place in AT_0630..TIMES.len() {
        stage.move_to(place);
        stage.pages_follow(place).await;
        chain.settle().await;
        match place {
            AT_0900 => {
                stage.replace_the_last().await;
                chain.scrape(&stage.targets());
            }
            AT_1400 => chain.restart_prometheus().await,
            AT_1800 => chain.restart_alertmanager().await,
            _ => continue,
        }
        chain.settle().await;
    }
    let wrong: Vec<_> = promises().into_iter().filter_map(|promise| broken(release, &chain, &promise)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let alerts = chain.messages.alerts();
    assert!(alerts.iter().all(|alert| alert["labels"]["grafana"].is_null()), "{alerts:#?}");
    let links = alerts.iter().filter(|alert| alert["labels"]["account"] == "the-newer-is-low");
    let links: Vec<_> = links.map(|alert| &alert["annotations"]["dashboard_url"]).collect();
    let link = json!("http://localhost:3000/d/oura-today?var-account=the-newer-is-low");
    assert!(!links.is_empty() && links.iter().all(|found| **found == link), "{links:?}");
}

/// Whose messages, and what each says.
type Promise = (&'static str, Vec<Vec<String>>);

fn promises() -> Vec<Promise> {
    let all = MORNINGS.iter().map(|one| (one.name, one.says)).chain(PAIRS.map(|(name, .., says)| (name, says)));
    let line = |name: &str, text: &str| {
        let (level, words) = text.split_once(": ").expect("a level");
        format!("firing {level} {TODAY}: {name}: {words}")
    };
    let message = |name: &str, texts: &[&str]| texts.iter().map(|text| line(name, text)).collect();
    all.map(|(name, says)| (name, says.iter().map(|texts| message(name, texts)).collect())).collect()
}

/// Prints what was told, and says what is not as promised.
fn broken(release: Release, chain: &Chain, (name, promised): &Promise) -> Option<String> {
    let told = chain.messages.of(name);
    let said: Vec<_> = told.iter().map(|lines| lines.join(" & ")).collect();
    println!("{release:?} | {name:24} | {} | {}", told.len(), said.join(" / "));
    (told != *promised).then(|| format!("{name}: {told:#?} instead of {promised:#?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mornings_are_told_as_promised() {
    if there_are(&["prometheus", "prometheus-alertmanager"], "mornings_are_told_as_promised") {
        mornings(Release::Installed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mornings_are_told_as_promised_by_the_newer_servers() {
    let test = "mornings_are_told_as_promised_by_the_newer_servers";
    if newer_are_there(&["prometheus", "prometheus-alertmanager"], test) {
        mornings(Release::Newer).await;
    }
}
