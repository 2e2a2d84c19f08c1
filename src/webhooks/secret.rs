//! The verification token: random, kept in the state directory for its owner only, known to Oura and to this exporter.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use secrecy::SecretString;

use crate::{auth, durable};

/// The token.
pub(super) type Token = SecretString;

/// The file in the state directory.
const NAME: &str = "webhook-token";
/// What a file begins with that is being written in its place.
const BESIDE: &str = ".webhook-token~new-";
/// A longer file is none of ours, in bytes.
const LONGEST: u64 = 256;

/// The token of the state directory, which is made if there is none.
///
/// # Errors
/// Where it can neither be read nor made.
pub(super) fn kept(state: &Path) -> anyhow::Result<SecretString> {
    if let Some(token) = read(state)? {
        return Ok(token);
    }
    let token = auth::random().map_err(|error| anyhow::anyhow!("the system provides no random numbers: {error}"))?;
    let path = state.join(NAME);
    let written = durable::create(state).and_then(|()| durable::replace(state, NAME, BESIDE, token.as_bytes()));
    written.with_context(|| format!("cannot write {}; set OURA_STATE_DIR to a writable directory", path.display()))?;
    Ok(token.into())
}

/// The token of the state directory; none if it has none that can be used.
///
/// # Errors
/// Where it is there and cannot be read.
pub(super) fn read(state: &Path) -> anyhow::Result<Option<SecretString>> {
    let path: PathBuf = state.join(NAME);
    let text = match fs::metadata(&path).and_then(|metadata| {
        if metadata.is_file() && metadata.len() <= LONGEST { fs::read_to_string(&path) } else { Ok(String::new()) }
    }) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read {}; check its permissions", path.display()));
        }
    };
    let token = text.trim();
    let is_token = token.len() >= 32 && token.bytes().all(|byte| byte.is_ascii_graphic());
    Ok(is_token.then(|| token.to_owned().into()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn it_is_made_once_for_its_owner_only_and_anew_where_it_is_damaged() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("state");
        assert!(read(&state).unwrap().is_none());
        let first = kept(&state).unwrap();
        assert_eq!(kept(&state).unwrap().expose_secret(), first.expose_secret());
        let mode = fs::metadata(state.join(NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        for damage in ["", "short", "thirty-two characters and a space..", &"x".repeat(1_000)] {
            fs::write(state.join(NAME), damage).unwrap();
            let other = kept(&state).unwrap();
            assert_ne!(other.expose_secret(), first.expose_secret(), "{damage:?}");
            assert_eq!(kept(&state).unwrap().expose_secret(), other.expose_secret(), "{damage:?}");
        }
    }
}
