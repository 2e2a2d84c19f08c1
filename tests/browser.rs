//! A real browser signs in through the simulator's consent page, and denies to.

mod common;

use std::{path::Path, process::Stdio};

use common::{
    eventually,
    scene::{Scene, mode},
};
use oura_exporter::simulator::Portal;
use reqwest::Url;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::Mutex,
};

const CHROMIUM: &str = "/usr/bin/chromium";
/// Chromium takes its orders from descriptor 3 and answers on 4; it is silent otherwise.
const START: &str = "exec \"$0\" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
                     --disable-background-networking --disable-component-update --disable-sync \
                     --user-data-dir=\"$1\" --remote-debugging-pipe about:blank 3<&0 4>&1 >/dev/null 2>&1 </dev/null";

/// A headless Chromium with one page, driven by the DevTools protocol.
struct Browser {
    pipes: Mutex<Pipes>,
    session: String,
    _child: Child,
    _profile: TempDir,
}

/// Messages to and from it, each ended by a zero byte.
struct Pipes {
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    sent: u64,
}

impl Pipes {
    /// Sends an order and gives its result; events that come in between are of no interest.
    async fn order(&mut self, session: Option<&str>, method: &str, parameters: Value) -> Value {
        self.sent += 1;
        let mut order = json!({ "id": self.sent, "method": method, "params": parameters });
        if let Some(session) = session {
            order["sessionId"] = json!(session);
        }
        self.orders.write_all(format!("{order}\0").as_bytes()).await.expect("it reads");
        loop {
            let mut message = Vec::new();
            self.answers.read_until(0, &mut message).await.expect("it writes");
            assert_eq!(message.pop(), Some(0), "the browser ended");
            let message: Value = serde_json::from_slice(&message).expect("JSON");
            if message["id"] == self.sent {
                return message["result"].clone();
            }
        }
    }
}

impl Browser {
    /// Starts one and has it load `url`.
    async fn open(url: &Url) -> Self {
        let profile = tempfile::tempdir().expect("a directory");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", START, CHROMIUM]).arg(profile.path()).env("HOME", profile.path());
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("it starts");
        let orders = child.stdin.take().expect("a pipe");
        let answers = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut pipes = Pipes { orders, answers, sent: 0 };
        let target = pipes.order(None, "Target.createTarget", json!({ "url": url.as_str() })).await;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = pipes.order(None, "Target.attachToTarget", attach).await;
        let session = attached["sessionId"].as_str().expect("a session").to_owned();
        Self { pipes: Mutex::new(pipes), session, _child: child, _profile: profile }
    }

    /// The value of a JavaScript expression on the page; null while there is none.
    async fn evaluate(&self, expression: &str) -> Value {
        let mut pipes = self.pipes.lock().await;
        let parameters = json!({ "expression": expression, "returnByValue": true });
        let answer = pipes.order(Some(&self.session), "Runtime.evaluate", parameters).await;
        answer["result"]["value"].clone()
    }

    /// Says who they are on the consent page, and presses the button.
    async fn press(&self, person: &str, button: &str) {
        let there = format!("!!document.getElementById('{button}')");
        eventually("the consent page", async || (self.evaluate(&there).await == true).then_some(())).await;
        let press = format!(
            "document.getElementById('person').value='{person}'; document.getElementById('{button}').click(); 'pressed'"
        );
        assert_eq!(self.evaluate(&press).await, "pressed");
    }

    /// The text of the page, once it has that heading.
    async fn text_of_page(&self, heading: &str) -> String {
        let text = async || self.evaluate("document.body.innerText").await.as_str().map(str::to_owned);
        eventually(heading, async || text().await.filter(|text| text.starts_with(heading))).await
    }

    /// Ends it, so that its profile can be removed.
    async fn close(self) {
        let Self { pipes, _child: mut child, .. } = self;
        pipes.into_inner().order(None, "Browser.close", json!({})).await;
        child.wait().await.expect("an end");
    }
}

/// Whether there is a browser; if not, the test is named, and fails where none may be left out.
fn is_there(test: &str) -> bool {
    let there = Path::new(CHROMIUM).exists();
    if !there {
        assert!(std::env::var_os("OURA_TEST_ALL").is_none(), "{test} needs {CHROMIUM}: apt-get install chromium");
        common::left_out(test, &format!("needs {CHROMIUM}, which is not installed"));
    }
    there
}

/// Signs in as bob in a browser, pressing `button`; what the page says, the exit code, and what the program says.
async fn sign_in(scene: &Scene, button: &str, heading: &str) -> (String, Option<i32>, String) {
    let begun = scene.begin(&["--account", "ben"]).await;
    let browser = Browser::open(begun.url.as_ref().expect("an address")).await;
    browser.press("bob", button).await;
    let page = browser.text_of_page(heading).await;
    let address = browser.evaluate("location.href").await;
    let address = address.as_str().expect("an address");
    assert!(address.starts_with(scene.redirect.as_deref().expect("one of ours")), "{address}");
    let (code, said) = begun.end().await;
    scene.assert_discreet(&(page.clone() + &said), address);
    browser.close().await;
    (page, code, said)
}

#[tokio::test]
async fn a_browser_signs_in_at_either_portal() {
    if !is_there("a_browser_signs_in_at_either_portal") {
        return;
    }
    for portal in [Portal::Legacy, Portal::New] {
        let scene = Scene::of(portal).await.with_free_redirect();
        let (page, code, said) = sign_in(&scene, "allow", "Signed in").await;
        assert!(page.contains("You can close this page."), "{page}");
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("Signed in as account ben") && said.contains("All is well"), "{said}");
        assert_eq!((mode(&scene.tokens()), mode(&scene.file("ben"))), (0o700, 0o600));
    }
}

#[tokio::test]
async fn a_browser_in_which_somebody_denies_says_what_to_do() {
    if !is_there("a_browser_in_which_somebody_denies_says_what_to_do") {
        return;
    }
    let scene = Scene::of(Portal::New).await.with_free_redirect();
    let (page, code, said) = sign_in(&scene, "deny", "Not signed in").await;
    let advice = "consent was denied; begin anew and press Allow";
    assert!(page.contains(advice) && said.contains(advice), "{page}{said}");
    assert_eq!(code, Some(1), "{said}");
    assert!(!scene.file("ben").exists());
}
