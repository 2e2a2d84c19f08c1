//! Serving the cloud on a listener; unlike the exporter's own server it counts connections and can drop one.

use std::sync::Arc;

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tracing::debug;

use super::cloud::Cloud;

/// Serves until the future is dropped, and all connections with it.
pub(super) async fn run(listener: TcpListener, cloud: Arc<Cloud>) {
    let mut connections = JoinSet::new();
    let mut number = 0;
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    number += 1;
                    connections.spawn(serve(stream, Arc::clone(&cloud), number));
                }
                Err(error) => debug!(%error, "the simulator cannot accept a connection"),
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, cloud: Arc<Cloud>, number: u64) {
    let service = service_fn(move |request| {
        let cloud = Arc::clone(&cloud);
        async move { cloud.answer(request, number).await }
    });
    let served = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
    if let Err(error) = served {
        debug!(%error, "connection to the simulator ended early");
    }
}
