//! PKCE: the challenge that came with the sign-in, and whether a verifier answers it.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use crate::query::{Parameters, value};

/// What the verifier must fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Challenge {
    text: String,
    is_hashed: bool,
}

/// The method that the request names is none that the server knows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UnknownMethod;

impl Challenge {
    /// The challenge in a request's parameters, if it has one.
    pub(super) fn read(parameters: &Parameters) -> Result<Option<Self>, UnknownMethod> {
        let is_hashed = match value(parameters, "code_challenge_method") {
            None | Some("plain") => false,
            Some("S256") => true,
            Some(_) => return Err(UnknownMethod),
        };
        Ok(value(parameters, "code_challenge").map(|text| Self { text: text.to_owned(), is_hashed }))
    }

    /// Whether `verifier` is what the challenge was made of.
    pub(super) fn fits(&self, verifier: &str) -> bool {
        if self.is_hashed {
            URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)) == self.text
        } else {
            verifier == self.text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_fits_by_hash_or_as_it_is() {
        let read = |method: &str| {
            let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
            let pairs = [("code_challenge", challenge), ("code_challenge_method", method)];
            Challenge::read(&pairs.map(|(name, value)| (name.to_owned(), value.to_owned())))
        };
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let hashed = read("S256").unwrap().unwrap();
        assert!(hashed.fits(verifier) && !hashed.fits("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"));
        let plain = read("plain").unwrap().unwrap();
        assert!(plain.fits("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM") && !plain.fits(verifier));
        assert_eq!(read("S512"), Err(UnknownMethod));
    }
}
