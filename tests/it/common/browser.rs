//! A real browser: a headless Chromium, driven over the DevTools protocol.

use std::process::Stdio;

use reqwest::Url;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::Mutex,
};

use super::{eventually, needs::browser};

/// Chromium takes its orders from descriptor 3 and answers on 4; it is silent otherwise.
const START: &str = "exec \"$1\" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
                     --disable-background-networking --disable-component-update --disable-sync \
                     --user-data-dir=\"$0\" --remote-debugging-pipe about:blank 3<&0 4>&1 >/dev/null 2>&1 </dev/null";

/// A headless Chromium with one page, driven by the DevTools protocol.
pub(crate) struct Browser {
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
    complaints: Vec<String>,
}

impl Pipes {
    /// Sends an order and gives its result; of the events that come in between, complaints are kept.
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
            let method = message["method"].as_str().unwrap_or_default();
            if matches!(method, "Runtime.consoleAPICalled" | "Runtime.exceptionThrown" | "Log.entryAdded") {
                self.complaints.push(message["params"].to_string());
            }
        }
    }
}

impl Browser {
    /// Starts one and has it load `url`.
    pub(crate) async fn open(url: &Url) -> Self {
        let profile = tempfile::tempdir().expect("a directory");
        let mut command = Command::new("/bin/sh");
        let program = browser().expect("a browser");
        command.args(["-c", START]).arg(profile.path()).arg(program).env("HOME", profile.path());
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("it starts");
        let orders = child.stdin.take().expect("a pipe");
        let answers = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut pipes = Pipes { orders, answers, sent: 0, complaints: vec![] };
        let target = pipes.order(None, "Target.createTarget", json!({ "url": "about:blank" })).await;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = pipes.order(None, "Target.attachToTarget", attach).await;
        let session = attached["sessionId"].as_str().expect("a session").to_owned();
        for domain in ["Runtime.enable", "Log.enable", "Page.enable"] {
            pipes.order(Some(&session), domain, json!({})).await;
        }
        pipes.order(Some(&session), "Page.navigate", json!({ "url": url.as_str() })).await;
        Self { pipes: Mutex::new(pipes), session, _child: child, _profile: profile }
    }

    /// Gives an order to the page.
    pub(crate) async fn order(&self, method: &str, parameters: Value) -> Value {
        self.pipes.lock().await.order(Some(&self.session), method, parameters).await
    }

    /// What the page has said on its console, and what went wrong on it.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        self.pipes.lock().await.complaints.clone()
    }

    /// The value of a JavaScript expression on the page, awaited; null while there is none.
    pub(crate) async fn evaluate(&self, expression: &str) -> Value {
        let parameters = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.order("Runtime.evaluate", parameters).await;
        answer["result"]["value"].clone()
    }

    /// Says who they are on the consent page, and presses the button.
    pub(crate) async fn press(&self, person: &str, button: &str) {
        let there = format!("!!document.getElementById('{button}')");
        eventually("the consent page", async || (self.evaluate(&there).await == true).then_some(())).await;
        let press = format!(
            "document.getElementById('person').value='{person}'; document.getElementById('{button}').click(); 'pressed'"
        );
        assert_eq!(self.evaluate(&press).await, "pressed");
    }

    /// The text of the page, once it has that heading.
    pub(crate) async fn text_of_page(&self, heading: &str) -> String {
        let text = async || {
            self.evaluate("(document.querySelector('main') || document.body).innerText")
                .await
                .as_str()
                .map(str::to_owned)
        };
        eventually(heading, async || text().await.filter(|text| text.starts_with(heading))).await
    }

    /// Ends it, so that its profile can be removed.
    pub(crate) async fn close(self) {
        let Self { pipes, _child: mut child, .. } = self;
        pipes.into_inner().order(None, "Browser.close", json!({})).await;
        child.wait().await.expect("an end");
    }
}
