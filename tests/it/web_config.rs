//! TLS and basic auth in the exporter-toolkit's format, by the programs that people use with it: Prometheus and curl.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::Command as StdCommand,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::common::{
    Exporter, NOON, Plan, Program, certificates, eventually,
    needs::there_are,
    servers::{ask, text},
    simulator_at,
    stores::Store,
};
use oura_exporter::simulator::{Fault, Scope, Simulator};
use reqwest::{Client, StatusCode};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::Command,
};

const TLS: &str = "tls_server_config: {cert_file: server.pem, key_file: server.key";
const PASSWORD: &str = "open: sesame";

/// The users anna, and ben with another password, whose checks cost so much.
fn users(cost: u32) -> String {
    let hash = |password: &str| bcrypt::hash(password, cost).expect("a hash");
    format!("basic_auth_users:\n  anna: {}\n  ben: {}\n", hash(PASSWORD), hash("other"))
}

/// An authority `ca`, a `server` and a `client` of it, and a client that is a `stranger`.
fn certified() -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    for name in ["ca", "elsewhere"] {
        certificates::authority(directory.path(), name);
    }
    certificates::certify(directory.path(), "ca", "server", "DNS:localhost,IP:127.0.0.1");
    certificates::certify(
        directory.path(),
        "ca",
        "client",
        "DNS:prometheus.lan,URI:spiffe://lan/prometheus,IP:10.0.0.9",
    );
    certificates::certify(directory.path(), "elsewhere", "stranger", "DNS:prometheus.lan");
    directory
}

async fn exporter(directory: &Path, web: &str, simulator: &Simulator) -> Exporter {
    let path = directory.join("web.yml");
    fs::write(&path, web).expect("it is written");
    Plan::default().set("OURA_WEB_CONFIG_FILE", text(&path)).start(simulator).await
}

/// What curl gets of the exporter's page over TLS: the status, or 0 where it gets no connection.
fn curl(directory: &Path, exporter: &Exporter, arguments: &[&str]) -> u16 {
    let mut curl = StdCommand::new("curl");
    curl.current_dir(directory).args(["--silent", "--output", "/dev/null", "--write-out", "%{http_code}"]);
    curl.args(["--noproxy", "*", "--max-time", "20"]).args(arguments);
    let (_, said) = ask(curl.arg(format!("https://{}/metrics", exporter.address())), "");
    said.parse().unwrap_or_else(|_| panic!("{arguments:?}: {said}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_prometheus_scrapes_with_tls_config_and_basic_auth() {
    if !there_are(&["prometheus", "openssl"], "a_real_prometheus_scrapes_with_tls_config_and_basic_auth") {
        return;
    }
    let (simulator, directory) = (simulator_at(NOON).await, certified());
    let web = format!("{TLS}, client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem}}\n{}", users(6));
    let exporter = exporter(directory.path(), &web, &simulator).await;
    let path = |name: &str| directory.path().join(name).display().to_string();
    let job = |name: &str, password: &str, certificate: &str| {
        format!(
            "  - job_name: {name}\n    scheme: https\n    static_configs: [{{targets: ['{}']}}]\n    basic_auth: \
             {{username: anna, password: '{password}'}}\n    tls_config: {{ca_file: {}, {certificate}}}\n",
            exporter.address(),
            path("ca.pem")
        )
    };
    let certificate =
        |name: &str| format!("cert_file: {}, key_file: {}", path(&format!("{name}.pem")), path(&format!("{name}.key")));
    let config = ["global: {scrape_interval: 1s}\nscrape_configs:\n".to_owned()]
        .into_iter()
        .chain([
            job("right", PASSWORD, &certificate("client")),
            job("wrong_password", "close sesame", &certificate("client")),
            job("stranger", PASSWORD, &certificate("stranger")),
            job("no_certificate", PASSWORD, "insecure_skip_verify: false"),
        ])
        .collect::<String>();
    let prometheus = Store::prometheus(&config, &[]).await;
    let all_scraped = async || prometheus.now("count(count_over_time(up[1h]) > 2)").await.filter(|jobs| *jobs == 4.0);
    eventually("three scrapes of each job", all_scraped).await;
    for (job, up) in [("right", 1.0), ("wrong_password", 0.0), ("stranger", 0.0), ("no_certificate", 0.0)] {
        for of_all in ["min", "max"] {
            let up_over_time = format!("{of_all}_over_time(up{{job=\"{job}\"}}[1h])");
            assert_eq!(prometheus.now(&up_over_time).await, Some(up), "{job}");
        }
    }
    assert_eq!(prometheus.now("count(oura_readiness_score)").await, Some(1.0), "of the right one alone");
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_speaks_the_versions_that_are_allowed() {
    if !there_are(&["curl", "openssl"], "curl_speaks_the_versions_that_are_allowed") {
        return;
    }
    let (simulator, directory) = (simulator_at(NOON).await, certified());
    let suites = "cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_RSA_WITH_AES_128_CBC_SHA]";
    let older = &["--tls-max", "1.1", "--ciphers", "ALL:@SECLEVEL=0"][..];
    let (v12, v13) = (&["--tlsv1.2", "--tls-max", "1.2"][..], &["--tlsv1.3"][..]);
    let aes_256 = &["--tls-max", "1.2", "--ciphers", "ECDHE-ECDSA-AES256-GCM-SHA384"][..];
    for (settings, answered) in [
        ("", [0, 200, 200, 200]),
        (", min_version: TLS13", [0, 0, 200, 0]),
        (", max_version: TLS12", [0, 200, 0, 200]),
        (&format!(", {suites}"), [0, 200, 200, 0]),
        (", curve_preferences: [CurveP384, CurveP521], min_version: TLS10", [0, 200, 200, 200]),
    ] {
        let exporter = exporter(directory.path(), &format!("{TLS}{settings}}}\n"), &simulator).await;
        let status = |how: &[&str]| curl(directory.path(), &exporter, &[&["--cacert", "ca.pem"], how].concat());
        assert_eq!([older, v12, v13, aes_256].map(status), answered, "{settings}");
        assert_eq!(curl(directory.path(), &exporter, &["--cacert", "elsewhere.pem"]), 0, "the certificate is ca's");
        exporter.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_certificates_are_asked_for_as_the_type_says() {
    if !there_are(&["curl", "openssl"], "client_certificates_are_asked_for_as_the_type_says") {
        return;
    }
    let (simulator, directory) = (simulator_at(NOON).await, certified());
    let verified = "client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem";
    // Without one, with the client's, with a stranger's of the same name.
    for (settings, answered) in [
        ("", [200, 200, 200]),
        (", client_auth_type: RequestClientCert", [200, 200, 200]),
        (", client_auth_type: RequireAnyClientCert", [0, 200, 200]),
        (", client_auth_type: VerifyClientCertIfGiven, client_ca_file: ca.pem", [200, 200, 0]),
        (", client_auth_type: VerifyClientCertIfGiven", [200, 0, 0]),
        (&format!(", {verified}"), [0, 200, 0]),
        (&format!(", {verified}, client_allowed_sans: [prometheus.lan]"), [0, 200, 0]),
        (&format!(", {verified}, client_allowed_sans: ['spiffe://lan/prometheus']"), [0, 200, 0]),
        (&format!(", {verified}, client_allowed_sans: [nobody, 10.0.0.9]"), [0, 200, 0]),
        (&format!(", {verified}, client_allowed_sans: [lan, 10.0.0.8, 'spiffe://lan']"), [0, 0, 0]),
    ] {
        let exporter = exporter(directory.path(), &format!("{TLS}{settings}}}\n"), &simulator).await;
        for version in [&["--tls-max", "1.2"][..], &["--tlsv1.3"]] {
            let usual = [&["--cacert", "ca.pem"], version].concat();
            let with = |name: &str| {
                let (certificate, key) = (format!("{name}.pem"), format!("{name}.key"));
                curl(directory.path(), &exporter, &[&usual[..], &["--cert", &certificate, "--key", &key]].concat())
            };
            let got = [curl(directory.path(), &exporter, &usual), with("client"), with("stranger")];
            assert_eq!(got, answered, "{settings} {version:?}");
        }
        exporter.stop().await;
    }
}

#[tokio::test]
async fn only_right_passwords_get_an_answer_whatever_is_asked_for() {
    let (simulator, directory) = (simulator_at(NOON).await, tempfile::tempdir().expect("a directory"));
    let web =
        format!("{}http_server_config: {{headers: {{X-Frame-Options: deny, Content-Security-Policy: x}}}}\n", users(5));
    let exporter = exporter(directory.path(), &web, &simulator).await;
    let http = Client::new();
    let get = async |path: &str, who: Option<(&str, &str)>| {
        let request = http.get(format!("{}{path}", exporter.url));
        let request = match who {
            Some((user, password)) => request.basic_auth(user, Some(password)),
            None => request,
        };
        request.send().await.expect("an answer")
    };
    let wrong = [("anna", "other"), ("anna", ""), ("ben", PASSWORD), ("carl", PASSWORD), ("", ""), ("Anna", PASSWORD)];
    let wrong = wrong.map(Some).into_iter().chain([None]);
    for path in ["/metrics", "/-/healthy", "/-/ready", "/", "/nope"] {
        for who in wrong.clone() {
            let answer = get(path, who).await;
            assert_eq!(answer.status(), 401, "{path} {who:?}");
            assert_eq!(answer.headers()["www-authenticate"], "Basic realm=\"oura-exporter\", charset=\"UTF-8\"");
            assert_eq!(answer.headers()["x-frame-options"], "deny");
            assert!(!answer.text().await.expect("a body").contains("oura_"));
        }
    }
    for who in [("anna", PASSWORD), ("ben", "other"), ("anna", PASSWORD)] {
        for (path, status) in [("/metrics", 200), ("/-/healthy", 200), ("/nope", 404)] {
            let answer = get(path, Some(who)).await;
            assert_eq!(answer.status(), status, "{path} {who:?}");
            let headers = ["x-frame-options", "content-security-policy", "x-content-type-options"];
            assert_eq!(headers.map(|name| answer.headers()[name].to_str().expect("text")), ["deny", "x", "nosniff"]);
        }
        assert_eq!(get("/metrics", Some((who.0, "other than that"))).await.status(), 401, "after the right one");
    }
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scrape_gets_through_while_two_hundred_wrong_passwords_are_tried() {
    let (simulator, directory) = (simulator_at(NOON).await, tempfile::tempdir().expect("a directory"));
    let exporter = exporter(directory.path(), &users(10), &simulator).await;
    let url = format!("{}/metrics", exporter.url);
    let get = |http: &Client, user: &str, password: &str| http.get(&url).basic_auth(user, Some(password)).send();
    let scraper = Client::new();
    assert_eq!(get(&scraper, "anna", PASSWORD).await.expect("an answer").status(), 200, "the scrapes have begun");
    let refused = Arc::new(AtomicUsize::new(0));
    let flood: Vec<_> = (0..200)
        .map(|number| {
            let (request, refused) = (get(&Client::new(), "anna", &format!("guess {number}")), Arc::clone(&refused));
            tokio::spawn(async move {
                assert_eq!(request.await.expect("an answer").status(), 401);
                refused.fetch_add(1, Ordering::Relaxed)
            })
        })
        .collect();
    let begun = async || (refused.load(Ordering::Relaxed) > 2).then_some(());
    eventually("the first of the wrong ones is refused", begun).await;
    assert_eq!(get(&scraper, "anna", PASSWORD).await.expect("an answer").status(), 200);
    assert_eq!(get(&Client::new(), "anna", PASSWORD).await.expect("an answer").status(), 200, "on a new connection");
    let elsewhere = Client::builder().local_address(std::net::IpAddr::from([127, 0, 0, 2])).build().expect("a client");
    assert_eq!(get(&elsewhere, "ben", "other").await.expect("an answer").status(), 200, "for the first time");
    let done = refused.load(Ordering::Relaxed);
    assert!(done < 150, "the others waited for {done} of the wrong ones");
    for guess in flood {
        guess.abort();
    }
    exporter.stop().await;
}

/// A client that trusts nobody but that authority.
fn trusting(directory: &Path, authority: &str) -> Client {
    let pem = fs::read(directory.join(authority)).expect("a certificate");
    let authority = reqwest::Certificate::from_pem(&pem).expect("a certificate");
    Client::builder().tls_certs_only([authority]).no_proxy().build().expect("a client")
}

/// How a file gets in the place of another.
type Replace = fn(&Path, &Path);

/// Puts the certificate and key of `name` in the place of the server's, one after the other.
fn renew(directory: &Path, name: &str, replace: Replace) {
    for kind in ["pem", "key"] {
        replace(&directory.join(format!("{name}.{kind}")), &directory.join(format!("server.{kind}")));
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_without_a_restart() {
    if !there_are(&["openssl"], "a_renewed_certificate_is_shown_without_a_restart") {
        return;
    }
    let (simulator, directory) = (simulator_at(NOON).await, certified());
    let directory = directory.path();
    let exporter = exporter(directory, &format!("{TLS}}}\n"), &simulator).await;
    let url = format!("https://{}/-/healthy", exporter.address());
    let answers = async |authority: &str| {
        let answer = trusting(directory, authority).get(&url).send().await;
        answer.is_ok_and(|answer| answer.status() == 200)
    };
    let shows = async |authority: &str| {
        eventually(authority, async || answers(authority).await.then_some(())).await;
    };
    assert!(answers("ca.pem").await && !answers("elsewhere.pem").await);
    let moved = |from: &Path, to: &Path| fs::rename(from, to).expect("it is moved");
    let rewritten = |from: &Path, to: &Path| fs::write(to, fs::read(from).expect("a file")).expect("it is written");
    let linked = |from: &Path, to: &Path| {
        fs::remove_file(to).expect("it is there");
        std::os::unix::fs::symlink(from, to).expect("a link");
    };
    let ways: [(&str, Replace); 3] = [("moved", moved), ("rewritten", rewritten), ("linked", linked)];
    for (number, (way, replace)) in ways.into_iter().enumerate() {
        let authority = ["elsewhere", "ca"][number % 2];
        certificates::certify(directory, authority, way, "DNS:localhost,IP:127.0.0.1");
        renew(directory, way, replace);
        shows(&format!("{authority}.pem")).await;
    }
    // A pair that does not fit, and half a file, leave the last good one in force; what is whole again counts.
    let whole = fs::read(directory.join("stranger.pem")).expect("a certificate");
    for broken in [&whole[..], &whole[..whole.len() / 2], b""] {
        fs::write(directory.join("server.pem"), broken).expect("it is written");
        for _ in 0..3 {
            shows("elsewhere.pem").await;
        }
    }
    certificates::certify(directory, "ca", "last", "IP:127.0.0.1");
    renew(directory, "last", moved);
    shows("ca.pem").await;
    exporter.stop().await;
}

#[tokio::test]
async fn users_change_without_a_restart() {
    let (simulator, directory) = (simulator_at(NOON).await, tempfile::tempdir().expect("a directory"));
    let path = directory.path().join("web.yml");
    let exporter = exporter(directory.path(), &users(5), &simulator).await;
    let http = Client::new();
    let status = async |who: Option<&str>| {
        let request = http.get(format!("{}/metrics", exporter.url));
        let request = match who {
            Some(password) => request.basic_auth("anna", Some(password)),
            None => request,
        };
        request.send().await.expect("an answer").status().as_u16()
    };
    assert_eq!((status(Some(PASSWORD)).await, status(Some("new")).await), (200, 401));
    let new = format!("basic_auth_users: {{anna: {}}}\n", bcrypt::hash("new", 5).expect("a hash"));
    fs::write(&path, &new).expect("it is written");
    eventually("the new password", async || (status(Some("new")).await == 200).then_some(())).await;
    assert_eq!((status(Some(PASSWORD)).await, status(None).await), (401, 401), "the old one was right before");
    exporter.stop().await;
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oura-exporter"));
    command.env_clear();
    command
}

async fn healthcheck(address: &str, web: &Path, asked: &[&str]) -> (Option<i32>, String) {
    let mut check = program();
    check.args(["healthcheck", "--web.listen-address", address, "--web.config.file", text(web)]).args(asked);
    let output = check.output().await.expect("the program runs");
    (output.status.code(), String::from_utf8(output.stderr).expect("UTF-8"))
}

#[tokio::test]
async fn the_health_check_gets_through_with_the_same_file_and_tells_readiness() {
    if !there_are(&["openssl"], "the_health_check_gets_through_with_the_same_file_and_tells_readiness") {
        return;
    }
    let directory = certified();
    let closed = "client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem, client_allowed_sans: [nobody]";
    for web in [users(5), format!("{TLS}}}\n"), format!("{TLS}, {closed}}}\n{}", users(5))] {
        let simulator = simulator_at(NOON).await;
        simulator.faults().set(Scope::collection("sleep"), Fault::Delay(Duration::from_secs(1)));
        let exporter = exporter(directory.path(), &web, &simulator).await;
        let (path, address) = (directory.path().join("web.yml"), exporter.address().to_owned());
        let (code, said) = healthcheck(&address, &path, &["--alive"]).await;
        assert_eq!(code, Some(0), "it serves, whether it is ready or not: {said}");
        let (code, said) = healthcheck(&address, &path, &[]).await;
        assert!(code == Some(0) || (code == Some(1) && said.contains("the first poll has not ended")), "{said}");
        let ready = async || (healthcheck(&address, &path, &[]).await.0 == Some(0)).then_some(());
        eventually("the health check succeeds", ready).await;
        let other = directory.path().join("other.yml");
        fs::write(&other, format!("{web}# not the same\n")).expect("it is written");
        if web.contains("basic_auth_users") {
            for asked in [&[][..], &["--alive"]] {
                let (code, said) = healthcheck(&address, &other, asked).await;
                assert!(code == Some(1) && said.contains("the right password"), "{said}");
            }
        }
        exporter.stop().await;
    }
}

#[tokio::test]
async fn the_program_names_every_mistake_and_ends_with_2() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("web.yml");
    fs::write(&path, "tls_server_config: {cert_file: a.pem}\nbasic_auth_users: {anna: open}\n").expect("written");
    for (by_flag, name) in [(true, "--web.config.file"), (false, "OURA_WEB_CONFIG_FILE")] {
        let mut command = program();
        command.arg("demo");
        let command = if by_flag { command.args([name, text(&path)]) } else { command.env(name, &path) };
        let output = command.output().await.expect("the program runs");
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(2), "{said}");
        let lines: Vec<_> = said.lines().collect();
        let begin = format!("oura-exporter: {name}: {}: ", path.display());
        assert!(lines.len() == 3 && lines.iter().all(|line| line.starts_with(&begin)), "{said}");
        for setting in ["tls_server_config.cert_file: ", "tls_server_config.key_file: ", "basic_auth_users, entry 1 "] {
            assert!(said.contains(&format!("{begin}{setting}")), "{setting}: {said}");
        }
    }
}

#[tokio::test]
async fn clients_that_speak_no_tls_are_told_and_those_that_say_nothing_do_not_keep_it_from_stopping() {
    if !there_are(&["openssl"], "clients_that_speak_no_tls") {
        return;
    }
    let directory = certified();
    let path = directory.path().join("web.yml");
    fs::write(&path, format!("{TLS}}}\n")).expect("it is written");
    let program = Program::start(program().args(["demo", "--web.config.file", text(&path)])).await;
    let close = "Host: localhost\r\nConnection: close\r\n\r\n";
    for (asked, version) in [("GET /metrics", "HTTP/1.1"), ("POST /", "HTTP/1.0")] {
        let request = format!("{asked} {version}\r\n{close}");
        let mut client = TcpStream::connect(&program.address).await.expect("a connection");
        client.write_all(request.as_bytes()).await.expect("it is sent");
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.starts_with(&format!("{version} 400 ")) && answer.contains("ask for https://"), "{answer}");
    }
    let mut silent = Vec::new();
    for words in [&b""[..], b"\x16\x03\x01", b"\x16\x03\x01 and no more of it"] {
        let mut client = TcpStream::connect(&program.address).await.expect("a connection");
        client.write_all(words).await.expect("it is sent");
        silent.push(client);
    }
    let http = trusting(directory.path(), "ca.pem");
    let answer = http.get(format!("https://{}/-/healthy", program.address)).send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    let (code, log) = program.terminate().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("still under way"), "{log}");
}

#[tokio::test]
async fn what_an_open_port_shows_to_whom_is_said_once() {
    if !there_are(&["openssl"], "what_an_open_port_shows_to_whom_is_said_once") {
        return;
    }
    let directory = certified();
    let path = directory.path().join("web.yml");
    let verified = "client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem";
    let (nobody_asked, in_the_open) = ("without a password", "can read the password and the health data");
    for (web, said) in [
        ("http_server_config: {http2: false}\n".to_owned(), Some(nobody_asked)),
        (format!("{TLS}}}\n"), Some(nobody_asked)),
        (format!("{TLS}, client_auth_type: RequestClientCert}}\n"), Some(nobody_asked)),
        (users(5), Some(in_the_open)),
        (format!("{TLS}}}\n{}", users(5)), None),
        (format!("{TLS}, {verified}}}\n"), None),
    ] {
        fs::write(&path, &web).expect("it is written");
        let mut demo = program();
        let demo = Program::start_at("0.0.0.0:0", demo.args(["demo", "--web.config.file", text(&path)])).await;
        let (code, log) = demo.terminate().await;
        assert_eq!(code, Some(0), "{log}");
        for words in [nobody_asked, in_the_open] {
            assert_eq!(log.matches(words).count(), usize::from(said == Some(words)), "{web}: {log}");
        }
        assert_eq!(log.contains("serving https://"), web.contains("tls_server_config"), "{log}");
    }
}

#[tokio::test]
async fn no_more_requests_are_answered_than_the_limit_allows() {
    let (simulator, directory) = (simulator_at(NOON).await, tempfile::tempdir().expect("a directory"));
    let exporter = exporter(directory.path(), "rate_limit: {interval: 1h, burst: 3}\n", &simulator).await;
    let mut counts = BTreeMap::<u16, usize>::new();
    for _ in 0..10 {
        *counts.entry(exporter.get("/metrics").await.0).or_default() += 1;
    }
    assert_eq!(counts, BTreeMap::from([(200, 3), (429, 7)]));
    exporter.stop().await;
}
