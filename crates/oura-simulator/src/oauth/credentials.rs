//! How an application proves itself: with its secret, by HTTP Basic or in the form.

use base64::{Engine, engine::general_purpose::STANDARD};
use hyper::header::{AUTHORIZATION, HeaderMap};

use super::{
    Asked,
    applications::{Application, Portal},
    refusals::Refusal,
};
use crate::{
    cloud::header,
    query::{Parameters, plain, value},
};

/// Whether the request comes from the application of this portal.
pub(super) fn proven(applications: &[Application], portal: Portal, asked: Asked<'_>) -> Result<(), Refusal> {
    let (id, secret) = basic(asked.headers).or_else(|| posted(asked.form)).ok_or(Refusal::UnknownClient)?;
    let application = applications.iter().find(|application| application.client_id == id);
    match application {
        Some(application) if application.portal != portal => Err(Refusal::OtherPortal),
        Some(application) if application.client_secret == secret => Ok(()),
        _ => Err(Refusal::UnknownClient),
    }
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, text) = header(headers, AUTHORIZATION.as_str())?.split_once(' ')?;
    let text = STANDARD.decode(text.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let text = String::from_utf8(text).ok()?;
    text.split_once(':').map(|(id, secret)| (plain(id), plain(secret)))
}

fn posted(form: &Parameters) -> Option<(String, String)> {
    Some((value(form, "client_id")?.to_owned(), value(form, "client_secret")?.to_owned()))
}
