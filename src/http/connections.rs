//! The open connections: how many there may be, which one makes room for the next, and one log line for a flood.

use std::{
    collections::HashMap,
    future::Future,
    io,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rustix::process::{Resource, getrlimit};
use tokio::{
    task::{AbortHandle, Id, JoinError, JoinSet},
    time::Instant,
};
use tracing::{debug, info, warn};

/// How many connections are open at most.
const MOST: usize = 256;
/// Even where the system allows few open files, so many may scrape at once.
const FEWEST: usize = 8;
/// Open files that are kept for Oura, the state directory and the remote-write receiver.
const KEPT: usize = 64;
/// Connections that are being closed, besides those that are open; their descriptors are some of those that are kept.
const CLOSING: usize = 16;
/// A connection without a whole new request head for so long is closed, whether it sends nothing, sends slowly, or reads
/// nothing of what it asked for. It lies between the usual scrape intervals, 30 s and a minute: a connection that is
/// closed just when the next request leaves costs that client a second try.
const IDLE: Duration = Duration::from_secs(45);
/// A flood has ended when nothing had to make room for so long.
const CALM: Duration = Duration::from_secs(60);

/// How many connections may be open at once, by the system's limit of open files.
pub(super) fn places() -> usize {
    let Some(limit) = getrlimit(Resource::Nofile).current else { return MOST };
    let places = places_of(limit);
    if places < MOST {
        warn!(
            "the limit on open files is {limit}, so at most {places} connections are served at once; raise it to 1024"
        );
    }
    places
}

fn places_of(limit: u64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(KEPT).clamp(FEWEST, MOST)
}

/// When a connection brought its last request, or was opened; shared with the connection itself.
#[derive(Clone)]
pub(super) struct LastRequest {
    since: Instant,
    /// Microseconds after `since`: a number, so that a request takes no lock.
    at: Arc<AtomicU64>,
}

impl LastRequest {
    pub(super) fn is_now(&self) {
        let after = u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.at.store(after, Ordering::Relaxed);
    }

    fn after(&self) -> u64 {
        self.at.load(Ordering::Relaxed)
    }

    fn at(&self) -> Instant {
        self.since + Duration::from_micros(self.after())
    }
}

struct Connection {
    peer: IpAddr,
    last_request: LastRequest,
    task: AbortHandle,
}

/// A time in which more clients come than there is room for.
struct Flood {
    /// When a connection made room last.
    newest: Instant,
    /// How many did.
    closed: u64,
}

/// All open connections, each a task.
pub(super) struct Connections {
    places: usize,
    since: Instant,
    tasks: JoinSet<()>,
    open: HashMap<Id, Connection>,
    flood: Option<Flood>,
}

impl Connections {
    pub(super) fn new(places: usize) -> Self {
        Self { places, since: Instant::now(), tasks: JoinSet::new(), open: HashMap::new(), flood: None }
    }

    /// The mark of a connection that is opened now.
    pub(super) fn last_request(&self) -> LastRequest {
        let last_request = LastRequest { since: self.since, at: Arc::default() };
        last_request.is_now();
        last_request
    }

    /// Has `connection` run until it ends by itself or is closed.
    pub(super) fn open<E: std::error::Error>(
        &mut self,
        peer: IpAddr,
        last_request: LastRequest,
        connection: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let task = self.tasks.spawn(async move {
            if let Err(error) = connection.await {
                debug!(%error, "connection ended early");
            }
        });
        self.open.insert(task.id(), Connection { peer, last_request, task });
    }

    /// Closes those that brought no request for long, and tells the end of a flood.
    pub(super) fn close_idle(&mut self) {
        self.forget_ended();
        for connection in self.open.values().filter(|connection| connection.last_request.at().elapsed() > IDLE) {
            debug!("connection sent no request; closing it");
            connection.task.abort();
        }
        if let Some(flood) = self.flood.take_if(|flood| flood.newest.elapsed() > CALM) {
            info!("the flood of connections has ended; {} were closed to make room", flood.closed);
        }
    }

    /// Sees to it that one more connection has its place.
    pub(super) async fn make_room(&mut self) {
        self.forget_ended();
        while self.open.len() >= self.places {
            self.tell_flood(&format!("more than {} connections at once", self.places));
            self.close_longest_idle();
        }
        // To wait for each that is being closed would take longer than to accept the next.
        while self.tasks.len() >= self.places + CLOSING {
            self.forget_next().await;
        }
    }

    /// Makes room where the system itself has none for another connection; whether there was one to be closed.
    pub(super) async fn give_back_a_descriptor(&mut self, error: &io::Error) -> bool {
        self.forget_ended();
        self.tell_flood(&format!("no connection can be accepted: {error}"));
        self.close_longest_idle();
        self.forget_next().await
    }

    /// Says once that a flood has begun.
    fn tell_flood(&mut self, cause: &str) {
        if self.flood.is_none() {
            let most = self.most_frequent_peer().map(|peer| format!(", most from {peer}")).unwrap_or_default();
            warn!(
                "{cause}{most}; the longest idle ones make room, and scrapes and polls go on; find out what opens \
                   them"
            );
        }
        let closed = self.flood.take().map_or(0, |flood| flood.closed);
        self.flood = Some(Flood { newest: Instant::now(), closed });
    }

    fn most_frequent_peer(&self) -> Option<IpAddr> {
        let mut counts = HashMap::<IpAddr, usize>::new();
        for connection in self.open.values() {
            *counts.entry(connection.peer).or_default() += 1;
        }
        counts.into_iter().max_by_key(|(_, count)| *count).map(|(peer, _)| peer)
    }

    /// Has the connection end whose last request is longest ago.
    fn close_longest_idle(&mut self) {
        let longest = self.open.iter().min_by_key(|(_, connection)| connection.last_request.after());
        let Some(id) = longest.map(|(id, _)| *id) else { return };
        if let Some(connection) = self.open.remove(&id) {
            connection.task.abort();
        }
        if let Some(flood) = &mut self.flood {
            flood.closed += 1;
        }
    }

    /// Waits until a connection has ended and its descriptor is free; whether there is any.
    async fn forget_next(&mut self) -> bool {
        let ended = self.tasks.join_next_with_id().await;
        ended.map(|ended| self.forget(ended)).is_some()
    }

    fn forget_ended(&mut self) {
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            self.forget(ended);
        }
    }

    fn forget(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = match &ended {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        self.open.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, future, net::Ipv4Addr};

    use tokio::time::advance;

    use super::*;

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn open(connections: &mut Connections) -> LastRequest {
        let last_request = connections.last_request();
        connections.open(PEER, last_request.clone(), future::pending::<Result<(), Infallible>>());
        last_request
    }

    fn are_open(connections: &Connections) -> Vec<u64> {
        let mut open: Vec<_> = connections
            .open
            .values()
            .map(|open| open.last_request.at().duration_since(connections.since).as_secs())
            .collect();
        open.sort_unstable();
        open
    }

    #[test]
    fn descriptors_are_kept_for_oura_whatever_the_limit() {
        for (limit, places) in [(u64::MAX, 256), (1024, 256), (320, 256), (256, 192), (100, 36), (64, 8), (0, 8)] {
            assert_eq!(places_of(limit), places, "{limit}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_connection_whose_last_request_is_longest_ago_makes_room() {
        let mut connections = Connections::new(3);
        let first = open(&mut connections);
        for _ in 0..2 {
            advance(Duration::from_secs(1)).await;
            open(&mut connections);
        }
        advance(Duration::from_secs(1)).await;
        first.is_now();
        connections.make_room().await;
        assert_eq!(are_open(&connections), [2, 3], "the second one is the longest idle now");
        connections.make_room().await;
        assert_eq!(are_open(&connections), [2, 3], "there is room already");
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_lasts_until_nothing_had_to_make_room_for_a_while() {
        let mut connections = Connections::new(2);
        for _ in 0..5 {
            connections.make_room().await;
            open(&mut connections);
        }
        assert_eq!(connections.flood.as_ref().map(|flood| flood.closed), Some(3));
        advance(CALM).await;
        connections.close_idle();
        assert!(connections.flood.is_some());
        advance(Duration::from_secs(1)).await;
        connections.close_idle();
        assert!(connections.flood.is_none());
        assert!(!connections.give_back_a_descriptor(&io::Error::other("too many open files")).await, "none is left");
        assert!(connections.flood.is_some(), "that it has no descriptors is told like a flood");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_closed_when_it_brings_no_request_for_long_and_not_before() {
        let mut connections = Connections::new(3);
        let busy = open(&mut connections);
        open(&mut connections);
        for _ in 0..4 {
            advance(IDLE / 4).await;
            busy.is_now();
            connections.close_idle();
            tokio::task::yield_now().await;
            connections.forget_ended();
            assert_eq!(connections.open.len(), 2);
        }
        advance(Duration::from_secs(1)).await;
        connections.close_idle();
        tokio::task::yield_now().await;
        connections.forget_ended();
        assert_eq!(are_open(&connections), [IDLE.as_secs()]);
    }
}
