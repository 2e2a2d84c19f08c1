//! Where people sign in and out on the exporter's own page, while it runs.

mod answers;
mod attempts;
mod completion;
mod form;
mod guard;
mod origin;
mod pages;
mod visit;
mod way;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, anyhow, ensure};
use hyper::{
    Method, Request, StatusCode,
    body::Body,
    header::{ALLOW, HeaderValue},
};
use reqwest::Url;
use tokio::{sync::Notify, time::sleep};
use tracing::{info, warn};

pub(crate) use self::completion::Completion;
use self::{
    answers::{answer, see, see_attempt, too_many},
    attempts::{Attempt, Attempts, New, Stage, TooMany},
    form::{Fields, fields, own_form},
    pages::{HtmlPage, Persons, Seen},
    visit::{Visit, WayBack, comes_back_to},
};
pub use self::{guard::Guard, way::Way};
use crate::{
    auth::{self, Login, Redirected, Replaces, Revoked, StoreHealth, WrongPerson},
    clock::Clock,
    config, http, samples,
    shard::Shard,
    state::Snapshot,
};

/// Where people sign in, and what a form of theirs goes to.
const SIGN_IN: &str = "/sign-in";
const PASTE: &str = "/sign-in-paste";
const STATE: &str = "/sign-in-state";
const SIGN_OUT: &str = "/sign-out";

/// What is said of an address that is none of Oura's answers.
const NO_ANSWER: &str = "this address contains no answer from Oura; paste the whole address that the browser was sent \
                         to";

/// How often, and how long in between, it is looked whether an account has left the page.
const LOOKS: usize = 60;
const LOOK: Duration = Duration::from_millis(50);

/// Where people sign in and out.
pub struct SignInPages {
    way: Way,
    /// Where the browser comes back to, whole and its path alone.
    redirect_uri: String,
    redirect_path: String,
    /// The path below which a proxy shows the page, with the slash at its end.
    root: String,
    /// Whether the page speaks TLS.
    is_encrypted: bool,
    snapshot: Arc<Snapshot>,
    look: Arc<Notify>,
    clock: Clock,
    attempts: Attempts,
    /// Whether what comes of a sign-in can be kept.
    health: Option<Arc<StoreHealth>>,
    /// Whose accounts are shown here; the others' sign in here all the same.
    shard: Shard,
    /// Whether a request came through a proxy: from then on nobody counts as somebody of this machine.
    is_behind_a_proxy: AtomicBool,
}

impl SignInPages {
    /// Pages of that kind; `look` has the exporter look at the token files.
    pub fn new(way: Way, redirect_uri: &str, snapshot: Arc<Snapshot>, look: Arc<Notify>, clock: Clock) -> Self {
        let redirect_path = Url::parse(redirect_uri).map(|url| url.path().to_owned()).unwrap_or_default();
        let (attempts, redirect_uri) = (Attempts::default(), redirect_uri.to_owned());
        let (root, health, shard) = ("/".to_owned(), None, Shard::default());
        let is_behind_a_proxy = AtomicBool::default();
        let is_encrypted = false;
        Self {
            way,
            redirect_uri,
            redirect_path,
            root,
            is_encrypted,
            snapshot,
            look,
            clock,
            attempts,
            health,
            shard,
            is_behind_a_proxy,
        }
    }

    /// The same, which says whether what comes of a sign-in can be kept.
    #[must_use]
    pub fn with_store_health(self, health: Option<Arc<StoreHealth>>) -> Self {
        Self { health, ..self }
    }

    /// The same of an exporter that shows the accounts of that shard.
    #[must_use]
    pub fn of_shard(self, shard: Shard) -> Self {
        Self { shard, ..self }
    }

    /// The same on a page that a proxy shows below the path `root`.
    #[must_use]
    pub fn below(self, root: String) -> Self {
        Self { root, ..self }
    }

    /// The same on a page that listens on `port`, with TLS or without.
    #[must_use]
    pub fn at(self, port: u16, is_encrypted: bool) -> Self {
        let uri = &self.redirect_uri;
        let is_elsewhere = matches!(self.way, Way::Open { .. }) && !comes_back_to(uri, port);
        if is_elsewhere && is_encrypted && uri.starts_with("http:") {
            warn!(
                "OURA_REDIRECT_URI: the browser cannot come back to {uri}, because this page uses TLS: register \
                 http://localhost:{port}/callback at Oura (for a browser on this machine) or the page's address with \
                 https:// and /callback, and set it; until then, paste the address at which the browser ends"
            );
        } else if is_elsewhere && uri == config::USUAL_REDIRECT_URI {
            info!(
                "OURA_REDIRECT_URI: the browser comes back to {uri}, but this page is on port {port}: unless a \
                 container or a tunnel leads from there to here, register http://localhost:{port}/callback at Oura and \
                 set it; until then, paste the address at which the browser ends"
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
        !config::is_own(path) && self.redirect_path.ends_with(path)
    }

    /// Whether the browser comes back there without TLS to a port that speaks it, as Oura takes `http://localhost` for a
    /// redirect URI and no certificate is for that name: only a browser on this machine asks so.
    pub fn comes_back_in_the_open(&self, path: &str) -> bool {
        self.redirect_uri.starts_with("http:") && path == self.redirect_path
    }

    /// Whether other exporters show a part of the accounts, which may be all of them.
    pub const fn is_of_one_of_several(&self) -> bool {
        self.shard.is_one_of_several()
    }

    /// Whether people can sign in here, or are told what it takes.
    pub const fn is_open(&self) -> bool {
        !matches!(self.way, Way::Shut(_))
    }

    /// The landing page while nobody is signed in.
    pub fn front_page(&self) -> Option<http::Answer> {
        (self.is_open() && self.snapshot.is_empty()).then(|| self.people_page(""))
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
            return answer(StatusCode::NOT_FOUND, &pages::shut(why));
        }
        let visit = Visit::of(&request);
        if method == Method::POST {
            return match own_form(request).await {
                Ok(form) => {
                    self.note_proxy(&visit);
                    self.apart(|own| async move { own.take_form(&path, &form, visit).await }).await
                }
                Err((status, words)) => answer(status, &pages::trouble(&words)),
            };
        }
        self.note_proxy(&visit);
        let query = request.uri().query().unwrap_or_default().to_owned();
        match path.as_str() {
            SIGN_IN => self.show(&fields(query.as_bytes()), &visit, method == Method::GET),
            STATE => self.state(&fields(query.as_bytes())),
            _ => self.apart(|own| async move { own.finish(&Redirected::of_query(&query), &path).await }).await,
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
                &pages::trouble("this failed because of a defect; see the log, and report it"),
            )
        })
    }

    /// What may be done on the page, by what is known of how people reach it.
    fn guard(&self, guard: Guard) -> Guard {
        if self.is_behind_a_proxy.load(Ordering::Relaxed) { guard.behind_a_proxy() } else { guard }
    }

    /// Takes note of a proxy. What it shows to others cannot be told from what somebody asks for on this machine.
    fn note_proxy(&self, visit: &Visit) {
        let Way::Open { guard, .. } = &self.way else { return };
        let Some(sign) = visit.proxy else { return };
        if !self.is_behind_a_proxy.swap(true, Ordering::Relaxed)
            && guard.is_trusted
            && !guard.behind_a_proxy().is_trusted
        {
            warn!(
                "a proxy shows this page (it was asked for with {sign}), so it counts as open beyond this machine: it \
                 only adds people and renews sign-ins that have ended. Set OURA_WEB_EXTERNAL_URL to where the proxy \
                 shows it; for anything else set a password (OURA_WEB_CONFIG_FILE), or use the commands"
            );
        }
    }

    async fn take_form(&self, path: &str, form: &Fields, visit: Visit) -> http::Answer {
        let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        let taken = match path {
            SIGN_IN => {
                let begun = self.begin(field("account").trim(), field("replace") == "person", visit).await;
                begun.map(|id| see_attempt(&id, path))
            }
            PASTE => Ok(self.paste(field("address"), field("attempt"), &visit).await),
            _ => self.sign_out(field("account")).await.map(|revoked| match revoked {
                Revoked::Confirmed => see("./"),
                Revoked::NotConfirmed(_) => answer(StatusCode::OK, &pages::unconfirmed(field("account"))),
            }),
        };
        taken.unwrap_or_else(|error| {
            let page = pages::trouble(&format!("{error:#}"));
            if error.is::<TooMany>() { too_many(&page) } else { answer(StatusCode::BAD_REQUEST, &page) }
        })
    }

    /// Begins a sign-in as `account`, for whoever consents where `is_meant`; its id.
    async fn begin(&self, account: &str, is_meant: bool, visit: Visit) -> anyhow::Result<String> {
        let Way::Open { oauth_client, store, taken, guard, .. } = &self.way else {
            anyhow::bail!("no application is set; the page shows how to get one");
        };
        ensure!(
            auth::is_name(account),
            "a name has up to 64 letters, digits, dots, dashes and underscores (not an e-mail address); write anna"
        );
        ensure!(
            !taken.iter().any(|name| name == account),
            "OURA_ACCESS_TOKEN provides an account of that name; choose another"
        );
        let guard = self.guard(*guard);
        if store.has(account) {
            guard.renews(account, self.needs_sign_in(account)).map_err(|error| self.of_other_shard(account, error))?;
        }
        self.attempts.admit(guard.stranger(visit.peer), self.clock.now())?;
        // Found out before anybody consents: whether what comes of it can be stored.
        auth::can_keep(store, account).await?;
        let login = Login::begin(oauth_client).await?;
        let id = auth::random().map_err(|error| anyhow!("the system provides no random numbers: {error}"))?;
        let (name, replaces) = (account.to_owned(), guard.replaces(is_meant));
        self.attempts
            .add(New { id: id.clone(), account: name, login, replaces, origin: visit.origin }, self.clock.now());
        Ok(id)
    }

    /// Takes what a person has pasted. Where it is nothing of Oura's, the page of the attempt says so and still has its field.
    async fn paste(&self, pasted: &str, id: &str, visit: &Visit) -> http::Answer {
        let given = Redirected::of_paste(pasted);
        let taken = if given.is_empty() { Err(NO_ANSWER.to_owned()) } else { self.take(&given, Some(id)) };
        let words = match taken {
            Ok(attempt) => return see_attempt(&self.end(attempt, &given).await.id, PASTE),
            Err(words) => words,
        };
        let attempt = self.attempts.get(id, self.clock.now()).filter(|attempt| attempt.stage == Stage::Waiting);
        let page = attempt.map_or_else(
            || pages::trouble(&words),
            |attempt| {
                pages::waiting(
                    &attempt,
                    &WayBack::of(&visit.host, &self.redirect_uri, self.is_encrypted),
                    false,
                    Some(&words),
                )
            },
        );
        answer(StatusCode::BAD_REQUEST, &page)
    }

    /// Takes an answer of Oura's that came to the path `from`, and sends the browser to where nothing of it is in the address.
    async fn finish(&self, given: &Redirected, from: &str) -> http::Answer {
        match self.come_back(given).await {
            Ok(attempt) => see_attempt(&attempt.id, from),
            Err(words) => answer(StatusCode::BAD_REQUEST, &pages::trouble(&words)),
        }
    }

    /// Answers a browser that comes back in the open, and sends it on to the encrypted page on which it began.
    pub async fn finish_in_the_open(self: &Arc<Self>, query: &str) -> http::Answer {
        let given = Redirected::of_query(query);
        let finish = |own: Arc<Self>| async move {
            match own.come_back(&given).await {
                Ok(attempt) => see(&format!("{}{}sign-in?attempt={}", attempt.origin, own.root, attempt.id)),
                Err(words) => answer(StatusCode::BAD_REQUEST, &pages::trouble(&words)),
            }
        };
        self.apart(finish).await
    }

    async fn come_back(&self, given: &Redirected) -> Result<Attempt, String> {
        if given.is_empty() {
            return Err(NO_ANSWER.to_owned());
        }
        let attempt = self.take(given, None)?;
        Ok(self.end(attempt, given).await)
    }

    fn take(&self, given: &Redirected, id: Option<&str>) -> Result<Attempt, String> {
        self.attempts.take(given, id, self.clock.now()).map_err(|not_taken| not_taken.to_string())
    }

    /// Brings an attempt to its end with the answer that it was waiting for.
    async fn end(&self, attempt: Attempt, given: &Redirected) -> Attempt {
        let stage = match self.keep(&attempt, given).await {
            Ok(done) => {
                info!(account = attempt.account, "signed in on the page");
                done
            }
            Err(error) => {
                warn!(account = attempt.account, "not signed in on the page: {error:#}");
                let wrong_person = error.downcast_ref::<WrongPerson>();
                let has_button = wrong_person.filter(|_| attempt.replaces == Replaces::SamePerson);
                let why = has_button.map_or_else(|| format!("{error:#}"), WrongPerson::beside_a_button);
                Stage::Failed { why, button: has_button.map(WrongPerson::button) }
            }
        };
        self.attempts.end(&attempt.id, stage);
        self.look.notify_one();
        attempt
    }

    /// Exchanges the code and stores what Oura gives.
    async fn keep(&self, attempt: &Attempt, given: &Redirected) -> anyhow::Result<Stage> {
        let Way::Open { store, transport, .. } = &self.way else { anyhow::bail!("no application is set") };
        let completion = Completion {
            login: Arc::clone(&attempt.login),
            store: store.clone(),
            transport: Arc::clone(transport),
            account: attempt.account.clone(),
            replaces: attempt.replaces,
        };
        let (tokens, doubts) = completion.by(given.clone()).await?;
        for doubt in &doubts {
            warn!(account = attempt.account, "{doubt}");
        }
        Ok(Stage::Done { signed_in_at: tokens.signed_in_at, doubts })
    }

    async fn sign_out(&self, account: &str) -> anyhow::Result<Revoked> {
        let Way::Open { oauth_client, store, guard, .. } = &self.way else {
            anyhow::bail!("nobody can be signed in here")
        };
        self.guard(*guard).signs_out(account)?;
        ensure!(auth::is_name(account) && store.has(account), "nobody is signed in under that name");
        let revoked = auth::log_out(store, oauth_client, account).await?;
        if let Revoked::NotConfirmed(error) = &revoked {
            warn!(account, "Oura did not confirm the sign-out ({error}); revoke it in the Oura app, too");
        }
        samples::forget_journals(store.directory(), account).context("the sign-in is forgotten, its record is not")?;
        info!(account, "signed out on the page");
        self.look.notify_one();
        self.until_gone(account).await;
        Ok(revoked)
    }

    /// Waits a moment for the account to leave the page, so that the browser finds it without.
    async fn until_gone(&self, account: &str) {
        for _ in 0..LOOKS {
            if !self.snapshot.has(account) {
                return;
            }
            sleep(LOOK).await;
        }
    }

    /// The page of an attempt, or of everybody. A program that only looks does not go on to Oura.
    fn show(&self, query: &Fields, visit: &Visit, is_read: bool) -> http::Answer {
        let Some(id) = query.get("attempt") else {
            return self
                .people_page(query.get("account").filter(|name| auth::is_name(name)).map_or("", String::as_str));
        };
        let Some(attempt) = self.attempts.get(id, self.clock.now()) else {
            let words = "this sign-in is over: ten minutes have passed, or the exporter was restarted; start again";
            return answer(StatusCode::NOT_FOUND, &pages::trouble(words));
        };
        let way_back = WayBack::of(&visit.host, &self.redirect_uri, self.is_encrypted);
        let sends = is_read && way_back == WayBack::Here && self.attempts.sends(id);
        answer(StatusCode::OK, &pages::attempt(&attempt, self.seen(&attempt).as_ref(), &way_back, sends))
    }

    /// In a word, how far an attempt has come, for the page that waits.
    fn state(&self, query: &Fields) -> http::Answer {
        let attempt = query.get("attempt").and_then(|id| self.attempts.get(id, self.clock.now()));
        let word = attempt.map_or("over", |attempt| pages::state(&attempt, self.seen(&attempt).as_ref()));
        answer(StatusCode::OK, &HtmlPage { html: word.to_owned(), script: None })
    }

    /// The account as the exporter has read it since the sign-in, or who reads it.
    fn seen(&self, attempt: &Attempt) -> Option<Seen> {
        let Stage::Done { signed_in_at, .. } = attempt.stage else { return None };
        if !self.shard.has(&attempt.account) {
            return Some(Seen::By(self.shard.of(&attempt.account)));
        }
        let account = self.snapshot.account(&attempt.account)?;
        let is_new = account.grant.as_ref().is_some_and(|grant| grant.signed_in_at >= signed_in_at);
        (is_new && account.waiting().next().is_none()).then(|| Seen::Here(account.into()))
    }

    fn people_page(&self, name: &str) -> http::Answer {
        let page = match &self.way {
            Way::Open { guard, store, .. } => {
                let accounts = self.snapshot.accounts();
                let persons = Persons { unsaid: store.unsaid(), namesakes: store.namesakes() };
                pages::people(&accounts, &persons, &self.redirect_uri, self.guard(*guard), self.shard, name)
            }
            _ => pages::steps(&self.redirect_uri),
        };
        let trouble = self.health.as_ref().and_then(|health| health.trouble());
        answer(StatusCode::OK, &page.warning(trouble.map(|trouble| format!("sign-ins cannot be stored: {trouble}"))))
    }

    /// A refusal, and where else an account may be signed in that is not shown here.
    fn of_other_shard(&self, account: &str, refusal: anyhow::Error) -> anyhow::Error {
        let shard = self.shard.of(account);
        if shard == self.shard {
            return refusal;
        }
        anyhow!("{refusal}; if the sign-in has ended, the page of shard {shard} renews it")
    }

    fn needs_sign_in(&self, account: &str) -> bool {
        self.snapshot.posted_of(account).is_some_and(|posted| posted.state.needs_sign_in())
    }
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
