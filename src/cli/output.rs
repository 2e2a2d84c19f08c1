//! What commands say to people: on standard output, which may be closed before they are done (`check | head -1`).

use std::{
    fmt,
    io::{self, Write as _},
    sync::atomic::{AtomicBool, Ordering},
};

/// As a shell tells the end by SIGPIPE, 128 and the signal's number: what other programs end with in this case.
pub(super) const CLOSED_PIPE: u8 = 141;

/// Whether nobody reads standard output any more.
static CLOSED: AtomicBool = AtomicBool::new(false);

/// Takes the place of the standard macro in all commands, so that none can forget that the reader may be gone: the
/// standard one panics, and a command that has begun to change something, a logout say, is to be finished.
macro_rules! println {
    ($($words:tt)*) => { $crate::cli::output::line(format_args!($($words)*)) };
}

/// Writes one line to standard output, as long as somebody reads it.
pub(super) fn line(words: fmt::Arguments<'_>) {
    if writeln!(io::stdout().lock(), "{words}").is_err() {
        CLOSED.store(true, Ordering::Relaxed);
    }
}

/// Whether nobody reads what is still to be said.
pub(super) fn is_closed() -> bool {
    if io::stdout().flush().is_err() {
        CLOSED.store(true, Ordering::Relaxed);
    }
    CLOSED.load(Ordering::Relaxed)
}

/// Writes one line to standard error; where nobody reads that either, there is nobody to be told.
pub(super) fn complain(words: fmt::Arguments<'_>) {
    let _nobody_reads = writeln!(io::stderr().lock(), "oura-exporter: {words}");
}

/// Whether a failure is only that the reader of standard output has gone.
pub(super) fn is_of_closed_pipe(failure: &anyhow::Error) -> bool {
    let is_network = failure.chain().any(|cause| cause.is::<reqwest::Error>());
    let broken = failure.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    !is_network && broken.map(io::Error::kind).any(|kind| kind == io::ErrorKind::BrokenPipe)
}
