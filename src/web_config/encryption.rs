//! `tls_server_config`: certificate, key, and what is asked of clients, as rustls has it.

use std::sync::Arc;

use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use secrecy::SecretSlice;
use serde::Deserialize;

use super::{
    PROTOCOL,
    client_certificate::{ClientAuth, ClientCertificates, kind},
    file::FileReader,
    tls_names::{cipher_suites, curves, versions},
};

/// The section as it is written.
#[derive(Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub(super) struct Section {
    cert: Option<String>,
    key: Option<String>,
    client_ca: Option<String>,
    cert_file: Option<String>,
    key_file: Option<String>,
    client_auth_type: Option<String>,
    client_ca_file: Option<String>,
    client_allowed_sans: Option<Vec<String>>,
    min_version: Option<String>,
    max_version: Option<String>,
    cipher_suites: Option<Vec<String>>,
    prefer_server_cipher_suites: Option<String>,
    curve_preferences: Option<Vec<String>>,
}

/// How the page is encrypted.
pub(super) struct Encryption {
    pub(super) config: Arc<ServerConfig>,
    pub(super) needs_client_certificate: bool,
    /// Certificate and key in PEM.
    pub(super) identity: SecretSlice<u8>,
}

impl Section {
    /// What the section says; none where it is wrong, which `reader` then knows.
    pub(super) fn read(&self, reader: &mut FileReader<'_>) -> Option<Encryption> {
        let mut provider = ring::default_provider();
        if let Some(names) = self.cipher_suites.as_ref().filter(|names| !names.is_empty()) {
            provider.cipher_suites = cipher_suites(&provider.cipher_suites, names, reader);
        }
        if let Some(names) = self.curve_preferences.as_ref().filter(|names| !names.is_empty()) {
            provider.kx_groups = curves(&provider.kx_groups, names, reader);
        }
        let provider = Arc::new(provider);
        let versions = versions(self.min_version.as_deref(), self.max_version.as_deref(), reader);
        let prefers_own = self.prefer_server_cipher_suites.as_deref().unwrap_or("true");
        let prefers_own = reader.flag("tls_server_config.prefer_server_cipher_suites", prefers_own);
        let pem = reader.text_or_file("tls_server_config.cert", self.cert.as_deref(), self.cert_file.as_deref(), true);
        let chain = pem.as_ref().and_then(|pem| certificates("tls_server_config.cert", pem, reader));
        let key_pem = reader.text_or_file("tls_server_config.key", self.key.as_deref(), self.key_file.as_deref(), true);
        let key = key_pem.as_ref().and_then(|pem| private_key(pem, reader));
        let own = chain.as_ref().and_then(|chain| chain.first().cloned());
        let clients = self.clients(own, &provider, reader);
        if reader.has_mistakes() {
            return None;
        }
        let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&versions);
        let builder = builder.map_err(|error| reader.mistake("tls_server_config", &fits_not(&error))).ok()?;
        let needs_client_certificate = clients.as_ref().is_some_and(|clients| clients.client_auth_mandatory());
        let builder = match clients {
            Some(clients) => builder.with_client_cert_verifier(clients),
            None => builder.with_no_client_auth(),
        };
        let config = builder.with_single_cert(chain?, key?);
        let mut config = config
            .map_err(|error| reader.mistake("tls_server_config.cert, tls_server_config.key", &fits_not(&error)))
            .ok()?;
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        config.ignore_client_order = prefers_own?;
        let identity = [pem?, b"\n".to_vec(), key_pem?].concat().into();
        Some(Encryption { config: Arc::new(config), needs_client_certificate, identity })
    }

    /// What is asked of clients; none: nothing.
    fn clients(
        &self,
        own: Option<CertificateDer<'static>>,
        provider: &Arc<CryptoProvider>,
        reader: &mut FileReader<'_>,
    ) -> Option<Arc<dyn ClientCertVerifier>> {
        const SETTING: &str = "tls_server_config.client_auth_type";
        const CA: &str = "tls_server_config.client_ca";
        let name = self.client_auth_type.as_deref().filter(|name| !name.is_empty()).unwrap_or("NoClientCert");
        let kind = kind(name).map_err(|cause| reader.mistake(SETTING, &cause)).ok()?;
        let pem = reader.text_or_file(CA, self.client_ca.as_deref(), self.client_ca_file.as_deref(), false);
        let authorities = pem.as_ref().and_then(|pem| authorities(pem, provider, reader));
        let is_set = |setting: &Option<String>| setting.as_ref().is_some_and(|value| !value.is_empty());
        let names_authority = is_set(&self.client_ca) || is_set(&self.client_ca_file);
        let Some(kind) = kind else {
            if names_authority {
                let cause = "is NoClientCert, so client_ca_file has no effect; write RequireAndVerifyClientCert";
                reader.mistake(SETTING, cause);
            }
            self.judge_names(None, reader);
            return None;
        };
        match (kind, names_authority) {
            (ClientAuth { is_verified: true, is_needed: true }, false) => {
                reader.mistake(CA, "is missing, so no client certificate could be verified; set client_ca_file");
            }
            (ClientAuth { is_verified: true, is_needed: false }, false) => {
                reader.warning(CA, "is missing, so every client certificate is refused; set client_ca_file");
            }
            _ => {}
        }
        self.judge_names(Some(kind), reader);
        let (names, algorithms) = (self.client_allowed_sans.clone(), provider.signature_verification_algorithms);
        Some(Arc::new(ClientCertificates { kind, own: own?, authorities, names, algorithms }))
    }

    fn judge_names(&self, kind: Option<ClientAuth>, reader: &mut FileReader<'_>) {
        const SETTING: &str = "tls_server_config.client_allowed_sans";
        let Some(names) = &self.client_allowed_sans else { return };
        if !kind.is_some_and(|kind| kind.is_needed) {
            let cause = "has no effect without client_auth_type RequireAndVerifyClientCert or RequireAnyClientCert";
            reader.mistake(SETTING, &format!("{cause}; set that, too"));
        }
        if names.iter().any(|name| name.contains('@') && !name.contains("://")) {
            reader.mistake(SETTING, "e-mail addresses cannot be compared here; name hosts, addresses or URIs");
        }
    }
}

fn fits_not(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InconsistentKeys(_) => {
            "the key does not belong to the certificate; name two that belong together"
        }
        _ => return format!("cannot be used ({error}); make a new pair"),
    }
    .to_owned()
}

fn certificates(setting: &str, pem: &[u8], reader: &mut FileReader<'_>) -> Option<Vec<CertificateDer<'static>>> {
    match CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>() {
        Ok(certificates) if !certificates.is_empty() => return Some(certificates),
        Ok(_) => reader.mistake(setting, "contains no PEM certificate; one begins with -----BEGIN CERTIFICATE-----"),
        Err(error) => reader.mistake(setting, &format!("is not valid PEM ({error}); copy it again")),
    }
    None
}

fn private_key(pem: &[u8], reader: &mut FileReader<'_>) -> Option<PrivateKeyDer<'static>> {
    let key = PrivateKeyDer::from_pem_slice(pem);
    let cause = "contains no unencrypted PEM private key; one begins with -----BEGIN PRIVATE KEY-----";
    key.map_err(|_| reader.mistake("tls_server_config.key", cause)).ok()
}

/// The authorities that sign the certificates of clients.
fn authorities(
    pem: &[u8],
    provider: &Arc<CryptoProvider>,
    reader: &mut FileReader<'_>,
) -> Option<Arc<dyn ClientCertVerifier>> {
    const SETTING: &str = "tls_server_config.client_ca";
    let mut roots = RootCertStore::empty();
    for certificate in certificates(SETTING, pem, reader)? {
        if let Err(error) = roots.add(certificate) {
            reader.mistake(
                SETTING,
                &format!(
                    "contains a certificate that is not an authority's ({error}); copy it \
                                              again"
                ),
            );
        }
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(provider)).build();
    verifier.map_err(|error| reader.mistake(SETTING, &format!("cannot be used: {error}"))).ok()
}
