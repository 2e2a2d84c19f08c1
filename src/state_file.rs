//! Small JSON files below the state directory that say how far something has come, each replaced as a whole.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};
use tracing::warn;

use crate::durable;

/// The directory below that of the tokens.
const DIRECTORY: &str = "progress";

/// What the parts identify, without showing them.
pub(crate) fn digest(parts: &[String]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.as_bytes());
        digest.update([0]);
    }
    digest.finalize().iter().take(8).fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Removes the files that say of themselves that they are of `account`.
///
/// # Errors
/// Where one of them cannot be removed.
pub(crate) fn forget(state: &Path, account: &str) -> io::Result<()> {
    #[derive(Deserialize)]
    struct Named {
        accounts: Vec<String>,
    }
    let entries = match fs::read_dir(state.join(DIRECTORY)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        let named = fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Named>(&text).ok());
        if named.is_some_and(|named| named.accounts.iter().any(|name| name == account)) {
            fs::remove_file(&path)
                .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
        }
    }
    Ok(())
}

/// One file.
#[derive(Clone, Debug)]
pub(crate) struct StateFile {
    directory: PathBuf,
    name: String,
}

impl StateFile {
    /// The file of that kind for what the `parts` identify; they do not show in its name.
    pub(crate) fn new(state: &Path, kind: &str, parts: &[String]) -> Self {
        Self { directory: state.join(DIRECTORY), name: format!("{kind}-{}.json", digest(parts)) }
    }

    /// All files of that kind that say something that can be used, with what they say.
    ///
    /// # Errors
    /// Where the directory cannot be read.
    pub(crate) fn all<T: DeserializeOwned>(state: &Path, kind: &str) -> anyhow::Result<Vec<(Self, T)>> {
        let directory = state.join(DIRECTORY);
        let entries = match fs::read_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.with_context(|| format!("cannot read {}", directory.display()))?,
        };
        let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        let says = |name: String| {
            let said = serde_json::from_slice(&fs::read(directory.join(&name)).ok()?).ok()?;
            Some((Self { directory: directory.clone(), name }, said))
        };
        let prefix = format!("{kind}-");
        Ok(names.filter(|name| name.starts_with(&prefix)).filter_map(says).collect())
    }

    /// What a file begins with that is being written in its place.
    fn beside(&self) -> String {
        format!(".{}~new-", self.name)
    }

    /// What it says; the beginning where it is not there, or says nothing that can be used.
    ///
    /// # Errors
    /// Where it is there and cannot be read.
    pub(crate) fn read<T: DeserializeOwned + Default>(&self) -> anyhow::Result<T> {
        durable::sweep(&self.directory, &self.beside());
        let path = self.directory.join(&self.name);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(T::default()),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        Ok(serde_json::from_slice(&text).unwrap_or_else(|_| {
            warn!("{} says nothing that can be used; beginning again", path.display());
            T::default()
        }))
    }

    /// Removes it; one that is not there is removed.
    ///
    /// # Errors
    /// Where it cannot be removed.
    pub(crate) fn remove(&self) -> anyhow::Result<()> {
        let path = self.directory.join(&self.name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", path.display()))
            }
            _ => Ok(()),
        }
    }

    /// Replaces what it says; when this returns, it is safe.
    ///
    /// # Errors
    /// Where it cannot be written; what it said before is whole.
    pub(crate) fn write<T: Serialize>(&self, value: &T) -> anyhow::Result<()> {
        let written = || -> anyhow::Result<()> {
            durable::create(&self.directory)?;
            Ok(durable::replace(&self.directory, &self.name, &self.beside(), &serde_json::to_vec(value)?)?)
        };
        written().with_context(|| {
            let path = self.directory.join(&self.name);
            format!("cannot write {}; free some space, or set OURA_STATE_DIR to a writable directory", path.display())
        })
    }
}
