//! Files that are never half written: beside, synced, renamed into place, and the directory synced.

use std::{
    fs::{self, File, Permissions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::Path,
};

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
    let mut file = tempfile::Builder::new()
        .prefix(beside)
        .permissions(Permissions::from_mode(FILE_MODE))
        .tempfile_in(directory)?;
    file.write_all(text)?;
    file.as_file().sync_all()?;
    file.persist(directory.join(name))?;
    File::open(directory)?.sync_all()
}
