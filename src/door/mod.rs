//! The door: where people sign in and out on the exporter's own page, while it runs.

mod attempts;
mod guard;
mod origin;
mod pages;

use std::{borrow::Cow, collections::HashMap, sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow, ensure};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Body,
    header::{
        ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderValue, LOCATION, REFERRER_POLICY,
    },
};
use reqwest::Url;
use tokio::{sync::Notify, time::sleep};
use tracing::{info, warn};

pub use self::guard::Guard;
use self::{
    attempts::{Attempt, Attempts, Stage},
    pages::Page,
};
use crate::{
    auth::{self, Answer, Authority, Login, Revoked, Room, Store, Tokens, WrongPerson},
    clock::Clock,
    http,
    latest::{AccountState, Board},
    oura::{Transport, person_id},
    samples,
};

/// Where people sign in, and what a form of theirs goes to.
const SIGN_IN: &str = "/sign-in";
const PASTE: &str = "/sign-in-paste";
const STATE: &str = "/sign-in-state";
const SIGN_OUT: &str = "/sign-out";
/// The longest form, in bytes: a pasted address is the longest that is in one.
const LONGEST_FORM: usize = 16 * 1024;

/// How often, and how long in between, it is looked whether an account has left the page.
const LOOKS: usize = 60;
const LOOK: Duration = Duration::from_millis(50);

/// Where people sign in and out.
pub struct Door {
    way: Way,
    /// Where the browser comes back to, whole and its path alone.
    redirect_uri: String,
    redirect_path: String,
    /// Whether the page speaks TLS.
    is_encrypted: bool,
    board: Arc<Board>,
    look: Arc<Notify>,
    clock: Clock,
    attempts: Attempts,
    /// Whether what comes of a sign-in can be kept.
    room: Option<Arc<Room>>,
}

/// What there is to sign in with.
pub enum Way {
    /// Nothing, for this reason.
    Shut(&'static str),
    /// No application yet: what is to be done for one is shown.
    Unregistered,
    /// An application, and a place for tokens.
    Open {
        /// Who gives tokens.
        authority: Arc<Authority>,
        /// Where they are kept.
        store: Store,
        /// The way to Oura.
        transport: Arc<Transport>,
        /// The accounts that the environment names.
        taken: Vec<String>,
        /// What may be done by whoever reaches the page.
        guard: Guard,
    },
}

impl Door {
    /// A door of that kind; `look` has the exporter look at the token files.
    pub fn new(way: Way, redirect_uri: &str, board: Arc<Board>, look: Arc<Notify>, clock: Clock) -> Self {
        let redirect_path = Url::parse(redirect_uri).map(|url| url.path().to_owned()).unwrap_or_default();
        let (attempts, redirect_uri) = (Attempts::default(), redirect_uri.to_owned());
        Self { way, redirect_uri, redirect_path, is_encrypted: false, board, look, clock, attempts, room: None }
    }

    /// The same, which says whether what comes of a sign-in can be kept.
    #[must_use]
    pub fn with_room(self, room: Option<Arc<Room>>) -> Self {
        Self { room, ..self }
    }

    /// The same on a page that speaks TLS, if it does.
    #[must_use]
    pub fn encrypted(self, is_encrypted: bool) -> Self {
        if is_encrypted && self.is_open() && self.redirect_uri.starts_with("http:") {
            warn!(
                "OURA_REDIRECT_URI: the browser cannot come back to {}, as this page speaks TLS; register the same with https:// \
                 at Oura, and set it; until then the address at which the browser ends is pasted",
                self.redirect_uri
            );
        }
        Self { is_encrypted, ..self }
    }

    /// Whether requests for that path are for it.
    pub fn has(&self, path: &str) -> bool {
        matches!(path, SIGN_IN | PASTE | STATE | SIGN_OUT) || self.is_redirect(path)
    }

    /// Whether the browser comes back there. A proxy may have taken away what the path begins with.
    fn is_redirect(&self, path: &str) -> bool {
        path.len() > 1 && self.redirect_path.ends_with(path)
    }

    /// Whether people can sign in here, or are told what it takes.
    pub const fn is_open(&self) -> bool {
        !matches!(self.way, Way::Shut(_))
    }

    /// The landing page while nobody is signed in.
    pub fn front_page(&self) -> Option<http::Answer> {
        (self.is_open() && self.board.is_empty()).then(|| self.people_page(""))
    }

    /// Answers a request. What it does goes on when the browser goes away: a code that Oura has taken works once.
    pub async fn answer<B>(self: &Arc<Self>, request: Request<B>) -> http::Answer
    where
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (path, method) = (request.uri().path().to_owned(), request.method().clone());
        let allowed = allowed(&path);
        if !allowed.split(", ").any(|allowed| method == *allowed) {
            let mut answer = answer(StatusCode::METHOD_NOT_ALLOWED, &pages::trouble(&format!("only {allowed} here")));
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
            return answer;
        }
        if let Way::Shut(why) = self.way {
            return answer(StatusCode::NOT_FOUND, &pages::trouble(why));
        }
        if method == Method::POST {
            return match own_form(request).await {
                Ok(form) => self.apart(|door| async move { door.take_form(&path, &form).await }).await,
                Err((status, words)) => answer(status, &pages::trouble(&words)),
            };
        }
        let query = request.uri().query().unwrap_or_default().to_owned();
        match path.as_str() {
            SIGN_IN => self.show(&fields(query.as_bytes()), host(&request)),
            STATE => self.state(&fields(query.as_bytes())),
            _ => self.apart(|door| async move { door.finish(&Answer::of_query(&query), None, &path).await }).await,
        }
    }

    /// Does something in a task of its own.
    async fn apart<F>(self: &Arc<Self>, act: impl FnOnce(Arc<Self>) -> F) -> http::Answer
    where
        F: Future<Output = http::Answer> + Send + 'static,
    {
        let done = tokio::spawn(act(Arc::clone(self))).await;
        done.unwrap_or_else(|_| {
            answer(
                StatusCode::INTERNAL_SERVER_ERROR,
                &pages::trouble("this ended by a defect; see the log, and report it"),
            )
        })
    }

    async fn take_form(&self, path: &str, form: &Fields) -> http::Answer {
        let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        let taken = match path {
            SIGN_IN => {
                self.begin(field("account").trim(), field("replace") == "person").await.map(|id| see_attempt(&id, path))
            }
            PASTE => Ok(self.finish(&Answer::of_paste(field("address")), Some(field("attempt")), path).await),
            _ => self.sign_out(field("account")).await.map(|()| see("./")),
        };
        taken.unwrap_or_else(|error| answer(StatusCode::BAD_REQUEST, &pages::trouble(&format!("{error:#}"))))
    }

    /// Begins a sign-in as `account`, for whoever consents where `is_meant`; its id.
    async fn begin(&self, account: &str, is_meant: bool) -> anyhow::Result<String> {
        let Way::Open { authority, store, taken, guard, .. } = &self.way else {
            anyhow::bail!("no application is set; the page shows how to get one");
        };
        ensure!(
            auth::is_name(account),
            "a name is up to 64 letters, digits, dots, dashes and underscores (no e-mail); write anna"
        );
        ensure!(
            !taken.iter().any(|name| name == account),
            "OURA_ACCESS_TOKEN gives an account that name; choose another"
        );
        if store.has(account) {
            guard.renews(account, self.needs_sign_in(account))?;
        }
        let (checked, name) = (store.clone(), account.to_owned());
        // Found out before anybody consents: whether what comes of it can be stored.
        tokio::task::spawn_blocking(move || checked.check().and_then(|()| checked.lock(&name).map(drop))).await??;
        let login = Login::begin(authority).await?;
        let id = auth::random().map_err(|error| anyhow!("the system gives no randomness: {error}"))?;
        self.attempts.add(id.clone(), account, login, guard.replaces(is_meant), self.clock.now());
        Ok(id)
    }

    /// Takes an answer of Oura's that came to the path `from`, and sends the browser to where nothing of it is in the address.
    async fn finish(&self, given: &Answer, id: Option<&str>, from: &str) -> http::Answer {
        if given.is_empty() {
            let words = "this address holds no answer of Oura's; paste the whole address that the browser was sent to";
            return answer(StatusCode::BAD_REQUEST, &pages::trouble(words));
        }
        let attempt = match self.attempts.take(given, id, self.clock.now()) {
            Ok(attempt) => attempt,
            Err(not_taken) => return answer(StatusCode::BAD_REQUEST, &pages::trouble(&not_taken.to_string())),
        };
        let stage = match self.keep(&attempt, given).await {
            Ok(tokens) => {
                info!(account = attempt.account, "signed in on the page");
                Stage::Done(tokens.signed_in_at)
            }
            Err(error) => {
                warn!(account = attempt.account, "not signed in on the page: {error:#}");
                Stage::Failed { why: format!("{error:#}"), is_wrong_person: error.is::<WrongPerson>() }
            }
        };
        self.attempts.end(&attempt.id, stage);
        self.look.notify_one();
        see_attempt(&attempt.id, from)
    }

    /// Exchanges the code and stores what Oura gives.
    async fn keep(&self, attempt: &Attempt, given: &Answer) -> anyhow::Result<Tokens> {
        let Way::Open { store, transport, .. } = &self.way else { anyhow::bail!("no application is set") };
        let tokens = attempt.login.finish(given.clone()).await?;
        let id = person_id(transport, &tokens.access).await;
        auth::keep(store, &attempt.account, tokens.clone(), id, attempt.replaces).await?;
        Ok(tokens)
    }

    async fn sign_out(&self, account: &str) -> anyhow::Result<()> {
        let Way::Open { authority, store, guard, .. } = &self.way else {
            anyhow::bail!("nobody can be signed in here")
        };
        guard.signs_out(account)?;
        ensure!(auth::is_name(account) && store.has(account), "nobody of that name is signed in");
        if let Revoked::NotConfirmed(error) = auth::log_out(store, authority, account).await? {
            warn!(account, "Oura does not confirm the end of the sign-in ({error}); revoke it in the Oura app, too");
        }
        samples::forget_journals(store.directory(), account).context("the sign-in is forgotten, its record is not")?;
        info!(account, "signed out on the page");
        self.look.notify_one();
        self.until_gone(account).await;
        Ok(())
    }

    /// Waits a moment for the account to leave the page, so that the browser finds it without.
    async fn until_gone(&self, account: &str) {
        let is_there = || self.board.accounts().iter().any(|state| state.name == account);
        for _ in 0..LOOKS {
            if !is_there() {
                return;
            }
            sleep(LOOK).await;
        }
    }

    /// The page of an attempt, or of everybody.
    fn show(&self, query: &Fields, host: &str) -> http::Answer {
        let Some(id) = query.get("attempt") else {
            return self
                .people_page(query.get("account").filter(|name| auth::is_name(name)).map_or("", String::as_str));
        };
        let Some(attempt) = self.attempts.get(id, self.clock.now()) else {
            let words = "this sign-in is over: ten minutes have passed, or the exporter was started anew; begin anew";
            return answer(StatusCode::NOT_FOUND, &pages::trouble(words));
        };
        let sends = self.leads_here(host) && self.attempts.sends(id);
        answer(StatusCode::OK, &pages::attempt(&attempt, self.seen(&attempt).as_ref(), sends))
    }

    /// In a word, how far an attempt has come, for the page that waits.
    fn state(&self, query: &Fields) -> http::Answer {
        let attempt = query.get("attempt").and_then(|id| self.attempts.get(id, self.clock.now()));
        let word = attempt.map_or("over", |attempt| pages::state(&attempt, self.seen(&attempt).as_ref()));
        answer(StatusCode::OK, &Page { html: word.to_owned(), script: None })
    }

    /// The account as the exporter has read it since the sign-in.
    fn seen(&self, attempt: &Attempt) -> Option<AccountState> {
        let Stage::Done(signed_in_at) = attempt.stage else { return None };
        let account = self.board.accounts().into_iter().find(|account| account.name == attempt.account)?;
        let is_new = account.grant.as_ref().is_some_and(|grant| grant.signed_in_at == signed_in_at);
        (is_new && account.waiting().next().is_none()).then_some(account)
    }

    fn people_page(&self, name: &str) -> http::Answer {
        let page = match &self.way {
            Way::Open { guard, taken, .. } => {
                let accounts = self.board.accounts();
                let accounts: Vec<_> = accounts.iter().filter(|account| !taken.contains(&account.name)).collect();
                pages::people(&accounts, &self.redirect_uri, *guard, name)
            }
            _ => pages::steps(&self.redirect_uri),
        };
        let trouble = self.room.as_ref().and_then(|room| room.trouble());
        answer(StatusCode::OK, &page.warning(trouble.map(|trouble| format!("no sign-in can be kept: {trouble}"))))
    }

    fn needs_sign_in(&self, account: &str) -> bool {
        self.board.accounts().iter().any(|state| state.name == account && state.needs_sign_in())
    }

    /// Whether a browser that asked for `host` finds this exporter at the redirect URI, too, as far as one can tell.
    fn leads_here(&self, host: &str) -> bool {
        // A proxy may speak TLS for an exporter that does not; one that does answers nothing else.
        if self.is_encrypted && self.redirect_uri.starts_with("http:") {
            return false;
        }
        let asked = Url::parse(&format!("http://{host}/"));
        let place = |url: &Url| {
            let name = url.host_str().unwrap_or_default().to_owned();
            let is_loopback = matches!(name.as_str(), "localhost" | "127.0.0.1" | "[::1]");
            (if is_loopback { "localhost".to_owned() } else { name }, url.port())
        };
        asked.is_ok_and(|asked| Url::parse(&self.redirect_uri).is_ok_and(|uri| place(&uri) == place(&asked)))
    }
}

/// The fields of a form or a query.
type Fields = HashMap<String, String>;

fn fields(text: &[u8]) -> Fields {
    form_urlencoded::parse(text)
        .map(|(name, value): (Cow<'_, str>, Cow<'_, str>)| (name.into_owned(), value.into_owned()))
        .collect()
}

/// How one may ask for a path.
fn allowed(path: &str) -> &'static str {
    match path {
        SIGN_IN => "GET, HEAD, POST",
        STATE => "GET, HEAD",
        PASTE | SIGN_OUT => "POST",
        // A program that only looks must not use the answer up.
        _ => "GET",
    }
}

fn host<B>(request: &Request<B>) -> &str {
    request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default()
}

/// The form that the exporter's own page has sent.
///
/// # Errors
/// Where it is another one: the status, and what is said.
async fn own_form<B>(request: Request<B>) -> Result<Fields, (StatusCode, String)>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    origin::judge(&request).map_err(|foreign| (StatusCode::FORBIDDEN, foreign.to_string()))?;
    let body = Limited::new(request.into_body(), LONGEST_FORM).collect().await;
    let body = body.map_err(|_| (StatusCode::BAD_REQUEST, "this is no form of this page".to_owned()))?;
    Ok(fields(&body.to_bytes()))
}

/// Sends the browser on, so that what it has sent is in no history.
fn see(place: &str) -> http::Answer {
    let mut answer = answer(StatusCode::SEE_OTHER, &Page { html: String::new(), script: None });
    if let Ok(place) = HeaderValue::from_str(place) {
        answer.headers_mut().insert(LOCATION, place);
    }
    answer
}

/// Sends the browser from the path `from` to the page of an attempt, wherever a proxy shows both.
fn see_attempt(id: &str, from: &str) -> http::Answer {
    let up = "../".repeat(from.matches('/').count().saturating_sub(1));
    see(&format!("{up}sign-in?attempt={id}"))
}

fn answer(status: StatusCode, page: &Page) -> http::Answer {
    let mut answer = Response::new(Full::new(page.html.clone().into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Under `no-referrer` browsers send no Origin with a form.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    if let Ok(policy) = HeaderValue::from_str(&page.policy()) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    answer
}
