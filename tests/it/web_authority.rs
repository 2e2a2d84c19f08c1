//! Client certificates whose authority is lost, spoilt or replaced while the exporter runs: whoever has none never gets in.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use crate::common::{Program, certificates, eventually, needs::there_are, servers::text};
use reqwest::{Certificate, Client, Identity};
use tempfile::TempDir;
use tokio::process::Command;

const WEB: &str = "tls_server_config: {cert_file: server.pem, key_file: server.key, client_ca_file: authority.pem, \
                   client_auth_type: RequireAndVerifyClientCert}\n";
/// The files are looked at once a second at most, while somebody asks.
const SEVERAL_LOOKS: Duration = Duration::from_secs(3);

/// The authorities `ca` and `elsewhere`, the server and a client of the one, a stranger of the other.
fn certified() -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    for (authority, names) in [("ca", &["server", "client"][..]), ("elsewhere", &["stranger"])] {
        certificates::authority(directory.path(), authority);
        for name in names {
            certificates::certify(directory.path(), authority, name, "DNS:localhost,IP:127.0.0.1");
        }
    }
    fs::copy(directory.path().join("ca.pem"), directory.path().join("authority.pem")).expect("a copy");
    fs::write(directory.path().join("web.yml"), WEB).expect("it is written");
    directory
}

/// What somebody gets of the page on a connection of their own: the status, or none without a connection.
async fn status(directory: &Path, address: &str, who: Option<&str>) -> Option<u16> {
    let read = |name: String| fs::read(directory.join(name)).expect("it is there");
    let server = Certificate::from_pem(&read("ca.pem".to_owned())).expect("a certificate");
    let mut http = Client::builder().tls_certs_only([server]).no_proxy();
    if let Some(name) = who {
        let both = [read(format!("{name}.pem")), read(format!("{name}.key"))].concat();
        http = http.identity(Identity::from_pem(&both).expect("certificate and key"));
    }
    let http = http.build().expect("a client");
    let answer = http.get(format!("https://{address}/metrics")).send().await.ok()?;
    Some(answer.status().as_u16())
}

/// A way to spoil the file of an authority.
type Spoil = (&'static str, fn(&Path));

const SPOILT: &[Spoil] = &[
    ("lost", |path| fs::remove_file(path).expect("it was there")),
    ("empty", |path| fs::write(path, "").expect("it is written")),
    ("garbage", |path| fs::write(path, "garbage\n").expect("it is written")),
    ("cut short", |path| {
        let text = fs::read(path).expect("it is there");
        fs::write(path, &text[..text.len() / 2]).expect("it is written");
    }),
    ("a key", |path| {
        fs::copy(path.with_file_name("ca.key"), path).expect("a copy");
    }),
    ("unreadable, a directory", |path| {
        fs::remove_file(path).expect("it was there");
        fs::create_dir(path).expect("a directory");
    }),
];

#[tokio::test]
async fn whatever_becomes_of_the_clients_authority_nobody_without_a_certificate_is_served() {
    if !there_are(&["openssl"], "whatever_becomes_of_the_clients_authority_nobody_without_a_certificate_is_served") {
        return;
    }
    let directory = certified();
    let path = directory.path().join("authority.pem");
    let mut demo = Command::new(env!("CARGO_BIN_EXE_oura-exporter"));
    demo.env_clear().args(["demo", "--web.config.file", text(&directory.path().join("web.yml"))]);
    let demo = Program::start(&mut demo).await;
    let all = async || {
        let status = async |who| status(directory.path(), &demo.address, who).await;
        [status(None).await, status(Some("client")).await, status(Some("stranger")).await]
    };
    let only_the_client = [None, Some(200), None];
    assert_eq!(all().await, only_the_client);
    for (how, spoil) in SPOILT {
        spoil(&path);
        let spoilt_at = Instant::now();
        eventually("the files were looked at", async || {
            assert_eq!(all().await, only_the_client, "{how}");
            (spoilt_at.elapsed() > SEVERAL_LOOKS).then_some(())
        })
        .await;
        let _directory = fs::remove_dir(&path);
        fs::copy(directory.path().join("ca.pem"), &path).expect("a copy");
    }
    fs::copy(directory.path().join("elsewhere.pem"), &path).expect("a copy");
    eventually("the other authority is in force", async || {
        let got = all().await;
        assert_eq!(got[0], None, "nobody without a certificate");
        (got == [None, None, Some(200)]).then_some(())
    })
    .await;
    let (code, log) = demo.terminate().await;
    assert_eq!(code, Some(0), "{log}");
    let told: Vec<_> = log.lines().filter(|line| line.contains("the previous one stays in force")).collect();
    assert!(told.iter().all(|line| line.contains("tls_server_config.client_ca")), "{told:?}");
    // That there is none besides follows from one that cannot be read.
    let causes = told.iter().filter(|line| !line.contains("is missing, so no client certificate")).count();
    assert_eq!(causes, SPOILT.len(), "each is named once: {told:?}");
}
