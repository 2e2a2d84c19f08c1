//! The routes of the subscriptions: who may use them, what they refuse, and the handshake within the making of one.

use form_urlencoded::byte_serialize;
use hyper::{Method, header::HeaderMap};
use serde_json::{Value, json};

use super::{
    DATA_TYPES, EVENT_TYPES, LIFETIME, Webhooks,
    post::{Outgoing, send},
};
use crate::{cloud::header, replies::Reply, routes::Hook};

/// A request at one of the routes.
pub(crate) struct Order<'a> {
    pub(crate) method: &'a Method,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a str,
}

impl Webhooks {
    /// Answers at one of the routes.
    pub(crate) async fn answer(&self, hook: Hook<'_>, order: &Order<'_>) -> Reply {
        let Some(application) = self.application(order.headers) else { return Reply::of_status(401) };
        match (hook, order.method) {
            (Hook::All, &Method::POST) => self.make(order.body, application).await,
            (Hook::All, _) => Reply::json(200, &self.subscriptions().iter().map(super::Subscription::shown).collect()),
            (Hook::One(id), &Method::PUT) => self.change(id, order.body).await,
            (Hook::One(id), &Method::DELETE) => self.remove(id),
            (Hook::One(id), _) => self.with(id, |_| {}),
            (Hook::Renew(id), _) => {
                let end = self.clock.now() + LIFETIME;
                let known = self.subscriptions().into_iter().find(|one| one.id == id);
                let refusal = known.and_then(|one| self.refusal(&one.data_type));
                refusal.unwrap_or_else(|| self.with(id, |one| one.expiration_time = end))
            }
        }
    }

    /// The application of which both headers are.
    fn application(&self, headers: &HeaderMap) -> Option<usize> {
        let (id, secret) = (header(headers, "x-client-id"), header(headers, "x-client-secret"));
        self.applications.iter().position(|one| id == Some(&one.client_id) && secret == Some(&one.client_secret))
    }

    /// What is answered where subscriptions to that data type are refused.
    fn refusal(&self, data_type: &str) -> Option<Reply> {
        let state = self.state();
        state.refused.as_ref().filter(|(refused, _)| refused == data_type).map(|(_, status)| Reply::of_status(*status))
    }

    fn with(&self, id: &str, change: impl FnOnce(&mut super::Subscription)) -> Reply {
        let mut state = self.state();
        let Some(one) = state.subscriptions.iter_mut().find(|one| one.id == id) else { return unknown() };
        change(one);
        Reply::json(200, &one.shown())
    }

    fn remove(&self, id: &str) -> Reply {
        let mut state = self.state();
        let Some(place) = state.subscriptions.iter().position(|one| one.id == id) else { return unknown() };
        state.subscriptions.remove(place);
        Reply::empty(204)
    }

    async fn make(&self, body: &str, application: usize) -> Reply {
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        let word = |name: &str| body[name].as_str().map(str::to_owned);
        let words = word("callback_url").zip(word("verification_token")).zip(word("event_type").zip(word("data_type")));
        let Some(((callback_url, token), (event_type, data_type))) = words else { return incomplete() };
        if !EVENT_TYPES.contains(&event_type.as_str()) || !DATA_TYPES.contains(&data_type.as_str()) {
            return incomplete();
        }
        if let Some(refusal) = self.refusal(&data_type) {
            return refusal;
        }
        let is_taken = |one: &super::Subscription| one.event_type == event_type && one.data_type == data_type;
        if self.state().subscriptions.iter().any(is_taken) {
            return Reply::detail(409, "Subscription already exists.");
        }
        if !self.verifies(&callback_url, &token).await {
            return unverified();
        }
        let now = self.clock.now();
        let mut state = self.state();
        let one = state.add(&self.noise, now, [&callback_url, &event_type, &data_type]);
        state.made_for.insert(one.id.clone(), application);
        Reply::json(201, &one.shown())
    }

    async fn change(&self, id: &str, body: &str) -> Reply {
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        let Some(token) = body["verification_token"].as_str() else { return incomplete() };
        let known = self.subscriptions().into_iter().find(|one| one.id == id);
        let Some(known) = known else { return unknown() };
        if let Some(refusal) = self.refusal(&known.data_type) {
            return refusal;
        }
        let word = |name: &str, before: String| body[name].as_str().map_or(before, str::to_owned);
        let callback_url = word("callback_url", known.callback_url);
        if !self.verifies(&callback_url, token).await {
            return unverified();
        }
        self.with(id, |one| {
            one.callback_url = callback_url;
            one.event_type = word("event_type", known.event_type);
            one.data_type = word("data_type", known.data_type);
        })
    }

    /// Whether the callback answers with the challenge that it is sent, while whoever asked for it still waits.
    async fn verifies(&self, callback_url: &str, token: &str) -> bool {
        let challenge = format!("{:016x}", self.noise.of(token).bits());
        let encoded: String = byte_serialize(token.as_bytes()).collect();
        let url = format!("{callback_url}?verification_token={encoded}&challenge={challenge}");
        let asked = send(Outgoing { method: "GET", url: &url, headers: &[], body: &[] }, None).await;
        asked.is_ok_and(|answer| {
            let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            answer.status == 200 && body == json!({ "challenge": challenge })
        })
    }
}

fn unknown() -> Reply {
    Reply::detail(403, "Webhook with specified id does not exist.")
}

fn unverified() -> Reply {
    Reply::detail(400, "Callback URL verification failed.")
}

fn incomplete() -> Reply {
    let detail = json!([{ "type": "missing", "loc": ["body"], "msg": "Field required" }]);
    Reply::json(422, &json!({ "detail": detail }))
}
