//! Where a backfill goes: files, standard output, or a remote-write receiver; and how to go on where it stopped.

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use anyhow::Context as _;
use tracing::info;

use super::{
    files::{Files, Output, Readers},
    sending::Sending,
};
use crate::{observation::DateRange, remote_write::Receiver, samples::Lines};

/// Where the samples go.
pub enum Destination {
    /// Files in a directory.
    Directory(PathBuf),
    /// Standard output.
    Output,
    /// A remote-write receiver.
    Remote(Receiver),
}

/// A destination that takes months, one after the other.
pub(super) enum Sink {
    Files(Files),
    Output(Output),
    Remote(Box<Sending>),
}

impl Sink {
    /// The accounts in that place begin, of those that are brought in one after the other.
    pub(super) fn begin(&mut self, accounts: usize) {
        if let Self::Remote(sending) = self {
            sending.begin(accounts);
        }
    }

    /// Whether it has all of these days already.
    pub(super) fn is_past(&self, days: DateRange) -> bool {
        matches!(self, Self::Remote(sending) if sending.is_past(days))
    }

    /// Whether it is text that somebody keeps.
    pub(super) const fn is_text(&self) -> bool {
        !matches!(self, Self::Remote(_))
    }

    /// Takes what there is of a month; how many samples it has then.
    ///
    /// # Errors
    /// Where it cannot, in words.
    pub(super) async fn take(&mut self, days: DateRange, lines: &Lines) -> anyhow::Result<u64> {
        match self {
            Self::Files(_) if lines.is_empty() => Ok(0),
            Self::Files(files) => files.write(days.first, lines),
            Self::Output(output) => output.write(lines),
            Self::Remote(sending) => sending.send(days, lines).await,
        }
    }

    /// Ends well: what is to be done with what was written.
    ///
    /// # Errors
    /// Where not all of it is there.
    pub(super) fn conclude(self) -> anyhow::Result<()> {
        match self {
            Self::Files(mut files) => {
                let has_files = files.conclude()?;
                advise(&files, has_files);
            }
            Self::Output(output) => output.finish()?,
            Self::Remote(mut sending) => sending.conclude()?,
        }
        Ok(())
    }

    /// Ends where nothing goes on: the same again begins at its first day.
    ///
    /// # Errors
    /// Where that cannot be noted.
    pub(super) fn abandon(self) -> anyhow::Result<()> {
        match self {
            Self::Files(files) => files.abandon(),
            // Without its end nobody takes it for whole.
            Self::Output(_) => Ok(()),
            Self::Remote(mut sending) => sending.abandon(),
        }
    }

    /// Ends before its time, in or before `days`: what there is, made whole, and how to go on, in words.
    ///
    /// # Errors
    /// Where it cannot be made whole.
    pub(super) fn break_off(self, days: DateRange) -> anyhow::Result<String> {
        let day = days.first;
        Ok(match self {
            Self::Files(files) => {
                files.break_off(day)?;
                format!("{} files are complete; continue with --from {day}", files.written())
            }
            Self::Output(output) => {
                output.finish().context("the output is incomplete")?;
                format!("the output is complete; continue with --from {day}")
            }
            Self::Remote(_) => "run the same command again to continue".to_owned(),
        })
    }
}

/// What promtool is to be told. What was brought in is removed, so that it is not brought in again: by the same user, or, as
/// a group may only read, by whoever wrote it.
fn advise(files: &Files, has_files: bool) {
    if !has_files {
        info!("Oura has no data for these days, so no file was written");
        return;
    }
    let directory = format!("'{}'", files.directory().display().to_string().replace('\'', r"'\''"));
    let (then, at_last) = match files.readers() {
        Readers::Owner => (r#"&& rm "$file" || exit 1"#, String::new()),
        Readers::Group(_) => ("|| exit 1", format!("And finally, as the user you are now: rm {directory}/oura-*.om\n")),
    };
    // Where nobody reads standard error, nobody is there to be advised.
    let _nobody_reads = write!(
        io::stderr(),
        "First let Prometheus keep data that long, or it deletes what you import: --storage.tsdb.retention.time=10y\n\
         Then, as the user that Prometheus runs as, with its data directory in place of DATA:\n\
         (for file in {directory}/oura-*.om; do\n  \
         promtool tsdb create-blocks-from openmetrics --max-block-duration=1500h \"$file\" DATA {then}\ndone)\n{at_last}"
    );
}
