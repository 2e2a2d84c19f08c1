//! The room that answers have in memory: limits for a list as a whole, and so many larger ones at a time.

use std::{
    panic::resume_unwind,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
};

use crate::defect::{caught, hand_on};
use crate::{
    documents::MOST_DOCUMENTS,
    http_client::body::{KILOBYTE, MEGABYTE},
};

/// How many answers are read at a time. Hundreds may have begun to come: unpacked and as documents, each takes many times what its
/// connection does.
const READ_AT_A_TIME: usize = 32;
/// Up to this size an answer that was read is in nobody's way; another one is not read yet while a larger one is in use.
const SMALL: usize = 16 * KILOBYTE;
/// From this size on an answer is large: it is read apart from the server's threads, and no other one meanwhile.
pub(super) const LARGE: usize = 256 * KILOBYTE;
const LARGE_AT_A_TIME: usize = 1;
/// The largest list, all its pages together: months of everything are far below it.
pub(super) const LARGEST_LIST: usize = 32 * MEGABYTE;

/// The places of answers, which all accounts share.
pub(super) struct Places {
    read: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

impl Default for Places {
    fn default() -> Self {
        let [read, large] = [READ_AT_A_TIME, LARGE_AT_A_TIME].map(|most| Arc::new(Semaphore::new(most)));
        Self { read, large }
    }
}

/// A place that is had, or not.
type Place = Mutex<Option<OwnedSemaphorePermit>>;

/// What the lists of one turn may take up together, and their places, which are kept until this is dropped.
#[derive(Debug)]
pub struct Room {
    most_documents: usize,
    bytes: AtomicUsize,
    documents: AtomicUsize,
    read: Place,
    large: Place,
}

/// How much there is room for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Left {
    pub(super) bytes: usize,
    pub(super) documents: usize,
    /// The whole of it, as it is told.
    pub(super) most_documents: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self::new(MOST_DOCUMENTS)
    }
}

impl Room {
    /// Room for so many documents.
    pub fn new(most_documents: usize) -> Self {
        let (bytes, documents) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { most_documents, bytes, documents, read: Place::default(), large: Place::default() }
    }

    /// Begins anew: what was read is not kept any more.
    pub fn clear(&self) {
        self.bytes.store(0, Ordering::Relaxed);
        self.documents.store(0, Ordering::Relaxed);
    }

    pub(super) fn left(&self) -> Left {
        Left {
            bytes: LARGEST_LIST.saturating_sub(self.bytes.load(Ordering::Relaxed)),
            documents: self.most_documents.saturating_sub(self.documents.load(Ordering::Relaxed)),
            most_documents: self.most_documents,
        }
    }

    /// Takes note of what was read; how many bytes it is by now.
    pub(super) fn add(&self, bytes: usize, documents: usize) -> usize {
        self.documents.fetch_add(documents, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes
    }

    /// Waits for the place of an answer that is about to be read, unless it has one.
    pub(super) async fn claim(&self, places: &Places) {
        take(&self.read, &places.read).await;
    }

    /// Waits for the place of a large answer, unless it has one. Whoever waits here has the other place, and nobody who has this
    /// one waits for that: all would wait for each other.
    pub(super) async fn claim_large(&self, places: &Places) {
        take(&self.large, &places.large).await;
    }

    /// An answer was read, or broke off: others are read while what came of it is small.
    pub(super) fn leave(&self) {
        if self.bytes.load(Ordering::Relaxed) <= SMALL {
            *had(&self.large) = None;
            *had(&self.read) = None;
        }
    }
}

async fn take(place: &Place, places: &Arc<Semaphore>) {
    let is_had = had(place).is_some();
    if !is_had {
        // The semaphore is never closed, so that there is always a place in the end.
        let taken = Arc::clone(places).acquire_owned().await;
        *had(place) = taken.ok();
    }
}

fn had(place: &Place) -> MutexGuard<'_, Option<OwnedSemaphorePermit>> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does work on so many bytes: at once if they are few, else on a thread of its own, so that pages are served meanwhile.
pub(crate) async fn apart<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    if bytes <= LARGE {
        return work();
    }
    match spawn_blocking(|| caught(work)).await {
        Ok(Ok(done)) => done,
        // Whoever deals with the defects of this thread deals with that one's.
        Ok(Err(defect)) => hand_on(defect),
        // It is never aborted, and what panics in it was caught.
        Err(error) => resume_unwind(error.into_panic()),
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn large_work_leaves_the_thread_to_others_and_small_work_does_not() {
        let here = thread::current().id();
        for (bytes, leaves) in [(0, false), (LARGE, false), (LARGE + 1, true), (LARGEST_LIST, true)] {
            let there = apart(bytes, || thread::current().id()).await;
            assert_eq!(there != here, leaves, "{bytes} bytes");
        }
    }

    #[tokio::test]
    async fn one_large_answer_waits_for_another_and_not_for_itself() {
        let places = Places::default();
        let (first, second) = (Room::default(), Room::default());
        first.claim_large(&places).await;
        first.claim_large(&places).await;
        assert!(second.claim_large(&places).now_or_never().is_none());
        drop(first);
        second.claim_large(&places).await;
        assert_eq!(places.large.available_permits(), 0);
    }

    #[tokio::test]
    async fn a_large_answer_that_broke_off_keeps_no_place_while_it_waits_for_another_try() {
        let places = Places::default();
        let rooms: Vec<_> = (0..=READ_AT_A_TIME).map(|_| Room::default()).collect();
        let (first, others) = rooms.split_first().unwrap();
        first.claim(&places).await;
        first.claim_large(&places).await;
        first.leave();
        for other in others {
            other.claim(&places).await;
        }
        // Each of them is large as well, and the first one asks again.
        assert!(first.claim(&places).now_or_never().is_none());
        for other in others {
            other.claim_large(&places).await;
            other.leave();
        }
        first.claim(&places).await;
        // Of one that has more in use, both places stay, and another try waits for neither.
        others[0].add(SMALL + 1, 1);
        others[0].claim(&places).await;
        others[0].claim_large(&places).await;
        others[0].leave();
        assert_eq!((places.read.available_permits(), places.large.available_permits()), (READ_AT_A_TIME - 2, 0));
        others[0].claim(&places).now_or_never().expect("it has its place");
        others[0].claim_large(&places).now_or_never().expect("it has that one, too");
        others[0].clear();
        others[0].leave();
        assert_eq!(places.large.available_permits(), 1);
    }

    #[tokio::test]
    async fn so_many_answers_are_read_at_a_time_and_what_came_of_a_small_one_keeps_no_place() {
        let places = Places::default();
        let rooms: Vec<_> = (0..READ_AT_A_TIME).map(|_| Room::default()).collect();
        for room in &rooms {
            room.claim(&places).await;
            room.claim(&places).await;
        }
        let late = Room::default();
        assert!(late.claim(&places).now_or_never().is_none());
        rooms[0].add(SMALL + 1, 1);
        rooms[0].leave();
        assert!(late.claim(&places).now_or_never().is_none(), "its documents are in use");
        rooms[0].clear();
        rooms[0].leave();
        late.claim(&places).await;
        assert!(rooms[0].claim(&places).now_or_never().is_none(), "it gave it back");
        rooms[1].add(SMALL, 1);
        rooms[1].leave();
        rooms[0].claim(&places).await;
        drop(rooms);
        late.leave();
        assert_eq!(places.read.available_permits(), READ_AT_A_TIME);
    }
}
