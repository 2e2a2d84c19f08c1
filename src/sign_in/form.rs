//! The forms of the page, as far as they are its own.

use std::{borrow::Cow, collections::HashMap};

use http_body_util::{BodyExt as _, Limited};
use hyper::{Request, StatusCode, body::Body};

use super::origin;

/// The longest form, in bytes: a pasted address is the longest that is in one.
const LONGEST_FORM: usize = 16 * 1024;

/// The fields of a form or a query.
pub(super) type Fields = HashMap<String, String>;

pub(super) fn fields(text: &[u8]) -> Fields {
    form_urlencoded::parse(text)
        .map(|(name, value): (Cow<'_, str>, Cow<'_, str>)| (name.into_owned(), value.into_owned()))
        .collect()
}

/// The form that the exporter's own page has sent.
///
/// # Errors
/// Where it is another one: the status, and what is said.
pub(super) async fn own_form<B>(request: Request<B>) -> Result<Fields, (StatusCode, String)>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    origin::judge(&request).map_err(|foreign| (StatusCode::FORBIDDEN, foreign.to_string()))?;
    let body = Limited::new(request.into_body(), LONGEST_FORM).collect().await;
    let body = body.map_err(|_| (StatusCode::BAD_REQUEST, "this is not a form of this page".to_owned()))?;
    Ok(fields(&body.to_bytes()))
}
