//! The files that a web configuration is made of: read up to a limit, and remembered with the version that was read.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// More than any configuration or chain of certificates has, in bytes; a device is not read to its end.
const LARGEST: u64 = 1 << 20;

/// Which writing of a file this is: device, inode, length, and when it changed, in seconds and nanoseconds. The length tells
/// writings apart that are nearer to each other than the system's clock is fine. A link counts as what it leads to.
type Version = Option<(u64, u64, u64, i64, i64)>;

/// Files, and the version of each; none where there is no such file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Versions(Vec<(PathBuf, Version)>);

impl Versions {
    /// Reads a file. The version is taken first: what is written meanwhile is then another one.
    pub(super) fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        self.0.push((path.to_owned(), version(path)));
        let metadata = fs::metadata(path)?;
        if !metadata.is_file() || metadata.len() > LARGEST {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file, or is larger than 1 MB"));
        }
        fs::read(path)
    }

    /// The same files as they are now.
    pub(super) fn now(&self) -> Self {
        Self(self.0.iter().map(|(path, _)| (path.clone(), version(path))).collect())
    }
}

fn version(path: &Path) -> Version {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino(), metadata.len(), metadata.ctime(), metadata.ctime_nsec()))
}
