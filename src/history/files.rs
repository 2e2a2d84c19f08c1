//! Files of OpenMetrics, one a month, each whole or not there; or all of it on standard output.

use std::{
    fs,
    io::{self, BufWriter, StdoutLock, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use chrono::NaiveDate;

use super::{
    openmetrics::{Format, Text},
    series::Lines,
};
use crate::catalogue;

/// What a file begins with that is being written.
const BESIDE: &str = ".oura-exporter-backfill-";
/// And what it ends with.
const UNDER_WAY: &str = ".part";
const BUFFER: usize = 256 * 1024;

/// A directory of files.
pub(super) struct Files {
    directory: PathBuf,
    written: Vec<PathBuf>,
}

impl Files {
    /// Makes the directory if need be.
    ///
    /// # Errors
    /// Where it cannot be made or read.
    pub(super) fn new(directory: &Path) -> anyhow::Result<Self> {
        let cannot = || format!("--output: cannot make the directory {}", directory.display());
        fs::create_dir_all(directory).with_context(cannot)?;
        for entry in fs::read_dir(directory).with_context(cannot)?.flatten() {
            // What a run that was killed has left; one that cannot be removed is in nobody's way.
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(BESIDE) && name.ends_with(UNDER_WAY) {
                let _kept = fs::remove_file(entry.path());
            }
        }
        Ok(Self { directory: directory.to_owned(), written: vec![] })
    }

    /// Writes the file of the month that begins with `first`, or of its part from then on; how many lines.
    ///
    /// # Errors
    /// Where it cannot be written; then it is not there, and the files before are whole.
    pub(super) fn write(&mut self, first: NaiveDate, lines: &Lines) -> anyhow::Result<u64> {
        let path = self.directory.join(name(first));
        let written = || -> io::Result<u64> {
            let file = tempfile::Builder::new().prefix(BESIDE).suffix(UNDER_WAY).tempfile_in(&self.directory)?;
            let mut text = Text::new(BufWriter::with_capacity(BUFFER, file), Format::OpenMetrics);
            text.write(lines, catalogue::help_of)?;
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
    use chrono::Datelike as _;
    let format = if first.day() == 1 { "oura-%Y-%m.om" } else { "oura-%Y-%m-%d.om" };
    first.format(format).to_string()
}

/// Standard output, as one text.
pub(super) struct Output(Text<BufWriter<StdoutLock<'static>>>);

impl Output {
    pub(super) fn new() -> Self {
        Self(Text::new(BufWriter::with_capacity(BUFFER, io::stdout().lock()), Format::OpenMetrics))
    }

    /// Writes a stretch; how many lines.
    ///
    /// # Errors
    /// Where nobody reads.
    pub(super) fn write(&mut self, lines: &Lines) -> anyhow::Result<u64> {
        let before = self.0.lines();
        self.0.write(lines, catalogue::help_of).context("cannot write to standard output")?;
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
