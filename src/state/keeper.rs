//! The keeper: a thread that makes the copies of states which stay.

use std::{
    io,
    sync::{Arc, mpsc},
    thread,
};

use super::AccountState;

/// A state to be copied.
struct Job {
    state: Arc<AccountState>,
    /// The account's copy before, if there is one: what did not change stays where it is.
    before: Option<Arc<AccountState>>,
    /// Where the copy goes.
    copy: mpsc::SyncSender<Arc<AccountState>>,
}

/// Copies what stays until the account's next turn, and does nothing else. Allocators give each thread a region of its own: in
/// the region of a thread that reads answers, what stays comes to lie between answers that are gone a moment later, and the gaps
/// are too small for the next ones. With ten thousand accounts they took as much memory as the states.
pub(super) struct Keeper(mpsc::Sender<Job>);

impl Keeper {
    /// Starts the thread, which ends with whoever has the keeper.
    ///
    /// # Errors
    /// Where the system has no room for another thread.
    pub(super) fn start() -> io::Result<Self> {
        let (jobs, waiting) = mpsc::channel::<Job>();
        thread::Builder::new().name("keeper".to_owned()).spawn(move || {
            for Job { state, before, copy } in waiting {
                // Whoever has asked for it waits, or is gone.
                let _taken = copy.send(state.copied(before.as_deref()).into());
            }
        })?;
        Ok(Self(jobs))
    }

    /// A copy of `state`, which comes after the copy `before` and is there in microseconds; the state itself where the thread is
    /// gone.
    pub(super) fn copy(&self, state: Arc<AccountState>, before: Option<Arc<AccountState>>) -> Arc<AccountState> {
        let (copy, copied) = mpsc::sync_channel(1);
        match self.0.send(Job { state: Arc::clone(&state), before, copy }) {
            Ok(()) => copied.recv().unwrap_or(state),
            Err(_) => state,
        }
    }
}
