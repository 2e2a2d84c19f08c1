//! Whether the public address leads to our own callback: asked as Oura asks it.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, ensure};
use reqwest::{Url, header::CONTENT_TYPE};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::secret;
use crate::{
    auth,
    http_client::{
        self,
        body::{self, LARGEST_REPLY},
    },
};

/// As long as Oura waits.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Asks the callback at `url` for the challenge, with the token that the exporter of that state directory expects.
///
/// # Errors
/// Where the answer is not that exporter's, with the cause and the next step.
pub async fn reaches(url: &str, state: &Path) -> anyhow::Result<()> {
    let token = secret::read(state)?.with_context(|| {
        format!(
            "there is no verification token in {} yet; start the exporter with OURA_WEBHOOK_URL first",
            state.display()
        )
    })?;
    let challenge =
        auth::random().map_err(|error| anyhow::anyhow!("the system provides no random numbers: {error}"))?;
    let asked = [("verification_token", token.expose_secret()), ("challenge", &challenge)];
    let asked = Url::parse_with_params(url, asked)?;
    let client = http_client::to(url).timeout(TIMEOUT).build()?;
    let answer = client.get(asked).send().await.map_err(|error| {
        let cause = http_client::causes(error);
        anyhow::anyhow!("{url} does not answer: {cause}; see that the exporter runs and the proxy passes this path on; behind some routers a machine cannot reach its own public address")
    })?;
    let status = answer.status();
    let is_json =
        answer.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    let body = body::whole(answer, LARGEST_REPLY).await.unwrap_or_default();
    ensure!(
        status.is_success(),
        "{url} answers with status {status}; see that the proxy passes exactly this path, with its query, on to \
         OURA_WEBHOOK_LISTEN"
    );
    let told: Value = serde_json::from_slice(&body).unwrap_or_default();
    ensure!(
        is_json && told == json!({ "challenge": challenge }),
        "{url} leads to something else than this exporter; see where the proxy passes this path"
    );
    Ok(())
}
