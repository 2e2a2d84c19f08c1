//! The part of the configuration that concerns samples with their own time: where they are served and sent.

use std::mem::take;

use super::{Reader, draft::Draft, parse::Setting};
use crate::{remote_write::Credentials, samples::Target};

/// Samples with their own time, and where they go.
#[derive(Debug)]
pub struct SamplesConfig {
    /// Whether the record is kept and served on `/metrics/samples` (`OURA_SAMPLES`).
    pub served: bool,
    /// Whether they are made up, and no place of a real person's has to know of them.
    pub is_made_up: bool,
    /// Where samples are sent as they arrive (`OURA_REMOTE_WRITE_URL`).
    pub remote_write_url: Option<String>,
    /// How one gets in there (`OURA_REMOTE_WRITE_USERNAME` and `_PASSWORD`, or `OURA_REMOTE_WRITE_BEARER_TOKEN`).
    pub access: Credentials,
    /// The labels of the scrapes that they join (`OURA_JOB`, `OURA_INSTANCE`).
    pub target: Target,
}

impl SamplesConfig {
    pub(super) fn of(draft: &mut Draft, reader: &mut Reader) -> Self {
        Self {
            served: draft.samples,
            is_made_up: false,
            remote_write_url: draft.remote_write_url.take(),
            access: access(draft, reader),
            target: Target { job: take(&mut draft.job), instance: take(&mut draft.instance) },
        }
    }
}

fn access(draft: &mut Draft, reader: &mut Reader) -> Credentials {
    let user = draft.remote_write_username.take();
    let password = take(&mut draft.remote_write_password).into_value();
    let token = take(&mut draft.remote_write_bearer_token).into_value();
    match (user, password, token) {
        (None, None, None) => Credentials::Open,
        (Some(user), Some(password), None) => Credentials::Basic(user, password),
        (None, None, Some(token)) => Credentials::Bearer(token),
        (_, _, Some(_)) => {
            let mistake = "OURA_REMOTE_WRITE_USERNAME, OURA_REMOTE_WRITE_BEARER_TOKEN: both are set; unset one";
            reader.mistakes.push(mistake.to_owned());
            Credentials::Open
        }
        _ => {
            let mistake =
                "OURA_REMOTE_WRITE_USERNAME, OURA_REMOTE_WRITE_PASSWORD: one is set without the other; set both";
            reader.mistakes.push(mistake.to_owned());
            Credentials::Open
        }
    }
}

/// Reads a receiver's address from a flag.
///
/// # Errors
/// Where it is none, in words.
pub fn receiver_url(text: &str) -> Result<String, String> {
    Setting { name: "--remote-write", text: text.trim().to_owned() }.receiver()
}
