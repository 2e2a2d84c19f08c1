//! The part of the configuration that concerns samples with their own time: where they are served and sent.

use super::{
    Reader,
    environment::Environment,
    parse::{Setting, setting},
};
use crate::{remote_write::Access, samples::Target};

/// The labels that the README's Prometheus configuration gives to what it scrapes.
const JOB: &str = "oura";
const INSTANCE: &str = "localhost:10058";

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
    pub access: Access,
    /// The labels of the scrapes that they join (`OURA_JOB`, `OURA_INSTANCE`).
    pub target: Target,
}

impl SamplesConfig {
    pub(super) fn read(env: &mut Environment, reader: &mut Reader) -> Self {
        let samples = reader.take(setting("OURA_SAMPLES", env.samples.take()), Setting::flag);
        let url = setting("OURA_REMOTE_WRITE_URL", env.remote_write_url.take());
        let label = |text: Option<String>, default: &str| text.unwrap_or_else(|| default.to_owned());
        Self {
            served: samples.unwrap_or(true),
            is_made_up: false,
            remote_write_url: reader.take(url, Setting::receiver),
            access: access(env, reader),
            target: Target { job: label(env.job.take(), JOB), instance: label(env.instance.take(), INSTANCE) },
        }
    }
}

fn access(env: &mut Environment, reader: &mut Reader) -> Access {
    let user = env.remote_write_username.take();
    let password = setting("OURA_REMOTE_WRITE_PASSWORD", env.remote_write_password.take());
    let file = setting("OURA_REMOTE_WRITE_PASSWORD_FILE", env.remote_write_password_file.take());
    let password = reader.secret(password, file);
    let token = setting("OURA_REMOTE_WRITE_BEARER_TOKEN", env.remote_write_bearer_token.take());
    let file = setting("OURA_REMOTE_WRITE_BEARER_TOKEN_FILE", env.remote_write_bearer_token_file.take());
    let token = reader.secret(token, file);
    match (user, password, token) {
        (None, None, None) => Access::Open,
        (Some(user), Some(password), None) => Access::Basic(user, password),
        (None, None, Some(token)) => Access::Bearer(token),
        (_, _, Some(_)) => {
            let mistake = "OURA_REMOTE_WRITE_USERNAME, OURA_REMOTE_WRITE_BEARER_TOKEN: both are set; unset one";
            reader.mistakes.push(mistake.to_owned());
            Access::Open
        }
        _ => {
            let mistake =
                "OURA_REMOTE_WRITE_USERNAME, OURA_REMOTE_WRITE_PASSWORD: one is set without the other; set both";
            reader.mistakes.push(mistake.to_owned());
            Access::Open
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
