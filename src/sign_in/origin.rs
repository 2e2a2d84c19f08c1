//! Whether a form was sent by the exporter's own page: a page elsewhere must not sign anybody in or out.

use hyper::{
    Request, Uri,
    header::{HOST, HeaderName, ORIGIN},
};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The form is not of the exporter's own page, as far as the browser says.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this form was not sent by the exporter's own page, so nothing was done: open the page itself and press the button \
     there; a proxy in front of it must pass on the header Host unchanged"
)]
pub(super) struct Foreign;

/// Judges by what browsers say of where a form is from: `Sec-Fetch-Site`, which they send to addresses that they trust
/// (HTTPS, and this machine), and `Origin`, which they send to all.
///
/// # Errors
/// Where it is from elsewhere, or does not say.
pub(super) fn judge<B>(request: &Request<B>) -> Result<(), Foreign> {
    let text = |name| request.headers().get(name).map(|value| value.to_str().unwrap_or_default());
    let origin = text(ORIGIN).and_then(|origin| origin.parse::<Uri>().ok());
    // "null" is an authority, too, as far as a URI alone goes.
    let origin = origin.as_ref().filter(|origin| origin.scheme().is_some()).and_then(Uri::authority).ok_or(Foreign)?;
    match text(SEC_FETCH_SITE) {
        // It is said by the browser itself, and holds where a proxy has changed the Host.
        Some("same-origin") => Ok(()),
        Some(_) => Err(Foreign),
        None => {
            let is_own = text(HOST).is_some_and(|host| origin.as_str().eq_ignore_ascii_case(host));
            is_own.then_some(()).ok_or(Foreign)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(headers: &[(&str, &str)]) -> Result<(), Foreign> {
        let request =
            headers.iter().fold(Request::post("/sign-in"), |request, (name, value)| request.header(*name, *value));
        judge(&request.body(()).expect("a request"))
    }

    #[test]
    fn a_form_of_the_own_page_is_taken_by_either_header() {
        for headers in [
            &[("host", "localhost:10058"), ("origin", "http://localhost:10058"), ("sec-fetch-site", "same-origin")][..],
            &[("host", "ring.lan:10058"), ("origin", "http://ring.lan:10058")],
            &[("host", "Ring.lan"), ("origin", "http://ring.lan")],
            &[("host", "127.0.0.1:10058"), ("origin", "https://ring.example"), ("sec-fetch-site", "same-origin")],
        ] {
            assert_eq!(judged(headers), Ok(()), "{headers:?}");
        }
    }

    #[test]
    fn a_form_of_another_page_or_of_none_is_not() {
        for headers in [
            &[("host", "localhost:10058")][..],
            &[("host", "localhost:10058"), ("sec-fetch-site", "same-origin")],
            &[("host", "localhost:10058"), ("origin", "null"), ("sec-fetch-site", "same-origin")],
            &[("host", "localhost:10058"), ("origin", "http://localhost:8080")],
            &[("host", "localhost:10058"), ("origin", "http://evil.example")],
            &[("host", "localhost:10058"), ("origin", "http://localhost:10058.evil.example")],
            &[("host", "localhost:10058"), ("origin", "http://localhost:10058"), ("sec-fetch-site", "cross-site")],
            &[("host", "localhost:10058"), ("origin", "http://localhost:10058"), ("sec-fetch-site", "same-site")],
            &[("host", "localhost:10058"), ("origin", "http://localhost:10058"), ("sec-fetch-site", "none")],
            &[("origin", "http://localhost:10058")],
        ] {
            assert_eq!(judged(headers), Err(Foreign), "{headers:?}");
        }
    }
}
