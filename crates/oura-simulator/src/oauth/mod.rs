//! The authorization server of both portals: an application each, consent, tokens that rotate, and how it all fails.
//!
//! `authorize` shows the consent page of `page` and sends the browser back with a code, `token` sells tokens for codes
//! and refresh tokens, `revoke` takes them back. What was allowed and issued stands in `ledger`; `applications` says who
//! may ask, `credentials` how they prove it, `refusals` in which words somebody is refused, and `faults` what can be made to go wrong.

mod applications;
mod authorize;
mod challenge;
mod credentials;
mod faults;
mod ledger;
mod page;
mod refusals;
mod revoke;
mod token;

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use hyper::header::HeaderMap;

use super::{
    cloud::Dropped,
    noise::Noise,
    query::{Parameters, value},
    replies::Reply,
    routes::Endpoint,
};
use crate::TimeSource;
pub use applications::{Application, Portal};
pub use faults::TokenFault;
use faults::TokenFaults;
use ledger::{Ledger, Pass};

/// The redirect URI that is registered from the start.
const FIRST_REDIRECT: &str = "http://localhost:10058/callback";
/// How long an access token lives unless set otherwise, in seconds.
const TOKEN_LIFETIME_SECONDS: u64 = 2_591_999;

/// The authorization server: its switches, and what it has seen.
pub struct Authorizations {
    applications: [Application; 2],
    clock: TimeSource,
    state: Mutex<State>,
}

/// What changes while it runs.
struct State {
    redirects: Vec<String>,
    lifetime_seconds: u64,
    faults: TokenFaults,
    ledger: Ledger,
    exchanges: Vec<Exchange>,
}

/// Tokens as a sign-in gives them.
#[derive(Clone, PartialEq, Eq)]
pub struct Granted {
    /// Opens the collections of its scopes.
    pub access_token: String,
    /// Buys the next pair, once.
    pub refresh_token: String,
    /// How long the access token lives, in seconds.
    pub expires_in: u64,
    /// What was granted, in the portal's names, with spaces between.
    pub scope: String,
}

/// A request to a token URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// When it came, by the simulator's clock.
    pub at: DateTime<Utc>,
    /// The portal whose URL it came to.
    pub portal: Portal,
    /// What it asked for; empty if it did not say.
    pub grant_type: String,
    /// The status of the answer; 0 while, or because, there is none.
    pub status: u16,
    /// For a refresh at the portal of its token: how often that token had been presented there before; only 0 is
    /// harmless. Presentations that a fault answered in place of the portal do not count, nor does one that
    /// a fault such as [`TokenFault::NoRefreshToken`] let it survive.
    pub spent: u32,
}

/// A request to the authorization server.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) query: &'a Parameters,
    /// What its body says, if that is a form.
    pub(super) form: &'a Parameters,
    pub(super) headers: &'a HeaderMap,
}

impl Authorizations {
    /// A server on which nobody has signed in.
    pub(super) fn new(seed: u64, clock: TimeSource) -> Self {
        let noise = Noise::new(seed).of("sign-in");
        let state = State {
            redirects: vec![FIRST_REDIRECT.to_owned()],
            lifetime_seconds: TOKEN_LIFETIME_SECONDS,
            faults: TokenFaults::default(),
            ledger: Ledger::new(noise.of("tokens")),
            exchanges: Vec::new(),
        };
        Self { applications: applications::both(noise), clock, state: Mutex::new(state) }
    }

    /// Registers a redirect URI with both applications; it is compared byte for byte.
    pub fn register_redirect(&self, uri: &str) {
        let redirects = &mut self.state().redirects;
        if !redirects.iter().any(|known| known == uri) {
            redirects.push(uri.to_owned());
        }
    }

    /// How long the access tokens live that are issued from now on.
    pub fn set_token_lifetime(&self, seconds: u64) {
        self.state().lifetime_seconds = seconds;
    }

    /// From now on `fault` meets requests to the token URLs; later ones win over earlier ones.
    pub fn set_fault(&self, fault: TokenFault) {
        self.state().faults.set(fault);
    }

    /// From now on this share of the requests to the token URLs fails in any of some fifteen ways, none of which loses
    /// a pair; the seed says which. Faults that are set win over these.
    pub fn faults_at_random(&self, seed: u64, share: f64) {
        self.state().faults.at_random(seed, share);
    }

    /// The token URLs are well again.
    pub fn clear_faults(&self) {
        self.state().faults = TokenFaults::default();
    }

    /// A pair of tokens as if this person had signed in. Scopes are named with or without the new portal's prefix;
    /// none means all of the application's. A person whom the simulator does not know gets tokens that open nothing.
    pub fn grant(&self, portal: Portal, person: &str, scopes: &[&str]) -> Granted {
        let asked: Vec<String> =
            scopes.iter().map(|scope| portal.scope(Portal::New.bare(scope).unwrap_or(scope))).collect();
        let asked = (!asked.is_empty()).then(|| asked.join(" "));
        let scopes = self.application(portal).grantable(asked.as_deref());
        let (now, mut state) = (self.clock.now(), self.state());
        let grant = state.ledger.allow(portal, person, scopes);
        state.issue(grant, now)
    }

    /// Everything that this person allowed, at either portal, ends, as when they revoke it in the app.
    pub fn revoke_everything(&self, person: &str) {
        self.state().ledger.revoke_person(person);
    }

    /// How many of the sign-ins that this person allowed stand, at both portals.
    pub fn standing(&self, person: &str) -> usize {
        self.state().ledger.standing(person)
    }

    /// Every request to a token URL so far, in order.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.state().exchanges.clone()
    }

    /// The applications, one of each portal.
    pub(super) fn applications(&self) -> &[Application] {
        &self.applications
    }

    /// Whose access token this is, and what it opens, if it is one and still good.
    pub(super) fn pass(&self, token: &str) -> Option<Pass> {
        let now = self.clock.now();
        self.state().ledger.pass(token, now)
    }

    /// Answers at one of its doors.
    pub(super) async fn answer(&self, door: Endpoint, asked: Asked<'_>) -> Result<Reply, Dropped> {
        match door {
            Endpoint::Authorize(portal) => Ok(self.authorize(portal, asked.query)),
            Endpoint::Consent => Ok(self.consent(asked.form)),
            Endpoint::Token(portal) => self.token(portal, asked).await,
            Endpoint::Revoke(portal) => Ok(self.revoke(portal, asked)),
        }
    }

    /// Notes that a request was turned away at a door before the server saw it.
    pub(super) fn turned_away(&self, door: Endpoint, asked: Asked<'_>, status: u16) {
        if let Endpoint::Token(portal) = door {
            let now = self.clock.now();
            self.state().note(portal, asked.form, now, status);
        }
    }

    fn application(&self, portal: Portal) -> &Application {
        let [legacy, new] = &self.applications;
        if portal == Portal::Legacy { legacy } else { new }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Writes down a request to a token URL; returns its place in the list.
    fn note(&mut self, portal: Portal, form: &Parameters, at: DateTime<Utc>, status: u16) -> usize {
        let grant_type = value(form, "grant_type").unwrap_or_default().to_owned();
        let refresh = value(form, "refresh_token").filter(|_| grant_type == token::REFRESH);
        let spent = refresh.map_or(0, |token| self.ledger.presented(token, portal));
        self.exchanges.push(Exchange { at, portal, grant_type, status, spent });
        self.exchanges.len() - 1
    }

    /// A new pair of tokens.
    fn issue(&mut self, grant: usize, now: DateTime<Utc>) -> Granted {
        let lifetime = i64::try_from(self.lifetime_seconds).ok().and_then(TimeDelta::try_seconds);
        let until = lifetime.and_then(|lifetime| now.checked_add_signed(lifetime)).unwrap_or(DateTime::<Utc>::MAX_UTC);
        Granted {
            access_token: self.ledger.access(grant, until),
            refresh_token: self.ledger.refresh(grant),
            expires_in: self.lifetime_seconds,
            scope: self.ledger.scopes(grant).join(" "),
        }
    }
}

impl fmt::Debug for Authorizations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        let (faults, exchanges) = (&state.faults, state.exchanges.len());
        f.debug_struct("Authorizations").field("faults", faults).field("exchanges", &exchanges).finish_non_exhaustive()
    }
}
