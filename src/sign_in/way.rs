//! What people sign in with on the page, or why they cannot.

use std::sync::Arc;

use super::Guard;
use crate::{
    auth::{OAuthClient, Store},
    oura::Transport,
};

/// What there is to sign in with.
pub enum Way {
    /// Nothing, for this reason.
    Shut(&'static str),
    /// No application yet: what is to be done for one is shown.
    Unregistered,
    /// An application, and a place for tokens.
    Open {
        /// Who gives tokens.
        oauth_client: Arc<OAuthClient>,
        /// Where they are kept.
        store: Store,
        /// The way to Oura.
        transport: Arc<Transport>,
        /// The accounts that the environment names.
        taken: Vec<String>,
        /// What may be done by whoever reaches the page.
        guard: Guard,
    },
}

impl Way {
    /// Why nobody can sign in here; none if people can.
    pub const fn shut(&self) -> Option<&'static str> {
        match self {
            Self::Shut(why) => Some(why),
            Self::Unregistered => Some("no application is set there (OURA_CLIENT_ID); its page shows how to get one"),
            Self::Open { .. } => None,
        }
    }
}
