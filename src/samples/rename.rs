//! The journals of an account that gets another name: they move along, and their lines bear the new name.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _},
    path::Path,
};

use super::{
    journal::{DIRECTORY, OF_BACKFILLS, OF_ITS_OWNER, OF_THE_EXPORTER, SET_ASIDE, beside, opened, opened_by},
    journal_text::Line,
};
use crate::{durable, observation::ACCOUNT_LABEL, state_file};

/// More than the line has that names a journal, in bytes.
const LONGEST_HEADER: u64 = 1024;

/// Moves the journals of account `from` below the `state` directory to account `to`, and what was set aside of them; goes on
/// where it was interrupted.
///
/// # Errors
/// Where a process has one of them, where `to` has some already, or they cannot be written; the old ones are whole then.
pub fn rename_journals(state: &Path, from: &str, to: &str) -> io::Result<()> {
    let directory = state.join(DIRECTORY);
    let endings = [OF_THE_EXPORTER, OF_BACKFILLS];
    let there: Vec<_> =
        endings.into_iter().filter(|ending| directory.join(format!("{from}.{ending}")).exists()).collect();
    let held = held(&directory, &there, from, to)?;
    for (ending, file) in there.iter().zip(&held) {
        let name = format!("{to}.{ending}");
        durable::replace_by(&directory, &name, None, &beside(&name), |new| {
            let mut out = BufWriter::new(new);
            let mut lines = BufReader::new(file);
            let mut line = Vec::new();
            while lines.read_until(b'\n', &mut line)? > 0 {
                out.write_all(&renamed(&line, from, to)?)?;
                line.clear();
            }
            out.flush()
        })?;
    }
    for ending in [OF_THE_EXPORTER, OF_BACKFILLS, OF_ITS_OWNER] {
        durable::sweep(&directory, &beside(&format!("{from}.{ending}")));
    }
    // A backfill that was cut off begins again under the new name.
    state_file::forget(state, from)?;
    // Where it cannot move, Oura says it again.
    let _said_again =
        fs::rename(directory.join(format!("{from}.{OF_ITS_OWNER}")), directory.join(format!("{to}.{OF_ITS_OWNER}")));
    for ending in there {
        let _left = fs::rename(
            directory.join(format!("{from}.{ending}.{SET_ASIDE}")),
            directory.join(format!("{to}.{ending}.{SET_ASIDE}")),
        );
        fs::remove_file(directory.join(format!("{from}.{ending}")))?;
    }
    Ok(())
}

/// The journals of account `from` with these endings: all of them are held before the first one moves.
fn held(directory: &Path, endings: &[&str], from: &str, to: &str) -> io::Result<Vec<File>> {
    let mut held = Vec::new();
    for ending in endings {
        let (old, new) = (directory.join(format!("{from}.{ending}")), directory.join(format!("{to}.{ending}")));
        if fs::symlink_metadata(&new).is_ok() && !is_same_journal(&old, &new) {
            let words =
                format!("{} is there already, of an account that had this name; move it elsewhere", new.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, words));
        }
        held.push(opened(&old).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", old.display())))?);
    }
    Ok(held)
}

/// Whether both are one journal, by the line that names it: that of a rename that was interrupted.
fn is_same_journal(old: &Path, new: &Path) -> bool {
    let first_line = |path: &Path| {
        let mut line = Vec::new();
        BufReader::new(opened_by(OpenOptions::new().read(true), path).ok()?)
            .take(LONGEST_HEADER)
            .read_until(b'\n', &mut line)
            .ok()?;
        line.ends_with(b"\n").then_some(line)
    };
    first_line(old).is_some_and(|line| first_line(new) == Some(line))
}

/// A line with the new name in all of its series; what is no such line stays as it is, for whoever reads it to judge.
fn renamed(text: &[u8], from: &str, to: &str) -> io::Result<Vec<u8>> {
    let Ok(mut line) = serde_json::from_slice::<Line>(text) else { return Ok(text.to_owned()) };
    for series in &mut line.told {
        if let Some(name) = series.labels.get_mut(ACCOUNT_LABEL).filter(|name| *name == from) {
            to.clone_into(name);
        }
    }
    let mut text = serde_json::to_vec(&line)?;
    text.push(b'\n');
    Ok(text)
}
