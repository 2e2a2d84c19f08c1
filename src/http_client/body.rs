//! The one reader of every answer's body: bytes after decompression, chunk by chunk, and never more than a limit.

use reqwest::Response;

/// Bytes in a kilobyte, as limits are told.
pub(crate) const KILOBYTE: usize = 1024;
/// Bytes in a megabyte.
pub(crate) const MEGABYTE: usize = 1024 * KILOBYTE;
/// The largest answer of a server that has little to say: a token, a status, an error, a person.
pub(crate) const LARGEST_REPLY: usize = 16 * KILOBYTE;

/// Why a body was not read.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// It has more bytes than this.
    TooLarge(usize),
    /// It ended before its time.
    Broken(reqwest::Error),
}

/// Reads a whole body of at most so many bytes.
///
/// # Errors
/// Where it is larger, or breaks off; no more than the limit and one chunk is read then.
pub(crate) async fn whole(mut answer: Response, most: usize) -> Result<Vec<u8>, BodyError> {
    let mut body = Vec::new();
    let ended = read(&mut answer, &mut body, most).await.map_err(BodyError::Broken)?;
    if ended { Ok(body) } else { Err(BodyError::TooLarge(most)) }
}

/// The beginning of a body, as far as it comes; the rest is left unread.
pub(crate) async fn beginning(mut answer: Response, most: usize) -> Vec<u8> {
    let mut body = Vec::new();
    // What came before it broke off is worth reading.
    let _ended = read(&mut answer, &mut body, most).await;
    body.truncate(most);
    body
}

/// Goes on reading until there are more than `most` bytes; whether the body ended before.
///
/// # Errors
/// Where it breaks off.
pub(crate) async fn read(answer: &mut Response, body: &mut Vec<u8>, most: usize) -> Result<bool, reqwest::Error> {
    while body.len() <= most {
        match answer.chunk().await? {
            Some(chunk) => body.extend_from_slice(&chunk),
            None => return Ok(true),
        }
    }
    Ok(false)
}

/// So many bytes in words.
pub(crate) fn size(bytes: usize) -> String {
    if bytes < MEGABYTE { format!("{} kB", bytes / KILOBYTE) } else { format!("{} MB", bytes / MEGABYTE) }
}
