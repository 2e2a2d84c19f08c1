//! Where a backfill goes: files, standard output, or a remote-write receiver; and how to go on where it stopped.

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use anyhow::Context as _;
use chrono::NaiveDate;
use tracing::info;

use super::{
    files::{Files, Output, Readers},
    place::Place,
    sending::Sending,
};
use crate::{
    observation::DateRange,
    remote_write::{Receiver, Undelivered},
    samples::Lines,
};

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

/// What there is of an account in a month.
pub(super) struct Part {
    pub(super) account: String,
    pub(super) days: DateRange,
    pub(super) lines: Lines,
    /// How far the account has come with that.
    pub(super) then: Place,
}

/// What became of a month.
#[derive(Default)]
pub(super) struct Taken {
    /// How many samples it has then.
    pub(super) samples: u64,
    /// Of which accounts it has taken something, or why not all, one after the other.
    pub(super) each: Vec<(String, Option<Undelivered>)>,
    /// Why nobody goes on.
    pub(super) failed: Option<anyhow::Error>,
}

impl Sink {
    /// How far the account came before; none: not at all.
    pub(super) fn place(&self, account: &str) -> Option<Place> {
        match self {
            Self::Files(files) => files.place(account),
            Self::Output(_) => None,
            Self::Remote(sending) => sending.place(account),
        }
    }

    /// The first day, for a run from that day on: files may have been begun earlier.
    pub(super) const fn first(&self, day: NaiveDate) -> NaiveDate {
        if let Self::Files(files) = self { files.first() } else { day }
    }

    /// Whether it is text that somebody keeps.
    pub(super) const fn is_text(&self) -> bool {
        !matches!(self, Self::Remote(_))
    }

    /// What is to be run to bring in what is left out; none: no place is kept.
    pub(super) fn again(&self) -> Option<&'static str> {
        match self {
            Self::Files(_) => Some("the same command again"),
            Self::Output(_) => None,
            Self::Remote(sending) => sending.again(),
        }
    }

    /// What there is of an account that has become another person's.
    pub(super) const fn left_of_earlier_person(&self) -> &'static str {
        match self {
            Self::Files(_) => "files have nothing of the earlier person any more",
            Self::Output(_) => "what was printed of it is the earlier person's",
            Self::Remote(_) => "what the receiver has taken of the earlier person stays there",
        }
    }

    /// Takes what there is of a month.
    ///
    /// # Errors
    /// Where it cannot take anybody's, in words.
    pub(super) async fn take(&mut self, days: DateRange, parts: Vec<Part>) -> anyhow::Result<Taken> {
        let mut taken = Taken::default();
        match self {
            Self::Files(files) => {
                let places: Vec<_> = parts.iter().map(|part| (part.account.clone(), part.then)).collect();
                let lines = all(parts);
                taken.samples = if lines.is_empty() { 0 } else { files.write(days.first, &lines).await? };
                let places = places.iter().map(|(account, place)| (account.as_str(), *place));
                files.done(days, !lines.is_empty(), places).await?;
            }
            Self::Output(output) => taken.samples = output.write(&all(parts))?,
            Self::Remote(sending) => {
                for part in parts {
                    let (samples, sent) = sending.send(&part).await;
                    taken.samples += samples;
                    if samples > 0 {
                        taken.each.push((part.account.clone(), None));
                    }
                    match sent.map_err(anyhow::Error::downcast::<Undelivered>) {
                        Ok(()) => {}
                        Err(Ok(refused)) => taken.each.push((part.account, Some(refused))),
                        Err(Err(failed)) => {
                            taken.failed = Some(failed);
                            break;
                        }
                    }
                }
            }
        }
        Ok(taken)
    }

    /// The account is not that person's any more: nothing of it goes on.
    ///
    /// # Errors
    /// Where that cannot be noted.
    pub(super) async fn forget(&mut self, account: &str) -> anyhow::Result<()> {
        match self {
            Self::Files(files) => files.forget(account).await,
            // What is printed is printed.
            Self::Output(_) => Ok(()),
            Self::Remote(sending) => sending.forget(account),
        }
    }

    /// Comes to its end: what is to be done with what was written. If it `is_whole`, the same again begins at the first day;
    /// else it brings in what was left out.
    ///
    /// # Errors
    /// Where not all of it is there.
    pub(super) async fn conclude(self, is_whole: bool) -> anyhow::Result<()> {
        match self {
            Self::Files(mut files) => {
                let has_files = files.conclude(is_whole).await?;
                advise(&files, has_files, is_whole);
            }
            Self::Output(output) => output.finish()?,
            Self::Remote(mut sending) => sending.conclude(is_whole)?,
        }
        Ok(())
    }

    /// Ends where the account, the only one, is not that person's any more: the same again begins at its first day.
    ///
    /// # Errors
    /// Where that cannot be noted.
    pub(super) async fn abandon(self, account: &str) -> anyhow::Result<()> {
        match self {
            Self::Files(mut files) => files.abandon(account).await,
            // Without its end nobody takes it for whole.
            Self::Output(_) => Ok(()),
            Self::Remote(mut sending) => sending.forget(account),
        }
    }

    /// Ends before its time, with nothing of what is from `day` on: what there is, made whole, and how to go on, in words. A run
    /// from that day on is only as good where `has_all` accounts.
    ///
    /// # Errors
    /// Where it cannot be made whole.
    pub(super) async fn break_off(self, day: NaiveDate, has_all: bool) -> anyhow::Result<String> {
        let again = self.again();
        Ok(match self {
            Self::Files(mut files) => {
                files.break_off(day).await?;
                let other = format!(", or, without this directory, continue with --from {day}");
                let (written, other) = (files.written(), if has_all { other } else { String::new() });
                format!("{written} files are complete; run the same command again to continue{other}")
            }
            Self::Output(output) => {
                output.finish().context("the output is incomplete")?;
                format!("the output is complete; continue with --from {day}")
            }
            Self::Remote(_) => again.map_or_else(
                || "run the same command again; without OURA_STATE_DIR it begins at the first day".to_owned(),
                |again| format!("run {again} to continue"),
            ),
        })
    }
}

/// What all of them have together.
fn all(parts: Vec<Part>) -> Lines {
    parts.into_iter().flat_map(|part| part.lines).collect()
}

/// What promtool is to be told. What was brought in is removed, so that it is not brought in again: by the same user, or, as
/// a group may only read, by whoever wrote it.
fn advise(files: &Files, has_files: bool, is_whole: bool) {
    if !has_files && is_whole {
        info!("Oura has no data for these days, so no file was written");
    }
    if !has_files {
        return;
    }
    if !is_whole {
        let directory = files.directory().display();
        info!("keep the directory {directory}: the same command adds the files of what was left out");
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
