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
const REFUSED: &str =
    "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n";
/// What a client is told that does not speak it.
pub const NOT_TLS: &str = "this port speaks TLS: ask for https:// (in Prometheus: scheme: https)\n";

/// A connection to a port that speaks TLS.
pub(super) enum Agreed {
    /// Both sides have agreed on a key.
    Encrypted(Box<TlsStream<TcpStream>>),
    /// A client of this machine asks in the open.
    Open(TcpStream),
}

/// The connection, once both sides have agreed on a key, or a client of this machine turns out not to want one.
pub(super) async fn agreed(stream: TcpStream, encryption: &Encryption) -> io::Result<Agreed> {
    timeout(HANDSHAKE, agree(stream, encryption)).await?
}

async fn agree(mut stream: TcpStream, encryption: &Encryption) -> io::Result<Agreed> {
    let mut first = [TLS];
    stream.peek(&mut first).await?;
    if !first[0].is_ascii_uppercase() {
        return Ok(Agreed::Encrypted(Box::new(TlsAcceptor::from(encryption().await).accept(stream).await?)));
    }
    if stream.peer_addr()?.ip().to_canonical().is_loopback() {
        return Ok(Agreed::Open(stream));
    }
    // What is left unread would end the connection before the client has the answer.
    let _asked = stream.read(&mut [0; 4096]).await?;
    stream.write_all(REFUSED.as_bytes()).await?;
    stream.write_all(NOT_TLS.as_bytes()).await?;
    stream.shutdown().await?;
    Err(io::Error::new(io::ErrorKind::InvalidData, "a client asked in plain HTTP"))
}
