//! The way out as the documented variables lead it: through a proxy, and trusting one's own authority.

use std::fs;

use crate::common::{NOON, Plan, certificates, needs::there_are, servers::text, simulator_at};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    process::Command,
};

/// `check`, which asks each collection once, with a token and these variables alone; what it prints.
async fn check(variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oura-exporter"));
    let directory = tempfile::tempdir().expect("a directory");
    command.env_clear().env("OURA_ACCESS_TOKEN", "t0k3n").env("OURA_STATE_DIR", directory.path()).arg("check");
    let named = [("OURA_COLLECTIONS", "sleep")];
    let output = command.envs(named).envs(variables.iter().copied()).output().await.expect("the program runs");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[tokio::test]
async fn ones_own_authority_is_trusted_by_ssl_cert_file() {
    if !there_are(&["openssl"], "ones_own_authority_is_trusted_by_ssl_cert_file") {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    for authority in ["ca", "elsewhere"] {
        certificates::authority(directory.path(), authority);
    }
    certificates::certify(directory.path(), "ca", "server", "DNS:localhost");
    fs::write(path("web.yml"), "tls_server_config: {cert_file: server.pem, key_file: server.key}\n").expect("written");
    fs::write(path("all.pem"), ["elsewhere.pem", "ca.pem"].map(|name| fs::read(path(name)).expect("a file")).concat())
        .expect("written");
    let simulator = simulator_at(NOON).await;
    // Any server of the authority's will do: it answers that it has no such page.
    let server = Plan::default().set("OURA_WEB_CONFIG_FILE", text(&path("web.yml"))).start(&simulator).await;
    let url = format!("https://localhost:{}", server.address().rsplit_once(':').expect("a port").1);
    for (trusted, is_reached) in [("ca.pem", true), ("all.pem", true), ("elsewhere.pem", false)] {
        let said = check(&[("OURA_API_URL", &url), ("SSL_CERT_FILE", text(&path(trusted)))]).await;
        assert_eq!(said.contains("404"), is_reached, "{trusted}: {said}");
        assert!(is_reached || said.contains("no connection") || said.contains("certificate"), "{trusted}: {said}");
    }
    server.stop().await;
}

#[tokio::test]
async fn the_proxy_of_the_environment_leads_to_oura() {
    if !there_are(&["openssl"], "the_proxy_of_the_environment_leads_to_oura") {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    certificates::authority(directory.path(), "ca");
    let ca = directory.path().join("ca.pem");
    for (api, asked) in [
        ("https://api.ouraring.example", "CONNECT api.ouraring.example:443 HTTP/1.1"),
        ("https://ring.example:8443/oura", "CONNECT ring.example:8443 HTTP/1.1"),
        ("http://ring.example", "GET http://ring.example/v2/usercollection/"),
    ] {
        let proxy = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", proxy.local_addr().expect("an address"));
        let first_line = tokio::spawn(async move {
            let (mut stream, _) = proxy.accept().await.expect("a client");
            let mut line = String::new();
            BufReader::new(&mut stream).read_line(&mut line).await.expect("a line");
            stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await.expect("it is sent");
            line
        });
        let variable = if api.starts_with("https") { "HTTPS_PROXY" } else { "HTTP_PROXY" };
        let said = check(&[("OURA_API_URL", api), (variable, &url), ("SSL_CERT_FILE", text(&ca))]).await;
        // What a proxy refuses is refused; that it was asked is what counts.
        assert!(first_line.is_finished(), "{api}: the proxy was not asked: {said}");
        let line = first_line.await.expect("no panic");
        assert!(line.starts_with(asked), "{line}");
    }
}
