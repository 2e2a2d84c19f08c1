//! Files of OpenMetrics, one a month and run, each whole or not there; or all of it on standard output.

use std::{
    collections::BTreeMap,
    fs::{self, File, Permissions},
    io::{self, BufReader, BufWriter, StdoutLock, Write as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use chrono::NaiveDate;
use tempfile::NamedTempFile;
use tracing::{info, warn};

use super::{
    note::{Note, is_of_a_month},
    place::Place,
    strip::without,
};
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
    /// How far each account has come.
    note: Note,
    /// A digest of the person of each account: the files never have the days of two under one name.
    whose: BTreeMap<String, String>,
    /// Accounts of which nothing that is in the files counts any more.
    outdated: Vec<String>,
    /// Whether it goes on where one before it ended, whose files belong to it.
    goes_on: bool,
    /// Whether what does not belong to it is gone.
    is_cleared: bool,
    written: usize,
}

impl Files {
    /// Makes the directory if need be. What other runs left is removed with the first file, and not before: it may be
    /// wanted if this run comes to nothing. Runs of the same `command` go on where one of them left accounts out.
    ///
    /// # Errors
    /// Where it cannot be made or read, or given to its readers.
    pub(super) fn new(
        directory: &Path,
        readers: Readers,
        first: NaiveDate,
        command: String,
        whose: BTreeMap<String, String>,
    ) -> anyhow::Result<Self> {
        let cannot = || unusable(directory);
        fs::create_dir_all(directory).with_context(cannot)?;
        let names = names(directory).with_context(cannot)?;
        for name in names.iter().filter(|name| name.starts_with(BESIDE) && name.ends_with(UNDER_WAY)) {
            fs::remove_file(directory.join(name)).with_context(cannot)?;
        }
        if let Readers::Group(group) = readers {
            let is_ours = names.iter().all(|name| is_of_a_month(name) || name.starts_with(BESIDE));
            share(directory, group, is_ours)?;
        }
        let before = Note::read(directory, &command, first).with_context(cannot)?;
        let goes_on = before.is_some();
        let mut note = before.unwrap_or_else(|| Note::new(command, first));
        let outdated = note.begin_again(&whose);
        outdated.iter().for_each(|account| note.forget(account));
        let directory = directory.to_owned();
        Ok(Self { directory, readers, note, whose, outdated, goes_on, is_cleared: false, written: 0 })
    }

    /// The first day of the first of the runs that write these files.
    pub(super) const fn first(&self) -> NaiveDate {
        self.note.from
    }

    pub(super) fn place(&self, account: &str) -> Option<Place> {
        self.note.place(account)
    }

    /// Writes a file of the month that begins with `first`, or of its part from then on; how many lines. It counts once the
    /// places are noted.
    ///
    /// # Errors
    /// Where it cannot be written; then it is not there, and the files before are whole.
    pub(super) fn write(&mut self, first: NaiveDate, lines: &Lines) -> anyhow::Result<u64> {
        self.clear()?;
        let path = self.directory.join(self.note.free_name(first));
        let written = || -> io::Result<u64> {
            let mut text = Text::new(BufWriter::with_capacity(BUFFER, self.begun()?), Format::OpenMetrics);
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

    /// A file beside, for the same readers.
    fn begun(&self) -> io::Result<NamedTempFile> {
        let mode = Permissions::from_mode(if self.readers == Readers::Owner { PRIVATE } else { SHARED });
        let mut file = tempfile::Builder::new();
        let file = file.prefix(BESIDE).suffix(UNDER_WAY).permissions(mode.clone()).tempfile_in(&self.directory)?;
        if let Readers::Group(group) = self.readers {
            // The file's own mode may have lost the group's part to the process's mask.
            file.as_file().set_permissions(mode)?;
            chown(file.path(), None, Some(group))?;
        }
        Ok(file)
    }

    /// Takes note that of `days` all is there that these accounts have, and of its file, if there is one.
    ///
    /// # Errors
    /// Where that cannot be noted; then the file does not count.
    pub(super) fn done<'a>(
        &mut self,
        days: DateRange,
        has_file: bool,
        places: impl Iterator<Item = (&'a str, Place)>,
    ) -> anyhow::Result<()> {
        if self.goes_on {
            self.clear()?;
        }
        let before = self.note.clone();
        if has_file {
            self.note.files.insert(self.note.free_name(days.first));
        }
        for (account, place) in places {
            let whose = self.whose.get(account).map_or("", String::as_str);
            self.note.advance(account, whose, place);
        }
        self.note.next = days.last.succ_opt().unwrap_or(days.last);
        if self.is_cleared {
            let noted = self.note.write(&self.directory);
            noted.inspect_err(|_| self.note = before).with_context(|| unusable(&self.directory))?;
        }
        Ok(())
    }

    /// Takes the account, which is not that person's any more, out of all files; it begins at the first day then.
    ///
    /// # Errors
    /// Where a file cannot be written anew.
    pub(super) fn forget(&mut self, account: &str) -> anyhow::Result<()> {
        self.note.forget(account);
        self.outdated.push(account.to_owned());
        if self.is_cleared { self.strip().with_context(|| unusable(&self.directory)) } else { Ok(()) }
    }

    /// Takes what is outdated out of all files, and notes that.
    fn strip(&mut self) -> io::Result<()> {
        for account in &self.outdated {
            for name in self.note.files.clone() {
                let path = self.directory.join(&name);
                let from = match File::open(&path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    file => BufReader::with_capacity(BUFFER, file?),
                };
                let beside = self.begun()?;
                if without(account, from, BufWriter::with_capacity(BUFFER, beside.as_file()))? {
                    beside.as_file().sync_all()?;
                    beside.persist(&path)?;
                } else {
                    fs::remove_file(&path)?;
                }
            }
        }
        self.note.write(&self.directory)?;
        self.outdated.clear();
        Ok(())
    }

    /// Removes what is none of this run's: whoever brings in the files brings in what it says, and nothing else.
    fn clear(&mut self) -> anyhow::Result<()> {
        if self.is_cleared {
            return Ok(());
        }
        let cannot = || unusable(&self.directory);
        if !self.goes_on {
            Note::remove(&self.directory).with_context(cannot)?;
        }
        let mut removed = 0;
        for name in names(&self.directory).with_context(cannot)? {
            if is_of_a_month(&name) && !self.note.files.contains(&name) {
                fs::remove_file(self.directory.join(&name)).with_context(cannot)?;
                removed += 1;
            }
        }
        if removed > 0 && !self.goes_on {
            info!("{removed} files of an earlier run are removed from {}", self.directory.display());
        }
        self.strip().with_context(|| unusable(&self.directory))?;
        self.is_cleared = true;
        Ok(())
    }

    /// Ends before its time: the same command goes on with the files, and so does one from `day` on.
    ///
    /// # Errors
    /// Where that cannot be noted.
    pub(super) fn break_off(&mut self, day: NaiveDate) -> anyhow::Result<()> {
        if self.goes_on {
            self.clear()?;
        }
        if self.is_cleared && self.note.next != day {
            self.note.next = day;
            self.note.write(&self.directory).with_context(|| unusable(&self.directory))?;
        }
        Ok(())
    }

    /// Ends where nothing goes on: whichever run is next removes the files.
    ///
    /// # Errors
    /// Where that cannot be noted.
    pub(super) fn abandon(&self) -> anyhow::Result<()> {
        let is_ours = self.goes_on || self.is_cleared;
        let removed = if is_ours { Note::remove(&self.directory) } else { Ok(()) };
        removed.with_context(|| unusable(&self.directory))
    }

    /// Comes to its end; whether there are any files. If it `is_whole`, the same again begins at the first day.
    ///
    /// # Errors
    /// Where what other runs left cannot be removed.
    pub(super) fn conclude(&mut self, is_whole: bool) -> anyhow::Result<bool> {
        if is_whole {
            self.clear()?;
            Note::remove(&self.directory).with_context(|| unusable(&self.directory))?;
        }
        let names = names(&self.directory).with_context(|| unusable(&self.directory))?;
        Ok(self.is_cleared && names.iter().any(|name| is_of_a_month(name)))
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
