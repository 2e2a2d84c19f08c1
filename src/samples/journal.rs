//! The journal of one account's record: a line for each telling, so that a restart knows what was told. The exporter
//! keeps one, and backfills another one beside it.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufRead, BufReader, BufWriter, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::{Place, Record, Series, SeriesPoints, Telling, known_label, known_metric, record::REMEMBERED};
use crate::{catalogue::ACCOUNT_LABEL, documents, durable, observation::LabelValue};

/// The version of the file that this build writes; it reads no other one.
const VERSION: u32 = 1;
/// The directory below that of the tokens.
pub(super) const DIRECTORY: &str = "samples";
/// Only the owner reads it.
const FILE_MODE: u32 = 0o600;
/// What the exporter's own is called behind the account's name, and what that of backfills is.
pub(super) const OF_THE_EXPORTER: &str = "journal";
pub(super) const OF_BACKFILLS: &str = "backfill";
/// What is set aside gets this behind its name.
pub(super) const SET_ASIDE: &str = "damaged";
/// A file is written anew when it is this many times as long as it need be.
const SLACK: u64 = 2;
/// The times of which a document can tell: the years 2010 to 2099.
const MILLISECONDS: std::ops::Range<i64> = 1_262_304_000_000..4_102_444_800_000;
/// No journal is longer, in bytes: a usual one has a tenth of it.
const LARGEST: u64 = 64 << 20;
/// And at least so long, in bytes.
const SMALL: u64 = 256 * 1024;
/// So many samples are in memory at a time when it is.
const AT_A_TIME: usize = 1_000;

/// The first line.
#[derive(Deserialize, Serialize)]
struct Header {
    version: u32,
    /// Tells this journal from one that was set aside, for whoever notes how far they have read.
    id: String,
    born: DateTime<Utc>,
}

/// Every other line.
#[derive(Deserialize, Serialize)]
pub(super) struct Line {
    number: u64,
    learnt: DateTime<Utc>,
    collection: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    day: Option<NaiveDate>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start: Option<DateTime<Utc>>,
    pub(super) told: Vec<LineSeries>,
}

/// The points of a series: the first time in milliseconds since 1970, then how much later each next one is.
#[derive(Deserialize, Serialize)]
pub(super) struct LineSeries {
    name: String,
    pub(super) labels: BTreeMap<String, String>,
    times: Vec<i64>,
    values: Vec<f64>,
}

/// Forgets what was told of `account`: removes its journals below the `state` directory, and what was set aside of them.
/// Names are compared whole: another account's may begin with this one's.
///
/// # Errors
/// Where one of them cannot be removed; those that are not there are.
pub fn forget_journals(state: &Path, account: &str) -> io::Result<()> {
    let directory = state.join(DIRECTORY);
    let entries = match fs::read_dir(&directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    let own = [OF_THE_EXPORTER, OF_BACKFILLS].map(|ending| format!("{account}.{ending}"));
    let is_own = |name: &str| {
        own.iter().any(|own| {
            name == own
                || name.strip_suffix(SET_ASIDE).is_some_and(|rest| rest == format!("{own}."))
                || name.starts_with(&beside(own))
        })
    };
    for name in entries.flatten().map(|entry| entry.file_name()).filter(|name| is_own(&name.to_string_lossy())) {
        match fs::remove_file(directory.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// What a file begins with that is being written in place of the one of that name; the tilde is in no account's name.
pub(super) fn beside(name: &str) -> String {
    format!(".{name}~new-")
}

/// A new identity.
pub(super) fn new_id() -> String {
    format!("{:016x}", fastrand::u64(..))
}

/// Where the record is written down.
#[derive(Debug)]
pub(super) struct Journal {
    directory: PathBuf,
    name: String,
    id: String,
    file: File,
    length: u64,
    /// How long it was when it was last as short as could be.
    compact: u64,
    is_failing: bool,
}

impl Journal {
    /// Opens the exporter's journal of `account` below the `state` directory, and recalls from it what was told. One that
    /// cannot be used is set aside, with a warning.
    ///
    /// # Errors
    /// Where there can be none: the directory cannot be written, or another process has it.
    pub(super) fn open(state: &Path, account: &str, now: DateTime<Utc>) -> io::Result<(Self, Record)> {
        Self::open_named(state, OF_THE_EXPORTER, account, now)
    }

    /// Opens the journal that backfills keep of `account`, in the same way.
    ///
    /// # Errors
    /// Likewise.
    pub(super) fn open_of_backfills(state: &Path, account: &str, now: DateTime<Utc>) -> io::Result<(Self, Record)> {
        Self::open_named(state, OF_BACKFILLS, account, now)
    }

    fn open_named(state: &Path, ending: &str, account: &str, now: DateTime<Utc>) -> io::Result<(Self, Record)> {
        let directory = state.join(DIRECTORY);
        durable::create(&directory)?;
        let name = format!("{account}.{ending}");
        let path = directory.join(&name);
        let was_there = fs::symlink_metadata(&path).is_ok();
        let mut file = opened(&path)?;
        let aside = directory.join(format!("{name}.{SET_ASIDE}"));
        if file.metadata()?.len() > LARGEST {
            warn!(
                account,
                "{} is larger than {} MB, and set aside as {}",
                path.display(),
                LARGEST >> 20,
                aside.display()
            );
            fs::rename(&path, &aside)?;
            file = opened(&path)?;
        }
        file.seek(SeekFrom::Start(0))?;
        let Recalled { header, mut record, damage } = recalled(BufReader::new(&file), account, now)?;
        record.number_from(now);
        let damage = damage.or((was_there && header.is_none()).then_some("is empty: what was told is told again"));
        let is_new = header.is_none();
        let id = header.map_or_else(new_id, |header| header.id);
        let length = file.metadata()?.len();
        let mut journal = Self { directory, name, id, file, length, compact: length, is_failing: false };
        if let Some(damage) = damage {
            fs::copy(&path, &aside)?;
            warn!(account, "{} {damage}; it is set aside as {}", path.display(), aside.display());
        }
        // One that is whole is of use as it is, on a full disk too.
        let written = if is_new || damage.is_some() { journal.rewrite(&record) } else { Ok(()) };
        if written.is_err() && !was_there {
            // An empty one would look like one that was lost.
            let _left = fs::remove_file(&path);
        }
        written.map(|()| (journal, record))
    }

    /// What the exporter has told of `account`, as far as it can be read now; it may be writing a line at this moment.
    pub(super) fn glance(state: &Path, account: &str, now: DateTime<Utc>) -> Record {
        let path = state.join(DIRECTORY).join(format!("{account}.{OF_THE_EXPORTER}"));
        let recalled = File::open(path).and_then(|file| recalled(BufReader::new(file), account, now));
        recalled.map_or_else(|_| Record::new(account, now), |recalled| recalled.record)
    }

    /// Tells this journal from others.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Adds lines; what cannot be written is told once, and known until the process ends.
    pub(super) fn add(&mut self, tellings: &[Telling], record: &Record) {
        // What could not be written before is in the record.
        let written = if self.is_failing { self.rewrite(record) } else { self.append(tellings) };
        if written.is_err() {
            // Half a line would make the next one unreadable.
            let _cut = self.file.set_len(self.length);
        }
        let written = written.and_then(|()| {
            let is_long = self.length > SMALL && self.length > SLACK * self.compact;
            if is_long { self.rewrite(record) } else { Ok(()) }
        });
        match &written {
            Ok(()) if self.is_failing => info!("{} can be written again", self.path().display()),
            Err(error) if !self.is_failing => warn!(
                "cannot write {}: {error}; after a restart samples may be told again; make room or set OURA_STATE_DIR",
                self.path().display()
            ),
            _ => {}
        }
        self.is_failing = written.is_err();
    }

    fn path(&self) -> PathBuf {
        self.directory.join(&self.name)
    }

    fn append(&mut self, tellings: &[Telling]) -> io::Result<()> {
        let mut text = Vec::new();
        tellings.iter().try_for_each(|telling| write_line(&mut text, telling))?;
        self.file.write_all(&text)?;
        self.length += text.len() as u64;
        Ok(())
    }

    /// Writes it anew, with what the record remembers.
    fn rewrite(&mut self, record: &Record) -> io::Result<()> {
        let header = Header { version: VERSION, id: self.id.clone(), born: record.born() };
        durable::replace_by(&self.directory, &self.name, &beside(&self.name), |file| {
            let mut out = BufWriter::new(file);
            serde_json::to_writer(&mut out, &header)?;
            out.write_all(b"\n")?;
            let mut next = 0;
            loop {
                let some = record.tellings_since(next, AT_A_TIME);
                let Some(last) = some.last() else { return out.flush() };
                next = last.number + 1;
                some.iter().try_for_each(|telling| write_line(&mut out, telling))?;
            }
        })?;
        self.file = opened(&self.path())?;
        self.length = self.file.metadata()?.len();
        self.compact = self.length;
        Ok(())
    }
}

/// The file, held against other processes as long as it is open.
pub(super) fn opened(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().create(true).read(true).append(true).mode(FILE_MODE).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{} is no file", path.display())));
    }
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(io::Error::new(io::ErrorKind::WouldBlock, "another process has it")),
        // A file system without locks has no other process to hold it against that would know.
        Err(TryLockError::Error(_)) | Ok(()) => Ok(file),
    }
}

/// What a file tells.
struct Recalled {
    header: Option<Header>,
    record: Record,
    /// What is wrong with it, if not all of it could be used.
    damage: Option<&'static str>,
}

/// Recalls what a file tells, line by line.
///
/// # Errors
/// Where it cannot be read.
fn recalled(mut file: impl BufRead, account: &str, now: DateTime<Utc>) -> io::Result<Recalled> {
    let nothing = |damage| Recalled { header: None, record: Record::new(account, now), damage };
    let mut text = Vec::new();
    if file.read_until(b'\n', &mut text)? == 0 {
        return Ok(nothing(None));
    }
    let header = serde_json::from_slice::<Header>(&text).ok();
    let Some(header) = header.filter(|header| header.version == VERSION) else {
        return Ok(nothing(Some("is damaged, or another version wrote it: what was told is told again")));
    };
    let mut record = Record::new(account, header.born.min(now));
    let mut is_whole = true;
    loop {
        text.clear();
        if file.read_until(b'\n', &mut text)? == 0 {
            break;
        }
        let line = serde_json::from_slice::<Line>(&text).ok().filter(|_| text.ends_with(b"\n"));
        let is_next = |telling: &Telling| telling.number >= record.numbers().end;
        match line.and_then(telling).filter(|telling| is_sound(telling, account, now) && is_next(telling)) {
            Some(telling) => record.recall(&telling),
            None => is_whole = false,
        }
    }
    record.forget(now);
    let damage = "is cut short or damaged in part: some of what was told is told again";
    Ok(Recalled { header: Some(header), record, damage: (!is_whole).then_some(damage) })
}

fn write_line(out: &mut impl io::Write, telling: &Telling) -> io::Result<()> {
    serde_json::to_writer(&mut *out, &line(telling))?;
    out.write_all(b"\n")
}

/// Whether an exporter of `account` can have told it: the clock may have been set back since, but no further than what is
/// remembered.
fn is_sound(telling: &Telling, account: &str, now: DateTime<Utc>) -> bool {
    let own = (ACCOUNT_LABEL, LabelValue::from(account.to_owned()));
    let can_be_told = |(series, points): &SeriesPoints| {
        series.labels.contains(&own) && points.iter().all(|(time, _)| MILLISECONDS.contains(time))
    };
    let is_in_time = telling.learnt <= now + REMEMBERED && MILLISECONDS.end.unsigned_abs() > telling.number;
    is_in_time && telling.told.iter().all(can_be_told)
}

fn line(telling: &Telling) -> Line {
    let (day, start) = match telling.place {
        Some(Place::Day(day)) => (Some(day), None),
        Some(Place::Event(start)) => (None, Some(start)),
        None => (None, None),
    };
    let told = telling.told.iter().map(|(series, points)| {
        let before = [0].into_iter().chain(points.iter().map(|(time, _)| *time));
        let labels = series.labels.iter().map(|(name, value)| ((*name).to_owned(), value.to_string()));
        LineSeries {
            name: series.name.to_owned(),
            labels: labels.collect(),
            times: points.iter().zip(before).map(|((time, _), before)| time - before).collect(),
            values: points.iter().map(|(_, value)| *value).collect(),
        }
    });
    let (number, learnt, collection) = (telling.number, telling.learnt, telling.collection.to_owned());
    Line { number, learnt, collection, day, start, told: told.collect() }
}

/// What a line tells; none if it is damaged or of a collection that there is no more.
fn telling(line: Line) -> Option<Telling> {
    let collection = documents::kind(&line.collection)?.name;
    let place = line.day.map(Place::Day).or(line.start.map(Place::Event));
    let told = line.told.into_iter().map(points).collect::<Option<Vec<_>>>()?;
    Some(Telling { number: line.number, learnt: line.learnt, collection, place, told })
}

fn points(line: LineSeries) -> Option<SeriesPoints> {
    let labels = line.labels.into_iter().map(|(name, value)| Some((known_label(&name)?, value.into())));
    let series = Series { name: known_metric(&line.name)?, labels: labels.collect::<Option<_>>()? };
    let add = |sum: &mut i64, step: i64| {
        *sum = sum.checked_add(step)?;
        Some(*sum)
    };
    let times: Vec<_> = line.times.iter().copied().scan(0, add).collect();
    let fits = times.len() == line.times.len() && times.len() == line.values.len();
    fits.then(|| (Arc::new(series), times.into_iter().zip(line.values).collect()))
}
