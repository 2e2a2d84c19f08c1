//! Files of OpenMetrics, one a month, each whole or not there; or all of it on standard output.

use std::{
    fs::{self, File, Permissions},
    io::{self, BufWriter, StdoutLock, Write as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use chrono::{Datelike as _, NaiveDate};
use tracing::{info, warn};

use crate::samples::{Format, Lines, Text, help_of};

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
/// What the empty file begins with, and a day and whose it is follow, that says: the files before that day are of a run that
/// goes on there.
const GOES_ON: &str = ".oura-exporter-backfill-from-";
const BUFFER: usize = 256 * 1024;

/// A directory of files.
pub(super) struct Files {
    directory: PathBuf,
    readers: Readers,
    /// The first day of the run.
    first: NaiveDate,
    /// A digest of whose days they are: files of others are none of this run's.
    whose: String,
    /// Whether it goes on where one before it was broken off, whose files belong to it.
    goes_on: bool,
    /// Whether the files of other runs are gone.
    is_cleared: bool,
    written: usize,
}

impl Files {
    /// Makes the directory if need be. What other runs left is removed with the first file, and not before: it may be
    /// wanted if this run comes to nothing.
    ///
    /// # Errors
    /// Where it cannot be made or read, or given to its readers.
    pub(super) fn new(directory: &Path, readers: Readers, first: NaiveDate, whose: String) -> anyhow::Result<Self> {
        let cannot = || unusable(directory);
        fs::create_dir_all(directory).with_context(cannot)?;
        let names = names(directory).with_context(cannot)?;
        for name in names.iter().filter(|name| name.starts_with(BESIDE) && name.ends_with(UNDER_WAY)) {
            fs::remove_file(directory.join(name)).with_context(cannot)?;
        }
        if let Readers::Group(group) = readers {
            let is_ours = names.iter().all(|name| month(name).is_some() || name.starts_with(BESIDE));
            share(directory, group, is_ours)?;
        }
        let goes_on = names.contains(&goes_on_from(first, &whose));
        Ok(Self { directory: directory.to_owned(), readers, first, whose, goes_on, is_cleared: false, written: 0 })
    }

    /// Writes the file of the month that begins with `first`, or of its part from then on; how many lines.
    ///
    /// # Errors
    /// Where it cannot be written; then it is not there, and the files before are whole.
    pub(super) fn write(&mut self, first: NaiveDate, lines: &Lines) -> anyhow::Result<u64> {
        self.clear()?;
        let path = self.directory.join(file_name(first));
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
        self.written += 1;
        Ok(count)
    }

    /// Removes what other runs left: whoever brings in the files brings in what this one writes and nothing else.
    fn clear(&mut self) -> anyhow::Result<()> {
        if std::mem::replace(&mut self.is_cleared, true) {
            return Ok(());
        }
        let cannot = || unusable(&self.directory);
        let is_old = |month: NaiveDate| !self.goes_on || month >= self.first;
        let mut removed = 0;
        for name in names(&self.directory).with_context(cannot)? {
            let is_stray = name.starts_with(GOES_ON) && name != goes_on_from(self.first, &self.whose);
            let is_old = month(&name).is_some_and(is_old);
            if is_old || is_stray {
                fs::remove_file(self.directory.join(&name)).with_context(cannot)?;
                removed += usize::from(is_old);
            }
        }
        if removed > 0 {
            info!("{removed} files of an earlier run are removed from {}", self.directory.display());
        }
        // An empty file now, as a full disk may not take one later; it is renamed then.
        File::create(self.directory.join(goes_on_from(self.first, &self.whose))).with_context(cannot)?;
        Ok(())
    }

    /// Ends before its time: a run from `day` on goes on with the files.
    ///
    /// # Errors
    /// Where that cannot be noted.
    pub(super) fn break_off(&self, day: NaiveDate) -> anyhow::Result<()> {
        if !self.is_cleared {
            return Ok(());
        }
        let (from, to) = (goes_on_from(self.first, &self.whose), goes_on_from(day, &self.whose));
        let renamed = fs::rename(self.directory.join(from), self.directory.join(to));
        renamed.with_context(|| unusable(&self.directory))
    }

    /// Ends where nothing goes on: whichever run is next removes the files.
    ///
    /// # Errors
    /// Where that cannot be noted.
    pub(super) fn abandon(&self) -> anyhow::Result<()> {
        match fs::remove_file(self.directory.join(goes_on_from(self.first, &self.whose))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| unusable(&self.directory))
            }
            _ => Ok(()),
        }
    }

    /// Ends well; whether there are any files.
    ///
    /// # Errors
    /// Where what other runs left cannot be removed.
    pub(super) fn conclude(&mut self) -> anyhow::Result<bool> {
        self.clear()?;
        let cannot = || unusable(&self.directory);
        fs::remove_file(self.directory.join(goes_on_from(self.first, &self.whose))).with_context(cannot)?;
        Ok(names(&self.directory).with_context(cannot)?.iter().any(|name| month(name).is_some()))
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) const fn readers(&self) -> Readers {
        self.readers
    }

    /// How many files it has written.
    pub(super) const fn written(&self) -> usize {
        self.written
    }
}

fn unusable(directory: &Path) -> String {
    format!("--output: cannot use the directory {}", directory.display())
}

fn names(directory: &Path) -> io::Result<Vec<String>> {
    let names = fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    names.collect()
}

/// Lets the group into a directory that has nothing but a backfill's files; any other one is not ours to open or to close.
fn share(directory: &Path, group: u32, is_ours: bool) -> anyhow::Result<()> {
    if !is_ours {
        let there = fs::metadata(directory).with_context(|| unusable(directory))?;
        let may_enter = there.mode() & 0o001 != 0 || (there.gid() == group && there.mode() & 0o010 != 0);
        if !may_enter {
            warn!(
                "--group: {} has other files too, so its mode stays as it is; give the group access to it",
                directory.display()
            );
        }
        return Ok(());
    }
    chown(directory, None, Some(group)).with_context(|| {
        format!("--group: cannot give {} to it; run this as root, or as a member of the group", directory.display())
    })?;
    let mode = Permissions::from_mode(SHARED_DIRECTORY);
    fs::set_permissions(directory, mode).with_context(|| unusable(directory))
}

fn file_name(first: NaiveDate) -> String {
    let format = if first.day() == 1 { "oura-%Y-%m.om" } else { "oura-%Y-%m-%d.om" };
    first.format(format).to_string()
}

/// The first day of the file of that name, if it is one of a backfill.
fn month(name: &str) -> Option<NaiveDate> {
    let month = name.strip_prefix("oura-")?.strip_suffix(".om")?;
    let first = month.parse().or_else(|_| format!("{month}-01").parse()).ok()?;
    (file_name(first) == name).then_some(first)
}

fn goes_on_from(day: NaiveDate, whose: &str) -> String {
    format!("{GOES_ON}{day}-{whose}")
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
