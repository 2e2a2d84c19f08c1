//! The way to the network as the system's variables say it: libraries read them, and pass over in silence what is wrong.

use std::{
    ffi::{OsStr, OsString},
    fs, io,
    path::Path,
};

use hyper::{Uri, http::uri::Scheme};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use super::Reader;

/// Which proxy leads where: of each pair the first that is set counts.
const PROXIES: [[&str; 2]; 3] =
    [["HTTPS_PROXY", "https_proxy"], ["HTTP_PROXY", "http_proxy"], ["ALL_PROXY", "all_proxy"]];
const AUTHORITIES: &str = "SSL_CERT_FILE";
const DIRECTORIES: &str = "SSL_CERT_DIR";
/// More than all authorities of the world take, in bytes.
const LARGEST: u64 = 16 << 20;

/// Says what is wrong with them: a mistake where no HTTPS could work, a warning where a proxy is left aside.
pub(super) fn judge(variables: &[(OsString, OsString)], reader: &mut Reader) {
    let value = |name: &str| variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_os_str());
    for names in PROXIES {
        let given = names.into_iter().find_map(|name| Some((name, value(name)?)));
        if let Some((name, _)) = given.filter(|(_, text)| !text.is_empty() && !is_proxy(text)) {
            // It may hold a password, so it is not repeated.
            reader.warnings.push(format!(
                "{name}: not the address of an HTTP proxy, so it is ignored and requests go directly; write \
                 http://proxy.lan:3128, or unset it"
            ));
        }
    }
    let (file, directories) = (value(AUTHORITIES), value(DIRECTORIES));
    if let Some(file) = file
        && let Err(cause) = authorities_in(Path::new(file))
    {
        reader.mistakes.push(format!(
            "{AUTHORITIES}: \"{}\" {cause}; write the full path of a PEM file with all trusted authorities, or unset \
             it",
            file.display()
        ));
    }
    if let (None, Some(text)) = (file, directories)
        && !std::env::split_paths(text).any(|directory| directory.is_dir())
    {
        reader.mistakes.push(format!(
            "{DIRECTORIES}: \"{}\" is not a directory; write the full path of one with the trusted authorities, or \
             unset it",
            text.display()
        ));
    }
}

/// Whether the HTTP client takes it for a proxy; one without a scheme is spoken to over HTTP.
fn is_proxy(text: &OsStr) -> bool {
    let uri = text.to_str().and_then(|text| text.parse::<Uri>().ok());
    uri.is_some_and(|uri| {
        let is_http = uri.scheme().is_none_or(|scheme| [Scheme::HTTP, Scheme::HTTPS].contains(scheme));
        is_http && uri.authority().is_some()
    })
}

/// Whether there is at least one authority in the file.
///
/// # Errors
/// What is wrong with it, in words.
fn authorities_in(path: &Path) -> Result<(), String> {
    let unread = |error: io::Error| format!("cannot be read ({error})");
    if path.as_os_str().is_empty() {
        return Err("is empty".to_owned());
    }
    let metadata = fs::metadata(path).map_err(unread)?;
    if !metadata.is_file() || metadata.len() > LARGEST {
        return Err("is not a file, or is larger than 16 MB".to_owned());
    }
    let text = fs::read(path).map_err(unread)?;
    let mut trusted = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text).flatten() {
        // One that is broken leaves the others as they are.
        let _unusable = trusted.add(certificate);
    }
    if trusted.is_empty() { Err("contains no PEM certificate".to_owned()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(name: &str, value: &str) -> Reader {
        let mut reader = Reader::default();
        judge(&[(name.into(), value.into())], &mut reader);
        reader
    }

    #[test]
    fn what_is_no_proxy_is_told_and_never_repeated() {
        for name in PROXIES.concat() {
            for good in
                ["", "http://proxy.lan:3128", "https://anna:secret@proxy.lan", "proxy.lan:3128", "[fd00::1]:3128"]
            {
                assert_eq!(judged(name, good).warnings, [""; 0], "{name}={good}");
            }
            for bad in
                ["anna secret", "http://", "socks5://anna:secret@proxy.lan:1080", "/etc/secret", "http//secret:3128"]
            {
                let Reader { warnings, mistakes } = judged(name, bad);
                assert!(mistakes.is_empty() && warnings.len() == 1, "{name}={bad}: {warnings:?}");
                assert!(warnings[0].starts_with(&format!("{name}: not the address of an HTTP proxy")), "{warnings:?}");
                assert!(!warnings[0].contains("secret"), "{warnings:?}");
            }
        }
        let both = [("HTTPS_PROXY".into(), "http://proxy.lan".into()), ("https_proxy".into(), "a b".into())];
        let mut reader = Reader::default();
        judge(&both, &mut reader);
        assert_eq!(reader.warnings, [""; 0], "the second one of a pair does not count");
    }

    #[test]
    fn authorities_that_nobody_can_trust_are_told_as_what_they_are() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("garbage"), "garbage").unwrap();
        fs::write(path("nothing"), "").unwrap();
        let broken = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        fs::write(path("broken"), broken).unwrap();
        let told = |name: &str, value: &Path| judged(name, value.to_str().unwrap()).mistakes;
        for (value, cause) in [
            (path("missing"), "cannot be read (No such file"),
            (path("garbage"), "contains no PEM certificate"),
            (path("nothing"), "contains no PEM certificate"),
            (path("broken"), "contains no PEM certificate"),
            (path(""), "is not a file"),
            ("/dev/zero".into(), "is not a file"),
            ("".into(), "is empty"),
        ] {
            let mistakes = told(AUTHORITIES, &value);
            assert!(mistakes.len() == 1 && mistakes[0].contains(cause), "{}: {mistakes:?}", value.display());
        }
        for value in [path("missing"), path("garbage"), "".into()] {
            assert!(told(DIRECTORIES, &value)[0].contains("is not a directory"), "{}", value.display());
        }
        assert_eq!(told(DIRECTORIES, directory.path()), [""; 0]);
    }
}
