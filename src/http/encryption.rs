//! TLS on an accepted connection, and a word to clients that do not speak it.

use std::{future::Future, io, pin::Pin, sync::Arc, time::Duration};

use rustls::ServerConfig;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// Gives what the next connection is encrypted with.
pub type Encryption = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Arc<ServerConfig>> + Send>> + Send + Sync>;

/// How long a client may take to agree on a key.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// What every TLS connection begins with: a record of the handshake.
const TLS: u8 = 0x16;
const NOT_TLS: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n\
    this port speaks TLS: ask for https:// (in Prometheus: scheme: https)\n";

/// The encrypted connection, once both sides have agreed on a key.
pub(super) async fn encrypted(stream: TcpStream, encryption: &Encryption) -> io::Result<TlsStream<TcpStream>> {
    timeout(HANDSHAKE, agree(stream, encryption)).await?
}

async fn agree(mut stream: TcpStream, encryption: &Encryption) -> io::Result<TlsStream<TcpStream>> {
    let mut first = [TLS];
    stream.peek(&mut first).await?;
    if first[0].is_ascii_uppercase() {
        // What is left unread would end the connection before the client has the answer.
        let _asked = stream.read(&mut [0; 4096]).await?;
        stream.write_all(NOT_TLS).await?;
        stream.shutdown().await?;
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a client asked in plain HTTP"));
    }
    TlsAcceptor::from(encryption().await).accept(stream).await
}
