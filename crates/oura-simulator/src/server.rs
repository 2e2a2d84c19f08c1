//! Serving the cloud on a listener; unlike the exporter's own server it counts connections and can drop one.

use std::{sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::sleep,
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
                Err(error) => {
                    debug!(%error, "the simulator cannot accept a connection; trying again in a moment");
                    sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves one connection, without time limits: a test whose time is paused would run into them.
async fn serve(stream: TcpStream, cloud: Arc<Cloud>, number: u64) {
    let service = service_fn(move |request| {
        let cloud = Arc::clone(&cloud);
        async move { cloud.answer(request, number).await }
    });
    if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await {
        debug!(%error, "connection to the simulator ended early");
    }
}
