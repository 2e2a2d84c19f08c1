//! Certificates that openssl makes: authorities, servers and clients, each as `NAME.pem` and `NAME.key` in a directory.

use std::{path::Path, process::Command};

use super::servers::ask;

/// Makes an authority that certifies others.
pub(crate) fn authority(directory: &Path, name: &str) {
    make(directory, name, "-addext basicConstraints=critical,CA:TRUE");
}

/// Makes a certificate for `names`, as `DNS:localhost,IP:127.0.0.1`, that `authority` has signed.
pub(crate) fn certify(directory: &Path, authority: &str, name: &str, names: &str) {
    let signed = format!("-CA {authority}.pem -CAkey {authority}.key -addext basicConstraints=critical,CA:FALSE");
    make(directory, name, &format!("{signed} -addext subjectAltName={names}"));
}

fn make(directory: &Path, name: &str, more: &str) {
    let usual = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2";
    let files = format!("-subj /CN={name} -keyout {name}.key -out {name}.pem");
    let mut openssl = Command::new("openssl");
    openssl.current_dir(directory);
    for arguments in [usual, &files, more] {
        openssl.args(arguments.split(' '));
    }
    let (is_good, said) = ask(&mut openssl, "");
    assert!(is_good, "{name}: {said}");
}
