//! One request, from its headers to its answer: who asks, for what, what is to go wrong, and the record of it.

use std::{
    collections::{HashMap, VecDeque},
    future::pending,
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, SecondsFormat, Utc};
use http_body_util::{BodyExt, Limited};
use hyper::{
    Method, Request,
    body::Incoming,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, USER_AGENT},
    http::request::Parts,
};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    APPLICATION_LIMIT, Recorded, Settings,
    answers::{self, Answers},
    application_limit::ApplicationLimit,
    collections::{Collection, Kind},
    control,
    example::with_examples,
    faults::{Fault, Faults},
    noise::Noise,
    oauth::{Asked, Authorizations},
    people::{CROWD, PEOPLE, TRAVELLER},
    person_timeline::{Life, View, shifted},
    query::{Parameters, parameters},
    replies::{Reply, Tier},
    routes::{Data, Route, route},
    sandbox,
    visitor::Visitor,
    webhooks::{Event, Order, Webhooks},
    window::Query,
};
use crate::{TimeSource, replies::Answer};

/// What every page names as the next one while [`Fault::RepeatToken`] is on, and begins with under
/// [`Fault::EndlessPages`].
const SAME_TOKEN: &str = "c2FtZSBhZ2Fpbg";
/// The longest body that is read, in bytes.
const MOST_BODY: usize = 65_536;
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
    pub(super) authorizations: Authorizations,
    pub(super) webhooks: Webhooks,
    clock: TimeSource,
    pub(super) lives: Vec<Life>,
    pub(super) collections: Vec<Collection>,
    seed: u64,
    /// The lives that a token opens by itself.
    by_token: HashMap<String, Life>,
    answers: Answers,
    has_control: bool,
    limit: ApplicationLimit,
    records: Mutex<Records>,
}

#[derive(Debug, Default)]
struct Records {
    next: u64,
    answered: u64,
    kept: VecDeque<(u64, Recorded)>,
}

impl Cloud {
    /// A cloud in which the history of everybody ends now.
    pub(super) fn new(settings: Settings) -> Self {
        let start = settings.clock.now();
        let people = PEOPLE.iter().chain(settings.has_traveller.then_some(&TRAVELLER));
        let people = people.chain(CROWD.iter().take(settings.crowd.into()));
        let lives: Vec<_> =
            (0..).zip(people).map(|(number, person)| Life::new(number, person, start, &settings)).collect();
        let authorizations = Authorizations::new(settings.seed, settings.clock.clone());
        let by_token = tokens(settings.seed, &lives).map(|(life, token)| (token, *life)).collect();
        Self {
            faults: Faults::default(),
            webhooks: Webhooks::new(settings.seed, settings.clock.clone(), authorizations.applications()),
            authorizations,
            clock: settings.clock,
            lives,
            collections: with_examples(&settings.examples),
            seed: settings.seed,
            by_token,
            answers: Answers::default(),
            has_control: settings.has_control,
            limit: ApplicationLimit::new(settings.application_limit),
            records: Mutex::default(),
        }
    }

    /// The bearer token of each person.
    pub(super) fn tokens(&self) -> impl Iterator<Item = (&'static str, String)> {
        tokens(self.seed, &self.lives).map(|(life, token)| (life.person.name, token))
    }

    /// Answers a request that came over the connection with this number, and records it.
    pub(super) async fn answer(&self, request: Request<Incoming>, connection: u64) -> Result<Answer, Dropped> {
        let (head, body) = request.into_parts();
        if self.has_control && head.uri.path().starts_with(control::ROOT) {
            let reply = control::answer(self, &head.method, head.uri.path(), &text(body).await?).await;
            return Ok(reply.encode(&head.headers, 0).0);
        }
        let query = parameters(head.uri.query().unwrap_or_default());
        let number = self.record(&head, &query, connection);
        let body = text(body).await?;
        let reply = self.reply(&head, &query, &body).await?;
        let status = reply.status;
        let trace = Noise::new(self.seed).of("trace").at(number.cast_signed()).bits();
        let (answer, body_bytes) = reply.encode(&head.headers, trace);
        let mut records = self.records();
        records.answered += 1;
        if let Some((_, record)) = records.kept.iter_mut().rfind(|(other, _)| *other == number) {
            (record.status, record.body_bytes) = (status, body_bytes);
        }
        Ok(answer)
    }

    /// What time it is here.
    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// What the service calls this person.
    pub(super) fn user_id(&self, person: &str) -> Option<String> {
        let life = self.lives.iter().find(|life| life.person.name == person)?;
        let collection = self.collections.iter().find(|one| one.kind == Kind::Single)?;
        let view = View::at(*life, self.clock.now());
        let info = collection.documents(&view, view.today()).into_iter().next()?;
        Some(info["id"].as_str()?.to_owned())
    }

    /// Something that happened just now to this person's document.
    pub(super) fn event(&self, person: &str, event_type: &str, data_type: &str, object_id: &str) -> Event {
        Event {
            event_type: event_type.to_owned(),
            data_type: data_type.to_owned(),
            object_id: object_id.to_owned(),
            event_time: self.now().to_rfc3339_opts(SecondsFormat::Millis, true),
            user_id: self.user_id(person).unwrap_or_default(),
        }
    }

    /// The identifier of this person's newest document of a collection, of the last month.
    pub(super) fn newest(&self, person: &str, collection: &str) -> Option<String> {
        let life = self.lives.iter().find(|life| life.person.name == person)?;
        let collection = self.collections.iter().find(|one| one.name == collection)?;
        let view = View::at(*life, self.now());
        let mut days = (-1..30).map(|back| shifted(view.today(), -back));
        let newest = days.find_map(|day| collection.documents(&view, day).pop())?;
        Some(newest["id"].as_str()?.to_owned())
    }

    /// The requests so far, oldest first.
    pub(super) fn recorded(&self) -> Vec<Recorded> {
        self.records().kept.iter().map(|(_, record)| record.clone()).collect()
    }

    /// How many there were.
    pub(super) fn request_count(&self) -> u64 {
        self.records().next
    }

    /// How many were answered.
    pub(super) fn answer_count(&self) -> u64 {
        self.records().answered
    }

    /// Forgets the requests so far.
    pub(super) fn forget(&self) {
        self.records().kept.clear();
    }

    fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, head: &Parts, query: &Parameters, connection: u64) -> u64 {
        let record = Recorded {
            path: head.uri.path().to_owned(),
            query: query.to_vec(),
            user_agent: header(&head.headers, USER_AGENT.as_str()).map(str::to_owned),
            person: self.visitor(&head.headers).map(|visitor| visitor.life.person.name),
            token: bearer(&head.headers).map(str::to_owned),
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

    async fn reply(&self, head: &Parts, query: &Parameters, body: &str) -> Result<Reply, Dropped> {
        let (route, headers) = (route(head.uri.path(), &self.collections), &head.headers);
        let asked = Asked { query, form: &form(headers, body), headers };
        if header(headers, USER_AGENT.as_str()).is_none() {
            if let Some(Route::SignIn(door)) = route {
                self.authorizations.turned_away(door, asked, 403);
            }
            return Ok(Reply::detail(403, "Forbidden"));
        }
        match route {
            None => Ok(Reply::detail(404, "Not Found")),
            Some(route) if !route.methods().contains(&head.method) => {
                let methods: Vec<&str> = route.methods().iter().map(Method::as_str).collect();
                Ok(Reply::method_not_allowed(&methods.join(", ")))
            }
            Some(Route::Data(data)) => match self.limit.take(self.clock.now()) {
                Ok(()) => self.data(&data, query, headers).await,
                Err(limited) => Ok(limited),
            },
            Some(Route::SignIn(door)) => {
                // Tokens are given all the same, and count.
                let _beyond = self.limit.take(self.clock.now());
                self.authorizations.answer(door, asked).await
            }
            Some(Route::Webhooks(hook)) => {
                Ok(self.webhooks.answer(hook, &Order { method: &head.method, headers, body }).await)
            }
        }
    }

    /// Documents, if the token allows and nothing is to go wrong.
    async fn data(&self, data: &Data<'_>, query: &Parameters, headers: &HeaderMap) -> Result<Reply, Dropped> {
        if bearer(headers).is_none() {
            return Ok(Reply::detail(400, "Token is missing from Request Authorization Heade"));
        }
        let known = self.visitor(headers);
        let person = known.as_ref().map(|visitor| visitor.life.person.name);
        let fault = self.faults.strike(person, data.collection.name).or_else(|| led_on(query));
        let fault = fault.filter(|fault| *fault != Fault::ScopeMissing || data.collection.kind != Kind::Single);
        let visitor = admitted(if data.is_sandbox { self.lives.first().map(anybody) } else { known }, data);
        let sound = |query: &Parameters| {
            visitor.clone().and_then(|visitor| self.sound(&visitor, data, query)).unwrap_or_else(|reply| reply)
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
            Some(Fault::CutGzip) => Ok(sound(query).cut_when_compressed()),
            Some(fault @ (Fault::RepeatToken | Fault::EndlessPages)) => {
                let another =
                    if fault == Fault::EndlessPages { self.recorded().len().to_string() } else { String::new() };
                let next = format!("{SAME_TOKEN}{another}");
                Ok(visitor.map_or_else(|reply| reply, |visitor| self.repeating(&visitor, data, query, &next)))
            }
            Some(fault) => Ok(self.failure(&fault, data)),
        }
    }

    /// The answer where nothing goes wrong, which may have been made before.
    fn sound(&self, visitor: &Visitor, data: &Data, query: &Parameters) -> Result<Reply, Reply> {
        let view = self.answers.view(visitor.life, self.clock.now());
        let may_be_kept = !data.is_sandbox && self.faults.are_none();
        let asked = may_be_kept.then(|| answers::asked(&view, data.collection, data.id, query)).flatten();
        let Some(asked) = asked else { return Ok(Reply::json(200, &self.documents(visitor, data, query)?)) };
        if let Some(reply) = self.answers.get(&view, &asked) {
            return Ok(reply);
        }
        let answer = self.documents(visitor, data, query)?;
        let reply = Reply::json(200, &answer);
        if !answers::stays(&view, data.collection, query, &answer) {
            return Ok(reply);
        }
        let reply = reply.compressed();
        self.answers.keep(&view, asked, reply.clone());
        Ok(reply)
    }

    fn documents(&self, visitor: &Visitor, data: &Data, query: &Parameters) -> Result<Value, Reply> {
        let view = self.answers.view(visitor.life, self.clock.now());
        let shelf = Query { view, collection: data.collection, faults: &self.faults };
        let answer = match (data.is_sandbox, data.id) {
            (false, None) => shelf.list(query),
            (false, Some(id)) => shelf.document(id),
            (true, None) => sandbox::list(&view, data.collection, query),
            (true, Some(id)) => sandbox::document(&view, data.collection, id),
        };
        answer.map(|answer| visitor.shown(data.collection, answer))
    }

    /// The first page, which says that there is another, named `next_token`, whatever was asked for.
    fn repeating(&self, visitor: &Visitor, data: &Data, query: &Parameters, next_token: &str) -> Reply {
        let query: Vec<_> = query.iter().filter(|(_, value)| !value.starts_with(SAME_TOKEN)).cloned().collect();
        match self.documents(visitor, data, &query) {
            Ok(mut page) => {
                if let Some(next) = page.get_mut("next_token") {
                    *next = json!(next_token);
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
            Fault::RateLimited { retry_after_seconds } => {
                Reply::limited(self.clock.now(), *retry_after_seconds, Tier::Token)
            }
            Fault::ApplicationLimited { retry_after_seconds } => {
                Reply::limited(self.clock.now(), *retry_after_seconds, Tier::Application(APPLICATION_LIMIT))
            }
            Fault::ScopeMissing => scope_missing(data),
            Fault::MembershipLapsed => Reply::of_status(403),
            Fault::Html => Reply::html(200),
            Fault::EmptyList => Reply::json(200, &json!({ "data": [], "next_token": null })),
            _ => Reply::of_status(401),
        }
    }

    /// Whose token the request bears, and what it opens.
    fn visitor(&self, headers: &HeaderMap) -> Option<Visitor> {
        let bearer = bearer(headers)?;
        self.by_token.get(bearer).map(anybody).or_else(|| {
            let pass = self.authorizations.pass(bearer)?;
            let life = self.lives.iter().find(|life| life.person.name == pass.person)?;
            Some(Visitor { life: *life, scopes: Some(pass.scopes) })
        })
    }
}

/// The bearer token of each life.
fn tokens(seed: u64, lives: &[Life]) -> impl Iterator<Item = (&Life, String)> {
    let noise = Noise::new(seed).of("tokens");
    lives.iter().map(move |life| {
        let noise = noise.of(life.person.name);
        (life, format!("_0XBPWQQ_{:016x}-{:016x}", noise.bits(), noise.of("more").bits()))
    })
}

/// The fault that the page before began, if a page is asked for that such a fault made up.
fn led_on(query: &Parameters) -> Option<Fault> {
    let (_, token) = query.iter().find(|(name, _)| name == "next_token")?;
    let another = token.strip_prefix(SAME_TOKEN)?;
    Some(if another.is_empty() { Fault::RepeatToken } else { Fault::EndlessPages })
}

/// A visitor to whom nothing of this life is closed.
const fn anybody(life: &Life) -> Visitor {
    Visitor { life: *life, scopes: None }
}

/// The visitor, if their token is good for what they ask.
fn admitted(visitor: Option<Visitor>, data: &Data) -> Result<Visitor, Reply> {
    let visitor = visitor.ok_or_else(|| Reply::of_status(401))?;
    if visitor.may_see(data.collection) { Ok(visitor) } else { Err(scope_missing(data)) }
}

fn scope_missing(data: &Data) -> Reply {
    let detail = format!("The token lacks the scope: {}", data.collection.scope);
    Reply::problem(401, "Missing scopes", &detail)
}

/// The fields of a form, if the request has one.
fn form(headers: &HeaderMap, body: &str) -> Vec<(String, String)> {
    let is_form = header(headers, CONTENT_TYPE.as_str())
        .is_some_and(|kind| kind.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded"));
    if is_form { parameters(body) } else { Vec::new() }
}

async fn text(body: Incoming) -> Result<String, Dropped> {
    let bytes = Limited::new(body, MOST_BODY).collect().await.map_err(|_| Dropped)?.to_bytes();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The value of a header, if it says anything.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().filter(|value| !value.trim().is_empty())
}

/// The token in the request's Authorization header.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = header(headers, AUTHORIZATION.as_str())?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty()).then_some(token.trim())
}
