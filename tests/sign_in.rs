//! Signing in: by paste, through the simulator's consent page, and what a person sees when it goes wrong.

mod common;

use std::{collections::HashMap, path::Path, process::Stdio, time::Duration};

use common::{Program, eventually};
use oura_exporter::simulator::{Application, Portal, Settings, Simulator, TokenFault};
use reqwest::{Client, Url, header::LOCATION, redirect};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::Command,
};

/// A simulator, an application of one of its portals, and a directory for the tokens.
struct Scene {
    simulator: Simulator,
    application: Application,
    state: TempDir,
}

impl Scene {
    async fn of(portal: Portal) -> Self {
        oura_exporter::tls::choose_provider();
        let simulator = Simulator::start(Settings::default()).await.expect("a free port on loopback");
        let applications = simulator.applications();
        let application = applications.into_iter().find(|application| application.portal == portal);
        let state = tempfile::tempdir().expect("a directory");
        Self { simulator, application: application.expect("one of each portal"), state }
    }

    /// The program, with everything it needs for a sign-in in its environment.
    fn program(&self) -> Command {
        let url = self.simulator.url();
        let mut command = Command::new(env!("CARGO_BIN_EXE_oura-exporter"));
        command.env_clear().kill_on_drop(true);
        command.env("OURA_API_URL", &url).env("OURA_STATE_DIR", self.tokens());
        command.env("OURA_CLIENT_ID", &self.application.client_id);
        command.env("OURA_CLIENT_SECRET", &self.application.client_secret);
        command.env("OURA_AUTHORIZE_URL", format!("{url}/oauth/authorize"));
        command.env("OURA_TOKEN_URL", format!("{url}/oauth/token"));
        command.env("OURA_FALLBACK_AUTHORIZE_URL", format!("{url}/oauth/v2/ext/oauth-authorize"));
        command.env("OURA_FALLBACK_TOKEN_URL", format!("{url}/oauth/v2/ext/oauth-token"));
        command
    }

    fn tokens(&self) -> std::path::PathBuf {
        self.state.path().join("tokens")
    }

    /// Signs in by paste, as `answer` makes the pasted text of the consent page's address; what the program said.
    async fn log_in(&self, account: &str, answer: impl AsyncFn(&Url) -> String) -> (Option<i32>, String) {
        let mut command = self.program();
        command.args(["login", "--no-browser", "--account", account]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut said = String::new();
        while let Ok(Some(line)) = lines.next_line().await {
            said += &format!("{line}\n");
            if let Ok(url) = line.parse::<Url>() {
                let pasted = answer(&url).await;
                let mut stdin = child.stdin.take().expect("a pipe");
                stdin.write_all(format!("{pasted}\n").as_bytes()).await.expect("it reads");
            }
        }
        let ended = child.wait_with_output().await.expect("an end");
        (ended.status.code(), said + &String::from_utf8_lossy(&ended.stderr))
    }

    async fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.program().args(arguments).output().await.expect("the program starts");
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code(), said)
    }
}

/// Consents for `person` as a browser would, and gives the address that it is sent to.
async fn consent(url: &Url, person: &str, action: &str) -> String {
    let http = Client::builder().redirect(redirect::Policy::none()).user_agent("a browser").build().expect("a client");
    assert_eq!(http.get(url.clone()).send().await.expect("a page").status(), 200, "the consent page");
    let asked: HashMap<_, _> = url.query_pairs().into_owned().collect();
    let portal = if url.path().contains("/ext/") { "new" } else { "legacy" };
    let mut form = vec![("portal", portal), ("person", person), ("action", action)];
    for name in ["client_id", "redirect_uri", "state", "code_challenge", "code_challenge_method"] {
        form.push((name, &asked[name]));
    }
    form.extend(asked["scope"].split(' ').map(|scope| ("scope", scope)));
    let consent = url.join("/oauth/consent").expect("an address");
    let answer = http.post(consent).form(&form).send().await.expect("an answer");
    answer.headers()[LOCATION].to_str().expect("an address").to_owned()
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

#[tokio::test]
async fn signed_in_by_paste_at_either_portal_the_exporter_serves_and_the_doctor_is_content() {
    for portal in [Portal::Legacy, Portal::New] {
        let scene = Scene::of(portal).await;
        let (code, said) = scene.log_in("anna", async |url| consent(url, "alice", "allow").await).await;
        assert_eq!(code, Some(0), "{portal:?}: {said}");
        assert!(said.contains("Signed in as account anna") && said.contains("All is well"), "{said}");
        assert_eq!(mode(&scene.tokens()), 0o700);
        assert_eq!(mode(&scene.tokens().join("anna.json")), 0o600);
        let (code, said) = scene.run(&["check"]).await;
        assert_eq!(code, Some(0), "{said}");
        let (code, said) = scene.run(&["accounts"]).await;
        assert!(code == Some(0) && said.contains("anna") && said.contains("heartrate"), "{said}");
        let exporter = Program::start(&mut scene.program()).await;
        exporter.ready().await;
        let page = exporter.get("/metrics").await.expect("a page");
        assert!(page.contains("oura_account_authorized{account=\"anna\"} 1"), "{page}");
        assert!(page.contains("oura_token_expiry_timestamp_seconds{account=\"anna\"}"), "{page}");
        assert!(page.contains("oura_up{account=\"anna\"} 1"), "{page}");
    }
}

#[tokio::test]
async fn a_revoked_account_shows_and_recovers_after_a_new_login_without_a_restart() {
    let scene = Scene::of(Portal::New).await;
    for (account, person) in [("anna", "alice"), ("ben", "bob")] {
        let (code, said) = scene.log_in(account, async |url| consent(url, person, "allow").await).await;
        assert_eq!(code, Some(0), "{said}");
    }
    let exporter = Program::start(scene.program().env("OURA_POLL_INTERVAL", "1s")).await;
    exporter.ready().await;
    scene.simulator.authorizations().revoke_everything("alice");
    let shows = async |series: &str| {
        eventually(series, async || exporter.get("/metrics").await.filter(|page| page.contains(series))).await
    };
    let page = shows("oura_account_authorized{account=\"anna\"} 0").await;
    assert!(page.contains("oura_readiness_score{account=\"anna\"}"), "the last values stay");
    assert!(page.contains("oura_account_authorized{account=\"ben\"} 1") && page.contains("oura_up{account=\"ben\"} 1"));
    let (code, said) = scene.log_in("anna", async |url| consent(url, "alice", "allow").await).await;
    assert_eq!(code, Some(0), "{said}");
    shows("oura_account_authorized{account=\"anna\"} 1").await;
    shows("oura_up{account=\"anna\"} 1").await;
    let (_, log) = exporter.terminate().await;
    assert_eq!(log.matches("oura-exporter login --account anna").count(), 1, "one line with the command: {log}");
}

#[tokio::test]
async fn logged_out_is_revoked_and_forgotten() {
    let scene = Scene::of(Portal::Legacy).await;
    scene.log_in("anna", async |url| consent(url, "alice", "allow").await).await;
    let (code, said) = scene.run(&["logout", "--account", "anna"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(!scene.tokens().join("anna.json").exists());
    let (_, said) = scene.run(&["accounts"]).await;
    assert!(said.contains("Nobody is signed in"), "{said}");
    let (code, said) = scene.run(&[]).await;
    assert_eq!(code, Some(2));
    assert!(said.contains("oura-exporter login"), "{said}");
}

#[tokio::test]
async fn a_renewal_under_way_at_the_stop_is_not_lost() {
    let scene = Scene::of(Portal::New).await;
    let authorizations = scene.simulator.authorizations();
    authorizations.set_token_lifetime(1);
    scene.log_in("anna", async |url| consent(url, "alice", "allow").await).await;
    authorizations.set_token_lifetime(3_600);
    authorizations.set_fault(TokenFault::Delay(Duration::from_millis(900)));
    let before = std::fs::read_to_string(scene.tokens().join("anna.json")).expect("tokens");
    let exporter = Program::start(scene.program().env("OURA_POLL_INTERVAL", "1s")).await;
    let renewals =
        || authorizations.exchanges().iter().filter(|exchange| exchange.grant_type == "refresh_token").count();
    eventually("a renewal begins", async || (renewals() == 1).then_some(())).await;
    let (code, log) = exporter.terminate().await;
    assert_eq!(code, Some(0), "{log}");
    assert_ne!(std::fs::read_to_string(scene.tokens().join("anna.json")).expect("tokens"), before, "{log}");
    authorizations.clear_faults();
    let (code, said) = scene.run(&["check"]).await;
    assert_eq!(code, Some(0), "{said}");
}
