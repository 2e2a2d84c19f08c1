//! `client_auth_type`, `client_ca_file` and `client_allowed_sans`: which clients get through by a certificate.

use std::{net::IpAddr, sync::Arc};

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use webpki::EndEntityCert;

/// The kinds that the toolkit has: by name, what is asked of a client.
const KINDS: &[(&str, Option<ClientAuth>)] = &[
    ("NoClientCert", None),
    ("RequestClientCert", Some(ClientAuth { is_needed: false, is_verified: false })),
    ("RequireAnyClientCert", Some(ClientAuth { is_needed: true, is_verified: false })),
    ("RequireClientCert", Some(ClientAuth { is_needed: true, is_verified: false })),
    ("VerifyClientCertIfGiven", Some(ClientAuth { is_needed: false, is_verified: true })),
    ("RequireAndVerifyClientCert", Some(ClientAuth { is_needed: true, is_verified: true })),
];

/// What is asked of a client.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClientAuth {
    /// A certificate, or it does not get through.
    pub(super) is_needed: bool,
    /// One that an authority of `client_ca_file` has signed.
    pub(super) is_verified: bool,
}

/// The kind of that name; what is wrong with it where there is none.
pub(super) fn kind(name: &str) -> Result<Option<ClientAuth>, String> {
    let known = KINDS.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
    known.ok_or_else(|| {
        let names: Vec<_> = KINDS.iter().map(|(name, _)| *name).collect();
        format!("\"{name}\" is not a known type; choose from {}", names.join(", "))
    })
}

/// Judges the certificates of clients.
#[derive(Debug)]
pub(super) struct ClientCertificates {
    pub(super) kind: ClientAuth,
    /// The server's own: whoever has its key is this machine's health check.
    pub(super) own: CertificateDer<'static>,
    /// The judgement by the authorities of `client_ca_file`, where there are any.
    pub(super) authorities: Option<Arc<dyn ClientCertVerifier>>,
    /// The names of which a certificate must have one.
    pub(super) names: Option<Vec<String>>,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertificates {
    fn has_a_name(&self, certificate: &CertificateDer<'_>) -> bool {
        let Some(names) = &self.names else { return true };
        let Ok(certificate) = EndEntityCert::try_from(certificate) else { return false };
        let is_allowed = |name: &str| names.iter().any(|allowed| allowed == name);
        certificate.valid_dns_names().any(is_allowed)
            || certificate.valid_uri_names().any(is_allowed)
            || names
                .iter()
                .filter_map(|name| name.parse::<IpAddr>().ok())
                .any(|address| certificate.verify_is_valid_for_subject_name(&ServerName::from(address)).is_ok())
    }
}

impl ClientCertVerifier for ClientCertificates {
    fn client_auth_mandatory(&self) -> bool {
        self.kind.is_needed
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.authorities.as_ref().map_or(&[], |authorities| authorities.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if *end_entity == self.own {
            return Ok(ClientCertVerified::assertion());
        }
        if self.kind.is_verified {
            let authorities = self.authorities.as_ref().ok_or(CertificateError::UnknownIssuer)?;
            authorities.verify_client_cert(end_entity, intermediates, now)?;
        }
        if !self.has_a_name(end_entity) {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
