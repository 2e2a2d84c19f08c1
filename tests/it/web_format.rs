//! The web configuration is read as Prometheus reads its own: what promtool finds good is good here, and what it refuses is
//! refused.

use std::fs;

use crate::common::{
    certificates,
    needs::there_are,
    servers::{file, promtool, text},
};
use oura_exporter::web_config::WebConfig;

const PAIR: &str = "cert_file: server.pem, key_file: server.key";
const USERS: &str = "basic_auth_users:\n  alice: $2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG\n";

/// Contents of `tls_server_config`, and whether they are good.
const OF_TLS: &[(&str, bool)] = &[
    ("{PAIR}", true),
    ("{PAIR}, min_version: TLS13", true),
    ("{PAIR}, min_version: TLS10, max_version: TLS12", true),
    ("{PAIR}, min_version: TLS111", false),
    ("{PAIR}, client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem", true),
    ("{PAIR}, client_auth_type: VerifyClientCertIfGiven", true),
    ("{PAIR}, client_auth_type: RequestClientCert", true),
    ("{PAIR}, client_auth_type: ''", true),
    ("{PAIR}, client_auth_type: require", false),
    ("{PAIR}, client_ca_file: ca.pem", false),
    ("{PAIR}, client_ca_file: none.pem, client_auth_type: RequireAndVerifyClientCert", false),
    ("{PAIR}, cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA]", true),
    ("{PAIR}, cipher_suites: [TLS_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256]", true),
    ("{PAIR}, cipher_suites: [TLS_ECDHE_RSA_WITH_AES_2048]", false),
    ("{PAIR}, cipher_suites: []", true),
    ("{PAIR}, prefer_server_cipher_suites: false", true),
    ("{PAIR}, prefer_server_cipher_suites: 7", false),
    ("{PAIR}, curve_preferences: [CurveP256, CurveP384, CurveP521, X25519]", true),
    ("{PAIR}, curve_preferences: [CurveP257]", false),
    ("{PAIR}, key: x, ca: y", false),
    ("cert_file: server.pem", false),
    ("key_file: server.key", false),
    ("cert_file: server.pem, key_file: none.key", false),
    ("cert_file: server.pem, key_file: ca.key", false),
    ("cert_file: server.key, key_file: server.key", false),
    ("", true),
];

/// Whole files, and whether they are good.
const WHOLE: &[(&str, bool)] = &[
    ("", true),
    ("# nothing\n", true),
    ("{USERS}", true),
    ("basic_auth_users:\n", true),
    ("basic_auth_users:\n  alice: password\n", false),
    ("basic_auth_users: [alice]\n", false),
    ("{USERS}{USERS}", false),
    ("http_server_config: {http2: false}\n{USERS}", true),
    ("http_server_config: {http2: sometimes}\n", false),
    ("http_server_config: {headers: {X-Frame-Options: deny, X-XSS-Protection: 1}}\n", true),
    ("http_server_config: {headers: {Strict-Transport-Security: 'max-age=31536000; includeSubDomains'}}\n", true),
    ("http_server_config: {headers: {X-Content-Type-Options: nosniff, Content-Security-Policy: x}}\n", true),
    ("http_server_config: {headers: {X-Content-Type-Options: sniff}}\n", false),
    ("http_server_config: {headers: {X-Frame-Options: DENY}}\n", false),
    ("http_server_config: {headers: {Server: x}}\n", false),
    ("tls_config: {}\n", false),
    ("tls_server_config: [1]\n", false),
    ("tls_server_config: {\n", false),
];

#[test]
fn what_promtool_finds_good_is_good_and_what_it_refuses_is_refused() {
    if !there_are(&["promtool", "openssl"], "what_promtool_finds_good_is_good_and_what_it_refuses_is_refused") {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    certificates::authority(directory.path(), "ca");
    certificates::certify(directory.path(), "ca", "server", "DNS:localhost");
    let path = directory.path().join("web.yml");
    let of_tls = OF_TLS.iter().map(|(section, is_good)| (format!("tls_server_config: {{{section}}}\n"), is_good));
    let whole = WHOLE.iter().map(|(file, is_good)| ((*file).to_owned(), is_good));
    for (file, is_good) in of_tls.chain(whole) {
        let file = file.replace("{PAIR}", PAIR).replace("{USERS}", USERS);
        fs::write(&path, &file).expect("it is written");
        let (by_promtool, said) = promtool(&["check", "web-config", text(&path)], "");
        assert_eq!(by_promtool, *is_good, "{file}: {said}");
        let read = WebConfig::read(&path);
        assert_eq!(read.is_ok(), *is_good, "{file}: {:?}", read.err());
    }
}

/// The block of YAML in docs/configuration.md that begins so.
fn block(begin: &str) -> String {
    let page = fs::read_to_string(file("docs/configuration.md")).expect("docs/configuration.md");
    let mut blocks = page.split("```yaml\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0));
    blocks.find(|block| block.starts_with(begin)).unwrap_or_else(|| panic!("no block begins with {begin}")).to_owned()
}

#[test]
fn what_the_documents_show_is_good_with_and_without_what_is_commented_out() {
    if !there_are(&["promtool", "openssl"], "what_the_documents_show_is_good_with_and_without_what_is_commented_out") {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    certificates::authority(directory.path(), "ca");
    certificates::certify(directory.path(), "ca", "server", "DNS:localhost");
    for name in ["ca", "server"] {
        fs::rename(path(&format!("{name}.pem")), path(&format!("{name}.crt"))).expect("it is there");
    }
    let web = block("tls_server_config:");
    for file in [web.clone(), web.replace("# client_", "client_")] {
        fs::write(path("web.yml"), &file).expect("it is written");
        let (is_good, said) = promtool(&["check", "web-config", text(&path("web.yml"))], "");
        assert!(is_good, "{file}: {said}");
        let read = WebConfig::read(&path("web.yml")).expect("good");
        assert!(read.is_encrypted() && read.has_basic_auth() && read.warnings().is_empty(), "{:?}", read.warnings());
    }
    let job = block("# in prometheus.yml, for both jobs").replace('\n', "\n    ");
    fs::write(path("password"), "sesame").expect("it is written");
    let config = format!("scrape_configs:\n  - job_name: oura\n    static_configs: [{{targets: [a]}}]\n    {job}\n");
    fs::write(path("prometheus.yml"), &config).expect("it is written");
    let (is_good, said) = promtool(&["check", "config", text(&path("prometheus.yml"))], "");
    assert!(is_good, "{config}: {said}");
}
