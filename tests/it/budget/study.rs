//! A study of many people who live in several zones: their nights as Oura has them, beside what the exporters made of them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Instant,
};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use http_body_util::Full;
use hyper::Request;
use oura_exporter::{
    auth,
    config::{AccountConfig, Accounts},
    http,
    shard::Shard,
    simulator::{Event, Portal, Settings, Version},
    webhooks::{Callback, Webhooks},
};
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    task::{JoinHandle, yield_now},
};

use super::{Office, WINDOW, get, most_within, tell};
use crate::{common::Page, webhooks::day::told};

/// How many requests are made before their time, at most: as far as steps are merged.
const LEAST: TimeDelta = TimeDelta::milliseconds(20);
/// How often it is seen whose night is there.
const MINUTE: TimeDelta = TimeDelta::minutes(1);
/// Of the requests that the budget ratio foretells, so many are made in an hour.
const TRUE: std::ops::RangeInclusive<f64> = 0.8..=1.2;
/// What every page of the night is made of.
const SLEEP: &str = "sleep";

/// When the wearer got up.
const END: &str = "oura_night_bedtime_end_timestamp_seconds";

/// A night that Oura has from that moment on as it finally is. What it takes for one while somebody still sleeps is none.
#[derive(Clone, Debug)]
struct Night {
    day: NaiveDate,
    readable: DateTime<Utc>,
    /// When it ended; where it was broken, each part of it.
    ends: Vec<f64>,
}

impl Night {
    fn of(day: NaiveDate, versions: Vec<Version>) -> Option<Self> {
        let ends = |version: &Version| -> Vec<f64> {
            let nights = version.documents.iter().filter(|document| document["type"] == "long_sleep");
            let ends = nights.filter_map(|night| DateTime::parse_from_rfc3339(night["bedtime_end"].as_str()?).ok());
            ends.map(|end| end.timestamp() as f64).collect()
        };
        let last = ends(versions.last()?);
        let first = versions.iter().find(|version| ends(version) == last).filter(|_| !last.is_empty())?;
        // Oura may say in the night when it will end: before that it is none.
        let end = last.iter().copied().fold(0.0, f64::max) as i64;
        let readable = first.readable_from.max(DateTime::from_timestamp(end, 0)?);
        Some(Self { day, readable, ends: last })
    }

    /// Whether a page shows it, or a later one.
    fn is_in(&self, (day, end): (NaiveDate, Option<f64>)) -> bool {
        day > self.day || day == self.day && end.is_some_and(|end| self.ends.contains(&end))
    }
}

/// What one account has come to.
#[derive(Default)]
pub(super) struct Course {
    /// How many requests it made.
    pub(super) requests: usize,
    /// How many of its person's nights are on the page.
    nights: usize,
}

/// Five minutes: how many requests were made, the budget ratio at their end, and the requests that it and the budget foretold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) requests: usize,
    pub(super) ratio: f64,
    foretold: f64,
}

/// What a study has come to.
pub(super) struct Study {
    pub(super) office: Office,
    pub(super) state: TempDir,
    pub(super) courses: Vec<Course>,
    pub(super) windows: Vec<Window>,
    /// How long after Oura had it each night was on the page.
    late: Vec<TimeDelta>,
    /// How many nights Oura revised after a later one was on the page.
    passed_over: usize,
    /// The people's nights in order.
    nights: BTreeMap<String, Vec<Night>>,
    /// What Oura is still to tell, in order.
    pub(super) events: Vec<(DateTime<Utc>, Event)>,
    pub(super) told: usize,
    callback: Option<Arc<Callback>>,
    beside: Vec<JoinHandle<()>>,
    by_token: HashMap<String, usize>,
    /// How many requests there were of each collection.
    pub(super) asked: HashMap<String, usize>,
    refused: usize,
    busiest: usize,
    /// How many requests of the next five minutes the ratios foretell.
    next: f64,
    begun: Instant,
    since: DateTime<Utc>,
}

impl Drop for Study {
    fn drop(&mut self) {
        self.beside.iter().for_each(JoinHandle::abort);
    }
}

/// What so many people are called.
fn people(count: u8) -> Vec<String> {
    (0..count).map(|number| format!("wearer{number:03}")).collect()
}

impl Study {
    /// A study with so many accounts of each of so many people, whose life is as it really is.
    pub(super) async fn new(now: &str, (count, each): (u8, usize), limit: u32) -> Self {
        let settings =
            Settings { application_limit: Some(limit), crowd: count, full_days: Some(0), ..Settings::default() };
        let people = people(count);
        let wanted: Vec<_> = people.iter().map(|person| (person.as_str(), each)).collect();
        let office = Office::new(now, &wanted, settings).await;
        let by_token = office.accounts.iter().enumerate().map(|(place, (_, token))| (token.clone(), place)).collect();
        let courses = office.accounts.iter().map(|_| Course::default()).collect();
        let (since, state) = (office.clock.now(), tempfile::tempdir().expect("a directory"));
        Self {
            office,
            state,
            courses,
            windows: vec![],
            late: vec![],
            passed_over: 0,
            nights: BTreeMap::new(),
            events: vec![],
            told: 0,
            callback: None,
            beside: vec![],
            by_token,
            asked: HashMap::new(),
            refused: 0,
            busiest: 0,
            next: 0.0,
            begun: Instant::now(),
            since,
        }
    }

    /// What an exporter in whose name people sign in is told, in that state directory.
    pub(super) fn application(&self) -> Vec<(&'static str, String)> {
        let application = self.office.simulator.applications().into_iter().find(|one| one.portal == Portal::New);
        let (application, url) = (application.expect("one of each portal"), self.office.simulator.url());
        vec![
            ("OURA_CLIENT_ID", application.client_id),
            ("OURA_CLIENT_SECRET", application.client_secret),
            ("OURA_TOKEN_URL", format!("{url}/oauth/token")),
            ("OURA_FALLBACK_TOKEN_URL", format!("{url}/oauth/v2/ext/oauth-token")),
            ("OURA_STATE_DIR", self.state.path().display().to_string()),
        ]
    }

    /// Signs everybody in, with tokens that are to be renewed after `life`.
    pub(super) fn sign_in(&mut self, life: TimeDelta) {
        let (store, now) = (auth::Store::new(self.state.path()), self.office.clock.now());
        let authorizations = self.office.simulator.authorizations();
        authorizations.set_token_lifetime(life.num_seconds().unsigned_abs());
        for (place, (name, token)) in self.office.accounts.iter_mut().enumerate() {
            let granted = authorizations.grant(Portal::New, person(name), &[]);
            *token = granted.access_token.clone();
            self.by_token.insert(granted.access_token.clone(), place);
            let tokens = auth::Tokens {
                access: granted.access_token.into(),
                refresh: Some(granted.refresh_token.into()),
                issued_at: now,
                expires_at: Some(now + life),
                scopes: None,
                portal: auth::Portal::New,
                signed_in_at: now,
                person: None,
            };
            store.write(name, &tokens).expect("it is stored");
        }
    }

    /// Starts an exporter of all accounts that Oura tells of news, and waits for its subscriptions.
    pub(super) async fn open_with_webhooks(&mut self, variables: &[(&str, &str)]) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on loopback");
        let listen = listener.local_addr().expect("an address").to_string();
        let mut own = self.application();
        own.extend([("OURA_WEBHOOK_URL", format!("http://{listen}/webhook")), ("OURA_WEBHOOK_LISTEN", listen)]);
        let variables: Vec<_> =
            own.iter().map(|(name, value)| (*name, value.as_str())).chain(variables.iter().copied()).collect();
        let mut config = self.office.config(&variables, Accounts::NotNeeded);
        let accounts = self.office.accounts.iter().cloned();
        config.accounts = accounts.map(|(name, token)| AccountConfig { name, token: token.into() }).collect();
        let (running, webhooks) = self.office.started(config);
        self.office.running.push(running);
        let Webhooks { callback, keeper, .. } = webhooks.expect("they are on");
        let answering = Arc::clone(&callback);
        let answer = move |request| {
            let callback = Arc::clone(&answering);
            async move { callback.answer(request).await }
        };
        self.beside.push(tokio::spawn(http::serve(listener, answer, std::future::pending())));
        self.beside.push(tokio::spawn(keeper.run()));
        self.callback = Some(callback);
        let missing = "oura_webhook_subscriptions{state=\"missing\"}";
        self.office.settle().await;
        while self.own_page(0).await.get(missing) != Some(0.0) {
            // Where the budget is small, subscriptions wait for their turns as well.
            self.office.step(LEAST, MINUTE).await;
        }
    }

    /// Takes note of the nights that Oura has from then until then, and forgets what there was before.
    pub(super) fn expect_nights(&mut self, until: DateTime<Utc>) {
        let from = self.office.clock.now();
        let days = || (from - TimeDelta::days(8)).date_naive().iter_days().take_while(|day| *day <= until.date_naive());
        let nights = |person: &String| {
            let night = |day| Night::of(day, self.office.simulator.versions(person, SLEEP, day));
            let nights = days().filter_map(night).filter(|night| night.readable > from && night.readable <= until);
            (person.clone(), nights.collect())
        };
        let people: Vec<_> = self.office.simulator.people().into_iter().map(|wearer| wearer.name.to_owned()).collect();
        self.nights = people.iter().map(nights).collect();
        self.since = from;
        (self.refused, self.busiest, self.told, self.passed_over) = (0, 0, 0, 0);
        self.windows.clear();
        self.late.clear();
        self.asked.clear();
        self.courses.iter_mut().for_each(|course| *course = Course::default());
    }

    /// Has Oura tell of everything that changes from now until then.
    pub(super) fn expect_events(&mut self, until: DateTime<Utc>) {
        let from = self.office.clock.now();
        let people = self.nights.keys();
        let mut events: Vec<_> = people.flat_map(|person| told(&self.office.simulator, person, from, until)).collect();
        events.sort_by_key(|(at, _)| *at);
        // The next one is the last.
        events.reverse();
        self.events = events;
    }

    /// Loses the events of that time, as an outage at Oura does.
    pub(super) fn lose_events(&mut self, from: DateTime<Utc>, until: DateTime<Utc>) {
        self.events.retain(|(at, _)| *at < from || *at >= until);
    }

    /// The accounts for which the page says that events keep away, and those for which it says that they flow.
    pub(super) async fn silent(&self) -> [Vec<String>; 2] {
        let page = self.own_page(0).await;
        [1.0, 0.0].map(|value| {
            let names = self.office.accounts.iter().map(|(name, _)| name.clone());
            names
                .filter(|name| page.get(&format!("oura_webhook_silent{{account=\"{name}\"}}")) == Some(value))
                .collect()
        })
    }

    /// The people of whom Oura tells something in that time.
    pub(super) fn told_of(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<String> {
        let ids: Vec<_> =
            self.events.iter().filter(|(at, _)| (from..until).contains(at)).map(|(_, event)| &event.user_id).collect();
        let is_told = |person: &&String| {
            let id = self.office.simulator.user_id(person);
            ids.iter().any(|told| Some(*told) == id.as_ref())
        };
        self.nights.keys().filter(is_told).cloned().collect()
    }

    /// Lets time go by until all that was started has been read once; in how much of it.
    pub(super) async fn until_ready(&mut self, at_most: TimeDelta) -> TimeDelta {
        let begun = self.office.clock.now();
        self.office.until_followed().await;
        self.office.settle().await;
        while !self.office.is_ready().await {
            assert!(self.office.clock.now() - begun < at_most, "not all are read after {at_most}");
            self.live(MINUTE).await;
        }
        self.office.clock.now() - begun
    }

    /// Lets so much time go by, in which Oura tells what it has to.
    pub(super) async fn live(&mut self, time: TimeDelta) {
        let end = self.office.clock.now() + time;
        loop {
            let now = self.office.clock.now();
            let minute = MINUTE - TimeDelta::milliseconds(now.timestamp_millis().rem_euclid(60_000));
            let event = self.events.last().map_or(minute, |(at, _)| (*at - now).max(TimeDelta::zero()));
            self.office.step(LEAST, minute.min(end - now).min(event.max(LEAST))).await;
            self.deliver().await;
            let now = self.office.clock.now();
            if now.timestamp_millis() % 60_000 == 0 {
                self.look_for_nights(now);
            }
            if now.timestamp_millis() % WINDOW.num_milliseconds() == 0 {
                self.count().await;
            }
            if now >= end {
                return;
            }
        }
    }

    /// Lets time go by until an exporter of that shard has asked for something and has no answer yet.
    pub(super) async fn until_asked_by(&self, shard: Shard) {
        let mut seen = self.office.simulator.request_count();
        loop {
            self.office.hand.advance(LEAST);
            // From a wait's end to the request it comes round twice; the answer is read later.
            yield_now().await;
            yield_now().await;
            if self.office.simulator.request_count() == seen {
                continue;
            }
            seen = self.office.simulator.request_count();
            let asked = self.office.simulator.requests().pop().and_then(|request| request.token);
            let place = asked.and_then(|token| self.by_token.get(&token));
            if place.is_some_and(|place| shard.has(&self.office.accounts[*place].0)) {
                return;
            }
        }
    }

    /// Delivers the events whose time has come, as Oura signs them.
    async fn deliver(&mut self) {
        let now = self.office.clock.now();
        while self.events.last().is_some_and(|(at, _)| *at <= now) {
            let (Some((_, event)), Some(callback)) = (self.events.pop(), &self.callback) else { return };
            let delivery = self.office.simulator.webhooks().delivery(&event);
            let request = Request::post("http://localhost/webhook")
                .header("x-oura-timestamp", delivery.timestamp)
                .header("x-oura-signature", delivery.signature)
                .body(Full::new(bytes::Bytes::from(delivery.body)));
            let answer = callback.answer(request.expect("a request")).await;
            // Nobody whose personal data were not read yet is known.
            assert!([200, 500, 404].contains(&answer.status().as_u16()), "{}", answer.status());
            self.told += 1;
            self.office.settle().await;
        }
    }

    /// Sees whose nights are on a page by now.
    fn look_for_nights(&mut self, now: DateTime<Utc>) {
        for (place, (name, _)) in self.office.accounts.iter().enumerate() {
            let nights = self.nights.get(person(name)).map_or(&[][..], Vec::as_slice);
            let course = &mut self.courses[place];
            // A later one may be there before an earlier one is as it stays.
            if nights.iter().skip(course.nights).all(|night| night.readable > now) {
                continue;
            }
            let states = self.office.running.iter().filter_map(|running| running.server.snapshot.posted_of(name));
            let shown = states.filter_map(|posted| {
                let sleep = posted.state.collections.iter().find(|collection| collection.kind.name == SLEEP)?;
                let shown = sleep.shown.as_ref()?;
                let end = shown.observations.iter().find(|observation| observation.name == END);
                Some((shown.date.day(posted.state.zone())?, end.map(|end| end.value)))
            });
            let Some(newest) = shown.max_by_key(|(day, _)| *day) else { continue };
            while let Some(night) = nights.get(course.nights).filter(|night| night.is_in(newest)) {
                // Of one that Oura revises when a later one is on the page, nothing can be seen there.
                if night.readable > now {
                    self.passed_over += 1;
                } else {
                    self.late.push(now - night.readable);
                }
                course.nights += 1;
            }
        }
    }

    /// Counts what was asked since the last time.
    async fn count(&mut self) {
        let recorded = self.office.simulator.requests();
        self.office.simulator.forget_requests();
        self.refused += recorded.iter().filter(|request| request.status == 429).count();
        self.busiest = self.busiest.max(most_within(&recorded, WINDOW));
        let (mut ratio, mut foretold): (f64, f64) = (0.0, std::mem::take(&mut self.next));
        for exporter in 0..self.office.running.len() {
            let page = self.own_page(exporter).await;
            let (of_it, budget) = (page.get("oura_api_budget_ratio"), page.get("oura_api_request_budget"));
            let of_it = of_it.expect("a ratio");
            ratio = ratio.max(of_it);
            self.next += of_it.min(1.0) * sustained(budget.expect("a budget"));
        }
        foretold = (foretold + self.next) / 2.0;
        self.windows.push(Window { requests: recorded.len(), ratio, foretold });
        for request in recorded {
            let collection = request.path.rsplit('/').next().unwrap_or_default();
            *self.asked.entry(collection.to_owned()).or_default() += 1;
            if let Some(place) = request.token.as_ref().and_then(|token| self.by_token.get(token)) {
                self.courses[*place].requests += 1;
            }
        }
    }

    /// What an exporter tells of itself.
    pub(super) async fn own_page(&self, exporter: usize) -> Page {
        Page::parse(&get(&self.office.running[exporter], "/metrics/exporter").await)
    }

    /// Says what came of it, and sees that nobody was refused and no night is lost: each is on the page `latest` after Oura
    /// had it.
    pub(super) fn conclude(&mut self, what: &str, latest: TimeDelta) {
        let lost = self.lost(latest);
        self.late.sort_unstable();
        self.tell(what, lost.len());
        assert_eq!(self.refused, 0, "429");
        assert!(lost.is_empty(), "{} nights are lost: {:?}", lost.len(), &lost[..lost.len().min(10)]);
        let last = *self.late.last().expect("a night");
        assert!(last <= latest, "a night was there after {last}");
        assert!(self.passed_over * 10 <= self.late.len(), "{} nights are too late to be seen", self.passed_over);
        let [least, .., most] = self.truth();
        assert!(TRUE.contains(&least) && TRUE.contains(&most), "{least} to {most} of what the ratio foretold");
    }

    /// Of the requests that the ratio foretold, how many were made in an hour: the fewest, the median, and the most.
    fn truth(&self) -> [f64; 3] {
        let part = |hour: &[Window]| {
            let made: usize = hour.iter().map(|window| window.requests).sum();
            made as f64 / hour.iter().map(|window| window.foretold).sum::<f64>()
        };
        // At first it is not known yet what was foretold.
        let mut parts: Vec<_> = self.windows[1..].chunks(12).map(part).collect();
        parts.sort_by(f64::total_cmp);
        [parts[0], parts[parts.len() / 2], parts[parts.len() - 1]]
    }

    /// The nights that Oura had so long ago and that no page has.
    fn lost(&self, latest: TimeDelta) -> Vec<(String, NaiveDate)> {
        let now = self.office.clock.now();
        let mut lost = vec![];
        for ((name, _), course) in self.office.accounts.iter().zip(&self.courses) {
            let due =
                self.nights[person(name)].iter().skip(course.nights).filter(|night| night.readable < now - latest);
            lost.extend(due.map(|night| (name.clone(), night.day)));
        }
        lost
    }

    fn tell(&self, what: &str, lost: usize) {
        let days = (self.office.clock.now() - self.since).num_minutes() as f64 / 1440.0;
        let (accounts, hours) = (self.courses.len(), days * 24.0);
        let counts = || self.courses.iter().map(|course| course.requests);
        let all: usize = counts().sum();
        let [each, fewest, most] =
            [all as f64 / accounts as f64, counts().min().expect("one") as f64, counts().max().expect("one") as f64]
                .map(|requests| requests / days);
        let ratio = |of: fn(f64, f64) -> f64| self.windows.iter().map(|window| window.ratio).reduce(of).expect("one");
        let (least, highest) = (ratio(f64::min), ratio(f64::max));
        let [half, nearly, last] =
            [500, 990, 1000].map(|share| self.late[(self.late.len() - 1) * share / 1000].num_minutes());
        let (nights, due, passed_over) = (self.late.len(), self.late.len() + lost, self.passed_over);
        let (refused, busiest, told) = (self.refused, self.busiest, self.told);
        let [least_true, half_true, most_true] = self.truth();
        let took = self.begun.elapsed().as_secs();
        let calmest = self.windows.iter().map(|window| window.requests).min().expect("one");
        tell(&format!(
            "{what}: {accounts} accounts, {hours:.1} h: {all} requests, {refused} refused, {calmest} to {busiest} within five \
             minutes; an account and day {each:.0} ({fewest:.0} to {most:.0}); {told} events; ratio {least:.2} to \
             {highest:.2}, and of the requests that it foretold {least_true:.2} to {most_true:.2} in an hour were made, half \
             the hours {half_true:.2}; nights {nights} of {due}, half {half} min after Oura had them, 99 % \
             {nearly}, the last {last}, and {passed_over} revised after the next one; it took {took} s"
        ));
    }
}

/// Of so many requests in any five minutes, how many there can be on and on: all but those that may come at once.
fn sustained(budget: f64) -> f64 {
    budget - (budget / 40.0).floor().max(30.0).min((budget / 2.0).floor())
}

/// Whose account it is.
fn person(account: &str) -> &str {
    &account[..account.len() - 4]
}
