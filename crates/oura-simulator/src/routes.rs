//! Which path leads where.

use hyper::Method;

use super::{
    collections::{Collection, Kind},
    oauth::Portal,
};

/// Where a path leads.
#[derive(Clone, Copy, Debug)]
pub(super) enum Route<'a> {
    /// To documents.
    Data(Data<'a>),
    /// To the authorization server.
    SignIn(Endpoint),
    /// To the subscriptions of webhooks.
    Webhooks(Hook<'a>),
}

/// Which subscriptions a path names.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hook<'a> {
    All,
    One(&'a str),
    Renew(&'a str),
}

/// A door of the authorization server.
#[derive(Clone, Copy, Debug)]
pub(super) enum Endpoint {
    Authorize(Portal),
    Consent,
    Token(Portal),
    Revoke(Portal),
}

/// Which documents a path names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Data<'a> {
    pub(super) collection: &'a Collection,
    /// The one document that is asked for; none: all in the window.
    pub(super) id: Option<&'a str>,
    pub(super) is_sandbox: bool,
}

impl Route<'_> {
    /// The methods that it knows.
    pub(super) const fn methods(&self) -> &'static [Method] {
        match self {
            Self::SignIn(Endpoint::Consent | Endpoint::Token(_) | Endpoint::Revoke(Portal::New)) => &[Method::POST],
            Self::SignIn(Endpoint::Revoke(Portal::Legacy)) => &[Method::GET, Method::POST],
            Self::Data(_) | Self::SignIn(Endpoint::Authorize(_)) => &[Method::GET],
            Self::Webhooks(Hook::All) => &[Method::GET, Method::POST],
            Self::Webhooks(Hook::One(_)) => &[Method::GET, Method::PUT, Method::DELETE],
            Self::Webhooks(Hook::Renew(_)) => &[Method::PUT],
        }
    }
}

/// Where `path` leads among these collections and the sign-in, if anywhere.
pub(super) fn route<'a>(path: &'a str, collections: &'a [Collection]) -> Option<Route<'a>> {
    let others = || hook(path).map(Route::Webhooks).or_else(|| data(path, collections).map(Route::Data));
    door(path).map(Route::SignIn).or_else(others)
}

fn hook(path: &str) -> Option<Hook<'_>> {
    let rest = path.strip_prefix("/v2/webhook/subscription")?;
    let Some(rest) = rest.strip_prefix('/') else { return rest.is_empty().then_some(Hook::All) };
    let (hook, id) = match rest.strip_prefix("renew/") {
        Some(id) => (Hook::Renew(id), id),
        None => (Hook::One(rest), rest),
    };
    (!id.is_empty() && !id.contains('/')).then_some(hook)
}

fn door(path: &str) -> Option<Endpoint> {
    Some(match path {
        "/oauth/authorize" => Endpoint::Authorize(Portal::Legacy),
        "/oauth/token" => Endpoint::Token(Portal::Legacy),
        "/oauth/revoke" => Endpoint::Revoke(Portal::Legacy),
        "/oauth/v2/ext/oauth-authorize" => Endpoint::Authorize(Portal::New),
        "/oauth/v2/ext/oauth-token" => Endpoint::Token(Portal::New),
        "/oauth/v2/ext/oauth-revoke" => Endpoint::Revoke(Portal::New),
        "/oauth/consent" => Endpoint::Consent,
        _ => return None,
    })
}

fn data<'a>(path: &'a str, collections: &'a [Collection]) -> Option<Data<'a>> {
    let rest = path.strip_prefix("/v2/")?;
    let (rest, is_sandbox) = rest.strip_prefix("sandbox/").map_or((rest, false), |rest| (rest, true));
    let rest = rest.strip_prefix("usercollection/")?;
    let (name, id) = rest.split_once('/').map_or((rest, None), |(name, id)| (name, Some(id)));
    let collection = collections.iter().find(|collection| collection.name == name)?;
    let exists = match collection.kind {
        Kind::Dates | Kind::List => id.is_none_or(|id| !id.is_empty() && !id.contains('/')),
        Kind::Series => id.is_none(),
        Kind::Single => id.is_none() && !is_sandbox,
    };
    exists.then_some(Data { collection, id, is_sandbox })
}
