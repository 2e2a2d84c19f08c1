//! A token in a file that somebody else keeps fresh: a container's secret, say, which is replaced while the program runs.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use secrecy::SecretString;
use tracing::{info, warn};

use super::{files::FileVersion, source::is_same};

/// Reads the token out of the file.
type Read = fn(&Path) -> Result<SecretString, String>;

/// A token in a file.
pub struct TokenFile {
    path: PathBuf,
    read: Read,
    held: Mutex<Held>,
}

/// What the file last said.
struct Held {
    token: SecretString,
    file_version: Option<FileVersion>,
    /// Whether the token is another one since somebody last looked.
    is_news: bool,
    /// Whether it was told that the file cannot be used.
    is_told: bool,
}

impl TokenFile {
    /// The file at `path`, which held `token` a moment ago, and whose text `read` understands.
    pub fn new(path: PathBuf, token: SecretString, read: Read) -> Self {
        let held = Held { token, file_version: None, is_news: false, is_told: false };
        Self { path, read, held: Mutex::new(held) }
    }

    /// The token, as the file has it now; while it cannot be read, as it had it before.
    pub fn token(&self) -> SecretString {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        self.reread(&mut held);
        held.token.clone()
    }

    /// Whether there is another token than when this was last asked.
    pub fn has_news(&self) -> bool {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        self.reread(&mut held);
        std::mem::take(&mut held.is_news)
    }

    fn reread(&self, held: &mut Held) {
        let file_version = FileVersion::of(&self.path);
        if file_version == held.file_version && file_version.is_some() {
            return;
        }
        match (self.read)(&self.path) {
            Ok(token) => {
                if !is_same(&token, &held.token) {
                    info!("{} holds a new token, which is now in use", self.path.display());
                    held.is_news = true;
                }
                held.token = token;
                held.is_told = false;
            }
            Err(mistake) if !held.is_told => {
                warn!("{mistake}; the previous token stays in use");
                held.is_told = true;
            }
            Err(_) => {}
        }
        held.file_version = file_version;
    }
}
