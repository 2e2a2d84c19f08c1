//! Waiting for the browser on the redirect URI's own address, and telling it how the sign-in went.

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue},
};
use reqwest::Url;
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
};

use super::login::Redirected;
use crate::{
    html::{Escaped, STYLE},
    http,
};

/// A listener on the redirect URI.
pub(super) struct Waiting {
    listener: TcpListener,
    path: String,
}

/// What an answer to this sign-in looks like.
#[derive(Clone)]
struct Expected {
    path: String,
    state: String,
}

/// What is said of an answer without the right state.
const NOT_OURS: &str = "This answer belongs to another sign-in (its state differs or is missing). The sign-in that you \
                        started here is still waiting: continue on its page, or start again.";

/// What is said where Oura gave tokens: whether they are kept, only the command can tell.
const ANSWERED: &str = "The terminal in which you began says how the sign-in ended. You can close this page.";

type Visit = (Redirected, oneshot::Sender<http::Answer>);

impl Waiting {
    /// Listens on the address that `uri` names.
    pub(super) async fn at(uri: &str) -> anyhow::Result<Self> {
        let url = Url::parse(uri).context("OURA_REDIRECT_URI is not a URL; write http://localhost:10058/callback")?;
        let host = url.host_str().unwrap_or_default();
        if url.scheme() != "http" || !matches!(host, "localhost" | "127.0.0.1" | "[::1]") {
            bail!("the redirect URI {uri} does not lead to this machine; use --no-browser");
        }
        let port = url.port_or_known_default().unwrap_or(80);
        let address = format!("{}:{port}", host.trim_matches(['[', ']']));
        let listener = TcpListener::bind((host.trim_matches(['[', ']']), port)).await;
        let listener = listener.with_context(|| {
            format!("cannot listen on {address}, where the browser will be sent; stop what listens there or use --no-browser")
        })?;
        Ok(Self { listener, path: url.path().to_owned() })
    }

    /// Lets `complete` take the first answer to the sign-in with `state` that the browser brings, and shows the browser
    /// what came of it. Other answers change nothing: any page can send the browser here.
    pub(super) async fn finish<T>(
        self,
        state: &str,
        complete: &impl AsyncFn(Redirected) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let (visits, mut visited) = mpsc::channel::<Visit>(1);
        let (stop, stopped) = oneshot::channel::<()>();
        let expected = Expected { path: self.path, state: state.to_owned() };
        let serving = tokio::spawn(http::serve(
            self.listener,
            move |request| visit(request, expected.clone(), visits.clone()),
            async move { drop(stopped.await) },
        ));
        let (answer, shown) = visited.recv().await.context("the listener ended")?;
        let result = complete(answer).await;
        // A browser that has gone away misses its page; the sign-in counts all the same.
        let _gone = shown.send(page(result.as_ref().err()));
        drop(stop);
        serving.await.context("the listener stopped because of a defect")?;
        result
    }
}

async fn visit<B>(request: Request<B>, expected: Expected, visits: mpsc::Sender<Visit>) -> http::Answer {
    let query = request.uri().query().unwrap_or_default();
    let answer = Redirected::of_query(query);
    if request.uri().path() != expected.path {
        return html(StatusCode::NOT_FOUND, "Nothing here", "The sign-in returns to another address.");
    }
    if !answer.is_to(&expected.state) || answer.is_empty() {
        return html(StatusCode::BAD_REQUEST, "Not this sign-in", NOT_OURS);
    }
    let (shown, page) = oneshot::channel();
    if visits.try_send((answer, shown)).is_err() {
        return html(
            StatusCode::GONE,
            "Already answered",
            "This sign-in has already been answered. You can close this \
                                                           page.",
        );
    }
    page.await.unwrap_or_else(|_| html(StatusCode::GONE, "Ended", "The sign-in has ended. Start again."))
}

fn page(error: Option<&anyhow::Error>) -> http::Answer {
    match error {
        None => html(StatusCode::OK, "Oura has answered", ANSWERED),
        Some(error) => html(StatusCode::BAD_REQUEST, "Not signed in", &format!("{error:#}.")),
    }
}

fn html(status: StatusCode, title: &str, words: &str) -> http::Answer {
    let text = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title><style>{STYLE}</style></head>\
         <body><main><h1>{title}</h1><p>{}</p></main></body></html>\n",
        Escaped(words)
    );
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
