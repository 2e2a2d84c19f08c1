//! Who somebody is to Oura, asked with the token of a sign-in.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::timeout;
use tracing::warn;

use super::{Client, Transport};
use crate::auth::TokenSource;

/// The collection that says it.
pub const COLLECTION: &str = "personal_info";
/// The scope that opens it.
pub const SCOPE: &str = "personal";
/// How long is waited for it: somebody looks at a page meanwhile.
const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
struct PersonalInfo {
    id: Option<String>,
}

/// Oura's id of the person whom `token` is of; none where it does not say. Oura's sandbox knows no persons.
pub async fn person_id(transport: &Arc<Transport>, token: &SecretString) -> Option<String> {
    if transport.is_sandbox() {
        return None;
    }
    let client = Client::new(Arc::clone(transport), TokenSource::Fixed(token.clone()));
    let document = match timeout(TIMEOUT, client.single(COLLECTION)).await {
        Ok(Ok(document)) => document,
        Ok(Err(error)) => {
            warn!("Oura does not say whose sign-in this is: {error}");
            return None;
        }
        Err(_) => {
            warn!("Oura does not say in {} s whose sign-in this is", TIMEOUT.as_secs());
            return None;
        }
    };
    person_in(&document)
}

impl Client {
    /// Has Oura say whose the sign-in of then is, where no collection that is asked for tells it.
    pub async fn ask_who_it_is(&self, signed_in_at: DateTime<Utc>) {
        let Ok(token) = self.source().token().await else { return };
        if let Some(id) = person_id(&self.transport, &token).await {
            self.source().is_of(&id, signed_in_at);
        }
    }
}

/// The id of the person whom a document of [`COLLECTION`] tells of.
pub fn person_in(document: &RawValue) -> Option<String> {
    let info: PersonalInfo = serde_json::from_str(document.get()).ok()?;
    info.id.filter(|id| !id.is_empty())
}
