//! `login` beside an exporter that runs: whether the sign-in is left to its page, or why it cannot be.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use reqwest::Url;
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::{
    auth::{Running, Store, Tokens},
    http_client::{self, body},
};

/// How the answer of Oura's gets to the command.
pub(super) enum Way {
    /// The exporter that runs takes it on its page.
    Page(Url),
    /// The browser brings it to the command.
    Browser,
    /// A person pastes it.
    Paste,
}

/// How long whoever answers where the browser comes back to may take.
const ANSWER: Duration = Duration::from_secs(2);
/// How long is waited for a sign-in on the page, and how often it is looked for.
const HANDED_OVER: Duration = Duration::from_secs(600);
const LOOK: Duration = Duration::from_millis(500);

/// How a sign-in as `account` gets its answer beside what runs: on the page of the exporter on `store` that holds the address
/// where the browser comes back to, if it may do it; by this command where nobody holds that address.
///
/// # Errors
/// Where somebody holds it to whom the sign-in cannot be left, with what to do.
pub(super) async fn way(store: &Store, account: &str, redirect_uri: &str) -> anyhow::Result<Way> {
    let Ok(redirect) = Url::parse(redirect_uri) else { return Ok(Way::Browser) };
    let is_of_this_machine = is_of_this_machine(&redirect);
    if is_of_this_machine && !is_listened_at(&redirect).await {
        return Ok(Way::Browser);
    }
    let mut running = store.running();
    running.sort_by_key(|running| port(&running.page) != redirect.port_or_known_default());
    if let Some(open) = running.iter().find(|running| running.shut.is_none()) {
        if store.has(account) && !open.renews {
            return Ok(Way::Paste);
        }
        return Ok(Way::Page(open.page.parse::<Url>()?.join("sign-in")?));
    }
    // Elsewhere a proxy is, which is taken by its nature.
    ensure!(is_of_this_machine, "the redirect URI {redirect_uri} does not lead to this machine; use --no-browser");
    if let Some(Running { page, shut: Some(why), .. }) = running.first() {
        bail!(
            "the exporter at {page} listens on the address that the browser comes back to, but nobody can sign in on \
             its page: {why} (it takes the pasted address at which the browser ended)"
        );
    }
    let place = store.place();
    if let Some(page) = exporter_at(&redirect).await {
        bail!(
            "the exporter that answers at {page} does not keep its tokens in {place}: sign in on its page; or set \
             OURA_STATE_DIR to that exporter's, and run this as its user; or, for a sign-in in {place}, use \
             --no-browser"
        );
    }
    bail!(
        "cannot listen on {}, where the browser will be sent: a program listens there that is not an exporter with its \
         tokens in {place}. Stop it, or use --no-browser; if it is an exporter, sign in on its page, or set \
         OURA_STATE_DIR to that exporter's",
        redirect.authority()
    );
}

fn port(url: &str) -> Option<u16> {
    Url::parse(url).ok()?.port_or_known_default()
}

/// Whether the browser comes back to somebody else than this command.
pub(super) async fn is_taken(redirect_uri: &str) -> bool {
    match Url::parse(redirect_uri) {
        Ok(redirect) => !is_of_this_machine(&redirect) || is_listened_at(&redirect).await,
        Err(_) => false,
    }
}

fn is_of_this_machine(redirect: &Url) -> bool {
    matches!(redirect.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
}

/// Whether somebody listens there.
async fn is_listened_at(redirect: &Url) -> bool {
    let (host, port) = (redirect.host_str().unwrap_or_default(), redirect.port_or_known_default().unwrap_or(80));
    let connected = timeout(ANSWER, TcpStream::connect((host.trim_matches(['[', ']']), port))).await;
    matches!(connected, Ok(Ok(_)))
}

/// The page for signing in of whichever exporter answers there without TLS and password, if one does.
async fn exporter_at(redirect: &Url) -> Option<Url> {
    let page = redirect.join("/sign-in").ok()?;
    let http = http_client::to_this_machine().timeout(ANSWER).build().ok()?;
    let answer = http.get(page.clone()).send().await.ok()?;
    let text = String::from_utf8_lossy(&body::beginning(answer, 64 * body::KILOBYTE).await).into_owned();
    text.contains("- Oura exporter</title>").then_some(page)
}

/// Leaves the sign-in to the exporter whose page that is, and waits for the tokens that come of it.
///
/// # Errors
/// Where nobody signs in within ten minutes, or the exporter ends before.
pub(super) async fn hand_over(store: &Store, account: &str, mut page: Url) -> anyhow::Result<Tokens> {
    let before = store.read(account).ok().flatten().map(|tokens| tokens.signed_in_at);
    page.query_pairs_mut().append_pair("account", account);
    println!("An exporter is running here, and people sign in on its page. Continue there:\n\n{page}\n");
    // Where there is no browser, the address is enough.
    let _none = webbrowser::open(page.as_str());
    let done = async {
        loop {
            sleep(LOOK).await;
            let tokens = store.read(account).ok().flatten();
            if let Some(tokens) = tokens.filter(|tokens| Some(tokens.signed_in_at) != before) {
                return Ok(tokens);
            }
            ensure!(!store.running().is_empty(), "the exporter has ended before anybody signed in; run this again");
        }
    };
    let words = || format!("nobody signed in as {account} within ten minutes; run this again");
    timeout(HANDED_OVER, done).await.with_context(words)?
}
