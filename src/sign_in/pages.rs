//! The sign-in pages as HTML: who is signed in, the way to Oura and back, and what came of it.

use std::{collections::BTreeMap, fmt::Write as _};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

use super::{
    attempts::{Attempt, Stage},
    guard::Guard,
    visit::WayBack,
};
use crate::{
    auth::{Doubt, one_person},
    documents::KINDS,
    html::{Escaped, NAVIGATION, STYLE},
    shard::Shard,
    state::{AccountState, CollectionState, Mark},
};

const OWN_STYLE: &str = include_str!("style.css");
/// Has the page that waits end by itself, without losing what somebody types meanwhile.
const WAIT: &str = include_str!("wait.js");
/// What somebody must know who comes after another person in the same browser.
const SECOND: &str = "<p class=\"quiet\">Sign out at Oura first, or use a private window: otherwise Oura reuses this browser's last \
    session.</p>";
/// Where an application is registered.
const PORTAL: &str = "https://developer.ouraring.com";

/// A page, and the only script that it may run.
pub(super) struct HtmlPage {
    pub(super) html: String,
    pub(super) script: Option<&'static str>,
}

/// What is known of an account after its sign-in.
pub(super) enum Seen {
    /// It is shown here, as it was read since.
    Here(Box<AccountState>),
    /// That shard shows it.
    By(Shard),
}

/// What the store knows of the persons.
pub(super) struct Persons {
    /// The accounts of which Oura never said whose they are.
    pub(super) unsaid: Vec<String>,
    /// The accounts that are one person's.
    pub(super) namesakes: Vec<Vec<String>>,
}

impl HtmlPage {
    fn new(title: &str, main: &str) -> Self {
        Self { html: document(title, "", "", main), script: None }
    }

    /// The same with a warning below its title, if there is one.
    pub(super) fn warning(mut self, words: Option<String>) -> Self {
        if let Some(words) = words {
            let warning = format!("</h1><p class=\"bad\" role=\"alert\">{}</p>", Escaped(&sentence(&words)));
            self.html = self.html.replacen("</h1>", &warning, 1);
        }
        self
    }

    /// What a browser may load, run and send for it.
    pub(super) fn policy(&self) -> String {
        let script = self.script.map(|script| {
            let hash = STANDARD.encode(Sha256::digest(script));
            format!("script-src 'sha256-{hash}'; connect-src 'self'; ")
        });
        format!(
            "default-src 'none'; style-src 'unsafe-inline'; {}base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
            script.unwrap_or_default()
        )
    }
}

fn document(title: &str, head: &str, body: &str, main: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title} - Oura exporter</title>\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">{head}<style>{STYLE}{OWN_STYLE}</style></head>\
         <body{body}><header><p class=\"name\">Oura exporter</p>{NAVIGATION}</header><main><h1>{title}</h1>{main}</main></body></html>\n",
        title = Escaped(title),
    )
}

/// Says what is in the way.
pub(super) fn trouble(words: &str) -> HtmlPage {
    let sentence = sentence(words);
    HtmlPage::new(
        "Not done",
        &format!("<p class=\"bad\">{}</p><p><a href=\"sign-in\">Start again</a></p>", Escaped(&sentence)),
    )
}

/// Says why nobody signs in here.
pub(super) fn shut(why: &str) -> HtmlPage {
    HtmlPage::new("No sign-in here", &format!("<p class=\"bad\">{}</p>", Escaped(&sentence(why))))
}

/// Says that somebody is signed out here, and perhaps not at Oura.
pub(super) fn unconfirmed(account: &str) -> HtmlPage {
    HtmlPage::new(
        "Signed out here",
        &format!(
            "<p><strong>{}</strong> is forgotten here and has left all pages.</p><p class=\"bad\">Oura did not confirm that the \
             access is revoked. Revoke it in the Oura app, too.</p><p><a class=\"button\" href=\"./\">Go to Today</a></p>",
            Escaped(account)
        ),
    )
}

/// With a capital letter and a full stop.
fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let end = if words.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}

/// What to do where no application is set.
pub(super) fn steps(redirect_uri: &str) -> HtmlPage {
    HtmlPage::new(
        "Nobody has signed in",
        &format!(
            "<section class=\"card\"><h2>Three steps to the first number</h2><ol>\
             <li>Register an application with Oura, at <a href=\"{PORTAL}\">{PORTAL}</a>.</li>\
             <li>{}</li>\
             <li>Set <code>OURA_CLIENT_ID</code> and <code>OURA_CLIENT_SECRET</code> to the id and the secret that Oura shows (or \
             <code>OURA_CLIENT_ID_FILE</code> and <code>OURA_CLIENT_SECRET_FILE</code> to files that hold them), and restart \
             the exporter. Then this page has a button to sign in.</li></ol></section>",
            registration(redirect_uri)
        ),
    )
}

/// What the application at Oura must have.
fn registration(redirect_uri: &str) -> String {
    let mut scopes: Vec<_> = KINDS.iter().map(|kind| kind.scope).collect();
    scopes.sort_unstable();
    scopes.dedup();
    format!(
        "Give it exactly this redirect URI, byte for byte (a click selects it):\
         <code class=\"copy\">{}</code> and tick every scope you want to see: {}.",
        Escaped(redirect_uri),
        scopes.join(", ")
    )
}

/// Who is signed in, and how the next one does; `name` is proposed for them.
pub(super) fn people(
    accounts: &[AccountState],
    persons: &Persons,
    redirect_uri: &str,
    guard: Guard,
    shard: Shard,
    name: &str,
) -> HtmlPage {
    let title = match (accounts.is_empty(), shard.is_one_of_several()) {
        (true, false) => "Nobody has signed in",
        (true, true) => "Nobody here yet",
        (false, _) => "People",
    };
    let mut main = about(shard);
    if !accounts.is_empty() {
        let namesakes =
            persons.namesakes.iter().map(|names| format!("<p class=\"bad\">{}.</p>", Escaped(&one_person(names))));
        let rows = accounts.iter().map(|account| row(account, persons, guard));
        let rows: String = namesakes.chain(rows).collect();
        let _ = write!(main, "<section class=\"card\"><h2>Signed in</h2>{rows}{}</section>", untrusted(guard));
    }
    let heading = if accounts.is_empty() { "Sign in" } else { "Add a person" };
    let _ = write!(
        main,
        "<section class=\"card\"><h2>{heading}</h2><form method=\"post\" action=\"sign-in\"><label \
         for=\"account\">Name for the account</label><input id=\"account\" name=\"account\" required maxlength=\"64\" \
         pattern=\"[A-Za-z0-9][A-Za-z0-9._\\-]*\" autocomplete=\"off\" autocapitalize=\"none\" spellcheck=\"false\" \
         value=\"{}\" aria-describedby=\"about-names\"><p id=\"about-names\" class=\"quiet\">A first name, for \
         example, not an e-mail address. It is the label <code>account</code> of all of the person's \
         metrics.</p><button id=\"sign-in\">Sign in with Oura</button></form>{}</section><section \
         class=\"card\"><h2>The application at Oura</h2><p>{}</p></section>",
        Escaped(name),
        if accounts.is_empty() { "" } else { SECOND },
        registration(redirect_uri)
    );
    HtmlPage::new(title, &main)
}

/// Which part of the accounts is shown, where it is a part.
fn about(shard: Shard) -> String {
    if !shard.is_one_of_several() {
        return String::new();
    }
    format!(
        "<p class=\"quiet\">This exporter is shard {shard}: it shows a part of the accounts, and the other shards show the \
         rest. Anybody may sign in here; the page then says which shard shows them.</p>"
    )
}

fn row(account: &AccountState, persons: &Persons, guard: Guard) -> String {
    let (is_dead, name) = (account.needs_sign_in(), Escaped(&account.name));
    if !account.is_signed_in {
        return format!(
            "<div class=\"row\"><strong>{name}</strong><span class=\"quiet\">by OURA_ACCESS_TOKEN</span></div>"
        );
    }
    let class = if is_dead { "bad" } else { "quiet" };
    let words = if is_dead { "must sign in again" } else { "signed in" };
    let button = |action: &str, words: &str| {
        format!(
            "<form method=\"post\" action=\"{action}\"><input type=\"hidden\" name=\"account\" value=\"{name}\">\
             <button class=\"plain\" aria-label=\"{words} {name}\" id=\"{action}-{name}\">{words}</button></form>"
        )
    };
    let again = if guard.is_trusted || is_dead { button("sign-in", "Sign in again") } else { String::new() };
    let out = if guard.is_trusted { button("sign-out", "Sign out") } else { String::new() };
    let doubt = if persons.unsaid.contains(&account.name) { doubt(&Doubt::Unsaid) } else { String::new() };
    format!("<div class=\"row\"><strong>{name}</strong><span class=\"{class}\">{words}</span>{again}{out}</div>{doubt}")
}

fn doubt(doubt: &Doubt) -> String {
    format!("<p class=\"old\">{}</p>", Escaped(&sentence(&doubt.to_string())))
}

/// What cannot be done here, where anybody may reach the page.
fn untrusted(guard: Guard) -> &'static str {
    if guard.is_trusted {
        "<p class=\"quiet\">Signing out revokes this exporter's access at Oura and removes the account from all pages.</p>"
    } else {
        "<p class=\"quiet\">This page is open beyond this machine, without a password: it adds people and renews \
         sign-ins that have ended. For anything else, set a password, or run <code>oura-exporter login \
         --no-browser</code> or <code>oura-exporter logout</code>.</p>"
    }
}

/// In a word, how far the attempt has come.
pub(super) fn state(attempt: &Attempt, seen: Option<&Seen>) -> &'static str {
    match (&attempt.stage, seen) {
        (Stage::Waiting, _) => "waiting",
        (Stage::Busy, _) => "busy",
        (Stage::Failed { .. }, _) => "failed",
        (Stage::Done { .. }, None) => "reading",
        (Stage::Done { .. }, Some(_)) => "done",
    }
}

/// The page of an attempt; with `sends` the browser goes on to Oura by itself.
pub(super) fn attempt(attempt: &Attempt, seen: Option<&Seen>, way_back: &WayBack, sends: bool) -> HtmlPage {
    let name = &attempt.account;
    match (&attempt.stage, seen) {
        (Stage::Waiting, _) => waiting(attempt, way_back, sends, None),
        (Stage::Busy, _) => unfinished(attempt, &format!("Signing in as {name}"), "<p>Asking Oura for the tokens.</p>"),
        (Stage::Done { .. }, None) => unfinished(
            attempt,
            &format!("Signed in as {name}"),
            "<p>The collections are being read for the first time.</p>",
        ),
        (Stage::Done { doubts, .. }, Some(seen)) => {
            let doubts: String = doubts.iter().map(doubt).collect();
            let found = match seen {
                Seen::Here(account) => collections(account),
                Seen::By(shard) => elsewhere(*shard),
            };
            HtmlPage::new(&format!("Signed in as {name}"), &(doubts + &found))
        }
        (Stage::Failed { why, button }, _) => failed(attempt, why, button.as_deref()),
    }
}

fn failed(attempt: &Attempt, why: &str, button: Option<&str>) -> HtmlPage {
    let name = Escaped(&attempt.account);
    let mut main = format!("<p class=\"bad\">{}</p>", Escaped(&sentence(why)));
    if let Some(button) = button {
        let _ = write!(
            main,
            "<form method=\"post\" action=\"sign-in\"><input type=\"hidden\" name=\"account\" value=\"{name}\">\
             <input type=\"hidden\" name=\"replace\" value=\"person\"><button class=\"plain\" id=\"replace\">{}</button></form>",
            Escaped(button)
        );
    }
    let _ = write!(main, "<p><a href=\"sign-in?account={name}\">Start again</a></p>");
    HtmlPage::new("Not signed in", &main)
}

/// The page of an attempt to which nobody has come back; `refused` says why what was pasted is not taken.
pub(super) fn waiting(attempt: &Attempt, way_back: &WayBack, sends: bool, refused: Option<&str>) -> HtmlPage {
    let url = attempt.login.url.as_str();
    let head = format!("<meta http-equiv=\"refresh\" content=\"0; url={}\">", Escaped(url));
    let refused = refused
        .map(|words| format!("<p id=\"refused\" class=\"bad\" role=\"alert\">{}</p>", Escaped(&sentence(words))));
    let described = if refused.is_some() { " aria-invalid=\"true\" aria-describedby=\"refused\"" } else { "" };
    let main = format!(
        "<p><a class=\"button\" id=\"oura\" href=\"{}\" target=\"_blank\" rel=\"noopener\">Open Oura's \
         page</a></p>{}<form method=\"post\" action=\"sign-in-paste\"><input type=\"hidden\" name=\"attempt\" \
         value=\"{}\"><label for=\"address\">The address</label>{}<input id=\"address\" name=\"address\" required \
         autocomplete=\"off\" spellcheck=\"false\"{described}><button id=\"paste\">Sign in with \
         it</button></form></section><p class=\"quiet\">This page waits for ten minutes, and moves on by itself when \
         the sign-in is done.</p>",
        Escaped(url),
        way_back.words(),
        attempt.id,
        refused.unwrap_or_default()
    );
    let head = if sends { head } else { String::new() };
    unfinished_with(attempt, &format!("Sign in as {}", attempt.account), &head, &main)
}

impl WayBack {
    /// What comes after the consent, up to the field for the address.
    fn words(&self) -> String {
        const COPY: &str = "Copy the whole address of that page, and paste it here.";
        match self {
            Self::Here => format!(
                "<p>Consent there. Oura then sends the browser back here.</p><section class=\"card\"><h2>Did the browser end at a \
                 page that does not load?</h2><p>{COPY}</p>"
            ),
            Self::ThisMachine(uri) => format!(
                "<p>Consent there. Oura then sends the browser to <code>{}</code>, an address of the machine that the \
                 browser runs on.</p><section class=\"card\"><h2>Does that page not load? That is all \
                 right</h2><p>{COPY}</p>",
                Escaped(uri)
            ),
            Self::Elsewhere(uri) => format!(
                "<p>Consent there. Oura then sends the browser to <code>{}</code>.</p><section class=\"card\"><h2>Does that page not \
                 load?</h2><p>{COPY}</p>",
                Escaped(uri)
            ),
        }
    }
}

fn unfinished(attempt: &Attempt, title: &str, main: &str) -> HtmlPage {
    let head = "<noscript><meta http-equiv=\"refresh\" content=\"2\"></noscript>";
    unfinished_with(attempt, title, head, main)
}

/// A page that is loaded again when the attempt has come further.
fn unfinished_with(attempt: &Attempt, title: &str, head: &str, main: &str) -> HtmlPage {
    let state = format!(" data-attempt=\"{}\" data-state=\"{}\"", attempt.id, state(attempt, None));
    let main = format!("{main}<script>{WAIT}</script>");
    HtmlPage { html: document(title, head, &state, &main), script: Some(WAIT) }
}

/// Who shows the account.
fn elsewhere(shard: Shard) -> String {
    format!(
        "<p>The sign-in is stored. Shard {shard} shows this account within seconds: its values are on the page of that \
         exporter, and in its metrics.</p><p><a class=\"button\" href=\"sign-in\">Add a person</a></p>"
    )
}

/// Which collections the account may read, and what it takes to read the rest.
fn collections(account: &AccountState) -> String {
    let is_read = |collection: &&CollectionState| collection.up == Some(true) && collection.mark() != Mark::NotGranted;
    let read: Vec<_> = account.collections.iter().filter(is_read).map(|collection| collection.kind.name).collect();
    let mut html = match read.len() {
        0 => "<p class=\"bad\">No collection may be read.</p>".to_owned(),
        1 => format!("<p>This collection may be read: {}.</p>", read.join(", ")),
        count => format!("<p>These {count} collections may be read: {}.</p>", read.join(", ")),
    };
    let mut remarks = BTreeMap::<_, Vec<_>>::new();
    for collection in &account.collections {
        if let Some(remark) = account.remark(collection) {
            remarks.entry(remark).or_default().push(collection.kind.name);
        }
    }
    if !remarks.is_empty() {
        html += "<p>Besides:</p><ul>";
        for (words, names) in remarks {
            let _ = write!(html, "<li>{}: {}.</li>", names.join(", "), Escaped(&words));
        }
        html += "</ul>";
    }
    html + "<p><a class=\"button\" href=\"./\">Go to Today</a></p>"
}
