//! Files of OpenMetrics, one a month and run, each whole or not there; or all of it on standard output.

use std::{
    collections::BTreeMap,
    fs::{self, File, Permissions, TryLockError},
    io::{self, BufWriter, StdoutLock, Write as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use chrono::NaiveDate;
use tempfile::NamedTempFile;
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use super::{
    identity::Identity,
    note::{Note, is_of_a_month},
    place::Place,
    strip::strip,
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
    /// The right to change what is in it, held against all other runs.
    lock: Arc<File>,
    /// How far each account has come.
    note: Note,
    /// Whose each account is: the files never have the days of two persons under one name.
    whose: BTreeMap<String, Identity>,
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
    /// Where it cannot be made or read, or given to its readers, or another run has it.
    pub(super) fn new(
        directory: &Path,
        readers: Readers,
        first: NaiveDate,
        command: String,
        whose: BTreeMap<String, Identity>,
    ) -> anyhow::Result<Self> {
        let cannot = || unusable(directory);
        fs::create_dir_all(directory).with_context(cannot)?;
        let lock = Arc::new(locked(directory)?);
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
        note.begin(&whose);
        let directory = directory.to_owned();
        Ok(Self { directory, readers, lock, note, whose, goes_on, is_cleared: false, written: 0 })
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
    pub(super) async fn write(&mut self, first: NaiveDate, lines: &Lines) -> anyhow::Result<u64> {
        self.clear().await?;
        let path = self.directory.join(self.note.free_name(first));
        let written = || -> io::Result<u64> {
            let mut text =
                Text::new(BufWriter::with_capacity(BUFFER, begun(&self.directory, self.readers)?), Format::OpenMetrics);
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

    /// Takes note that of `days` all is there that these accounts have, and of its file, if there is one.
    ///
    /// # Errors
    /// Where that cannot be noted; then the file does not count.
    pub(super) async fn done<'a>(
        &mut self,
        days: DateRange,
        has_file: bool,
        places: impl Iterator<Item = (&'a str, Place)> + Send,
    ) -> anyhow::Result<()> {
        if self.goes_on {
            self.clear().await?;
        }
        let before = self.note.clone();
        if has_file {
            self.note.files.insert(self.note.free_name(days.first));
        }
        for (account, place) in places {
            let unknown = Identity::default();
            self.note.advance(account, self.whose.get(account).unwrap_or(&unknown), place);
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
    pub(super) async fn forget(&mut self, account: &str) -> anyhow::Result<()> {
        self.note.forget(account);
        if self.is_cleared { self.strip().await.with_context(|| unusable(&self.directory)) } else { Ok(()) }
    }

    /// Takes what is outdated out of all files. It is noted before: a run that is cut off here leaves that to the next one.
    async fn strip(&mut self) -> io::Result<()> {
        self.note.write(&self.directory)?;
        if self.note.outdated.is_empty() {
            return Ok(());
        }
        let (directory, readers, lock) = (self.directory.clone(), self.readers, Arc::clone(&self.lock));
        let files: Vec<_> = self.note.files.iter().map(|name| directory.join(name)).collect();
        let outdated = self.note.outdated.clone();
        // Whoever gives up waiting for it leaves it under way: no other run may begin until it ends.
        let stripped = spawn_blocking(move || {
            let stripped = strip(&files, &outdated, || begun(&directory, readers));
            drop(lock);
            stripped
        });
        stripped.await.map_err(io::Error::other)??;
        self.note.outdated.clear();
        self.note.write(&self.directory)
    }

    /// Removes what is none of this run's: whoever brings in the files brings in what it says, and nothing else.
    async fn clear(&mut self) -> anyhow::Result<()> {
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
        self.strip().await.with_context(|| unusable(&self.directory))?;
        self.is_cleared = true;
        Ok(())
    }

    /// Ends before its time: the same command goes on with the files, and so does one from `day` on.
    ///
    /// # Errors
    /// Where that cannot be noted.
    pub(super) async fn break_off(&mut self, day: NaiveDate) -> anyhow::Result<()> {
        if self.goes_on {
            self.clear().await?;
        }
        if self.is_cleared && self.note.next != day {
            self.note.next = day;
            self.note.write(&self.directory).with_context(|| unusable(&self.directory))?;
        }
        Ok(())
    }

    /// Ends where the account, the only one, is not that person's any more: nothing of it stays. What there is of others does.
    ///
    /// # Errors
    /// Where that cannot be done.
    pub(super) async fn abandon(&mut self, account: &str) -> anyhow::Result<()> {
        if self.goes_on {
            self.clear().await?;
        }
        if self.is_cleared {
            self.forget(account).await?;
        }
        let is_of_nobody = self.is_cleared && self.note.is_at_beginning();
        let removed = if is_of_nobody { Note::remove(&self.directory) } else { Ok(()) };
        removed.with_context(|| unusable(&self.directory))
    }

    /// Comes to its end; whether there are any files. If it `is_whole`, and no other account is left to be brought in, the same
    /// again begins at the first day.
    ///
    /// # Errors
    /// Where what other runs left cannot be removed.
    pub(super) async fn conclude(&mut self, is_whole: bool) -> anyhow::Result<bool> {
        if is_whole {
            self.clear().await?;
        }
        if is_whole && self.note.is_at_end() {
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

/// The directory, held against all other runs as long as it is open.
fn locked(directory: &Path) -> anyhow::Result<File> {
    let file = File::open(directory).with_context(|| unusable(directory))?;
    if let Err(TryLockError::WouldBlock) = file.try_lock() {
        anyhow::bail!(
            "--output: another backfill is writing into {}; wait until it ends, or choose another directory",
            directory.display()
        );
    }
    // Where the file system has no locks, it goes on without.
    Ok(file)
}

/// A file beside the others, for the same readers.
fn begun(directory: &Path, readers: Readers) -> io::Result<NamedTempFile> {
    let mode = Permissions::from_mode(if readers == Readers::Owner { PRIVATE } else { SHARED });
    let mut file = tempfile::Builder::new();
    let file = file.prefix(BESIDE).suffix(UNDER_WAY).permissions(mode.clone()).tempfile_in(directory)?;
    if let Readers::Group(group) = readers {
        // The file's own mode may have lost the group's part to the process's mask.
        file.as_file().set_permissions(mode)?;
        chown(file.path(), None, Some(group))?;
    }
    Ok(file)
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

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 2] = ["oura-2026-03.om", "oura-2026-04.om"];
    const BEN: &str = "a{account=\"ben\"} 2 1\n";

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn begun_before(directory: &Path) -> anyhow::Result<Files> {
        let whose = ["anna", "ben"].map(|name| (name.to_owned(), Identity::default()));
        Files::new(directory, Readers::Owner, day("2026-03-01"), "command".to_owned(), whose.into())
    }

    #[tokio::test]
    async fn what_is_to_be_taken_out_of_files_is_taken_out_by_the_next_run_if_need_be() {
        let directory = tempfile::tempdir().unwrap();
        let mut note = Note::new("command".to_owned(), day("2026-03-01"));
        for account in ["anna", "ben"] {
            note.advance(account, &Identity::default(), Place::at(day("2026-05-01")));
        }
        note.files = NAMES.map(str::to_owned).into();
        note.write(directory.path()).unwrap();
        let [march, april] = NAMES.map(|name| directory.path().join(name));
        let text = format!("a{{account=\"anna\"}} 1 1\n{BEN}# EOF\n");
        fs::write(&march, &text).unwrap();
        // It comes to a bad end in the midst.
        fs::create_dir(&april).unwrap();
        let mut files = begun_before(directory.path()).unwrap();
        files.forget("anna").await.unwrap();
        assert!(files.conclude(true).await.is_err(), "april cannot be read");
        assert!(begun_before(directory.path()).is_err(), "the directory is taken");
        drop(files);
        fs::remove_dir(&april).unwrap();
        fs::write(&april, &text).unwrap();
        let mut files = begun_before(directory.path()).unwrap();
        assert_eq!(files.place("anna"), Some(Place::at(day("2026-03-01"))));
        assert_eq!(files.place("ben"), Some(Place::at(day("2026-05-01"))));
        assert!(files.conclude(true).await.unwrap());
        for path in [march, april] {
            assert_eq!(fs::read_to_string(path).unwrap(), format!("{BEN}# EOF\n"));
        }
    }
}
