//! An answer that came gzipped: it is unpacked when all of it is here. Hundreds may be coming at a time, and each would take fifty
//! kilobytes for its unpacking, and what came of it, until its last byte.

use std::io::{self, Cursor, Read as _};

use flate2::read::MultiGzDecoder;
use reqwest::header::{CONTENT_ENCODING, HeaderMap};

use super::ApiError;

/// What is asked for, and unpacked here.
pub(super) const GZIP: &str = "gzip";

/// A gzipped body.
pub(super) struct Packed(MultiGzDecoder<Cursor<Vec<u8>>>);

/// Whether the body is gzipped.
pub(super) fn is_packed(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding.as_bytes().eq_ignore_ascii_case(GZIP.as_bytes()))
}

impl Packed {
    pub(super) fn new(body: Vec<u8>) -> Self {
        Self(MultiGzDecoder::new(Cursor::new(body)))
    }

    /// Goes on unpacking into `body` until that has more than `most` bytes; whether all of it is there.
    ///
    /// # Errors
    /// `Network` where it ends before its time, `Unreadable` where it is no gzip.
    pub(super) fn read(&mut self, body: &mut Vec<u8>, most: usize) -> Result<bool, ApiError> {
        let room = (most + 1).saturating_sub(body.len()) as u64;
        match self.0.by_ref().take(room).read_to_end(body) {
            Ok(_) => Ok(body.len() <= most),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(ApiError::broken_off()),
            Err(_) => Err(ApiError::badly_packed()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut gzip = GzEncoder::new(vec![], Compression::default());
        gzip.write_all(text).unwrap();
        gzip.finish().unwrap()
    }

    fn read(packed: Vec<u8>, most: usize) -> Result<(bool, Vec<u8>), String> {
        let mut body = vec![];
        let ended = Packed::new(packed).read(&mut body, most).map_err(|error| error.to_string())?;
        Ok((ended, body))
    }

    #[test]
    fn it_is_unpacked_up_to_a_limit_and_then_further() {
        let text = b"a day of heart rate, a day of heart rate, a day of heart rate".repeat(9);
        assert_eq!(read(packed(&text), text.len()), Ok((true, text.clone())));
        assert_eq!(read(packed(b""), 0), Ok((true, vec![])));
        let parts = [packed(&text[..100]), packed(&text[100..])].concat();
        assert_eq!(read(parts, text.len()), Ok((true, text.clone())), "in two members");
        let (mut packed, mut body) = (Packed::new(packed(&text)), vec![]);
        for (most, ended) in [(0, false), (7, false), (text.len() - 1, false), (text.len(), true), (1_000_000, true)] {
            assert_eq!(packed.read(&mut body, most).unwrap(), ended, "{most}");
            assert!(body.len() <= most + 1 && text.starts_with(&body), "{most}");
        }
        assert_eq!(body, text);
    }

    #[test]
    fn what_breaks_off_may_come_whole_and_what_is_no_gzip_never_does() {
        let whole = packed(b"[1,2,3]");
        for end in 1..whole.len() {
            let said = read(whole[..end].to_vec(), 100).unwrap_err();
            assert!(said.contains("broke off"), "{end} of {} bytes: {said}", whole.len());
        }
        let [mut damaged, mut forged] = [whole.clone(), whole.clone()];
        damaged[12] ^= 0xff;
        *forged.last_mut().unwrap() ^= 1;
        for wrong in [damaged, forged, b"{\"data\":[]}".to_vec(), [&whole[..], b"more"].concat()] {
            let said = read(wrong.clone(), 100).unwrap_err();
            assert!(said.contains("compression is broken") || said.contains("broke off"), "{wrong:?}: {said}");
        }
    }
}
