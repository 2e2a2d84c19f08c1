//! Serving HTTP/1.1 on a listener: connections, limits against slow clients, and draining at the stop.

use std::{
    convert::Infallible,
    future::Future,
    io::Write,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{rt::TokioIo, server::graceful::GracefulShutdown};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tracing::{debug, warn};

/// An answer whose body is known in full.
pub type Answer = Response<Full<Bytes>>;

/// How often a connection is looked at; one that brought no whole request head since the last look is cut off, whether
/// it sends nothing, sends slowly, or reads nothing of what it asked for.
const LOOK: Duration = Duration::from_secs(30);
/// How much of what a client sends ahead is kept.
const MOST_READ_AHEAD: usize = 16 * 1024;
/// How many connections are open at most; the next ones wait in the listener's queue.
const MAX_CONNECTIONS: usize = 1024;
/// How long requests under way may take after the stop was asked for.
const DRAIN: Duration = Duration::from_secs(3);

/// Serves `answer` on `listener` until `shutdown` resolves, then drains for at most three seconds.
pub async fn serve<H, R>(listener: TcpListener, answer: H, shutdown: impl Future<Output = ()>)
where
    H: Fn(Request<Incoming>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Answer> + Send + 'static,
{
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut shutdown = pin!(shutdown);
    loop {
        let place = tokio::select! {
            place = Arc::clone(&places).acquire_owned() => place,
            () = &mut shutdown => break,
        };
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    warn!(%error, "cannot accept a connection; trying again in a moment");
                    sleep(Duration::from_millis(200)).await;
                    continue;
                }
            },
            () = &mut shutdown => break,
        };
        let requests = Arc::default();
        let connection = graceful.watch(connection(stream, answer.clone(), Arc::clone(&requests)));
        tokio::spawn(async move {
            tokio::select! {
                biased;
                ended = connection => if let Err(error) = ended {
                    debug!(%error, "connection ended early");
                },
                () = silence(&requests) => debug!("connection brings no request; closing it"),
            }
            drop(place);
        });
    }
    if timeout(DRAIN, graceful.shutdown()).await.is_err() {
        warn!("requests still under way after {DRAIN:?}; leaving them");
    }
}

fn connection<H, R>(
    stream: TcpStream,
    answer: H,
    requests: Arc<AtomicU64>,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> + Send
where
    H: Fn(Request<Incoming>) -> R + Send + Sync + 'static,
    R: Future<Output = Answer> + Send + 'static,
{
    let service = service_fn(move |request| {
        requests.fetch_add(1, Ordering::Relaxed);
        let answer = answer(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    http1::Builder::new().max_buf_size(MOST_READ_AHEAD).serve_connection(TokioIo::new(stream), service)
}

/// Resolves when the count of `requests` is the same at two looks. hyper's own timeout starts and stops a timer for each
/// request, which costs more than all else that is done here for one.
async fn silence(requests: &AtomicU64) {
    let mut before = None;
    loop {
        let count = Some(requests.load(Ordering::Relaxed));
        if count == before {
            return;
        }
        before = count;
        sleep(LOOK).await;
    }
}

/// Whether the client takes gzip, by its Accept-Encoding.
pub fn accepts_gzip(headers: &hyper::HeaderMap) -> bool {
    headers.get_all(hyper::header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').any(|coding| {
            let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
            let refused =
                parameters.replace(' ', "").strip_prefix("q=").and_then(|q| q.parse::<f32>().ok()) == Some(0.0);
            name.trim().eq_ignore_ascii_case("gzip") && !refused
        })
    })
}

/// Whether the client would rather have OpenMetrics than plain text, by its Accept.
pub fn accepts_open_metrics(headers: &hyper::HeaderMap) -> bool {
    let weight = |kind: &str| {
        let accepted = headers.get_all(hyper::header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let weights = accepted.flat_map(|value| value.split(',')).filter_map(|range| weight(range, kind));
        weights.fold(0.0, f32::max)
    };
    let open_metrics = weight("application/openmetrics-text");
    open_metrics > 0.0 && open_metrics >= weight("text/plain")
}

/// How much a client likes `kind`, if this range of an Accept names it in a version that is known here.
fn weight(range: &str, kind: &str) -> Option<f32> {
    let mut parts = range.split(';').map(str::trim);
    let names_it = parts.next()?.eq_ignore_ascii_case(kind);
    let mut weight = 1.0;
    for parameter in parts {
        match parameter.split_once('=') {
            Some(("q", q)) => weight = q.parse().unwrap_or(0.0),
            Some(("version", version)) if !matches!(version.trim_matches('"'), "0.0.1" | "0.0.4" | "1.0.0") => {
                return None;
            }
            _ => {}
        }
    }
    names_it.then_some(weight)
}

/// `body` as one gzip member, at the fastest level.
pub fn gzip(body: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    let written = encoder.write_all(body).and_then(|()| encoder.finish());
    written.expect("writing to memory does not fail").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_metrics_goes_to_those_who_like_it_at_least_as_well() {
        let likes = |accept: &'static str| {
            let header = hyper::header::HeaderValue::from_static(accept);
            accepts_open_metrics(&[(hyper::header::ACCEPT, header)].into_iter().collect())
        };
        assert!(likes("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"));
        assert!(likes(
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,*/*;q=0.2"
        ));
        for other in ["*/*", "", "text/plain;version=0.0.4;q=1,*/*;q=0.1", "application/openmetrics-text;q=0"] {
            assert!(!likes(other), "{other}");
        }
        assert!(!likes("application/openmetrics-text;version=2.0.0"));
        assert!(!accepts_open_metrics(&hyper::HeaderMap::new()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_silent_after_a_look_without_a_new_request() {
        let requests = AtomicU64::new(0);
        let mut silence = pin!(silence(&requests));
        for _ in 0..10 {
            requests.fetch_add(1, Ordering::Relaxed);
            assert!(timeout(LOOK / 2, &mut silence).await.is_err(), "requests keep it open");
        }
        assert!(timeout(LOOK * 2, &mut silence).await.is_ok());
    }
}
