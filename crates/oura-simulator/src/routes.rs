//! Which path leads where.

use hyper::Method;

use super::{
    collections::{Collection, Kind, named},
    oauth::Portal,
};

/// Where a path leads.
#[derive(Clone, Copy, Debug)]
pub(super) enum Route<'a> {
    /// To documents.
    Data(Data<'a>),
    /// To the authorization server.
    SignIn(Door),
}

/// A door of the authorization server.
#[derive(Clone, Copy, Debug)]
pub(super) enum Door {
    Authorize(Portal),
    Consent,
    Token(Portal),
    Revoke(Portal),
}

/// Which documents a path names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Data<'a> {
    pub(super) collection: &'static Collection,
    /// The one document that is asked for; none: all in the window.
    pub(super) id: Option<&'a str>,
    pub(super) is_sandbox: bool,
}

impl Route<'_> {
    /// The methods that it knows.
    pub(super) const fn methods(&self) -> &'static [Method] {
        match self {
            Self::SignIn(Door::Consent | Door::Token(_) | Door::Revoke(Portal::New)) => &[Method::POST],
            Self::SignIn(Door::Revoke(Portal::Legacy)) => &[Method::GET, Method::POST],
            Self::Data(_) | Self::SignIn(Door::Authorize(_)) => &[Method::GET],
        }
    }
}

/// Where `path` leads, if anywhere.
pub(super) fn route(path: &str) -> Option<Route<'_>> {
    door(path).map(Route::SignIn).or_else(|| data(path).map(Route::Data))
}

fn door(path: &str) -> Option<Door> {
    Some(match path {
        "/oauth/authorize" => Door::Authorize(Portal::Legacy),
        "/oauth/token" => Door::Token(Portal::Legacy),
        "/oauth/revoke" => Door::Revoke(Portal::Legacy),
        "/oauth/v2/ext/oauth-authorize" => Door::Authorize(Portal::New),
        "/oauth/v2/ext/oauth-token" => Door::Token(Portal::New),
        "/oauth/v2/ext/oauth-revoke" => Door::Revoke(Portal::New),
        "/oauth/consent" => Door::Consent,
        _ => return None,
    })
}

fn data(path: &str) -> Option<Data<'_>> {
    let rest = path.strip_prefix("/v2/")?;
    let (rest, is_sandbox) = rest.strip_prefix("sandbox/").map_or((rest, false), |rest| (rest, true));
    let rest = rest.strip_prefix("usercollection/")?;
    let (name, id) = rest.split_once('/').map_or((rest, None), |(name, id)| (name, Some(id)));
    let collection = named(name)?;
    let exists = match collection.kind {
        Kind::Dates | Kind::List => id.is_none_or(|id| !id.is_empty() && !id.contains('/')),
        Kind::Series => id.is_none(),
        Kind::Single => id.is_none() && !is_sandbox,
    };
    exists.then_some(Data { collection, id, is_sandbox })
}
