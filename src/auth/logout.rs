//! Signing out: Oura takes the sign-in back, and the token file is gone.

use anyhow::Context as _;

use super::{OAuthClient, OAuthError, Store, Tokens, lock};

/// What Oura said.
#[derive(Debug)]
pub enum Revoked {
    /// It has taken the sign-in back.
    Confirmed,
    /// It does not confirm that; the tokens are forgotten all the same.
    NotConfirmed(OAuthError),
}

/// Ends the sign-in of an account.
///
/// # Errors
/// Where it has none, Oura cannot be reached, or the file cannot be removed; then nothing is forgotten.
pub async fn log_out(store: &Store, oauth_client: &OAuthClient, account: &str) -> anyhow::Result<Revoked> {
    // Before the lock, which makes the directory: who is not signed in leaves nothing behind.
    signed_in(store, account)?;
    let _lock = lock(store, account).await.context("nothing has been forgotten yet")?;
    let revoked = match oauth_client.revoke(&signed_in(store, account)?).await {
        Ok(()) => Revoked::Confirmed,
        Err(error @ OAuthError::Unreachable(_)) => {
            return Err(error).context("nothing has been forgotten yet; try again when Oura can be reached");
        }
        Err(error) => Revoked::NotConfirmed(error),
    };
    store.remove(account)?;
    Ok(revoked)
}

/// The tokens of an account that is signed in.
///
/// # Errors
/// Where it is not, or its file cannot be used.
pub fn signed_in(store: &Store, account: &str) -> anyhow::Result<Tokens> {
    let tokens = store.read(account)?;
    tokens.with_context(|| format!("account {account} is not signed in; `oura-exporter accounts` shows who is"))
}
