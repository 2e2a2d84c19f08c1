//! What Oura's token URLs are being asked for: the end of the process waits for it, as a pair that is not stored is lost.

use std::{sync::LazyLock, time::Duration};

use tokio::{
    sync::watch,
    task::{self, JoinHandle},
    time::timeout,
};
use tracing::{info, warn};

use super::{oauth_client::TIMEOUT, token_manager};

/// How long a sign-in may take after Oura has given its tokens: to ask whose it is, to store it, or to revoke it.
const AFTERWARDS: Duration = Duration::from_secs(15);
/// How long the end of the process waits: for a request as long as it may take itself. The service files in `deploy/` give
/// the process that long.
const LONGEST_WAIT: Duration = TIMEOUT.saturating_add(AFTERWARDS);

/// What is under way, each in words.
static ALL: LazyLock<watch::Sender<Vec<String>>> = LazyLock::new(watch::Sender::default);

/// Something that is under way until this is dropped.
#[derive(Debug)]
pub(super) struct UnderWay(String);

impl UnderWay {
    pub(super) fn new(what: String) -> Self {
        ALL.send_modify(|all| all.push(what.clone()));
        Self(what)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        ALL.send_modify(|all| {
            if let Some(place) = all.iter().position(|what| *what == self.0) {
                all.swap_remove(place);
            }
        });
    }
}

/// Does `work` in a task of its own, which goes on when whoever waits for it goes away.
pub(crate) fn apart<T: Send + 'static>(what: String, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    let under_way = UnderWay::new(what);
    task::spawn(async move {
        let ended = work.await;
        drop(under_way);
        ended
    })
}

/// At the end of the process: waits for what is under way, unless `again` resolves, which tells the process to end a second
/// time; then tries once more to store what is only in memory.
pub async fn settle(again: impl Future<Output = ()>) {
    let mut all = ALL.subscribe();
    let waited_for = all.borrow_and_update().join(", ");
    if !waited_for.is_empty() {
        info!("waiting for Oura's answer ({waited_for}); a second signal ends at once, and may lose the sign-in");
    }
    let answered = async {
        timeout(LONGEST_WAIT, all.wait_for(Vec::is_empty)).await.is_ok() && {
            token_manager::save_the_rest().await;
            true
        }
    };
    let is_settled = tokio::select! {
        is_settled = answered => is_settled,
        () = again => false,
    };
    let left = ALL.borrow().join(", ");
    if !is_settled && !left.is_empty() {
        warn!("the exporter ends before Oura has answered ({left}); if it then asks for a new sign-in, sign in again");
    }
}
