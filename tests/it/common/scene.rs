//! A sign-in at the simulator: the program with an application of one of the portals, and a person who consents.

use std::{
    collections::HashMap,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use oura_exporter::{
    clock::Clock,
    config::{Accounts, Config, Flags},
    simulator::{Application, Portal, Simulator},
    tls,
};
use reqwest::{Client, Url, header::LOCATION, redirect};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    net::TcpSocket,
    process::{Child, ChildStdout, Command},
};

use super::{Exporter, Plan};

/// A simulator, an application of one of its portals, and a directory for the tokens.
pub(crate) struct Scene {
    pub(crate) simulator: Simulator,
    pub(crate) application: Application,
    /// The redirect URI, if it is not the usual one.
    pub(crate) redirect: Option<String>,
    /// What is asked for, if it is not everything.
    scopes: Option<&'static str>,
    /// Keeps the port of the redirect URI from being given to anybody else; the program can listen on it.
    held: Option<TcpSocket>,
    state: TempDir,
}

impl Scene {
    pub(crate) async fn of(portal: Portal) -> Self {
        Self::at(portal, Clock::system()).await
    }

    /// With a simulator that goes by `clock`.
    pub(crate) async fn at(portal: Portal, clock: Clock) -> Self {
        tls::choose_provider();
        let simulator = super::simulator_with(clock).await;
        let applications = simulator.applications();
        let application = applications.into_iter().find(|application| application.portal == portal);
        let state = tempfile::tempdir().expect("a directory");
        Self {
            simulator,
            application: application.expect("one of each portal"),
            redirect: None,
            scopes: None,
            held: None,
            state,
        }
    }

    /// Asks for these scopes only.
    pub(crate) fn asking_for(self, scopes: &'static str) -> Self {
        Self { scopes: Some(scopes), ..self }
    }

    /// Registers a redirect URI on a free port, and has the program use it.
    pub(crate) fn with_free_redirect(mut self) -> Self {
        let held = TcpSocket::new_v4().expect("a socket");
        held.set_reuseaddr(true).expect("a socket");
        held.bind(([127, 0, 0, 1], 0).into()).expect("a free port on loopback");
        let port = held.local_addr().expect("an address").port();
        let uri = format!("http://localhost:{port}/callback");
        self.simulator.authorizations().register_redirect(&uri);
        self.redirect = Some(uri);
        self.held = Some(held);
        self
    }

    /// The port of its redirect URI, which is one of ours.
    pub(crate) fn port(&self) -> u16 {
        let uri: Url = self.redirect.as_deref().expect("one of ours").parse().expect("an address");
        uri.port().expect("a port")
    }

    /// The same simulator and application, and another directory for the tokens.
    pub(crate) fn state_elsewhere(&mut self) -> TempDir {
        std::mem::replace(&mut self.state, tempfile::tempdir().expect("a directory"))
    }

    /// Everything that the program needs for a sign-in.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        let url = self.simulator.url();
        let tokens = self.tokens().to_str().expect("UTF-8").to_owned();
        let mut variables = vec![
            ("OURA_API_URL", url.clone()),
            ("OURA_STATE_DIR", tokens),
            ("OURA_CLIENT_ID", self.application.client_id.clone()),
            ("OURA_CLIENT_SECRET", self.application.client_secret.clone()),
            ("OURA_AUTHORIZE_URL", format!("{url}/oauth/authorize")),
            ("OURA_TOKEN_URL", format!("{url}/oauth/token")),
            ("OURA_FALLBACK_AUTHORIZE_URL", format!("{url}/oauth/v2/ext/oauth-authorize")),
            ("OURA_FALLBACK_TOKEN_URL", format!("{url}/oauth/v2/ext/oauth-token")),
        ];
        variables.extend(self.scopes.map(|scopes| ("OURA_SCOPES", scopes.to_owned())));
        variables.extend(self.redirect.clone().map(|uri| ("OURA_REDIRECT_URI", uri)));
        variables
    }

    /// The program, with everything it needs for a sign-in in its environment.
    pub(crate) fn program(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_oura-exporter"));
        command.env_clear().kill_on_drop(true).envs(self.variables());
        command
    }

    /// An exporter in this process that goes by `clock` and polls again at once.
    pub(crate) async fn exporter(&self, clock: Clock) -> Exporter {
        let variables = self.variables().into_iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let mut config =
            Config::from_environment(variables, Flags::default(), Accounts::Needed).expect("a good configuration");
        config.poll_interval = Duration::from_millis(100);
        let exporter = Exporter::start(config, clock, Plan::default().client_options).await;
        exporter.ready().await;
        exporter
    }

    pub(crate) fn tokens(&self) -> PathBuf {
        self.state.path().join("tokens")
    }

    /// The account's token file.
    pub(crate) fn file(&self, account: &str) -> PathBuf {
        self.tokens().join(format!("{account}.json"))
    }

    /// The access token of the account has ended, as far as its file says.
    pub(crate) fn expire(&self, account: &str) {
        let text = std::fs::read(self.file(account)).expect("a file");
        let mut file: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
        file["expires_at"] = file["issued_at"].clone();
        std::fs::write(self.file(account), file.to_string()).expect("it is written");
    }

    /// Begins a sign-in.
    pub(crate) async fn begin(&self, arguments: &[&str]) -> Begun {
        self.begin_with(arguments, "", &[]).await
    }

    /// Begins a sign-in with more variables, at which somebody types that as soon as they are asked.
    pub(crate) async fn begin_with(&self, arguments: &[&str], typed: &str, variables: &[(&str, &str)]) -> Begun {
        let mut command = self.program();
        command.arg("login").args(arguments).env("BROWSER", "/bin/true").envs(variables.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        child.stdin.as_mut().expect("a pipe").write_all(typed.as_bytes()).await.expect("room in the pipe");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let (mut said, mut url) = (String::new(), None);
        while url.is_none()
            && let Ok(Some(line)) = lines.next_line().await
        {
            url = line.parse().ok();
            said += &format!("{line}\n");
        }
        Begun { child, lines, said, url }
    }

    /// Signs in by paste, as `answer` makes the pasted text of the consent page's address; the exit code and what the
    /// program said, which holds no secret.
    pub(crate) async fn log_in(&self, account: &str, answer: impl AsyncFn(&Url) -> String) -> (Option<i32>, String) {
        let mut begun = self.begin(&["--no-browser", "--account", account]).await;
        let mut pasted = String::new();
        if let Some(url) = &begun.url {
            pasted = answer(url).await;
            begun.paste(&pasted).await;
        }
        let (code, said) = begun.end().await;
        self.assert_discreet(&said, &pasted);
        (code, said)
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.program().args(arguments).output().await.expect("the program starts");
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        self.assert_discreet(&said, "");
        (output.status.code(), said)
    }

    /// Nothing that the program says, logs or shows holds a token, the secret, an e-mail address or the pasted code.
    pub(crate) fn assert_discreet(&self, said: &str, pasted: &str) {
        let query: HashMap<_, _> =
            pasted.parse::<Url>().map(|url| url.query_pairs().into_owned().collect()).unwrap_or_default();
        let code = query.get("code").cloned().unwrap_or_else(|| self.application.client_secret.clone());
        for secret in ["_0XB", "_1XB", "@example.com", &self.application.client_secret, &code] {
            assert!(!said.contains(secret), "it shows {secret}: {said}");
        }
    }
}

/// A sign-in that waits for its answer.
pub(crate) struct Begun {
    pub(crate) child: Child,
    pub(crate) lines: Lines<BufReader<ChildStdout>>,
    said: String,
    /// The address that it printed; none if it ended before.
    pub(crate) url: Option<Url>,
}

impl Begun {
    /// Pastes a line, after which nothing more comes.
    pub(crate) async fn paste(&mut self, line: &str) {
        let mut stdin = self.child.stdin.take().expect("a pipe");
        stdin.write_all(format!("{line}\n").as_bytes()).await.expect("it reads");
    }

    /// Its exit code and all that it said.
    pub(crate) async fn end(mut self) -> (Option<i32>, String) {
        while let Ok(Some(line)) = self.lines.next_line().await {
            self.said += &format!("{line}\n");
        }
        let ended = self.child.wait_with_output().await.expect("an end");
        (ended.status.code(), self.said + &String::from_utf8_lossy(&ended.stderr))
    }
}

/// Consents for `person` as a browser would, and gives the address that it is sent to.
pub(crate) async fn consent(url: &Url, person: &str, action: &str) -> String {
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

/// Consents for alice to all but these scopes, as somebody does who unticks them.
pub(crate) async fn consent_to_all_but(url: &Url, unticked: &[&str]) -> String {
    let mut url = url.clone();
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let is_ticked = |scope: &&str| !unticked.contains(&scope.trim_start_matches("extapi:"));
    let ticked = |scopes: &str| scopes.split(' ').filter(is_ticked).collect::<Vec<_>>().join(" ");
    let pair = |(name, value): (String, String)| {
        let value = if name == "scope" { ticked(&value) } else { value };
        (name, value)
    };
    url.query_pairs_mut().clear().extend_pairs(pairs.into_iter().map(pair));
    consent(&url, "alice", "allow").await
}

/// The permissions of a file or directory.
pub(crate) fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}
