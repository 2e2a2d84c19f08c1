//! What form of an answer a client takes, by its Accept and Accept-Encoding.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};

/// Whether the client takes gzip, by its Accept-Encoding.
pub fn accepts_gzip(headers: &hyper::HeaderMap) -> bool {
    headers.get_all(hyper::header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').any(|coding| {
            let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
            let refused =
                parameters.replace(' ', "").strip_prefix("q=").and_then(|q| q.parse::<f32>().ok()) == Some(0.0);
            name.trim().eq_ignore_ascii_case("gzip") && !refused
        })
    })
}

/// Whether the client would rather have OpenMetrics than plain text, by its Accept.
pub fn accepts_open_metrics(headers: &hyper::HeaderMap) -> bool {
    let weight = |kind: &str| {
        let accepted = headers.get_all(hyper::header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let weights = accepted.flat_map(|value| value.split(',')).filter_map(|range| weight(range, kind));
        weights.fold(0.0, f32::max)
    };
    let open_metrics = weight("application/openmetrics-text");
    open_metrics > 0.0 && open_metrics >= weight("text/plain")
}

/// How much a client likes `kind`, if this range of an Accept names it in a version that is known here.
fn weight(range: &str, kind: &str) -> Option<f32> {
    let mut parts = range.split(';').map(str::trim);
    let names_it = parts.next()?.eq_ignore_ascii_case(kind);
    let mut weight = 1.0;
    for parameter in parts {
        match parameter.split_once('=') {
            Some(("q", q)) => weight = q.parse().unwrap_or(0.0),
            Some(("version", version)) if !matches!(version.trim_matches('"'), "0.0.1" | "0.0.4" | "1.0.0") => {
                return None;
            }
            _ => {}
        }
    }
    names_it.then_some(weight)
}

/// `body` as one gzip member, at the fastest level.
pub fn gzip(body: &[u8]) -> Bytes {
    let mut gzip = Gzip::begin();
    let written = gzip.write_all(body).and_then(|()| gzip.finish());
    written.expect("writing to memory does not fail")
}

/// Gzips in memory what is written to it.
pub struct Gzip(GzEncoder<Vec<u8>>);

impl Gzip {
    /// Nothing yet.
    pub fn begin() -> Self {
        Self(GzEncoder::new(Vec::new(), Compression::fast()))
    }

    /// All of it as one gzip member.
    ///
    /// # Errors
    /// None in practice: memory takes everything.
    pub fn finish(self) -> io::Result<Bytes> {
        let mut gzipped = self.0.finish()?;
        gzipped.shrink_to_fit();
        Ok(gzipped.into())
    }
}

impl Write for Gzip {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_metrics_goes_to_those_who_like_it_at_least_as_well() {
        let likes = |accept: &'static str| {
            let header = hyper::header::HeaderValue::from_static(accept);
            accepts_open_metrics(&[(hyper::header::ACCEPT, header)].into_iter().collect())
        };
        assert!(likes("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"));
        assert!(likes(
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,*/*;q=0.2"
        ));
        for other in ["*/*", "", "text/plain;version=0.0.4;q=1,*/*;q=0.1", "application/openmetrics-text;q=0"] {
            assert!(!likes(other), "{other}");
        }
        assert!(!likes("application/openmetrics-text;version=2.0.0"));
        assert!(!accepts_open_metrics(&hyper::HeaderMap::new()));
    }
}
