//! TLS to the database by rustls, as everywhere else here, with the certificates that the system trusts.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use rustls_platform_verifier::ConfigVerifierExt as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::{
    Socket,
    tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream},
};
use tokio_rustls::{TlsConnector, client};

use crate::tls;

/// What makes encrypted connections.
#[derive(Clone)]
pub(super) struct Tls(TlsConnector);

/// The same to one host.
pub(super) struct ToHost(TlsConnector, ServerName<'static>);

/// An encrypted connection.
pub(super) struct Encrypted(client::TlsStream<Socket>);

impl Tls {
    /// Trusts the authorities that the system trusts.
    ///
    /// # Errors
    /// Where it has none.
    pub(super) fn of_system() -> Result<Self, rustls::Error> {
        tls::choose_provider();
        ClientConfig::with_platform_verifier().map(Self::by)
    }

    /// Trusts the certificates in a PEM text; none if there is none in it.
    pub(super) fn of(text: &[u8]) -> Option<Self> {
        tls::choose_provider();
        let mut trusted = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(text).flatten() {
            // One that is broken leaves the others as they are.
            let _unusable = trusted.add(certificate);
        }
        let config = || ClientConfig::builder().with_root_certificates(trusted.clone()).with_no_client_auth();
        (!trusted.is_empty()).then(config).map(Self::by)
    }

    fn by(config: ClientConfig) -> Self {
        Self(TlsConnector::from(Arc::new(config)))
    }
}

impl MakeTlsConnect<Socket> for Tls {
    type Stream = Encrypted;
    type TlsConnect = ToHost;
    type Error = rustls::pki_types::InvalidDnsNameError;

    fn make_tls_connect(&mut self, host: &str) -> Result<ToHost, Self::Error> {
        Ok(ToHost(self.0.clone(), ServerName::try_from(host.to_owned())?))
    }
}

impl TlsConnect<Socket> for ToHost {
    type Stream = Encrypted;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Encrypted>> + Send>>;

    fn connect(self, stream: Socket) -> Self::Future {
        Box::pin(async move { self.0.connect(self.1, stream).await.map(Encrypted) })
    }
}

impl TlsStream for Encrypted {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
