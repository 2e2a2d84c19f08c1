//! The authorize URLs: who asks for what, the person's answer, and the way back to the application.

use super::{
    Authorizations,
    applications::{Application, Portal},
    challenge::{Challenge, UnknownMethod},
    ledger::Proof,
    page,
};
use crate::{
    people::PEOPLE,
    query::{Parameters, value},
    replies::Reply,
};

/// Who the new portal says it is when it sends the browser back.
const ISSUER: &str = "https://moi.ouraring.com/oauth/v2/ext/oauth-anonymous";

/// Where the browser goes back to, and what the application wants to hear again.
struct Return<'a> {
    uri: String,
    state: Option<&'a str>,
}

impl Authorizations {
    /// Asks the person in the browser, or says what is wrong with the request.
    pub(super) fn authorize(&self, portal: Portal, query: &Parameters) -> Reply {
        let (application, back) = match self.caller(portal, query) {
            Ok(caller) => caller,
            Err(reply) => return reply,
        };
        match (value(query, "response_type"), Challenge::read(query)) {
            (None, _) | (_, Err(UnknownMethod)) => back.error("invalid_request"),
            (Some("code"), Ok(_)) => page::consent(application, query, &application.grantable(value(query, "scope"))),
            (Some(_), Ok(_)) => back.error("unsupported_response_type"),
        }
    }

    /// Sends the browser back with what the person said.
    pub(super) fn consent(&self, form: &Parameters) -> Reply {
        let Some(portal) = value(form, "portal").and_then(Portal::named) else {
            return page::error("invalid_request", "The form does not say which portal it is of.");
        };
        let (application, back) = match self.caller(portal, form) {
            Ok(caller) => caller,
            Err(reply) => return reply,
        };
        let person = value(form, "person").and_then(|name| PEOPLE.iter().find(|person| person.name == name));
        match (value(form, "action"), person, Challenge::read(form)) {
            (Some("deny"), ..) => back.error("access_denied"),
            (Some("allow"), Some(person), Ok(challenge)) => {
                back.code(portal, &self.code(application, person.name, form, challenge))
            }
            _ => page::error("invalid_request", "The form does not say who allows what."),
        }
    }

    /// Who sends the browser here, and where it goes back to; both must be registered.
    fn caller<'a>(&self, portal: Portal, request: &'a Parameters) -> Result<(&Application, Return<'a>), Reply> {
        let application = self.application(portal);
        if value(request, "client_id") != Some(&application.client_id) {
            return Err(page::error("invalid_request", "No such client_id is registered here."));
        }
        let state = self.state();
        let uri = match (value(request, "redirect_uri"), state.redirects.as_slice()) {
            (None, [only]) if portal == Portal::Legacy => Some(only.as_str()),
            (uri, known) => uri.filter(|uri| known.iter().any(|known| known == uri)),
        };
        match uri {
            Some(uri) => Ok((application, Return { uri: uri.to_owned(), state: value(request, "state") })),
            None => Err(page::error("invalid_request", "The redirect_uri is not registered with the application.")),
        }
    }

    /// A code for what the person ticked.
    fn code(&self, application: &Application, person: &str, form: &Parameters, challenge: Option<Challenge>) -> String {
        let ticked = form.iter().filter(|(name, _)| name == "scope").map(|(_, scope)| scope.as_str());
        let scopes = application.grantable(Some(&ticked.collect::<Vec<_>>().join(" ")));
        let redirect = value(form, "redirect_uri").map(str::to_owned);
        let (now, mut state) = (self.clock.now(), self.state());
        let grant = state.ledger.allow(application.portal, person, scopes);
        state.ledger.code(grant, Proof { redirect, challenge }, now)
    }
}

impl Return<'_> {
    /// With a code, and at the new portal with who gave it.
    fn code(&self, portal: Portal, code: &str) -> Reply {
        let issuer = (portal == Portal::New).then_some(("iss", ISSUER));
        self.with([Some(("code", code)), self.state(), issuer])
    }

    /// With an error.
    fn error(&self, error: &str) -> Reply {
        self.with([Some(("error", error)), self.state(), None])
    }

    fn state(&self) -> Option<(&str, &str)> {
        self.state.map(|state| ("state", state))
    }

    fn with(&self, parameters: [Option<(&str, &str)>; 3]) -> Reply {
        let given = parameters.into_iter().flatten();
        let query: Vec<String> = given.map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let joint = if self.uri.contains('?') { '&' } else { '?' };
        Reply::empty(302).with("location", format!("{}{joint}{}", self.uri, query.join("&")))
    }
}

/// With percent signs for all but letters, digits and four marks.
fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}
