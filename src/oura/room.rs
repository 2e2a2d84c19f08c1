//! The room that answers have in memory: limits for a list as a whole, and large ones one after the other.

use std::{
    panic::resume_unwind,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    sync::{OnceCell, OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
};

use crate::defect::{caught, hand_on};
use crate::{
    documents::MOST_DOCUMENTS,
    http_client::body::{KILOBYTE, MEGABYTE},
};

/// From this size on an answer is large: it is read apart from the server's threads, and no other one meanwhile.
pub(super) const LARGE: usize = 256 * KILOBYTE;
/// The largest list, all its pages together: months of everything are far below it.
pub(super) const LARGEST_LIST: usize = 32 * MEGABYTE;

/// What the lists of one turn may take up together, and the place among the large ones, which is kept until this is dropped.
#[derive(Debug)]
pub struct Room {
    most_documents: usize,
    bytes: AtomicUsize,
    documents: AtomicUsize,
    place: OnceCell<OwnedSemaphorePermit>,
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
        Self { most_documents, bytes: AtomicUsize::new(0), documents: AtomicUsize::new(0), place: OnceCell::new() }
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

    /// Takes note of what was read; whether the whole is large by now.
    pub(super) fn add(&self, bytes: usize, documents: usize) -> bool {
        self.documents.fetch_add(documents, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > LARGE
    }

    /// Waits for the place of a large answer, unless it has one.
    pub(super) async fn claim(&self, places: &Arc<Semaphore>) {
        // The semaphore is never closed, so that there is always a place in the end.
        let place = async || Arc::clone(places).acquire_owned().await;
        let _place = self.place.get_or_try_init(place).await;
    }
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
        let places = Arc::new(Semaphore::new(1));
        let (first, second) = (Room::default(), Room::default());
        first.claim(&places).await;
        first.claim(&places).await;
        assert!(second.claim(&places).now_or_never().is_none());
        drop(first);
        second.claim(&places).await;
        assert_eq!(places.available_permits(), 0);
    }
}
