//! The sign-in part of the README, and the page about signing in, typed as they stand: their commands out of the text, in a
//! shell whose environment is the documented variables, by which the simulator stands for Oura.

use std::{collections::BTreeSet, env, fs, os::unix::fs::symlink, process::Stdio};

use crate::common::{
    Program,
    door::Visitor,
    eventually,
    scene::{Scene, consent},
    servers::file,
    signal,
};
use oura_exporter::{config::VARIABLES, simulator::Portal};
use reqwest::Url;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::Command,
    time::timeout,
};

/// What a new terminal has of the machine's environment.
const OF_THE_MACHINE: [&str; 3] = ["PATH", "LANG", "TMPDIR"];

/// The commands in the text that this test types; it fails if the text has others.
const TYPED: [&str; 5] = [
    "oura-exporter accounts",
    "oura-exporter accounts rename anna anne",
    "oura-exporter check",
    "oura-exporter login",
    "oura-exporter logout --account ben",
];

/// The README's section "With your ring", and then the page about signing in.
fn part() -> String {
    let readme = fs::read_to_string(file("README.md")).expect("a README");
    let part = readme.split("\n## With your ring\n").nth(1).and_then(|rest| rest.split("\n## ").next());
    let page = fs::read_to_string(file("docs/sign-in.md")).expect("docs/sign-in.md");
    part.expect("the sign-in part").to_owned() + &page
}

/// What stands between back quotes and is a command of ours.
fn commands(part: &str) -> BTreeSet<&str> {
    let spans = part.split('`').skip(1).step_by(2);
    spans.filter(|span| span.starts_with("oura-exporter")).collect()
}

/// Somebody's terminal on a machine on which the program is installed.
struct Terminal {
    scene: Scene,
    port: u16,
    home: TempDir,
    /// What was exported in it.
    exported: String,
}

impl Terminal {
    fn new(scene: Scene) -> Self {
        let uri: Url = scene.redirect.as_deref().expect("one of ours").parse().expect("an address");
        let home = tempfile::tempdir().expect("a directory");
        fs::create_dir(home.path().join("bin")).expect("a directory");
        symlink(env!("CARGO_BIN_EXE_oura-exporter"), home.path().join("bin/oura-exporter")).expect("it is installed");
        Self { port: uri.port().expect("a port"), scene, home, exported: String::new() }
    }

    /// What the documents have, with this test's application and port for those of the reader.
    fn here(&self, text: &str) -> String {
        let text = text.replace("your-id", &self.scene.application.client_id);
        let text = text.replace("your-secret", &self.scene.application.client_secret);
        text.replace("localhost:10058", &format!("localhost:{}", self.port))
    }

    /// A shell that is given these lines.
    fn shell(&self, lines: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.arg("-ec").arg(format!("{}{lines}", self.exported)).env_clear().kill_on_drop(true);
        shell.envs(OF_THE_MACHINE.iter().filter_map(|name| Some((name, env::var_os(name)?))));
        let path = format!("{}/bin:{}", self.home.path().display(), env::var("PATH").expect("a path"));
        shell.env("PATH", path).env("HOME", self.home.path()).env("BROWSER", "/bin/true");
        // The simulator for Oura, by variables that are documented; the application is what the reader exports.
        let documented = |name: &str| VARIABLES.iter().any(|variable| variable.name == name);
        for (name, value) in self.scene.variables() {
            assert!(documented(name), "{name}");
            if name.ends_with("_URL") || name == "OURA_REDIRECT_URI" {
                shell.env(name, value);
            }
        }
        shell.env("OURA_POLL_INTERVAL", "36h");
        shell
    }

    /// Types a command of the documents.
    fn typed(&self, command: &'static str) -> Command {
        assert!(TYPED.contains(&command), "{command}");
        let mut shell = self.shell(&self.here(command));
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        shell
    }

    /// The same until its end; what it says, without which it has not gone well.
    async fn ends_well(&self, command: &'static str) -> String {
        let output = self.typed(command).output().await.expect("a shell");
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{command}: {said}");
        self.scene.assert_discreet(&said, "");
        said
    }

    /// Types what starts the exporter, which goes on in the foreground; where it is, and who visits it.
    async fn starts(&self, lines: &str) -> (Program, Visitor) {
        // The shell gives way to the last command, so that Ctrl+C is that one's.
        let lines = format!("\n{lines}\n").replace("\noura-exporter\n", "\nexec oura-exporter\n");
        let address = format!("127.0.0.1:{}", self.port);
        let program = Program::start_at(&address, self.shell(&lines).env("OURA_LISTEN_ADDRESS", &address)).await;
        (program, Visitor::of(&format!("http://localhost:{}/", self.port)))
    }
}

/// Signs in on the page as `account`, in a browser in which `person` consents.
async fn sign_in(visitor: &Visitor, account: &str, person: &str, title: &str) -> String {
    let (place, oura) = visitor.begin(account).await;
    visitor.get(&consent(&oura, person, "allow").await).await;
    visitor.titled(&place, title).await
}

async fn shown(exporter: &Program, account: &str, is_there: bool) {
    let series = format!("oura_readiness_score{{account=\"{account}\"}}");
    let what = format!("{series}: {is_there}");
    eventually(&what, async || exporter.get("/metrics").await.filter(|page| page.contains(&series) == is_there)).await;
}

/// The two lines of the README's third step: what is exported, and the command.
fn first_block(part: &str) -> (String, String) {
    let block = part.split("   ```sh\n").nth(1).and_then(|rest| rest.split("   ```").next()).expect("a block");
    let block: String = block.lines().map(|line| format!("{}\n", line.trim_start())).collect();
    let (export, command) = block.split_once('\n').expect("two lines");
    (export.to_owned(), command.to_owned())
}

/// Signs ben in by the command, while an exporter runs.
async fn log_in_ben(terminal: &Terminal, visitor: &Visitor) {
    // "oura-exporter login asks for a name …"; if an exporter is running, "the command leads to that exporter's page".
    let mut login = terminal.typed("oura-exporter login").spawn().expect("a shell");
    login.stdin.take().expect("a pipe").write_all(b"ben\n").await.expect("it is typed");
    let mut lines = BufReader::new(login.stdout.take().expect("a pipe")).lines();
    let led = format!("http://localhost:{}/sign-in?account=ben", terminal.port);
    while lines.next_line().await.expect("text").expect("it leads to the page") != led {}
    sign_in(visitor, "ben", "bob", "Signed in as ben").await;
    let ended = timeout(std::time::Duration::from_secs(20), login.wait()).await.expect("it ends with the sign-in");
    assert_eq!(ended.expect("an end").code(), Some(0));
}

#[tokio::test]
async fn what_the_documents_say_of_signing_in_can_be_typed_as_it_stands() {
    let part = part();
    assert_eq!(commands(&part), BTreeSet::from(TYPED), "each command of the documents is typed here");
    let mut terminal = Terminal::new(Scene::of(Portal::New).await.with_free_redirect());
    let (export, command) = first_block(&part);
    assert!(export.starts_with("export OURA_CLIENT_ID=") && command == "oura-exporter\n", "{export}, {command}");
    terminal.exported = format!("{}\n", terminal.here(&export));
    let redirect = format!("`http://localhost:{}/callback`", terminal.port);
    assert!(terminal.here(&part).contains(&redirect), "the URI to register is the one that is used");

    // "Open …, enter a name for the account, press 'Sign in with Oura', and consent."
    let (exporter, visitor) = terminal.starts(&command).await;
    let front = visitor.get("").await.text;
    assert!(front.contains("Name for the account") && front.contains(">Sign in with Oura</button>"), "{front}");
    let page = sign_in(&visitor, "anna", "alice", "Signed in as anna").await;
    assert!(page.contains("collections may be read"), "{page}");
    shown(&exporter, "anna", true).await;
    let said = terminal.ends_well("oura-exporter check").await;
    assert!(said.contains("The configuration is good") && said.contains("Account anna"), "{said}");

    // "…/sign-in adds people"; "Someone who already has an account is refused under another name."
    assert!(visitor.get("sign-in").await.text.contains("Add a person"));
    let refused = sign_in(&visitor, "carl", "alice", "Not signed in").await;
    assert!(refused.contains("account anna"), "{refused}");
    log_in_ben(&terminal, &visitor).await;
    shown(&exporter, "ben", true).await;

    let said = terminal.ends_well("oura-exporter accounts").await;
    assert!(said.contains("anna ") && said.contains("ben "), "{said}");
    signal("HUP", &exporter.child.id().expect("it runs").to_string()).await;
    let said = terminal.ends_well("oura-exporter logout --account ben").await;
    assert!(said.contains("Account ben is forgotten here."), "{said}");
    shown(&exporter, "ben", false).await;
    let (code, log) = exporter.terminate().await;
    assert!(code == Some(0) && !log.contains("ERROR"), "{log}");
    terminal.scene.assert_discreet(&log, "");

    // "… rename anna anne gives an account another name. Stop the exporter first. The sign-in … move along."
    terminal.ends_well("oura-exporter accounts rename anna anne").await;
    let (exporter, visitor) = terminal.starts(&format!("export OURA_WEB_SIGN_IN=false\n{command}")).await;
    shown(&exporter, "anne", true).await;
    shown(&exporter, "anna", false).await;
    let shut = visitor.get("sign-in").await;
    assert!(shut.status == 404 && shut.text.contains("oura-exporter login"), "{}", shut.text);
    exporter.terminate().await;
}
