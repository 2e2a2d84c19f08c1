//! Files of OpenMetrics, one a month, each whole or not there; or all of it on standard output.

use std::{
    fs::{self, Permissions},
    io::{self, BufWriter, StdoutLock, Write as _},
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use chrono::{Datelike as _, NaiveDate};

use crate::{
    observation::DateRange,
    samples::{Format, Lines, Text, help_of},
};

/// Only the owner, or the owner and a group.
const PRIVATE: u32 = 0o600;
const SHARED: u32 = 0o640;
const SHARED_DIRECTORY: u32 = 0o750;

/// Who may read the files besides their owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Readers {
    /// Nobody.
    #[default]
    Owner,
    /// The group of this number.
    Group(u32),
}

/// What a file begins with that is being written.
const BESIDE: &str = ".oura-exporter-backfill-";
/// And what it ends with.
const UNDER_WAY: &str = ".part";
const BUFFER: usize = 256 * 1024;

/// A directory of files.
pub(super) struct Files {
    directory: PathBuf,
    readers: Readers,
    written: Vec<PathBuf>,
}

impl Files {
    /// Makes the directory if need be, and removes from it what an earlier run left of these days and of later ones: what
    /// lies before them is the part of a run that goes on now.
    ///
    /// # Errors
    /// Where it cannot be made or read, or given to its readers.
    pub(super) fn new(directory: &Path, readers: Readers, days: DateRange) -> anyhow::Result<Self> {
        let cannot = || format!("--output: cannot use the directory {}", directory.display());
        fs::create_dir_all(directory).with_context(cannot)?;
        for entry in fs::read_dir(directory).with_context(cannot)?.flatten() {
            if is_left_over(&entry.file_name().to_string_lossy(), days) {
                fs::remove_file(entry.path()).with_context(cannot)?;
            }
        }
        if let Readers::Group(group) = readers {
            chown(directory, None, Some(group)).with_context(|| {
                format!(
                    "--group: cannot give {} to it; run this as root, or as a member of the group",
                    directory.display()
                )
            })?;
            fs::set_permissions(directory, Permissions::from_mode(SHARED_DIRECTORY)).with_context(cannot)?;
        }
        Ok(Self { directory: directory.to_owned(), readers, written: vec![] })
    }

    /// Writes the file of the month that begins with `first`, or of its part from then on; how many lines.
    ///
    /// # Errors
    /// Where it cannot be written; then it is not there, and the files before are whole.
    pub(super) fn write(&mut self, first: NaiveDate, lines: &Lines) -> anyhow::Result<u64> {
        let path = self.directory.join(name(first));
        let written = || -> io::Result<u64> {
            let mode = if self.readers == Readers::Owner { PRIVATE } else { SHARED };
            let file = tempfile::Builder::new()
                .prefix(BESIDE)
                .suffix(UNDER_WAY)
                .permissions(Permissions::from_mode(mode))
                .tempfile_in(&self.directory)?;
            if let Readers::Group(group) = self.readers {
                // The file's own mode may have lost the group's part to the process's mask.
                file.as_file().set_permissions(Permissions::from_mode(mode))?;
                chown(file.path(), None, Some(group))?;
            }
            let mut text = Text::new(BufWriter::with_capacity(BUFFER, file), Format::OpenMetrics);
            text.write(lines, help_of)?;
            let count = text.lines();
            let file = text.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.as_file().sync_all()?;
            file.persist(&path)?;
            Ok(count)
        };
        let count = written().with_context(|| format!("cannot write {}", path.display()))?;
        self.written.push(path);
        Ok(count)
    }

    /// The files, in order of time.
    pub(super) fn written(&self) -> &[PathBuf] {
        &self.written
    }
}

fn name(first: NaiveDate) -> String {
    let format = if first.day() == 1 { "oura-%Y-%m.om" } else { "oura-%Y-%m-%d.om" };
    first.format(format).to_string()
}

/// Whether a file of this name was left by an earlier run, half written or of these days or later ones.
fn is_left_over(name: &str, days: DateRange) -> bool {
    let month = name.strip_prefix("oura-").and_then(|rest| rest.strip_suffix(".om"));
    let first = month.and_then(|month| month.parse().or_else(|_| format!("{month}-01").parse::<NaiveDate>()).ok());
    let month_begins = days.first.with_day(1).unwrap_or(days.first);
    (name.starts_with(BESIDE) && name.ends_with(UNDER_WAY)) || first.is_some_and(|first| first >= month_begins)
}

/// Standard output, as one text.
pub(super) struct Output(Text<BufWriter<StdoutLock<'static>>>);

impl Output {
    pub(super) fn new() -> Self {
        Self(Text::new(BufWriter::with_capacity(BUFFER, io::stdout().lock()), Format::OpenMetrics))
    }

    /// Writes a month; how many lines.
    ///
    /// # Errors
    /// Where nobody reads.
    pub(super) fn write(&mut self, lines: &Lines) -> anyhow::Result<u64> {
        let before = self.0.lines();
        self.0.write(lines, help_of).context("cannot write to standard output")?;
        Ok(self.0.lines() - before)
    }

    /// Writes the end.
    ///
    /// # Errors
    /// Where nobody reads.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        self.0.finish().and_then(|mut out| out.flush()).context("cannot write to standard output")
    }
}
