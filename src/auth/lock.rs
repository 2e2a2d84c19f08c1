//! The right to change an account's token file: held against all other processes, and not waited for without end.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use rustix::{fs::OFlags, io::Errno};
use tokio::task;
use tracing::warn;

use super::{
    files::Files,
    store::{Lock, Store},
    store_error::StoreError,
};

/// Only the owner reads the lock files.
const FILE_MODE: u32 = 0o600;
/// How long is waited for the lock. Whoever holds it asks Oura once and writes a file; longer than that only a process
/// does that was stopped, or that waits for an Oura in trouble.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// How long it is between two looks.
const LOOK: Duration = Duration::from_millis(50);

impl Files {
    /// See [`Store::lock`].
    pub(super) fn lock_file(&self, account: &str) -> Result<Lock, StoreError> {
        self.create()?;
        let path = self.directory().join(format!(".{account}.lock"));
        let file = opened(&path).map_err(|error| StoreError::of_system("lock", &path, &error))?;
        wait_for(file, path)
    }

    /// See [`Store::lock_all`]. The lock is on the directory itself, so that no file is left.
    pub(super) fn lock_directory(&self) -> Result<Lock, StoreError> {
        self.create()?;
        let path = self.directory().to_owned();
        let file = File::open(&path).map_err(|error| StoreError::of_system("lock", &path, &error))?;
        wait_for(file, path)
    }
}

fn wait_for(file: File, path: PathBuf) -> Result<Lock, StoreError> {
    let deadline = Instant::now() + LONGEST_WAIT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Lock::held_by(file)),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(LOOK),
            Err(TryLockError::WouldBlock) => return Err(StoreError::Locked { path, waited: LONGEST_WAIT }),
            Err(TryLockError::Error(error)) => return unlocked(path, &error),
        }
    }
}

/// Whether tokens of the account can be kept, found out before anybody consents. Who has none yet leaves no lock file behind
/// by a sign-in that comes to nothing.
///
/// # Errors
/// Those of [`Store::check`] and [`Store::lock`], and where the account's file cannot be replaced.
pub async fn can_keep(store: &Store, account: &str) -> Result<(), StoreError> {
    let (checked, name) = (store.clone(), account.to_owned());
    let checked = task::spawn_blocking(move || {
        checked.check()?;
        if !checked.has(&name) {
            return Ok(());
        }
        let _lock = checked.lock(&name)?;
        checked.check_replacing(&name)
    });
    checked
        .await
        .unwrap_or_else(|error| Err(StoreError::of_system("lock", store.directory(), &io::Error::other(error))))
}

/// The lock file. What is no file, a named pipe say, is neither waited for nor taken.
fn opened(path: &Path) -> io::Result<File> {
    let at_once = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().create(true).append(true).mode(FILE_MODE).custom_flags(at_once).open(path)?;
    let is_file = file.metadata()?.is_file();
    is_file.then_some(file).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it is not a file; remove it"))
}

/// [`Store::lock`] for those who must not block.
///
/// # Errors
/// Its errors.
pub async fn lock(store: &Store, account: &str) -> Result<Lock, StoreError> {
    let (store, account) = (store.clone(), account.to_owned());
    let locked = task::spawn_blocking(move || store.lock(&account)).await;
    locked.unwrap_or_else(|error| Err(StoreError::of_system("lock", &PathBuf::new(), &io::Error::other(error))))
}

/// Where the file system has no locks, all goes on without: one process alone needs none. That is said once.
fn unlocked(path: PathBuf, error: &io::Error) -> Result<Lock, StoreError> {
    static IS_TOLD: AtomicBool = AtomicBool::new(false);
    if !matches!(Errno::from_io_error(error), Some(Errno::NOLCK | Errno::NOTSUP | Errno::NOSYS)) {
        return Err(StoreError::of_system("lock", &path, error));
    }
    if !IS_TOLD.swap(true, Ordering::Relaxed) {
        let path = path.display();
        warn!("{path}: its file system has no locks ({error}); let only one process use OURA_STATE_DIR");
    }
    Ok(Lock::of_nothing())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_locks_it_goes_on_and_with_a_broken_disk_it_does_not() {
        let locked = |errno: Errno| unlocked(PathBuf::from("/state/.anna.lock"), &errno.into());
        for errno in [Errno::NOLCK, Errno::NOTSUP, Errno::NOSYS] {
            assert!(locked(errno).is_ok(), "{errno:?}");
        }
        for errno in [Errno::IO, Errno::BADF, Errno::INTR] {
            let error = locked(errno).expect_err("it is an error").to_string();
            assert!(error.contains("/state/.anna.lock") && error.contains("OURA_STATE_DIR"), "{error}");
        }
    }

    #[test]
    fn what_is_no_file_is_no_lock_and_nobody_waits_for_it() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path());
        let made = std::process::Command::new("mkfifo").arg(directory.path().join(".anna.lock")).status().unwrap();
        assert!(made.success());
        std::fs::create_dir(directory.path().join(".ben.lock")).unwrap();
        std::os::unix::fs::symlink("/dev/null", directory.path().join(".carl.lock")).unwrap();
        for account in ["anna", "ben", "carl"] {
            let error = store.lock(account).expect_err(account).to_string();
            assert!(error.contains(&format!(".{account}.lock")), "{error}");
        }
    }

    #[test]
    fn a_lock_that_somebody_holds_is_waited_for_and_not_for_ever() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path());
        let held = store.lock("anna").unwrap();
        let error = store.lock("anna").expect_err("it is held");
        assert!(matches!(error, StoreError::Locked { .. }) && error.to_string().contains(".anna.lock"), "{error}");
        assert!(store.lock("ben").is_ok(), "another account's is another lock");
        let freed = thread::spawn(move || {
            thread::sleep(LOOK * 2);
            drop(held);
        });
        assert!(store.lock("anna").is_ok());
        freed.join().unwrap();
    }
}
