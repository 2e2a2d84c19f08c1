//! How a command ends that is told to end: not before what Oura has been asked for is stored.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use crate::auth;

/// What a shell adds to the number of the signal by which a program ended.
const BY_SIGNAL: u8 = 128;

/// The process was told to end.
#[derive(Debug, thiserror::Error)]
#[error("stopped")]
pub(super) struct Stopped {
    /// What it ends with.
    pub(super) code: u8,
}

/// Resolves when the process is told to end; the handlers are in place when this returns.
fn told_to_end() -> io::Result<impl Future<Output = Stopped>> {
    let (terminate, interrupt) = (SignalKind::terminate(), SignalKind::interrupt());
    let (mut terminated, mut interrupted) = (signal(terminate)?, signal(interrupt)?);
    Ok(async move {
        let by = tokio::select! {
            _ = terminated.recv() => terminate,
            _ = interrupted.recv() => interrupt,
        };
        Stopped { code: u8::try_from(by.as_raw_value()).map_or(BY_SIGNAL, |number| BY_SIGNAL.saturating_add(number)) }
    })
}

/// The same for a command that says that it stops, and brings what it does to an end.
pub(super) fn asked_to_stop() -> io::Result<impl Future<Output = ()>> {
    let told = told_to_end()?;
    Ok(async move {
        told.await;
        info!("stopping");
    })
}

/// Runs a command that has nothing to bring to an end, until the process is told to end.
///
/// # Errors
/// Its errors, or [`Stopped`].
pub(super) async fn unless_stopped(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let told = told_to_end()?;
    tokio::select! {
        ended = command => ended,
        stopped = told => Err(stopped.into()),
    }
}

/// Waits, after a command has ended, until what Oura was asked for is stored, or the process is told to end once more.
///
/// # Errors
/// Where the system takes no handler.
pub(super) async fn settle() -> anyhow::Result<()> {
    let again = told_to_end()?;
    let again = async {
        let _stopped = again.await;
    };
    auth::settle(again).await;
    Ok(())
}
