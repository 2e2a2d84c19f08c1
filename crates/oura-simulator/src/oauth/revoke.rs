//! The revoke URLs: the legacy one takes the token itself in several places, the new one a form from the application.

use super::{Asked, Authorizations, applications::Portal, credentials::proven, refusals::unknown_client};
use crate::{cloud::bearer, query::value, replies::Reply};

impl Authorizations {
    /// Ends what a token was issued for: its whole pair, and those bought with it.
    pub(super) fn revoke(&self, portal: Portal, asked: Asked<'_>) -> Reply {
        match portal {
            Portal::Legacy => self.revoke_legacy(asked),
            Portal::New => self.revoke_new(asked),
        }
    }

    /// 200 if there was something to end, 401 if not.
    fn revoke_legacy(&self, asked: Asked<'_>) -> Reply {
        let named = value(asked.query, "access_token").or_else(|| value(asked.form, "access_token"));
        let token = named.or_else(|| value(asked.form, "token")).or_else(|| bearer(asked.headers));
        match token {
            None => Reply::detail(400, "Token is missing"),
            Some(token) if self.state().ledger.revoke(token, Portal::Legacy) => Reply::empty(200),
            Some(_) => Reply::of_status(401),
        }
    }

    /// 200 whatever the token, to an application that proves itself.
    fn revoke_new(&self, asked: Asked<'_>) -> Reply {
        if proven(&self.applications, Portal::New, asked).is_err() {
            return unknown_client();
        }
        let Some(token) = value(asked.form, "token") else { return Reply::detail(400, "Token is missing") };
        self.state().ledger.revoke(token, Portal::New);
        Reply::empty(200)
    }
}
