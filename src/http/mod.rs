//! Serving HTTP/1.1 on a listener: connections, limits against clients that misbehave, and draining at the stop.

mod connections;
mod encryption;
mod negotiation;

use std::{
    convert::Infallible,
    future::Future,
    io::{self, ErrorKind},
    net::IpAddr,
    pin::pin,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Request, Response,
    body::Incoming,
    header::{CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{
    rt::TokioIo,
    server::graceful::{GracefulConnection, GracefulShutdown, Watcher},
};
use rustix::net::{listen, sockopt};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::yield_now,
    time::{interval, sleep, timeout},
};
use tracing::{debug, warn};

use self::{
    connections::{Connections, LastRequest, places},
    encryption::{Agreed, agreed},
};
pub use self::{
    encryption::{Encryption, NOT_TLS},
    negotiation::{Gzip, accepts_gzip, accepts_open_metrics, gzip},
};

/// An answer whose body is known in full.
pub type Answer = Response<Full<Bytes>>;

/// How often the connections are looked through for those to be closed.
const LOOK: Duration = Duration::from_secs(5);
/// How much of what a client sends ahead is kept.
const MOST_READ_AHEAD: usize = 16 * 1024;
/// How many clients may wait to be accepted: more than the 1,024 that tokio asks for, as a client beyond that tries again
/// only after a second.
const BACKLOG: i32 = 4096;
/// How much of an answer the system keeps for a client that does not read. Left to itself, Linux lets that grow to
/// megabytes for each of them.
const SEND_BUFFER: usize = 128 * 1024;
/// How long the next connection waits where the system gives none, and none is left to be closed.
const PAUSE: Duration = Duration::from_millis(200);
/// How long requests under way may take after the stop was asked for.
const DRAIN: Duration = Duration::from_secs(3);
/// What every answer tells a browser: load and run nothing, show it in no frame, guess no type, and give it to no
/// page of another site.
const FOR_BROWSERS: [(HeaderName, HeaderValue); 3] = [
    (
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];

/// Where a request comes from; every request carries it among its extensions.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// A client of this machine asks so, in plain HTTP, a port that speaks TLS; its requests carry this among their extensions.
#[derive(Clone, Copy, Debug)]
pub struct InTheOpen;

/// Serves `answer` on `listener` until `shutdown` resolves, then drains for at most three seconds. Where more clients
/// come than there are places, the connection whose last request is longest ago is closed for the new one.
pub async fn serve<H, R>(listener: TcpListener, answer: H, shutdown: impl Future<Output = ()>)
where
    H: Fn(Request<Incoming>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Answer> + Send + 'static,
{
    serve_over(None, listener, answer, shutdown).await;
}

/// Serves as [`serve`] does, over TLS where there is an `encryption`.
pub async fn serve_over<H, R>(
    encryption: Option<Encryption>,
    listener: TcpListener,
    answer: H,
    shutdown: impl Future<Output = ()>,
) where
    H: Fn(Request<Incoming>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Answer> + Send + 'static,
{
    prepare(&listener);
    let graceful = GracefulShutdown::new();
    // Dropped at the stop: who has not agreed on a key by then has asked for nothing.
    let (stop, stopped) = watch::channel(());
    let mut connections = Connections::new(places());
    let mut look = interval(LOOK);
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            _ = look.tick() => connections.close_idle(),
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    connections.make_room().await;
                    let last_request = connections.last_request();
                    let visit = Visit { peer: Peer(peer.ip()), last_request: last_request.clone(), answer: answer.clone() };
                    let connection = visit.run(stream, encryption.clone(), stopped.clone(), graceful.watcher());
                    connections.open(peer.ip(), last_request, connection);
                }
                Err(error) if is_the_clients(error.kind()) => debug!(%error, "a client gave up while it connected"),
                Err(error) => {
                    if !connections.give_back_a_descriptor(&error).await {
                        sleep(PAUSE).await;
                    }
                }
            },
        }
    }
    drop((listener, stop));
    if timeout(DRAIN, graceful.shutdown()).await.is_err() {
        warn!("requests still under way after {DRAIN:?}; abandoning them");
    }
}

/// Prepares a listener, and by it all that it accepts, for many clients.
fn prepare(listener: &TcpListener) {
    let prepared = sockopt::set_socket_send_buffer_size(listener, SEND_BUFFER).and_then(|()| listen(listener, BACKLOG));
    if let Err(error) = prepared {
        debug!(%error, "the listener keeps the system's own limits");
    }
}

/// Whether a connection that was not accepted failed on the client's side, so that the next one may well succeed.
fn is_the_clients(error: ErrorKind) -> bool {
    matches!(error, ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted)
}

/// A client's connection, and what it is answered with.
struct Visit<H> {
    peer: Peer,
    last_request: LastRequest,
    answer: H,
}

impl<H, R> Visit<H>
where
    H: Fn(Request<Incoming>) -> R + Send + Sync + 'static,
    R: Future<Output = Answer> + Send + 'static,
{
    /// Serves the client until it goes or the stop is asked for.
    async fn run(
        self,
        stream: TcpStream,
        encryption: Option<Encryption>,
        mut stopped: watch::Receiver<()>,
        graceful: Watcher,
    ) -> io::Result<()> {
        let Some(encryption) = encryption else {
            return graceful.watch(self.connection(stream, None)).await.map_err(io::Error::other);
        };
        let agreed = tokio::select! {
            agreed = agreed(stream, &encryption) => agreed?,
            _ = stopped.changed() => return Ok(()),
        };
        let served = match agreed {
            Agreed::Encrypted(stream) => graceful.watch(self.connection(*stream, None)).await,
            Agreed::Open(stream) => graceful.watch(self.connection(stream, Some(InTheOpen))).await,
        };
        served.map_err(io::Error::other)
    }

    fn connection<S>(self, stream: S, open: Option<InTheOpen>) -> impl GracefulConnection<Error = hyper::Error> + Send
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { peer, last_request, answer } = self;
        let asked_before = AtomicBool::new(false);
        let service = service_fn(move |mut request: Request<Incoming>| {
            last_request.is_now();
            request.extensions_mut().insert(peer);
            open.map(|open| request.extensions_mut().insert(open));
            let answer = answer(request);
            let is_another = asked_before.swap(true, Ordering::Relaxed);
            async move {
                // Whoever sends a hundred requests at once waits after each until all others had their turn.
                if is_another {
                    yield_now().await;
                }
                let mut answer = answer.await;
                tell_browsers(answer.headers_mut());
                Ok::<_, Infallible>(answer)
            }
        });
        http1::Builder::new().max_buf_size(MOST_READ_AHEAD).serve_connection(TokioIo::new(stream), service)
    }
}

fn tell_browsers(headers: &mut HeaderMap) {
    for (name, value) in FOR_BROWSERS {
        headers.entry(name).or_insert(value);
    }
}
