//! What may be done on the page by whoever reaches it: beyond this machine and without a password, no more than to add.

use std::net::SocketAddr;

use anyhow::ensure;

/// What may be done on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard {
    /// Whether only people of this machine, or with a password, reach it.
    pub is_trusted: bool,
}

impl Guard {
    /// What may be done on a page that is served at `address`, with or without a password.
    pub fn new(address: SocketAddr, has_basic_auth: bool) -> Self {
        Self { is_trusted: has_basic_auth || address.ip().to_canonical().is_loopback() }
    }

    /// Whether the sign-in of `account` may be replaced.
    ///
    /// # Errors
    /// Where it may not, with what to do instead.
    pub(super) fn renews(self, account: &str) -> anyhow::Result<()> {
        ensure!(
            self.is_trusted,
            "account {account} is signed in, and this page is open beyond this machine without a password, so that it only \
             adds people; choose another name, or run: oura-exporter login --account {account}"
        );
        Ok(())
    }

    /// Whether `account` may be signed out.
    ///
    /// # Errors
    /// Where it may not, with what to do instead.
    pub(super) fn signs_out(self, account: &str) -> anyhow::Result<()> {
        // The name is repeated only where it is one.
        let account = if crate::auth::is_name(account) { account } else { "NAME" };
        ensure!(
            self.is_trusted,
            "this page is open beyond this machine without a password, so that nobody is signed out here; run: oura-exporter \
             logout --account {account}"
        );
        Ok(())
    }
}
