//! What protects a sign-in: the random state, and PKCE's verifier with its challenge (RFC 7636, S256).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

/// Bytes of randomness in each.
const ENTROPY: usize = 32;

/// The secrets of one sign-in.
pub(super) struct Secrets {
    /// Comes back with the code: the answer is to our question.
    pub(super) state: String,
    /// Proves at the exchange that we began the sign-in.
    pub(super) verifier: SecretString,
}

impl Secrets {
    /// New ones.
    ///
    /// # Errors
    /// Where the system provides no random numbers.
    pub(super) fn new() -> Result<Self, getrandom::Error> {
        Ok(Self { state: random()?, verifier: random()?.into() })
    }

    /// What is told at the beginning of what is proved at the end.
    pub(super) fn challenge(&self) -> String {
        challenge(self.verifier.expose_secret())
    }
}

/// A random word.
///
/// # Errors
/// Where the system provides no random numbers.
pub(crate) fn random() -> Result<String, getrandom::Error> {
    let mut bytes = [0; ENTROPY];
    getrandom::fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_the_example_in_rfc_7636() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn no_two_sign_ins_share_secrets() {
        let (one, other) = (Secrets::new().unwrap(), Secrets::new().unwrap());
        assert_ne!(one.state, other.state);
        assert_ne!(one.challenge(), other.challenge());
        assert_eq!(one.verifier.expose_secret().len(), 43);
    }
}
