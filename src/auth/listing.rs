//! Who has a sign-in in the store, and what lies there besides that looks like one and is none.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, Metadata},
    io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use super::{
    account,
    discreet::harmless_name,
    files::{EXTENSION, FileVersion, Files},
    store::{Glance, Version},
    store_error::StoreError,
    tokens::{Fingerprint, Unfit},
};

/// The rights of anybody but the owner.
const OTHERS: u32 = 0o077;
const MODE: u32 = 0o7777;
pub(super) const NO_NAME: &str = "an account's name may have only letters, digits, dots, dashes and underscores";
pub(super) const ELSEWHERE: &str = "move it elsewhere";

/// The accounts of a store.
#[derive(Debug, Default)]
pub struct Listing {
    /// Their names, in order; the file of one may still be unreadable, which its account then shows.
    pub accounts: Vec<String>,
    /// What is no account although it looks like one, and which files are open to others: each with what to do.
    pub warnings: Vec<String>,
    /// Which of these is said of what is no account, by its path.
    pub refused: BTreeMap<PathBuf, String>,
}

impl Listing {
    pub(super) fn refuse(&mut self, path: PathBuf, warning: String) {
        self.warnings.push(warning.clone());
        self.refused.insert(path, warning);
    }

    /// Adds those that are accounts: a refresh token works once, and has one of them.
    pub(super) fn admit(&mut self, mut candidates: Vec<Candidate>) {
        refuse_second_holders(&mut candidates);
        for candidate in candidates {
            match candidate.refused {
                Some(warning) => self.refuse(candidate.path, warning),
                None => self.accounts.push(candidate.name),
            }
        }
    }
}

/// What is kept under a name that an account may have.
pub(super) struct Candidate {
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) fingerprint: Option<Fingerprint>,
    /// Why it is none; where it is another account's, it still holds tokens.
    pub(super) refused: Option<String>,
}

impl Files {
    /// See [`super::Store::list`].
    pub(super) fn listing(&self) -> Result<Listing, StoreError> {
        let paths = self.candidates()?;
        self.heads.keep(&paths);
        let mut listing = Listing::default();
        let mut candidates = Vec::new();
        for path in paths {
            match self.candidate(path.clone(), &mut listing.warnings) {
                Ok(candidate) => candidates.push(candidate),
                Err(warning) => listing.refuse(path, warning),
            }
        }
        listing.admit(candidates);
        Ok(listing)
    }

    /// See [`super::Store::glance`].
    pub(super) fn look(&self) -> Result<Glance, StoreError> {
        let seen = |path: PathBuf| {
            let version = FileVersion::of(&path).map(Version::File);
            (path, version)
        };
        Ok(Glance(self.candidates()?.into_iter().map(seen).collect()))
    }

    /// The paths that look like accounts' files, in order.
    fn candidates(&self) -> Result<Vec<PathBuf>, StoreError> {
        let entries = match fs::read_dir(self.directory()) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
            Err(error) => return Err(StoreError::of_system("read", self.directory(), &error)),
        };
        let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(|path| is_meant(path)).collect();
        paths.sort();
        Ok(paths)
    }

    /// What the file at `path` is, unless it has nothing to do with tokens.
    fn candidate(&self, path: PathBuf, warnings: &mut Vec<String>) -> Result<Candidate, String> {
        let name = path.file_stem().and_then(|name| name.to_str()).filter(|name| account::is_name(name));
        let Some(name) = name.map(str::to_owned) else {
            return Err(no_account(&path, NO_NAME, ELSEWHERE));
        };
        let metadata = fs::metadata(&path);
        if metadata.as_ref().is_ok_and(|metadata| !metadata.is_file()) {
            return Err(no_account(&path, "it is not a file", ELSEWHERE));
        }
        let (fingerprint, refused) = match self.head(&path) {
            Ok(Some(head)) if head.account == name => (head.fingerprint, None),
            Ok(Some(head)) => (head.fingerprint, Some(of_other(&path, &name, head.account))),
            Err(StoreError::Unfit { cause: Unfit::NoTokens, .. }) => {
                return Err(no_account(&path, "it holds no tokens", ELSEWHERE));
            }
            Ok(None) => return Err(no_account(&path, "it leads nowhere", "remove it")),
            // It is an account's all the same, which cannot be used and says so.
            Err(_) => (None, None),
        };
        if let Ok(metadata) = metadata
            && refused.is_none()
        {
            warnings.extend(rights(&path, &metadata));
        }
        Ok(Candidate { name, path, fingerprint, refused })
    }
}

/// Whether it looks like a token file: the store's own files beside begin with a dot.
fn is_meant(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.extension().is_some_and(|extension| extension == EXTENSION) && !name.starts_with('.')
}

/// A refresh token works once: where several files hold one, only the first that is its account's own is used.
fn refuse_second_holders(candidates: &mut [Candidate]) {
    let mut holders = HashMap::<Fingerprint, usize>::new();
    for (place, candidate) in candidates.iter().enumerate().filter(|(_, candidate)| candidate.refused.is_none()) {
        if let Some(fingerprint) = candidate.fingerprint {
            holders.entry(fingerprint).or_insert(place);
        }
    }
    for place in 0..candidates.len() {
        let candidate = &candidates[place];
        let holder = candidate.fingerprint.and_then(|fingerprint| holders.get(&fingerprint));
        let Some(holder) = holder.filter(|holder| **holder != place) else { continue };
        let holder = candidates[*holder].path.display();
        let why = format!("{holder} holds the same refresh token, which works only once, and is the one in use");
        let todo = format!(
            "remove it, or sign in again: oura-exporter login --account {} (if `accounts rename` was interrupted, run it \
             again instead)",
            candidate.name
        );
        candidates[place].refused = Some(no_account(&candidate.path, &why, &todo));
    }
}

pub(super) fn of_other(path: &Path, name: &str, inner: String) -> String {
    let whose = match Unfit::of_other_account(inner) {
        Unfit::OtherAccount(Some(inner)) => format!("it holds the sign-in of account {inner}"),
        _ => "it holds the sign-in of another account".to_owned(),
    };
    no_account(path, &whose, &format!("remove it, or sign in again: oura-exporter login --account {name}"))
}

pub(super) fn no_account(path: &Path, why: &str, todo: &str) -> String {
    format!("{} is not an account: {why}; {todo}", shown(path))
}

/// The path, whose last part may be anything that somebody calls a file.
fn shown(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(harmless_name(&name)).display().to_string()
}

/// What is wrong with who may read the file.
fn rights(path: &Path, metadata: &Metadata) -> Vec<String> {
    let (path, mode) = (path.display(), metadata.permissions().mode());
    let (owner, own) = (metadata.uid(), rustix::process::geteuid().as_raw());
    let open = (mode & OTHERS != 0).then(|| {
        format!(
            "{path} can be read or written by users other than its owner (mode {:o}); run: chmod 600 {path}",
            mode & MODE
        )
    });
    let foreign = (owner != own).then(|| {
        format!(
            "{path} belongs to user {owner}, and this is user {own}; always run oura-exporter as the same user, or \
             change the owner with chown"
        )
    });
    open.into_iter().chain(foreign).collect()
}
