//! Signing in: the consent page, the way back from it, and the first tokens.

use std::{
    future,
    io::{self, Write as _},
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, anyhow, bail, ensure};
use chrono::Utc;
use reqwest::Url;
use tokio::{task, time::timeout};
use tracing::warn;

use super::{Code, Doubt, OAuthClient, Portal, Replaces, Store, Tokens, callback, challenge::Secrets};

/// How long a person may take at the consent page: Oura's codes live that long, too.
const CONSENT: Duration = Duration::from_secs(600);

/// How long is waited for Oura to take back what is not kept.
const REVOCATION: Duration = Duration::from_secs(5);

/// How long a bare code is at least and at most, in characters; nobody knows more of its shape.
const LEAST_CODE: usize = 8;
const MOST_CODE: usize = 1024;

/// After so many empty lines in a row nobody is asked for the address any more.
const MOST_EMPTY: usize = 3;

/// A sign-in that was begun.
pub struct Login {
    oauth_client: Arc<OAuthClient>,
    secrets: Secrets,
    /// The page on which a person consents.
    pub url: Url,
}

/// How the browser came back.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Redirected {
    pub(super) code: Option<String>,
    state: Option<String>,
    pub(super) error: Option<String>,
    /// A person pasted the code alone: no page could do that for them.
    is_bare: bool,
}

impl Redirected {
    /// What the query of the redirected URL says.
    pub(crate) fn of_query(query: &str) -> Self {
        let mut answer = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "code" => answer.code = Some(value.into_owned()),
                "state" => answer.state = Some(value.into_owned()),
                "error" => answer.error = Some(value.into_owned()),
                _ => {}
            }
        }
        answer
    }

    /// Whether it answers the sign-in with that state.
    pub(crate) fn is_to(&self, state: &str) -> bool {
        self.state.as_deref() == Some(state)
    }

    /// Whether it answers nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.code.is_none() && self.error.is_none()
    }

    /// Whether it is a code alone, which no page could give.
    pub(crate) const fn is_bare(&self) -> bool {
        self.is_bare
    }

    /// What a person pasted: the redirected URL, or the bare code.
    pub(crate) fn of_paste(text: &str) -> Self {
        match text.trim().split_once('?') {
            Some((_, query)) => Self::of_query(query.split('#').next().unwrap_or_default()),
            None if is_code(text.trim()) => {
                Self { code: Some(text.trim().to_owned()), is_bare: true, ..Self::default() }
            }
            None => Self::default(),
        }
    }
}

impl Login {
    /// Begins a sign-in at the portal that knows the application.
    ///
    /// # Errors
    /// Where neither portal knows it or its redirect URI, with the string to register.
    pub async fn begin(oauth_client: &Arc<OAuthClient>) -> anyhow::Result<Self> {
        let secrets = Secrets::new().map_err(|error| anyhow!("the system provides no random numbers: {error}"))?;
        let mut refusals = Vec::new();
        for portal in [Portal::Legacy, Portal::New] {
            let url = oauth_client.consent_url(portal, &secrets.state, &secrets.challenge())?;
            match oauth_client.rejects(url.clone()).await? {
                None => return Ok(Self { oauth_client: Arc::clone(oauth_client), secrets, url }),
                Some(refusal) => refusals.push(refusal),
            }
        }
        let uri = &oauth_client.application().redirect_uri;
        bail!(
            "Oura rejects the request before any consent ({}). Register exactly this redirect URI with the application, \
             byte for byte: {uri} (or set OURA_REDIRECT_URI to the one that is registered), and check OURA_CLIENT_ID",
            refusals.join("; ")
        )
    }

    /// Waits on the redirect URI's own address until the browser comes back, has `complete` take its answer, and shows it how
    /// the sign-in went. A person whose browser is elsewhere may paste the address at which it ended.
    ///
    /// # Errors
    /// Where the address cannot be listened on, consent was denied or never came, or the sign-in is not completed.
    pub(crate) async fn by_browser<T>(
        &self,
        open: impl FnOnce(&Url),
        complete: &impl AsyncFn(Redirected) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let waiting = callback::Waiting::at(&self.oauth_client.application().redirect_uri).await?;
        open(&self.url);
        let finished = waiting.finish(&self.secrets.state, complete);
        let either = async {
            tokio::select! {
                completed = finished => completed,
                completed = by_paste_if_any(complete) => completed,
            }
        };
        timeout(CONSENT, either).await.map_err(|_| anyhow!("nobody consented within ten minutes; try again"))?
    }

    /// Takes the redirected URL, or the bare code, from standard input.
    ///
    /// # Errors
    /// Where nothing comes, consent was denied, or the sign-in is not completed.
    pub(crate) async fn by_paste<T>(complete: &impl AsyncFn(Redirected) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let line = task::spawn_blocking(pasted).await?.context("cannot read standard input")?;
        ensure!(!line.trim().is_empty(), "nothing was pasted; paste the address that the browser was sent to");
        complete(Redirected::of_paste(&line)).await
    }

    /// Whom it asks for tokens.
    pub(crate) fn oauth_client(&self) -> &OAuthClient {
        &self.oauth_client
    }

    /// What comes back with the answer to it.
    pub(crate) fn state(&self) -> &str {
        &self.secrets.state
    }

    /// Exchanges what the browser brought for tokens.
    pub(crate) async fn finish(&self, answer: Redirected) -> anyhow::Result<Tokens> {
        ensure!(!answer.is_empty(), "the address contains no code; start again");
        let ours = answer.is_bare || answer.is_to(&self.secrets.state);
        ensure!(
            ours,
            "this answer belongs to another sign-in (its state differs or is missing); start again and use the new page"
        );
        if let Some(error) = answer.error {
            match error.as_str() {
                "access_denied" => bail!("consent was denied; start again and press Allow"),
                _ => bail!("Oura's consent page ended with an error; start again"),
            }
        }
        let code = answer.code.filter(|code| !code.is_empty()).context("the address contains no code; start again")?;
        let code = Code { code: code.into(), verifier: self.secrets.verifier.clone() };
        let tokens = self.oauth_client.exchange(&code, Utc::now()).await;
        tokens.map_err(|error| anyhow!("{error}; {}", error.advice()))
    }
}

/// Takes what is pasted; never ends where nothing is, or there is no standard input.
async fn by_paste_if_any<T>(complete: &impl AsyncFn(Redirected) -> anyhow::Result<T>) -> anyhow::Result<T> {
    match task::spawn_blocking(pasted).await? {
        Ok(line) if !line.trim().is_empty() => complete(Redirected::of_paste(&line)).await,
        _ => future::pending().await,
    }
}

/// The first line that says something, or nothing if there is none: whoever presses Enter too early is asked again, and
/// whoever does nothing else is not waited for.
fn pasted() -> io::Result<String> {
    let mut empty = 0;
    for line in io::stdin().lines() {
        let line = line?;
        empty = if line.trim().is_empty() { empty + 1 } else { 0 };
        let what = match line.trim() {
            "" if empty == MOST_EMPTY => break,
            "" => "Nothing was pasted.",
            text if Redirected::of_paste(text).is_empty() => "That is not the address: it contains no code.",
            _ => return Ok(line),
        };
        let _nobody_reads =
            writeln!(io::stderr(), "{what} Paste the address that the browser was sent to, and press Enter:");
    }
    Ok(String::new())
}

/// Whether a text that is no address may be a bare code: one word without the signs of an address, a form or a mail.
fn is_code(text: &str) -> bool {
    (LEAST_CODE..=MOST_CODE).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~' | '+' | '/' | '%'))
}

/// Forgets what was told under an account's name, in that state directory.
pub type Forget = fn(&Path, &str) -> io::Result<()>;

/// Where the tokens of a sign-in go, who takes them back where they cannot be kept, and what goes when a name changes hands.
#[derive(Clone, Copy)]
pub struct Keeping<'a> {
    /// Where they go.
    pub store: &'a Store,
    /// Who takes them back.
    pub oauth_client: &'a OAuthClient,
    /// What forgets the record under the name.
    pub forget: Forget,
}

/// Stores the first tokens of a sign-in under the lock that refreshes respect, with whose they are: `id` is Oura's. What could
/// not be told of the person is to be said.
///
/// # Errors
/// Where they are not of the person that they should be, or cannot be stored; the tokens before are whole. Those of a stranger
/// are revoked.
pub async fn keep(
    Keeping { store, oauth_client, forget }: Keeping<'_>,
    account: &str,
    tokens: Tokens,
    id: Option<String>,
    replaces: Replaces,
) -> anyhow::Result<Vec<Doubt>> {
    let kept = stored(store, forget, account, tokens.clone(), id.clone(), replaces).await;
    // Oura may end all sign-ins of a person with one, so that nobody's is revoked who may have an account.
    if kept.is_err() && id.is_some_and(|id| store.is_stranger(&id)) {
        match timeout(REVOCATION, oauth_client.revoke(&tokens)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(account, "Oura did not confirm that the rejected sign-in is revoked ({error})"),
            Err(_) => warn!(account, "Oura did not answer the request to revoke the rejected sign-in"),
        }
    }
    kept
}

async fn stored(
    store: &Store,
    forget: Forget,
    account: &str,
    mut tokens: Tokens,
    id: Option<String>,
    replaces: Replaces,
) -> anyhow::Result<Vec<Doubt>> {
    let (store, account) = (store.clone(), account.to_owned());
    let kept = task::spawn_blocking(move || {
        // Who is refused leaves no lock file behind.
        store.judge(&account, id.as_deref(), replaces)?;
        let _directory = store.lock_all()?;
        let _lock = store.lock(&account)?;
        tokens.person = store.judge(&account, id.as_deref(), replaces)?;
        let before = store.read(&account).ok().flatten().map(|before| before.signed_in());
        let known = store.remembered(&account);
        let is_remembered = known.is_some() && known == tokens.person;
        let may_be_anothers = !is_remembered && before.as_ref().is_none_or(|before| tokens.may_be_anothers(before));
        let was_somebodys = known.is_some() || store.has(&account);
        if may_be_anothers {
            let directory = store.directory();
            forget(directory, &account).with_context(|| {
                format!(
                    "nothing was stored, because the previous record under this name cannot be removed from {}",
                    directory.display()
                )
            })?;
        }
        let replaced = (may_be_anothers && was_somebodys).then_some(Doubt::Replaced);
        store.write(&account, &tokens)?;
        Ok(store.doubts(&account, tokens.person.as_ref()).into_iter().chain(replaced).collect())
    });
    kept.await?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_address_or_a_bare_code_can_be_pasted() {
        let pasted =
            Redirected::of_paste(" http://localhost:10058/callback?code=a%2Bb&state=s&iss=https%3A%2F%2Fx#_=_ \n");
        assert_eq!((pasted.code.as_deref(), pasted.state.as_deref()), (Some("a+b"), Some("s")));
        assert_eq!(Redirected::of_paste("abc-DEF_123\n").code.as_deref(), Some("abc-DEF_123"));
        for none in [
            "hello",
            "http://localhost:10058/callback",
            "http://localhost:10058/callback#code=abcdefgh",
            "code=abcdefgh&state=x",
            "anna@example.com",
            "abcdefgh\u{1b}[0m",
            "\u{200b}abcdefgh",
            "abcdefgh abcdefgh",
        ] {
            assert!(Redirected::of_paste(none) == Redirected::default(), "{none:?}");
        }
        assert!(Redirected::of_paste(&"a".repeat(2_000_000)).is_empty());
        assert_eq!(
            Redirected::of_paste("https://x/?error=access_denied&state=s").error.as_deref(),
            Some("access_denied")
        );
    }
}
