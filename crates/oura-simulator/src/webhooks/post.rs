//! The way to a callback: one request over a connection of its own, on this machine and in plain HTTP only.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::{
    Request, Uri,
    body::{Body, Frame},
    client::conn::http1,
    header::{CONTENT_LENGTH, HOST, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    time::{Sleep, sleep, timeout},
};

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much of an answer is read.
const MOST: usize = 65_536;

/// No answer came.
#[derive(Debug, thiserror::Error)]
#[error("no answer from the callback: {0}")]
pub struct Undelivered(String);

impl Undelivered {
    fn of(cause: impl std::fmt::Display) -> Self {
        Self(cause.to_string())
    }
}

/// What is sent.
pub(super) struct Outgoing<'a> {
    pub(super) method: &'a str,
    pub(super) url: &'a str,
    pub(super) headers: &'a [(&'a str, &'a str)],
    pub(super) body: &'a [u8],
}

/// What came back.
pub(super) struct Returned {
    pub(super) status: u16,
    pub(super) body: Bytes,
}

/// Sends one request; `pause` is how long it stops in the middle of its body.
pub(super) async fn send(outgoing: Outgoing<'_>, pause: Option<Duration>) -> Result<Returned, Undelivered> {
    let patience = PATIENCE + pause.unwrap_or_default();
    let sent = timeout(patience, at_once(outgoing, pause)).await;
    sent.unwrap_or_else(|_| Err(Undelivered::of("it took too long")))
}

async fn at_once(outgoing: Outgoing<'_>, pause: Option<Duration>) -> Result<Returned, Undelivered> {
    let Outgoing { method, url, headers, body } = outgoing;
    let uri: Uri = url.parse().map_err(Undelivered::of)?;
    let authority = uri.authority().ok_or_else(|| Undelivered::of("the URL names no host"))?;
    let address = (authority.host(), authority.port_u16().unwrap_or(80));
    let stream = TcpStream::connect(address).await.map_err(Undelivered::of)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(Undelivered::of)?;
    let connection = tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::builder().method(method).uri(path).header(HOST, authority.as_str());
    request = request.header(USER_AGENT, "oura-simulator").header(CONTENT_LENGTH, body.len());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Paused::of(body, pause)).map_err(Undelivered::of)?;
    let answer = sender.send_request(request).await.map_err(Undelivered::of)?;
    let status = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), MOST).collect().await.map_err(Undelivered::of)?.to_bytes();
    connection.abort();
    Ok(Returned { status, body })
}

/// A body that may stop in its middle for a while.
struct Paused {
    parts: Vec<Bytes>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Paused {
    fn of(body: &[u8], pause: Option<Duration>) -> Self {
        let (first, rest) = body.split_at(if pause.is_some() { body.len() / 2 } else { 0 });
        let parts = [rest, first].into_iter().filter(|part| !part.is_empty()).map(Bytes::copy_from_slice).collect();
        Self { parts, pause: pause.map(|pause| Box::pin(sleep(pause))) }
    }
}

impl Body for Paused {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if let [_] = this.parts[..]
            && let Some(pause) = &mut this.pause
            && pause.as_mut().poll(context).is_pending()
        {
            return Poll::Pending;
        }
        Poll::Ready(this.parts.pop().map(|part| Ok(Frame::data(part))))
    }
}
