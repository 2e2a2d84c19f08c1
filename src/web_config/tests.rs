//! The web configuration as people write it: what is taken, and what is named as a mistake.

use std::{fs, path::PathBuf};

use tempfile::TempDir;

use super::*;

const HASH: &str = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG";

fn written(text: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("web.yml");
    fs::write(&path, text).expect("it is written");
    (directory, path)
}

fn read(text: &str) -> Result<WebConfig, Vec<String>> {
    let (_directory, path) = written(text);
    let place = format!("{}/", path.parent().expect("a directory").display());
    WebConfig::read(&path).map_err(|mistakes| mistakes.iter().map(|words| words.replace(&place, "")).collect())
}

fn mistakes(text: &str) -> Vec<String> {
    let mistakes = read(text).expect_err(text);
    assert!(mistakes.iter().all(|words| words.starts_with("web.yml: ")), "{mistakes:?}");
    assert!(!mistakes.iter().any(|words| words.contains("s3cret") || words.contains("@example.com")), "{mistakes:?}");
    mistakes
}

#[test]
fn what_says_nothing_switches_nothing_on() {
    for text in [
        "",
        "# nothing but a comment\n",
        "tls_server_config:\nbasic_auth_users:\n",
        "tls_server_config: {}\nhttp_server_config: {http2: false}\nbasic_auth_users: {}\n",
        "tls_server_config:\n  cert_file:\nrate_limit:\n  interval: 0\n  burst: 3\n",
        "---\nhttp_server_config:\n  http2: on\n  headers:\n    X-Frame-Options:\n    X-XSS-Protection: ''\n",
    ] {
        let web = read(text).unwrap_or_else(|mistakes| panic!("{text}: {mistakes:?}"));
        assert!(!web.is_encrypted() && !web.has_basic_auth() && !web.is_closed(), "{text}");
        assert!(web.current.load().headers.is_empty() && web.current.load().rate_limit.is_none(), "{text}");
        assert_eq!(web.warnings(), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn every_setting_that_the_toolkit_documents_is_known() {
    let text = "tls_server_config:\n  cert: x\n  key: x\n  client_ca: x\n  cert_file: x\n  key_file: x\n  client_auth_type: x\n  \
                client_ca_file: x\n  client_allowed_sans: [x]\n  min_version: TLS12\n  max_version: TLS13\n  \
                cipher_suites: [x]\n  prefer_server_cipher_suites: true\n  curve_preferences: [x]\n\
                http_server_config:\n  http2: true\n  headers:\n    Content-Security-Policy: x\n    \
                X-Frame-Options: sameorigin\n    X-Content-Type-Options: nosniff\n    X-XSS-Protection: 1\n    \
                Strict-Transport-Security: max-age=31536000; includeSubDomains\n\
                basic_auth_users:\n  alice: x\nrate_limit:\n  interval: 1s\n  burst: 5\n";
    for said in mistakes(text) {
        assert!(!said.contains("no such setting") && !said.contains("cannot be set"), "{said}");
        assert!(said.contains(": tls_server_config.") || said.contains(": basic_auth_users,"), "{said}");
    }
}

#[test]
fn every_mistake_is_named_at_once_with_its_place() {
    let text = format!(
        "tls_server_config:\n  cert_file: none.pem\n  key_fil: x\n  client_auth_type: Require\n  min_version: SSL3\n  \
         cipher_suites: [TLS_NONE]\n  curve_preferences: [X448]\n  prefer_server_cipher_suites: perhaps\n\
         http_server_config:\n  http2: maybe\n  headers: {{Server: x, X-Frame-Options: allow}}\n\
         basic_auth_users:\n  anna@example.com: s3cret\n  ben: {HASH}\n  'ca:rl': {HASH}\nrate_limit: {{interval: 1, burst: x}}\nextra: 1\n"
    );
    let all = mistakes(&text);
    for words in [
        "web.yml: tls_server_config.key_fil: there is no such setting",
        "web.yml: extra: there is no such setting",
        "web.yml: tls_server_config.cert_file: none.pem cannot be read (No such file or directory",
        "web.yml: tls_server_config.key_file: is missing; name the PEM file",
        "web.yml: tls_server_config.client_auth_type: \"Require\" is not a known type; choose from NoClientCert, \
         RequestClientCert",
        "web.yml: tls_server_config.min_version: \"SSL3\" is not a known version; write TLS12 or TLS13",
        "web.yml: tls_server_config.cipher_suites: \"TLS_NONE\" is not a known cipher suite; choose from TLS_ECDHE_",
        "web.yml: tls_server_config.curve_preferences: \"X448\" is not a known curve; choose from CurveP256",
        "web.yml: tls_server_config.prefer_server_cipher_suites: \"perhaps\" is neither true nor false",
        "web.yml: http_server_config.http2: \"maybe\" is neither true nor false",
        "web.yml: http_server_config.headers.Server: cannot be set; choose from Content-Security-Policy",
        "web.yml: http_server_config.headers.X-Frame-Options: \"allow\" is not a valid value; write deny or sameorigin",
        "web.yml: basic_auth_users, entry 1 in alphabetical order: is not a bcrypt hash",
        "web.yml: basic_auth_users, entry 3 in alphabetical order: a name must not contain a colon",
        "web.yml: rate_limit.interval: \"1\" is not a duration; write 1s or 100ms",
    ] {
        assert!(all.iter().any(|said| said.starts_with(words)), "{words} is not among {all:#?}");
    }
    assert_eq!(all.len(), 16, "{all:#?}");
}

#[test]
fn what_is_no_yaml_of_this_shape_is_named_by_its_line_and_not_repeated() {
    for (text, words) in [
        ("basic_auth_users: s3cret\n", "line 1"),
        ("basic_auth_users:\n  anna: [s3cret]\n", "line 2"),
        ("tls_server_config:\n  - s3cret\n", "line 2"),
        ("basic_auth_users:\n  anna: 's3cret\n", "line"),
        ("tls_server_config:\n  key: s3cret\n  key: s3cret\n", "line 3"),
        ("rate_limit: {}\nrate_limit: {}\n", "line 2"),
    ] {
        let said = mistakes(text);
        assert!(said.len() == 1 && said[0].contains(words), "{text}: {said:?}");
    }
    let (_directory, path) = written("");
    fs::write(&path, b"\xff\xfe").expect("it is written");
    assert!(WebConfig::read(&path).expect_err("no text")[0].ends_with("is not UTF-8; save it again"));
    for path in [path.with_file_name("none.yml"), path.parent().expect("a directory").to_owned(), "/dev/zero".into()] {
        let said = WebConfig::read(&path).expect_err("no file");
        assert!(
            said.len() == 1 && said[0].contains("cannot be read (") && said[0].ends_with("check path and permissions")
        );
    }
}

#[test]
fn settings_that_do_not_go_together_are_named() {
    for (text, words) in [
        ("{cert: x, cert_file: y}", "tls_server_config.cert: tls_server_config.cert_file is set as well"),
        ("{key: x, key_file: y}", "tls_server_config.key: tls_server_config.key_file is set as well"),
        ("{client_ca: x, client_ca_file: y}", "tls_server_config.client_ca: tls_server_config.client_ca_file is set"),
        ("{cert: 'x\n\ny'}", "tls_server_config.cert: contains no PEM certificate"),
        ("{key: 'x\n\ny'}", "tls_server_config.key: contains no unencrypted PEM private key"),
        ("{cert: server.crt}", "tls_server_config.cert: is not PEM text; did you mean tls_server_config.cert_file, "),
        ("{key: /etc/server.key}", "tls_server_config.key: is not PEM text; did you mean tls_server_config.key_file, "),
        (
            "{client_ca: ca.crt, client_auth_type: RequireAndVerifyClientCert}",
            "tls_server_config.client_ca: is not PEM",
        ),
        ("{min_version: TLS12}", "tls_server_config.cert_file: is missing"),
        ("{min_version: TLS13, max_version: TLS12}", "tls_server_config.max_version: leaves no supported version"),
        ("{max_version: TLS11}", "tls_server_config.max_version: leaves no supported version"),
        ("{curve_preferences: [CurveP521]}", "tls_server_config.curve_preferences: leaves no supported curve"),
        ("{client_auth_type: RequireAndVerifyClientCert}", "tls_server_config.client_ca: is missing"),
        ("{client_ca: x}", "tls_server_config.client_auth_type: is NoClientCert, so client_ca_file has no effect"),
        ("{client_allowed_sans: [a]}", "tls_server_config.client_allowed_sans: has no effect without"),
        ("{client_allowed_sans: [a@b]}", "tls_server_config.client_allowed_sans: e-mail addresses cannot be compared"),
    ] {
        let said = mistakes(&format!("tls_server_config: {text}\n"));
        assert!(said.iter().any(|said| said.starts_with(&format!("web.yml: {words}"))), "{words}: {said:#?}");
    }
    let of_rate = |text: &str| mistakes(&format!("rate_limit: {text}\n"));
    assert!(of_rate("{interval: 1s}")[0].contains("burst: is 0 or missing"));
    assert!(of_rate("{interval: 1s, burst: -1}")[0].contains("burst: is not a number"));
}

#[test]
fn hashes_of_every_kind_of_bcrypt_are_taken_and_slow_ones_warned_of() {
    let users = |hash: &str| read(&format!("basic_auth_users:\n  anna: {hash}\n"));
    for hash in [HASH.to_owned(), HASH.replace("2y", "2b"), format!("'{}'", HASH.replace("2y", "2a"))] {
        let web = users(&hash).expect("a good hash");
        assert!(web.has_basic_auth() && web.is_closed() && !web.is_encrypted() && web.warnings().is_empty());
    }
    let said = users(&HASH.replace("$10$", "$18$")).expect("slow, but good").warnings();
    assert!(said.len() == 1 && said[0].contains("with cost 18 a check takes seconds"), "{said:?}");
    for hash in
        ["", "password", "$1$salt$hash", &HASH[..59], &HASH.replace("$10$", "$32$"), &HASH.replace("$10$", "$03$")]
    {
        assert_eq!(mistakes(&format!("basic_auth_users:\n  anna: {hash}\n")).len(), 1, "{hash}");
    }
}

#[test]
fn only_the_same_file_makes_the_same_pass_for_the_health_check() {
    let (one, other) = (format!("basic_auth_users: {{a: {HASH}}}"), format!("basic_auth_users: {{b: {HASH}}}"));
    let pass = |text: &str| read(text).expect("a good file").health();
    let shown = |pass: &HealthPass| [(hyper::header::AUTHORIZATION, pass.bearer())].into_iter().collect();
    for path in ["/-/ready", "/-/healthy"] {
        assert!(pass(&one).admits(path, &shown(&pass(&one))) && !pass(&one).admits(path, &shown(&pass(&other))));
        assert!(!pass(&one).admits(path, &hyper::HeaderMap::new()));
    }
    for path in ["/metrics", "/metrics/samples", "/", "/-/", "/-/ready/", "/sign-in"] {
        assert!(!pass(&one).admits(path, &shown(&pass(&one))), "{path}");
    }
    let debug = format!("{:?} {:?}", pass(&one).bearer(), read(&one).expect("a good file"));
    assert!(!debug.contains("Bearer") && !debug.contains("$2y$"), "{debug}");
}

#[test]
fn what_a_request_brings_is_read_as_rfc_7617_has_it() {
    let brought = |value: &str| {
        let header = HeaderValue::from_str(value).expect("a header");
        credentials(&[(hyper::header::AUTHORIZATION, header)].into_iter().collect())
    };
    let pair = |user: &str, password: &str| Some((user.to_owned(), password.as_bytes().to_vec()));
    assert_eq!(brought("Basic YW5uYTpzM2NyZXQ="), pair("anna", "s3cret"));
    assert_eq!(brought("basic  YW5uYTphOmI="), pair("anna", "a:b"));
    assert_eq!(brought("BASIC Og=="), pair("", ""));
    for other in ["Bearer YW5uYTpzM2NyZXQ=", "Basic", "Basic YW5uYQ==", "Basic ***", "Basic /zph", "YW5uYTpzM2NyZXQ="] {
        assert_eq!(brought(other), None, "{other}");
    }
}

#[test]
fn a_file_that_is_lost_or_broken_while_it_runs_opens_nothing() {
    let good = |name: &str| format!("basic_auth_users: {{{name}: {HASH}}}\n");
    let (_directory, path) = written(&good("anna"));
    let web = WebConfig::read(&path).expect("a good file");
    let mut before = web.current.load_full();
    for (number, broken) in
        ["", "# empty\n", "basic_auth_users: {}\n", "basic_auth_users: {anna: open}\n", "{"].iter().enumerate()
    {
        fs::write(&path, broken).expect("it is written");
        web.look();
        assert!(Arc::ptr_eq(&before, &web.current.load_full()), "{broken}: the former one stays in force");
        fs::write(&path, good(&"anna".repeat(number + 2))).expect("it is written");
        web.look();
        let after = web.current.load_full();
        assert!(!Arc::ptr_eq(&before, &after) && web.has_basic_auth(), "{broken}: what is good again counts");
        before = after;
    }
    fs::remove_file(&path).expect("it is there");
    web.look();
    assert!(Arc::ptr_eq(&before, &web.current.load_full()), "the file is gone");
    let (_directory, path) = written("http_server_config: {}\n");
    let open = WebConfig::read(&path).expect("a good file");
    fs::write(&path, good("anna")).expect("it is written");
    open.look();
    assert!(!open.has_basic_auth(), "a password is asked for from the next start on");
}

/// What was right before a file was read again costs no check afterwards; whoever has another password since is checked.
#[tokio::test]
async fn whose_hash_is_the_same_still_is_let_in_without_a_check_after_the_file_was_read_again() {
    let hash = |password: &str| bcrypt::hash(password, 4).expect("a hash");
    let users = |of: &[(&str, &str)]| {
        let hashes = of.iter().map(|(name, hash)| ((*name).to_owned(), std::sync::Arc::from(*hash))).collect();
        BasicAuth::new(hashes).expect("random numbers")
    };
    let (anna, ben, new) = (hash("one"), hash("two"), hash("three"));
    let former = users(&[("anna", &anna), ("ben", &ben), ("carl", &ben)]);
    let (turns, peer) = (Turns::default(), "192.0.2.1".parse().expect("an address"));
    for (user, password) in [("anna", "one"), ("ben", "two"), ("carl", "two")] {
        assert!(former.admits(user.to_owned(), password.into(), peer, &turns).await);
    }
    let now = users(&[("anna", &anna), ("ben", &new)]).after(&former);
    // Nobody else gets a turn, so that whatever needs a check does not come to its end.
    let _turn = turns.of(peer).await;
    let at_once = async |user: &str, password: &str| {
        let admitted = now.admits(user.to_owned(), password.into(), peer, &turns);
        futures_util::FutureExt::now_or_never(admitted)
    };
    assert_eq!(at_once("anna", "one").await, Some(true));
    for (user, password) in [("anna", "two"), ("ben", "two"), ("ben", "three"), ("carl", "two")] {
        assert_eq!(at_once(user, password).await, None, "{user} {password} is checked");
    }
}
