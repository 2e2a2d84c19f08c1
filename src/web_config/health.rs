//! How `oura-exporter healthcheck` gets through TLS and basic auth without a password: it reads the same files.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hyper::{
    HeaderMap,
    header::{AUTHORIZATION, HeaderValue},
};
use secrecy::{ExposeSecret as _, SecretSlice};
use sha2::{Digest as _, Sha256};

/// The only paths that it asks for.
const PATHS: [&str; 2] = ["/-/ready", "/-/healthy"];
/// Keeps this digest apart from any other of the same file.
const PURPOSE: &[u8] = b"oura-exporter healthcheck\0";

/// Proves that whoever shows it can read the web configuration. That file has the hashes of the passwords, whose salts
/// nobody can guess; what it opens is readiness and health alone.
#[derive(Clone)]
pub struct HealthPass {
    bearer: HeaderValue,
    /// The server's own certificate with its key, for a server that wants certificates of its clients.
    identity: Option<SecretSlice<u8>>,
}

impl HealthPass {
    pub(super) fn new(file: &[u8], identity: Option<SecretSlice<u8>>) -> Self {
        let digest = Sha256::new().chain_update(PURPOSE).chain_update(file).finalize();
        let bearer = HeaderValue::try_from(format!("Bearer {}", STANDARD.encode(digest)));
        let mut bearer = bearer.unwrap_or(HeaderValue::from_static("Bearer"));
        bearer.set_sensitive(true);
        Self { bearer, identity }
    }

    /// What the health check sends as `Authorization`.
    pub fn bearer(&self) -> HeaderValue {
        self.bearer.clone()
    }

    /// What it shows in a TLS handshake: certificate and key in PEM.
    pub fn identity(&self) -> Option<&[u8]> {
        self.identity.as_ref().map(|identity| identity.expose_secret())
    }

    /// Whether it lets a request through. Digests are compared, so that the time tells nothing of the pass.
    pub(super) fn admits(&self, path: &str, headers: &HeaderMap) -> bool {
        if !PATHS.contains(&path) {
            return false;
        }
        let shown = headers.get(AUTHORIZATION).map_or(&b""[..], HeaderValue::as_bytes);
        Sha256::digest(shown) == Sha256::digest(self.bearer.as_bytes())
    }
}
