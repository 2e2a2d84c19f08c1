//! One request, from its headers to its answer: who asks, for what, what is to go wrong, and the record of it.

use std::{
    collections::VecDeque,
    future::pending,
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};
use hyper::{
    Method, Request,
    header::{AUTHORIZATION, HeaderMap, USER_AGENT},
};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    Recorded, Settings,
    collections::Kind,
    faults::{Fault, Faults},
    life::{Life, View},
    noise::Noise,
    people::PEOPLE,
    query::{Parameters, parameters},
    replies::Reply,
    routes::{Data, Route, route},
    sandbox,
    window::Shelf,
};
use crate::{clock::Clock, http::Answer};

/// What every page names as the next one while [`Fault::RepeatToken`] is on.
const SAME_TOKEN: &str = "c2FtZSBhZ2Fpbg";
/// What a token's rate limit says it is.
const RATE_LIMIT: u32 = 5000;
/// For how long the rate limit counts, in seconds.
const RATE_WINDOW_SECONDS: u32 = 300;

/// How many requests are remembered, so that a demo that runs for weeks does not grow.
const MOST_RECORDS: usize = 20_000;

/// The connection is closed instead of answering.
#[derive(Debug, thiserror::Error)]
#[error("the connection is dropped on purpose")]
pub(super) struct Dropped;

/// All that requests have in common.
#[derive(Debug)]
pub(super) struct Cloud {
    pub(super) faults: Faults,
    clock: Clock,
    lives: Vec<Life>,
    seed: u64,
    records: Mutex<Records>,
}

#[derive(Debug, Default)]
struct Records {
    next: u64,
    kept: VecDeque<(u64, Recorded)>,
}

impl Cloud {
    /// A cloud in which the history of everybody ends now.
    pub(super) fn new(settings: Settings) -> Self {
        let start = settings.clock.now();
        let lives = (0..).take(PEOPLE.len()).map(|number| Life::new(number, settings.seed, start, settings.years));
        let lives = lives.collect();
        Self { faults: Faults::default(), clock: settings.clock, lives, seed: settings.seed, records: Mutex::default() }
    }

    /// The bearer token of each person.
    pub(super) fn tokens(&self) -> impl Iterator<Item = (&'static str, String)> {
        let noise = Noise::new(self.seed).of("tokens");
        self.lives.iter().map(move |life| {
            let noise = noise.of(life.person.name);
            (life.person.name, format!("_0XBPWQQ_{:016x}-{:016x}", noise.bits(), noise.of("more").bits()))
        })
    }

    /// Answers a request that came over the connection with this number, and records it.
    pub(super) async fn answer<B>(&self, request: Request<B>, connection: u64) -> Result<Answer, Dropped> {
        let parameters = parameters(request.uri().query().unwrap_or_default());
        let life = self.life(request.headers());
        let number = self.record(&request, &parameters, life, connection);
        let reply = self.reply(request.method(), request.uri().path(), &parameters, request.headers()).await?;
        let status = reply.status;
        let trace = Noise::new(self.seed).of("trace").at(number.cast_signed()).bits();
        let (answer, body_bytes) = reply.encode(request.headers(), trace);
        if let Some((_, record)) = self.records().kept.iter_mut().rfind(|(other, _)| *other == number) {
            (record.status, record.body_bytes) = (status, body_bytes);
        }
        Ok(answer)
    }

    /// The requests so far, oldest first.
    pub(super) fn recorded(&self) -> Vec<Recorded> {
        self.records().kept.iter().map(|(_, record)| record.clone()).collect()
    }

    /// Forgets the requests so far.
    pub(super) fn forget(&self) {
        self.records().kept.clear();
    }

    fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record<B>(&self, request: &Request<B>, query: &Parameters, life: Option<&Life>, connection: u64) -> u64 {
        let record = Recorded {
            path: request.uri().path().to_owned(),
            query: query.to_vec(),
            user_agent: header(request.headers(), USER_AGENT.as_str()).map(str::to_owned),
            person: life.map(|life| life.person.name),
            status: 0,
            body_bytes: 0,
            at: self.clock.now(),
            connection,
        };
        let mut records = self.records();
        let number = records.next;
        records.next += 1;
        records.kept.push_back((number, record));
        if records.kept.len() > MOST_RECORDS {
            records.kept.pop_front();
        }
        number
    }

    async fn reply(
        &self,
        method: &Method,
        path: &str,
        query: &Parameters,
        headers: &HeaderMap,
    ) -> Result<Reply, Dropped> {
        if header(headers, USER_AGENT.as_str()).is_none() {
            return Ok(Reply::detail(403, "Forbidden"));
        }
        match route(path) {
            None => Ok(Reply::detail(404, "Not Found")),
            Some(_) if method != Method::GET => Ok(Reply::method_not_allowed()),
            Some(Route::Data(data)) => self.data(&data, query, headers).await,
        }
    }

    /// Documents, if the token allows and nothing is to go wrong.
    async fn data(&self, data: &Data<'_>, query: &Parameters, headers: &HeaderMap) -> Result<Reply, Dropped> {
        if bearer(headers).is_none() {
            return Ok(Reply::detail(400, "Token is missing from Request Authorization Heade"));
        }
        let known = self.life(headers);
        let person = known.map(|life| life.person.name);
        let fault = self.faults.strike(person, data.collection.name);
        let fault = fault.filter(|fault| *fault != Fault::ScopeMissing || data.collection.kind != Kind::Single);
        let life = if data.is_sandbox { self.lives.first() } else { known };
        let view = life.map(|life| View { life: *life, now: self.clock.now() });
        let sound = |query: &Parameters| match view {
            None => Reply::of_status(401),
            Some(view) => {
                self.documents(view, data, query).map_or_else(|reply| reply, |value| Reply::json(200, &value))
            }
        };
        match fault {
            None => Ok(sound(query)),
            Some(Fault::Hang) => pending().await,
            Some(Fault::Drop) => Err(Dropped),
            Some(Fault::Delay(delay)) => {
                sleep(delay).await;
                Ok(sound(query))
            }
            Some(Fault::CutJson) => Ok(sound(query).cut()),
            Some(Fault::RepeatToken) => Ok(view.map_or_else(|| sound(query), |view| self.repeating(view, data, query))),
            Some(fault) => Ok(self.failure(&fault, data)),
        }
    }

    fn documents(&self, view: View, data: &Data, query: &Parameters) -> Result<Value, Reply> {
        let shelf = Shelf { view, collection: data.collection, faults: &self.faults };
        match (data.is_sandbox, data.id) {
            (false, None) => shelf.list(query),
            (false, Some(id)) => shelf.document(id),
            (true, None) => sandbox::list(&view, data.collection, query),
            (true, Some(id)) => sandbox::document(&view, data.collection, id),
        }
    }

    /// The first page, which says that there is another, and that it is this one.
    fn repeating(&self, view: View, data: &Data, query: &Parameters) -> Reply {
        let query: Vec<_> = query.iter().filter(|(_, value)| value != SAME_TOKEN).cloned().collect();
        match self.documents(view, data, &query) {
            Ok(mut page) => {
                if let Some(next) = page.get_mut("next_token") {
                    *next = json!(SAME_TOKEN);
                }
                Reply::json(200, &page)
            }
            Err(reply) => reply,
        }
    }

    /// The answer that a fault gives in place of documents.
    fn failure(&self, fault: &Fault, data: &Data) -> Reply {
        match fault {
            Fault::Status(status) => Reply::of_status(*status),
            Fault::RateLimited { retry_after_seconds } => limited(self.clock.now(), *retry_after_seconds),
            Fault::ScopeMissing => {
                let detail = format!("The token lacks the scope: {}", data.collection.scope);
                Reply::problem(401, "Missing scopes", &detail)
            }
            Fault::MembershipLapsed => Reply::of_status(403),
            Fault::Html => Reply::html(200),
            _ => Reply::of_status(401),
        }
    }

    /// Whose token the request bears.
    fn life(&self, headers: &HeaderMap) -> Option<&Life> {
        let bearer = bearer(headers)?;
        self.tokens().zip(&self.lives).find(|((_, token), _)| token == bearer).map(|(_, life)| life)
    }
}

fn limited(now: DateTime<Utc>, seconds: u64) -> Reply {
    let reset = now.timestamp().saturating_add_unsigned(seconds);
    Reply::of_status(429)
        .with("retry-after", seconds.to_string())
        .with("x-ratelimit-limit", RATE_LIMIT.to_string())
        .with("x-ratelimit-window", RATE_WINDOW_SECONDS.to_string())
        .with("x-ratelimit-reset", reset.to_string())
        .with("x-ratelimit-tier", "token".to_owned())
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().filter(|value| !value.trim().is_empty())
}

/// The token in the request's Authorization header.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = header(headers, AUTHORIZATION.as_str())?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty()).then_some(token.trim())
}
