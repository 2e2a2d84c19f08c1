//! What may be done on the page by whoever reaches it: beyond this machine and without a password, no more than to add.

use std::net::{IpAddr, SocketAddr};

use anyhow::ensure;

use crate::auth::{self, Replaces};

/// What may be done on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard {
    /// Whether only people of this machine, or with a password, reach it.
    pub is_trusted: bool,
    has_basic_auth: bool,
    /// Whether a proxy shows it elsewhere, so that all come from the proxy's address.
    is_shown_elsewhere: bool,
}

impl Guard {
    /// What may be done on a page that is served at `address`, with or without a password, and shown elsewhere by a proxy or
    /// not.
    pub fn new(address: SocketAddr, has_basic_auth: bool, is_shown_elsewhere: bool) -> Self {
        let is_of_this_machine = address.ip().to_canonical().is_loopback() && !is_shown_elsewhere;
        Self { is_trusted: has_basic_auth || is_of_this_machine, has_basic_auth, is_shown_elsewhere }
    }

    /// The same where a proxy turns out to show the page, of which no setting says anything.
    pub(super) const fn behind_a_proxy(self) -> Self {
        Self { is_trusted: self.has_basic_auth, is_shown_elsewhere: true, ..self }
    }

    /// Who asks from `peer`, if that is a stranger: nobody who gave a password, and nobody of this machine.
    pub(super) fn stranger(self, peer: IpAddr) -> Option<IpAddr> {
        let is_of_this_machine = peer.to_canonical().is_loopback() && !self.is_shown_elsewhere;
        (!self.is_trusted && !is_of_this_machine).then_some(peer)
    }

    /// Whether the sign-in of `account` may be renewed, which `is_dead` if no token of it works any more.
    ///
    /// # Errors
    /// Where it may not, with what to do instead.
    pub(super) fn renews(self, account: &str, is_dead: bool) -> anyhow::Result<()> {
        ensure!(
            self.is_trusted || is_dead,
            "account {account} is signed in, and this page is open beyond this machine without a password, so it \
             renews only sign-ins that have ended; choose another name, or run: oura-exporter login --no-browser \
             --account {account}"
        );
        Ok(())
    }

    /// Whom a sign-in may put in the place of an account, given whether somebody says that another person is meant.
    pub(super) const fn replaces(self, is_meant: bool) -> Replaces {
        match (self.is_trusted, is_meant) {
            (false, _) => Replaces::ProvenSamePerson,
            (true, false) => Replaces::SamePerson,
            (true, true) => Replaces::Anybody,
        }
    }

    /// Whether `account` may be signed out.
    ///
    /// # Errors
    /// Where it may not, with what to do instead.
    pub(super) fn signs_out(self, account: &str) -> anyhow::Result<()> {
        // The name is repeated only where it is one.
        let account = if auth::is_name(account) { account } else { "NAME" };
        ensure!(
            self.is_trusted,
            "this page is open beyond this machine without a password, so nobody is signed out here; run: \
             oura-exporter logout --account {account}"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_that_shows_the_page_elsewhere_makes_strangers_of_all_and_a_password_of_none() {
        let loopback: IpAddr = "127.0.0.1".parse().unwrap();
        for (address, has_password, is_shown_elsewhere, is_trusted, knows_loopback) in [
            ("127.0.0.1:10058", false, false, true, true),
            ("[::1]:10058", false, false, true, true),
            ("127.0.0.1:10058", false, true, false, false),
            ("127.0.0.1:10058", true, true, true, true),
            ("0.0.0.0:10058", false, false, false, true),
            ("192.168.1.2:10058", false, true, false, false),
            ("0.0.0.0:10058", true, false, true, true),
        ] {
            let guard = Guard::new(address.parse().unwrap(), has_password, is_shown_elsewhere);
            assert_eq!(guard.is_trusted, is_trusted, "{address} {has_password} {is_shown_elsewhere}");
            assert_eq!(
                guard.stranger(loopback).is_none(),
                knows_loopback,
                "{address} {has_password} {is_shown_elsewhere}"
            );
            let lan = "192.168.1.9".parse().unwrap();
            assert_eq!(guard.stranger(lan).is_none(), is_trusted, "{address} {has_password} {is_shown_elsewhere}");
            let behind = guard.behind_a_proxy();
            assert_eq!(
                (behind.is_trusted, behind.stranger(loopback).is_none()),
                (has_password, has_password),
                "{address}"
            );
        }
    }
}
