//! Which exporters run on a state directory: each holds a locked file there that says where its page is.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::Store;
use crate::durable;

/// What the names of these files begin with; the tilde is in no account's name.
const PREFIX: &str = ".exporter~";

/// What an exporter that runs says of itself to whoever may read its state directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// The address of its landing page, as a browser on its machine asks for it.
    pub page: String,
    /// Why nobody signs in there; none if people do.
    pub shut: Option<String>,
    /// Whether the page renews a sign-in that has not ended: not where strangers reach it.
    pub renews: bool,
}

/// Says that an exporter runs, until it is dropped or the process ends.
#[derive(Debug)]
pub struct Announced(#[expect(dead_code, reason = "dropping the file is what takes it away")] NamedTempFile);

impl Store {
    /// Says in the directory that an exporter runs on it.
    ///
    /// # Errors
    /// Where no file can be made or locked there.
    pub fn announce(&self, running: &Running) -> io::Result<Announced> {
        durable::create(self.directory())?;
        for path in self.announcements() {
            if read(&path).is_some_and(|(_, is_held)| !is_held) {
                // Left by a process that was killed. One that cannot be removed does no harm.
                let _kept = fs::remove_file(path);
            }
        }
        let mut file = tempfile::Builder::new().prefix(PREFIX).tempfile_in(self.directory())?;
        // Before there is anything in it: nobody takes it for one that was left.
        file.as_file().try_lock()?;
        file.write_all(&serde_json::to_vec(running)?)?;
        Ok(Announced(file))
    }

    /// The exporters that run on the directory now.
    pub fn running(&self) -> Vec<Running> {
        let held = self.announcements().into_iter().filter_map(|path| read(&path));
        held.filter_map(|(running, is_held)| is_held.then_some(running)).collect()
    }

    fn announcements(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.directory()).into_iter().flatten().flatten();
        let ours = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
        ours.map(|entry| entry.path()).collect()
    }
}

/// What the file says, and whether an exporter holds it; none where it says nothing yet.
fn read(path: &Path) -> Option<(Running, bool)> {
    let file = File::open(path).ok()?;
    let is_held = matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
    Some((serde_json::from_reader(file).ok()?, is_held))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_runs_is_told_while_it_runs_and_what_a_killed_one_left_is_swept() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path().join("tokens"));
        assert_eq!(store.running(), [], "a directory that is not there yet");
        let running = |page: &str, shut: Option<&str>| Running {
            page: page.to_owned(),
            shut: shut.map(str::to_owned),
            renews: true,
        };
        let (one, other) = (running("http://localhost:10058/", None), running("https://localhost:10060/", Some("off")));
        let announced = store.announce(&one).unwrap();
        let second = store.announce(&other).unwrap();
        let mut seen = store.running();
        seen.sort_by(|one, other| one.page.cmp(&other.page));
        assert_eq!(seen, [one.clone(), other.clone()]);
        drop(announced);
        assert_eq!(store.running(), std::slice::from_ref(&other));

        let left = store.directory().join(".exporter~left");
        fs::write(&left, serde_json::to_vec(&one).unwrap()).unwrap();
        fs::write(store.directory().join(".exporter~odd"), "no JSON").unwrap();
        assert_eq!(store.running(), [other], "nobody holds it");
        drop(second);
        let _announced = store.announce(&one).unwrap();
        assert!(!left.exists());
        assert_eq!(store.accounts().unwrap(), Vec::<String>::new());
    }
}
