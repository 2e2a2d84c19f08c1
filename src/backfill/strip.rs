//! Taking the days of some accounts out of files of OpenMetrics.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use crate::observation::ACCOUNT_LABEL;

const BUFFER: usize = 256 * 1024;

/// Takes all `accounts` out of each of the files, of which some may not be there. `begun` makes a file beside them. A file that has
/// nothing of them stays as it is, and one that has nothing else is removed.
///
/// # Errors
/// Where a file can be neither read nor replaced; it is whole then.
pub(super) fn strip(
    files: &[PathBuf],
    accounts: &BTreeSet<String>,
    begun: impl Fn() -> io::Result<NamedTempFile>,
) -> io::Result<()> {
    for path in files {
        let Some(from) = opened(path)? else { continue };
        if !has_any(accounts, from)? {
            continue;
        }
        let Some(from) = opened(path)? else { continue };
        let beside = begun()?;
        if without(accounts, from, BufWriter::with_capacity(BUFFER, beside.as_file()))? {
            beside.as_file().sync_all()?;
            beside.persist(path)?;
        } else {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn opened(path: &Path) -> io::Result<Option<BufReader<File>>> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        file => Ok(Some(BufReader::with_capacity(BUFFER, file?))),
    }
}

/// Whether there are samples of `accounts`.
fn has_any(accounts: &BTreeSet<String>, mut from: impl BufRead) -> io::Result<bool> {
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line)? > 0 {
        if is_of(accounts, &line) {
            return Ok(true);
        }
        line.clear();
    }
    Ok(false)
}

/// Copies all lines but the samples of `accounts`; whether there are any other ones.
fn without(accounts: &BTreeSet<String>, mut from: impl BufRead, mut to: impl Write) -> io::Result<bool> {
    let (mut line, mut has_others) = (Vec::new(), false);
    while from.read_until(b'\n', &mut line)? > 0 {
        if !is_of(accounts, &line) {
            has_others |= !line.starts_with(b"#");
            to.write_all(&line)?;
        }
        line.clear();
    }
    to.flush()?;
    Ok(has_others)
}

/// Whether a line is a sample of one of them.
fn is_of(accounts: &BTreeSet<String>, line: &[u8]) -> bool {
    let label = ACCOUNT_LABEL.len();
    // A quote within a value has a backslash before it, so this is the label and no part of another one.
    let begins = |part: &[u8]| {
        matches!(part[0], b'{' | b',') && &part[1..=label] == ACCOUNT_LABEL.as_bytes() && part.ends_with(b"=\"")
    };
    let named = || {
        let value = line.windows(label + 3).position(begins)? + label + 3;
        let name = line[value..].split(|byte| *byte == b'"').next()?;
        std::str::from_utf8(name).ok()
    };
    !line.starts_with(b"#") && named().is_some_and(|name| accounts.contains(name))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    const OTHERS: &str = "# TYPE a gauge\na{account=\"annabel\",job=\"oura\"} 2 1\na{account=\"bob\",job=\",account=\\\"anna\\\"\"} 3 1\n";

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_lines_of_one_are_gone_and_all_others_are_there() {
        let text =
            format!("{OTHERS}a{{account=\"anna\",job=\"oura\"}} 1 1\na{{a=\"b\",account=\"anna\"}} 1 1\n# EOF\n");
        let mut kept = Vec::new();
        assert!(without(&set(&["anna"]), text.as_bytes(), &mut kept).unwrap());
        assert_eq!(String::from_utf8(kept).unwrap(), format!("{OTHERS}# EOF\n"));
        let alone = "# TYPE a gauge\na{account=\"anna\"} 1 1\n# EOF\n";
        assert!(!without(&set(&["anna"]), alone.as_bytes(), io::sink()).unwrap(), "nothing is left");
    }

    #[test]
    fn several_are_taken_out_together_and_a_file_without_them_is_not_written_anew() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, lines: &str| {
            let path = directory.path().join(name);
            fs::write(&path, lines).unwrap();
            path
        };
        let theirs = "a{account=\"anna\"} 1 1\na{account=\"carl\"} 1 1\n";
        let both = write("both", &format!("{OTHERS}{theirs}# EOF\n"));
        let (others, alone) =
            (write("others", &format!("{OTHERS}# EOF\n")), write("alone", &format!("{theirs}# EOF\n")));
        let (before, gone) = (fs::metadata(&others).unwrap().ino(), directory.path().join("gone"));
        let files = [both.clone(), others.clone(), alone.clone(), gone];
        strip(&files, &set(&["anna", "carl", "dora"]), || NamedTempFile::new_in(directory.path())).unwrap();
        assert_eq!(fs::read_to_string(&both).unwrap(), format!("{OTHERS}# EOF\n"));
        assert_eq!(fs::metadata(&others).unwrap().ino(), before, "it is the same file");
        assert!(!alone.exists());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "and nothing beside them");
    }
}
