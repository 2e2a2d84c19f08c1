//! `basic_auth_users`: who may read the page. A check of a password is slow by design, so it happens apart from the threads
//! that serve, one at a time, and each address waits in a line of its own.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hyper::{
    HeaderMap,
    header::{AUTHORIZATION, HeaderValue},
};
use sha2::{Digest as _, Sha256};
use tokio::{
    sync::{Mutex as Line, OwnedMutexGuard},
    task::spawn_blocking,
};

type Sha = [u8; 32];

/// The users, and which passwords were right.
pub(super) struct BasicAuth {
    hashes: BTreeMap<String, Arc<str>>,
    /// Known to nobody, so that no digest says anything outside this process.
    key: Sha,
    /// A digest of each user's right password: one a user, so that it never grows.
    right: Mutex<HashMap<String, Sha>>,
}

impl BasicAuth {
    /// Users by name, each with a bcrypt hash that was looked at.
    pub(super) fn new(hashes: BTreeMap<String, Arc<str>>) -> Result<Self, getrandom::Error> {
        let mut key = Sha::default();
        getrandom::fill(&mut key)?;
        Ok(Self { hashes, key, right: Mutex::default() })
    }

    /// The same, which knows what was right by `former` of every user whose hash is the same still: a file that is read again
    /// has nobody wait for a check behind those who guess.
    pub(super) fn after(self, former: &Self) -> Self {
        let mut right = former.right().clone();
        right.retain(|user, _| self.hashes.contains_key(user) && self.hashes.get(user) == former.hashes.get(user));
        Self { key: former.key, right: Mutex::new(right), ..self }
    }

    /// Whether this is a user's password. What was right before costs no check; all else costs one, whether there is such
    /// a user or not.
    pub(super) async fn admits(&self, user: String, password: Vec<u8>, peer: IpAddr, turns: &Turns) -> bool {
        let digest = self.digest(&[user.as_bytes(), &password]);
        if self.right().get(&user) == Some(&digest) {
            return true;
        }
        let turn = turns.of(peer).await;
        // Whoever asks several times at once waited for the first to be right.
        if self.right().get(&user) == Some(&digest) {
            return true;
        }
        let Some(hash) = self.hash_for(&user) else { return false };
        let check = spawn_blocking(move || {
            // Held until the check has ended, even where nobody waits for it any more.
            let _turn = turn;
            bcrypt::verify(&password, &hash).unwrap_or(false)
        });
        let is_right = check.await.unwrap_or(false) && self.hashes.contains_key(&user);
        if is_right {
            self.right().insert(user, digest);
        }
        is_right
    }

    /// The user's hash. For a name that is nobody's it is some user's, always the same one: a stranger's name then costs
    /// what a user's does.
    fn hash_for(&self, user: &str) -> Option<Arc<str>> {
        if let Some(hash) = self.hashes.get(user) {
            return Some(Arc::clone(hash));
        }
        let number = usize::from(self.digest(&[user.as_bytes()])[0]) % self.hashes.len().max(1);
        self.hashes.values().nth(number).map(Arc::clone)
    }

    fn digest(&self, parts: &[&[u8]]) -> Sha {
        let mut sha = Sha256::new_with_prefix(self.key);
        for part in parts {
            // The length keeps "ab" and "c" apart from "a" and "bc".
            sha.update(part.len().to_le_bytes());
            sha.update(part);
        }
        sha.finalize().into()
    }

    fn right(&self) -> std::sync::MutexGuard<'_, HashMap<String, Sha>> {
        self.right.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The user and the password that a request brings.
pub(super) fn credentials(headers: &HeaderMap) -> Option<(String, Vec<u8>)> {
    let (scheme, words) = headers.get(AUTHORIZATION).map(HeaderValue::to_str)?.ok()?.split_once(' ')?;
    let is_basic = scheme.eq_ignore_ascii_case("basic");
    let decoded = STANDARD.decode(words.trim()).ok().filter(|_| is_basic)?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let user = String::from_utf8(decoded[..colon].to_vec()).ok()?;
    Some((user, decoded[colon + 1..].to_vec()))
}

/// Whose password is checked when. One check at a time, as it takes a whole core; and one of each address, so that whoever
/// tries thousands of passwords has everybody else wait for one of them at most.
#[derive(Default)]
pub(super) struct Turns {
    all: Arc<Line<()>>,
    of_peers: Mutex<HashMap<IpAddr, Weak<Line<()>>>>,
}

/// One's turn, until it is dropped.
pub(super) struct Turn {
    // In this order: the next of all begins before the next of the same address joins the line.
    _of_all: OwnedMutexGuard<()>,
    _of_peer: OwnedMutexGuard<()>,
}

impl Turns {
    /// Waits for a turn of this address.
    pub(super) async fn of(&self, peer: IpAddr) -> Turn {
        let of_peer = self.line_of(peer).lock_owned().await;
        let of_all = Arc::clone(&self.all).lock_owned().await;
        Turn { _of_all: of_all, _of_peer: of_peer }
    }

    fn line_of(&self, peer: IpAddr) -> Arc<Line<()>> {
        let mut lines = self.of_peers.lock().unwrap_or_else(PoisonError::into_inner);
        lines.retain(|_, line| line.strong_count() > 0);
        let known = lines.get(&network(peer)).and_then(Weak::upgrade);
        known.unwrap_or_else(|| {
            let line = Arc::default();
            lines.insert(network(peer), Arc::downgrade(&line));
            line
        })
    }
}

/// What one machine has at the least: an address of IPv4, or the 2^64 addresses of a network of IPv6.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use tokio::{sync::mpsc, task::yield_now};

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_strangers_name_costs_what_a_users_does() {
        let hashes = ["anna", "ben", "carl"].map(|name| (name.to_owned(), Arc::from(format!("hash of {name}"))));
        let basic_auth = BasicAuth::new(hashes.into()).expect("random numbers");
        assert_eq!(basic_auth.hash_for("ben").as_deref(), Some("hash of ben"));
        let strangers =
            ["", "Anna", "dora", "anna ", "root", "prometheus", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
        let mut of_strangers: Vec<_> =
            strangers.iter().map(|name| basic_auth.hash_for(name).expect("a hash")).collect();
        let again: Vec<_> = strangers.iter().map(|name| basic_auth.hash_for(name).expect("a hash")).collect();
        assert_eq!(of_strangers, again, "a name costs the same each time");
        of_strangers.sort_unstable();
        of_strangers.dedup();
        assert!(of_strangers.len() > 1, "not all of them cost what one user does: {of_strangers:?}");
    }

    /// Who has a turn when, of clients that come in this order while another one of the first has its turn.
    async fn order(peers: &[&'static str]) -> Vec<&'static str> {
        let turns = Arc::new(Turns::default());
        let first = turns.of(address(peers[0])).await;
        let (told, mut order) = mpsc::unbounded_channel();
        for &peer in peers {
            let (turns, told) = (Arc::clone(&turns), told.clone());
            tokio::spawn(async move {
                let _turn = turns.of(address(peer)).await;
                told.send(peer)
            });
            yield_now().await;
        }
        drop((first, told));
        let mut seen = Vec::new();
        while let Some(peer) = order.recv().await {
            seen.push(peer);
        }
        assert_eq!(turns.of_peers.lock().expect("no panic").values().filter(|line| line.strong_count() > 0).count(), 0);
        seen
    }

    #[tokio::test]
    async fn who_tries_many_passwords_has_others_wait_for_one_of_them() {
        const ONE: &str = "192.0.2.1";
        assert_eq!(order(&[ONE, ONE, ONE, "192.0.2.2"]).await, ["192.0.2.2", ONE, ONE, ONE]);
        assert_eq!(
            order(&[ONE, "::ffff:192.0.2.1", ONE, "192.0.2.2"]).await[0],
            "192.0.2.2",
            "the same in other words"
        );
        assert_eq!(
            order(&["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:0:1::1"]).await[0],
            "2001:db8:0:1::1"
        );
    }
}
