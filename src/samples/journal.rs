//! The journal of one account's record: a line for each telling, so that a restart knows what was told. The exporter
//! keeps one, and backfills another one beside it.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufReader, BufWriter, Read as _, Seek as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use rustix::fs::OFlags;
use tracing::{debug, info, warn};

use super::{
    Record, Telling,
    journal_text::{self, Recalled, recalled},
    whose::Whose,
};
use crate::{auth::Store, durable, problem::TokenOrigin, state_file};

/// The directory below that of the tokens.
pub(super) const DIRECTORY: &str = "samples";
/// Only the owner reads it.
const FILE_MODE: u32 = 0o600;
/// What the exporter's own is called behind the account's name, and what that of backfills is.
pub(super) const OF_THE_EXPORTER: &str = "journal";
pub(super) const OF_BACKFILLS: &str = "backfill";
/// And what says whose they are.
pub(super) const OF_ITS_OWNER: &str = "owner";
/// What is set aside gets this behind its name.
pub(super) const SET_ASIDE: &str = "damaged";
/// A file is written anew when it is this many times as long as it need be.
const SLACK: u64 = 2;
/// No journal is longer, in bytes: a usual one has a tenth of it.
const LARGEST: u64 = 64 << 20;
const TOO_LARGE: &str = "is larger than 64 MB: the record is sent again";
/// What to do where another process has it.
const END_THE_OTHER: &str = "end that process, or give this one an OURA_STATE_DIR of its own";
/// And at least so long, in bytes.
const SMALL: u64 = 256 * 1024;
/// The first line is shorter, in bytes.
const LONGEST_HEADER: u64 = 4096;

/// Forgets what was told of `account`: removes its journals below the `state` directory, what was set aside of them, and how
/// far backfills of it have come.
/// Names are compared whole: another account's may begin with this one's.
///
/// # Errors
/// Where one of them cannot be removed; those that are not there are.
pub fn forget_journals(state: &Path, account: &str) -> io::Result<()> {
    state_file::forget(state, account)?;
    let directory = state.join(DIRECTORY);
    remove(&directory, &[OF_THE_EXPORTER, OF_BACKFILLS].map(|ending| format!("{account}.{ending}")))?;
    // As long as any of it is there, whose it is stays known.
    remove(&directory, &[format!("{account}.{OF_ITS_OWNER}")])
}

/// Removes the files of these names from `directory`, and what was set aside or left of them.
fn remove(directory: &Path, own: &[String]) -> io::Result<()> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    let is_own = |name: &str| {
        own.iter().any(|own| {
            name == own
                || name.strip_suffix(SET_ASIDE).is_some_and(|rest| rest == format!("{own}."))
                || name.starts_with(&beside(own))
        })
    };
    let mut result = Ok(());
    for entry in entries.flatten().filter(|entry| is_own(&entry.file_name().to_string_lossy())) {
        let path = entry.path();
        // What stands in place of a file, as a container's mount leaves it, goes too; where a link leads stays as it is.
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let removed = if is_directory { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        if let Err(error) = removed
            && error.kind() != io::ErrorKind::NotFound
        {
            // The others go all the same.
            result = Err(io::Error::new(error.kind(), format!("{}: {error}", path.display())));
        }
    }
    result
}

/// Whether another process writes the exporter's journal of `account`.
pub(super) fn is_in_use(state: &Path, account: &str) -> bool {
    held_in_place(&state.join(DIRECTORY).join(format!("{account}.{OF_THE_EXPORTER}"))).is_err()
}

/// What a file begins with that is being written in place of the one of that name; the tilde is in no account's name.
pub(super) fn beside(name: &str) -> String {
    format!(".{name}~new-")
}

/// A new identity.
pub(super) fn new_id() -> String {
    format!("{:016x}", fastrand::u64(..))
}

/// Why there can be no journal.
#[derive(Debug, thiserror::Error)]
#[error("{}: {cause}", path.display())]
pub(super) struct Unusable {
    path: PathBuf,
    cause: io::Error,
}

impl Unusable {
    fn of(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        |cause| Self { path, cause }
    }

    /// Whether another process has it, which may let go of it.
    pub(super) fn is_held(&self) -> bool {
        self.cause.kind() == io::ErrorKind::WouldBlock
    }

    /// What to do about it.
    pub(super) fn advice(&self) -> &'static str {
        match self.cause.kind() {
            io::ErrorKind::WouldBlock => END_THE_OTHER,
            io::ErrorKind::IsADirectory
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::AlreadyExists
            | io::ErrorKind::InvalidInput => "move what is there elsewhere",
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space",
            _ => "let the exporter's user read and write it, or set OURA_STATE_DIR to a writable directory",
        }
    }
}

/// Where the record is written down.
#[derive(Debug)]
pub(super) struct Journal {
    directory: PathBuf,
    name: String,
    whose: Whose,
    id: String,
    born: DateTime<Utc>,
    file: File,
    length: u64,
    /// How long it was when it was last as short as could be.
    compact: u64,
    /// Whether what is there cannot be used as it is, and is set aside when it can be written anew.
    is_damaged: bool,
    is_failing: bool,
}

impl Journal {
    /// Opens the exporter's journal of `account` in the state directory of `store`, and recalls from it what was told. One that
    /// cannot be used is set aside, with a warning; what can be read of it counts.
    ///
    /// # Errors
    /// Where there can be none: the directory cannot be written, or another process has it.
    pub(super) fn open(
        store: &Store,
        account: &str,
        origin: TokenOrigin<'_>,
        now: DateTime<Utc>,
    ) -> Result<(Self, Record), Unusable> {
        Self::open_named(store, OF_THE_EXPORTER, account, origin, now)
    }

    /// Opens the journal that backfills keep of `account`, in the same way.
    ///
    /// # Errors
    /// Likewise.
    pub(super) fn open_of_backfills(
        store: &Store,
        account: &str,
        origin: TokenOrigin<'_>,
        now: DateTime<Utc>,
    ) -> Result<(Self, Record), Unusable> {
        Self::open_named(store, OF_BACKFILLS, account, origin, now)
    }

    fn open_named(
        store: &Store,
        ending: &str,
        account: &str,
        origin: TokenOrigin<'_>,
        now: DateTime<Utc>,
    ) -> Result<(Self, Record), Unusable> {
        let directory = store.directory().join(DIRECTORY);
        durable::create(&directory).map_err(Unusable::of(&directory))?;
        let name = format!("{account}.{ending}");
        let path = directory.join(&name);
        let mut whose = Whose::of(store, origin).map_err(Unusable::of(&path))?;
        remove_anothers(&directory, &name, account, &whose).map_err(Unusable::of(&path))?;
        let was_there = fs::symlink_metadata(&path).is_ok();
        let file = opened(&path).map_err(Unusable::of(&path))?;
        // Whoever holds it writes none beside it yet.
        durable::sweep(&directory, &beside(&name));
        let told = told_by(&file, account, now).map_err(Unusable::of(&path))?;
        let Recalled { id, born, mut record, damage, signed_in } = told;
        record.number_from(now);
        whose.suppose(signed_in.as_ref());
        let is_new = id.is_none();
        let damage = damage.or((was_there && is_new).then_some("is empty: the record is sent again"));
        let length = file.metadata().map_err(Unusable::of(&path))?.len();
        let id = id.unwrap_or_else(new_id);
        let (compact, is_damaged, is_failing) = (length, damage.is_some(), false);
        let mut journal = Self { directory, name, whose, id, born, file, length, compact, is_damaged, is_failing };
        // One that is whole is of use as it is, on a full disk too.
        if is_new {
            journal.begin(account, damage, &record).map_err(Unusable::of(&path))?;
        } else if journal.whose.sign_in() != signed_in.as_ref() {
            // Of the same person, as far as is known now: later it may not be.
            journal.is_failing = journal.rewrite(&record).is_err();
        }
        // All that can be read was kept, so that a wrong clock costs nothing.
        record.forget(now);
        Ok((journal, record))
    }

    /// Writes it anew, after what could not be used is set aside; where that fails, it is tried again later.
    ///
    /// # Errors
    /// Where there was none, and none can be written.
    fn begin(&mut self, account: &str, damage: Option<&str>, record: &Record) -> io::Result<()> {
        let written = self.rewrite(record);
        self.is_failing = written.is_err();
        let (path, aside) = (self.path(), self.directory.join(self.aside()));
        match (damage, written) {
            (None, Ok(())) => {}
            (Some(damage), Ok(())) => {
                warn!(account, "{} {damage}; it is set aside as {}", path.display(), aside.display());
            }
            (Some(damage), Err(error)) => warn!(
                account,
                "{} {damage}; it cannot be set aside as {} and written again yet: {error}; free some space or set \
                 OURA_STATE_DIR",
                path.display(),
                aside.display()
            ),
            (None, Err(error)) => {
                // An empty one would look like one that was lost.
                let _left = fs::remove_file(&path);
                return Err(error);
            }
        }
        Ok(())
    }

    /// What the exporter has told of `account`, as far as it can be read now; it may be writing a line at this moment.
    pub(super) fn glance(store: &Store, account: &str, origin: TokenOrigin<'_>, now: DateTime<Utc>) -> Record {
        let path = store.directory().join(DIRECTORY).join(format!("{account}.{OF_THE_EXPORTER}"));
        let told = Whose::of(store, origin).and_then(|whose| {
            let file = opened_by(OpenOptions::new().read(true), &path)?;
            if is_of_another(&file, &whose)? {
                Ok(Recalled::nothing(account, now, None))
            } else {
                told_by(&file, account, now)
            }
        });
        let mut record = told.map_or_else(|_| Record::new(account, now), |told| told.record);
        record.forget(now);
        record
    }

    /// Tells this journal from others.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Adds lines; what cannot be written is told once, and known until the process ends.
    pub(super) fn add(&mut self, tellings: &[Telling], record: &Record) {
        let (is_there, whose) = (self.is_there(), self.whose.look());
        if !is_there && let Err(why) = &whose {
            // Whoever signed out, or in by this name, has had it removed. The account's follower is about to end.
            debug!("{} is gone, and not written again: {why}", self.path().display());
            self.is_failing = true;
            return;
        }
        let is_gone = !self.is_failing && !is_there;
        // What could not be written before is in the record.
        let written = if self.is_failing || is_gone { self.restore(record) } else { self.append(tellings) };
        let written = written.and_then(|()| {
            let is_long = self.length > SMALL && self.length > SLACK * self.compact;
            if is_long || matches!(whose, Ok(true)) { self.rewrite(record) } else { Ok(()) }
        });
        match &written {
            Ok(()) if self.is_failing => info!("{} can be written again", self.path().display()),
            Ok(()) if is_gone => {
                warn!("{} was removed or replaced while it was in use; it is written again", self.path().display());
            }
            Err(error) if !self.is_failing => self.warn_of(error),
            _ => {}
        }
        self.is_failing = written.is_err();
    }

    /// Tries again to write what could not be written.
    pub(super) fn retry(&mut self, record: &Record) {
        if self.is_failing {
            self.add(&[], record);
        }
    }

    fn warn_of(&self, error: &io::Error) {
        let todo = match error.kind() {
            io::ErrorKind::WouldBlock => END_THE_OTHER,
            _ => "free some space or set OURA_STATE_DIR",
        };
        warn!(
            "cannot write {}: {error}; until it can be, the record is kept in memory only, and sent again after a \
             restart; {todo}",
            self.path().display()
        );
    }

    pub(super) fn path(&self) -> PathBuf {
        self.directory.join(&self.name)
    }

    /// What it is called when it is set aside.
    fn aside(&self) -> String {
        format!("{}.{SET_ASIDE}", self.name)
    }

    /// Whether the file in its place is the one that is written to.
    fn is_there(&self) -> bool {
        let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        let in_place = fs::metadata(self.path()).map(identity);
        let own = self.file.metadata().map(identity);
        in_place.is_ok_and(|in_place| own.is_ok_and(|own| own == in_place))
    }

    fn append(&mut self, tellings: &[Telling]) -> io::Result<()> {
        let mut text = Vec::new();
        tellings.iter().try_for_each(|telling| journal_text::write_line(&mut text, telling))?;
        if let Err(error) = self.file.write_all(&text) {
            // Half a line would make the next one unreadable.
            let _cut = self.file.set_len(self.length);
            return Err(error);
        }
        self.length += text.len() as u64;
        Ok(())
    }

    /// Writes it again where it was removed, or could not be written.
    ///
    /// # Errors
    /// Where it cannot be, or another process has begun one in its place, which stays.
    fn restore(&mut self, record: &Record) -> io::Result<()> {
        let _replaced = if self.is_there() { None } else { held_in_place(&self.path())? };
        self.rewrite(record)?;
        if self.whose.look().is_err() {
            // The account was signed out while it was being written, and whoever removes its files may have been here before.
            fs::remove_file(self.path())?;
        }
        Ok(())
    }

    /// Writes it anew, with what the record remembers.
    fn rewrite(&mut self, record: &Record) -> io::Result<()> {
        durable::create(&self.directory)?;
        let aside = self.is_damaged.then(|| self.aside());
        durable::replace_by(&self.directory, &self.name, aside.as_deref(), &beside(&self.name), |file| {
            let mut out = BufWriter::new(file);
            journal_text::write(&mut out, &self.id, self.born, &self.whose, record)?;
            out.flush()
        })?;
        self.is_damaged = false;
        self.file = opened(&self.path())?;
        self.length = self.file.metadata()?.len();
        self.compact = self.length;
        Ok(())
    }
}

/// What a file tells; nothing, if it is too large to be a journal.
fn told_by(file: &File, account: &str, now: DateTime<Utc>) -> io::Result<Recalled> {
    if file.metadata()?.len() > LARGEST {
        return Ok(Recalled::nothing(account, now, Some(TOO_LARGE)));
    }
    recalled(BufReader::new(file), account, now)
}

/// Whether a file is a journal of an earlier sign-in, which may be another person's. It is read from its beginning again then.
fn is_of_another(mut file: &File, whose: &Whose) -> io::Result<bool> {
    let is_anothers = journal_text::is_anothers(BufReader::new(file.take(LONGEST_HEADER)), whose)?;
    file.rewind()?;
    Ok(is_anothers)
}

/// Removes the journal of that name, and what was set aside of it, if it is of an earlier sign-in, which may be another person's.
fn remove_anothers(directory: &Path, name: &str, account: &str, whose: &Whose) -> io::Result<()> {
    let path = directory.join(name);
    if fs::symlink_metadata(&path).is_ok() && is_of_another(&opened(&path)?, whose)? {
        remove(directory, &[name.to_owned()])?;
        info!(account, "{} was of an earlier sign-in, which may be another person's; it is removed", path.display());
    }
    Ok(())
}

/// The file, held against other processes as long as it is open.
pub(super) fn opened(path: &Path) -> io::Result<File> {
    held(opened_by(OpenOptions::new().create(true).read(true).append(true).mode(FILE_MODE), path)?)
}

/// The file at `path`, held against other processes; none if there is no file.
///
/// # Errors
/// Where another process has it.
fn held_in_place(path: &Path) -> io::Result<Option<File>> {
    match opened_by(OpenOptions::new().read(true), path).and_then(held) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(error),
        file => Ok(file.ok()),
    }
}

fn held(file: File) -> io::Result<File> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(io::Error::new(io::ErrorKind::WouldBlock, "another process has it")),
        // A file system without locks has no other process to hold it against that would know.
        Err(TryLockError::Error(_)) | Ok(()) => Ok(file),
    }
}

/// The file. What is no file, a named pipe say, is neither waited for nor taken.
pub(super) fn opened_by(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let file = options.custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
    let is_file = file.metadata()?.is_file();
    is_file.then_some(file).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"))
}
