//! Files that are never half written: beside, synced, renamed into place, and the directory synced.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use rustix::io::Errno;
use tempfile::NamedTempFile;
use tracing::warn;

/// Only the owner enters the directory, only the owner reads the files.
const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// Makes `directory` and those above it, for their owner only.
///
/// # Errors
/// Where the system refuses.
pub fn create(directory: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(directory)
}

/// Replaces the file `name` in `directory`, for its owner only. When this returns the new text is safe; if it fails, the
/// file before is whole. A file whose name begins with `beside` may be left by a process that is killed in between.
///
/// # Errors
/// Where one of the steps fails.
pub fn replace(directory: &Path, name: &str, beside: &str, text: &[u8]) -> io::Result<()> {
    replace_by(directory, name, None, beside, |file| file.write_all(text))
}

/// The same, whose text `write` writes. The file before gets the name `aside`, if one is given, once the new text is safe.
///
/// # Errors
/// Likewise.
pub fn replace_by(
    directory: &Path,
    name: &str,
    aside: Option<&str>,
    beside: &str,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let file = written(directory, beside, write)?;
    if let Some(aside) = aside {
        match fs::rename(directory.join(name), directory.join(aside)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    file.persist(directory.join(name))?;
    tolerated(directory, File::open(directory)?.sync_all())
}

/// Removes what a process that was killed in the midst of writing has left in `directory`. One that cannot be removed is in
/// nobody's way, and only its owner reads it.
pub fn sweep(directory: &Path, beside: &str) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(beside) {
            let _kept = fs::remove_file(entry.path());
        }
    }
}

/// Whether so many bytes can be written in `directory`; a full disk still makes empty files.
///
/// # Errors
/// Where they cannot.
pub fn try_out(directory: &Path, beside: &str, bytes: usize) -> io::Result<()> {
    written(directory, beside, |file| file.write_all(&vec![b' '; bytes])).map(drop)
}

/// A new file beside with what `write` writes, synced. Its errors are the system's own: one that named the file beside would
/// be another one each time.
fn written(
    directory: &Path,
    beside: &str,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<NamedTempFile<File>> {
    let made = tempfile::Builder::new()
        .prefix(beside)
        .make_in(directory, |path| OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path));
    let mut file = made?;
    write(file.as_file_mut())?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Some file systems of networks and containers sync no directories. The file itself is whole and synced all the same;
/// that is said once, and is no failure.
fn tolerated(directory: &Path, synced: io::Result<()>) -> io::Result<()> {
    static IS_TOLD: AtomicBool = AtomicBool::new(false);
    match synced {
        Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::INVAL | Errno::NOTSUP | Errno::NOSYS)) => {
            if !IS_TOLD.swap(true, Ordering::Relaxed) {
                let directory = directory.display();
                warn!(
                    "{directory}: its file system does not sync directories ({error}); what was stored last may be lost when the power fails"
                );
            }
            Ok(())
        }
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_cannot_be_synced_is_no_failure_and_a_broken_disk_is() {
        let synced = |errno: Errno| tolerated(Path::new("/state"), Err(errno.into()));
        for errno in [Errno::INVAL, Errno::NOTSUP, Errno::NOSYS] {
            assert!(synced(errno).is_ok(), "{errno:?}");
        }
        for errno in [Errno::IO, Errno::NOSPC, Errno::ACCESS] {
            assert!(synced(errno).is_err(), "{errno:?}");
        }
    }

    #[test]
    fn no_error_holds_the_random_name_of_the_file_beside() {
        for (directory, words) in [
            ("/proc", "No such file or directory"),
            ("/nowhere/at/all", "No such file or directory"),
            ("/dev/null", "Not a directory"),
        ] {
            for error in
                [replace(Path::new(directory), "x", ".x~new-", b"").err(), try_out(Path::new(directory), ".x", 9).err()]
            {
                let text = error.expect("it cannot be written").to_string();
                assert!(text.starts_with(words) && !text.contains(".x"), "{text}");
            }
        }
    }
}
