//! Keeping an account signed in: a good access token at any time, renewed once for all, never lost.

use std::{
    collections::HashSet,
    mem,
    sync::{
        Arc, Mutex as BlockingMutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;
use tokio::{sync::Mutex, task};
use tracing::{debug, info, warn};

use super::{
    lock::lock,
    no_token::{Cause, NoToken, SignInNeeded, ToldCauses, time},
    oauth_client::OAuthClient,
    oauth_error::OAuthError,
    person::one_person,
    retry::{AFTER_DISK_TROUBLE, Renewals, Replacements},
    source::{Grant, is_same},
    store::{Lock, Store, Version},
    store_error::StoreError,
    tokens::{Fingerprint, SignedIn, Tokens},
    under_way::UnderWay,
    whose::Whose,
};
use crate::clock::Clock;

/// However short Oura says that a token lives, the next one is not asked for sooner.
const LEAST_BETWEEN_RENEWALS: TimeDelta = TimeDelta::minutes(15);

/// Held while it is kept whose sign-in one is.
static LEARNING: Mutex<()> = Mutex::const_new(());

/// Whose pair could not be stored: it is tried once more at the end of the process, after everybody else has let go of them.
static UNSAVED: BlockingMutex<Vec<Arc<Inner>>> = BlockingMutex::new(Vec::new());

/// Where the tokens of a signed-in account come from. What it does goes on when the asker goes away: between Oura's answer
/// and the sync of the file nothing but the end of the process may come.
pub struct TokenManager(Arc<Inner>);

struct Inner {
    own: Weak<Self>,
    account: String,
    store: Store,
    oauth_client: Arc<OAuthClient>,
    clock: Clock,
    state: Mutex<State>,
    /// Whether Oura's API has accepted a token since it last refused one everywhere.
    is_accepted: AtomicBool,
    /// Whether somebody else has signed in as the account: their tokens are for whoever begins anew.
    is_anothers: AtomicBool,
}

#[derive(Default)]
struct State {
    tokens: Option<Tokens>,
    version: Option<Version>,
    whose: Whose,
    /// The pair could not be stored and is only here.
    is_unsaved: bool,
    /// The refresh tokens that this process has spent.
    spent: HashSet<Fingerprint>,
    /// When this process last renewed it.
    renewed_at: Option<DateTime<Utc>>,
    /// When it was last tried to store it.
    tried_to_save: Option<DateTime<Utc>>,
    renewals: Renewals,
    replacements: Replacements,
    /// What a person was told of: that the file cannot be read, that the pair is not renewed, that the API accepts not
    /// even a new one, that it is not stored.
    unread: ToldCauses,
    unrenewed: ToldCauses,
    unaccepted: ToldCauses,
    unstored: ToldCauses,
}

impl State {
    /// Whether the pair was renewed a short while ago: if a new token ends at once by its own words, asking for one after
    /// the other would not help.
    fn is_just_renewed(&self, now: DateTime<Utc>) -> bool {
        self.renewed_at.is_some_and(|renewed| renewed <= now && now < renewed + LEAST_BETWEEN_RENEWALS)
    }
}

impl TokenManager {
    /// Keeps `account` signed in with the tokens in `store`.
    pub fn new(account: &str, store: Store, oauth_client: Arc<OAuthClient>, clock: Clock) -> Self {
        let (account, (state, is_accepted, is_anothers)) = (account.to_owned(), Default::default());
        Self(Arc::new_cyclic(|own| {
            let own = Weak::clone(own);
            Inner { own, account, store, oauth_client, clock, state, is_accepted, is_anothers }
        }))
    }

    /// The same for one person only: whoever was last seen there with that sign-in, or else is found there first.
    #[must_use]
    pub fn of(self, signed_in: Option<SignedIn>) -> Self {
        // Nobody else can hold it yet.
        if let Ok(mut state) = self.0.state.try_lock() {
            state.whose = Whose::one_persons(signed_in);
        }
        self
    }

    /// Whether somebody else has signed in as the account, or may have. No token is given from then on.
    pub fn is_anothers(&self) -> bool {
        self.0.is_anothers.load(Ordering::Relaxed)
    }

    /// An access token that is good as far as we know; renewed before, if it is time.
    ///
    /// # Errors
    /// Where there is none, and why.
    pub async fn access_token(&self) -> Result<SecretString, NoToken> {
        let inner = Arc::clone(&self.0);
        ended(tokio::spawn(async move { inner.access_token().await }).await)
    }

    /// Oura has refused `token` everywhere: renews the pair, unless somebody has done so already, or Oura has refused a
    /// new one as well a short while ago.
    ///
    /// # Errors
    /// Where there is no other token, and why.
    pub async fn replace(&self, token: &SecretString) -> Result<SecretString, NoToken> {
        let (inner, token) = (Arc::clone(&self.0), token.clone());
        ended(tokio::spawn(async move { inner.replace(&token).await }).await)
    }

    /// Oura's API has accepted a token.
    pub fn accepted(&self) {
        self.0.is_accepted.store(true, Ordering::Relaxed);
    }

    /// Whether a person must sign in again: the token has ended, and Oura refuses to renew it.
    pub async fn needs_sign_in(&self) -> bool {
        let state = self.0.state.lock().await;
        let now = self.0.clock.now();
        state.renewals.is_refused() && state.tokens.as_ref().is_none_or(|tokens| tokens.has_expired(now))
    }

    /// When the present access token ends.
    pub async fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.0.state.lock().await.tokens.as_ref()?.expires_at
    }

    /// What the present pair's sign-in granted.
    pub async fn grant(&self) -> Option<Grant> {
        self.0.state.lock().await.tokens.as_ref().map(Tokens::grant)
    }

    /// Oura has said whose sign-in it is: keeps that, if it was not known, and says who else's account is that person's.
    /// Nobody waits for it: a disk or a lock that is slow must not hold up what is shown.
    pub fn is_of(&self, id: &str, signed_in_at: DateTime<Utc>) {
        let (inner, id) = (Arc::clone(&self.0), id.to_owned());
        tokio::spawn(async move {
            if let Err(problem) = inner.is_of(&id, signed_in_at).await {
                debug!(account = inner.account, "whose sign-in it is cannot be stored yet: {problem}");
            }
        });
    }

    /// Whether Oura never said whose sign-in it is; while a renewal is under way nobody can tell.
    pub fn lacks_person(&self) -> bool {
        let state = self.0.state.try_lock();
        state.is_ok_and(|state| state.tokens.as_ref().is_some_and(|tokens| tokens.person.is_none()))
    }

    /// Whether the file holds another sign-in than a moment ago; while a renewal is under way nobody can tell.
    pub fn has_news(&self) -> bool {
        let Ok(mut state) = self.0.state.try_lock() else { return false };
        let signed_in_at = |state: &State| state.tokens.as_ref().map(|tokens| tokens.signed_in_at);
        let before = signed_in_at(&state);
        self.0.reread(&mut state).is_ok() && before != signed_in_at(&state)
    }
}

/// At the end of the process: tries once more to store the pairs that are only in memory, and says which are lost.
pub(super) async fn save_the_rest() {
    let unsaved = mem::take(&mut *UNSAVED.lock().unwrap_or_else(PoisonError::into_inner));
    for inner in unsaved {
        let mut state = inner.state.lock().await;
        if !state.is_unsaved {
            continue;
        }
        state.tried_to_save = None;
        inner.save(&mut state, inner.clock.now()).await;
        if state.is_unsaved {
            let account = &inner.account;
            warn!(
                account,
                "the renewed sign-in could not be stored and is lost; run: oura-exporter login --account {account}"
            );
        }
    }
}

fn ended<T>(result: Result<Result<T, NoToken>, task::JoinError>) -> Result<T, NoToken> {
    result.unwrap_or_else(|error| Err(NoToken::Defect(error.to_string())))
}

impl Inner {
    async fn access_token(&self) -> Result<SecretString, NoToken> {
        let mut state = self.state.lock().await;
        let now = self.clock.now();
        let mut tokens = self.newest(&mut state)?;
        if state.is_unsaved {
            self.save(&mut state, now).await;
            tokens = self.newest(&mut state)?;
        }
        if self.is_accepted.load(Ordering::Relaxed) {
            self.accepts_again(&mut state);
        }
        if !tokens.is_due(now) || state.is_just_renewed(now) {
            return Ok(tokens.access);
        }
        let works = !tokens.has_expired(now);
        match self.renew(&mut state, &tokens, works).await {
            Ok(new) => Ok(new.access),
            // Renewal begins long before the end, so a failure of it is no failure yet.
            Err(_) if works => Ok(tokens.access),
            Err(problem) => Err(problem),
        }
    }

    async fn replace(&self, token: &SecretString) -> Result<SecretString, NoToken> {
        let mut state = self.state.lock().await;
        let now = self.clock.now();
        let tokens = self.newest(&mut state)?;
        if !is_same(&tokens.access, token) {
            return Ok(tokens.access);
        }
        if self.is_accepted.swap(false, Ordering::Relaxed) {
            state.replacements.accepted();
        }
        if let Some(again) = state.replacements.blocked(now) {
            let problem = NoToken::SignIn(SignInNeeded::NewToken { again });
            self.tell_unaccepted(&mut state, &problem);
            return Err(problem);
        }
        let renewed = self.renew(&mut state, &tokens, false).await?;
        state.replacements.replaced(now);
        Ok(renewed.access)
    }

    async fn is_of(&self, id: &str, signed_in_at: DateTime<Utc>) -> Result<(), NoToken> {
        let defect = |error: getrandom::Error| NoToken::Defect(error.to_string());
        let known = self.state.lock().await.tokens.as_ref().and_then(|tokens| tokens.person.clone());
        if self.store.learns(known.as_ref(), id).map_err(defect)?.is_none() {
            return Ok(());
        }
        // One by one: two at once would each have a salt of their own, and nobody could compare them. Meanwhile polls go on.
        let _one_by_one = LEARNING.lock().await;
        let mut state = self.state.lock().await;
        let (_lock, stored) = self.prepared(&mut state).await?;
        if stored.signed_in_at != signed_in_at {
            // Somebody has signed in since: what was answered is about another sign-in.
            return Ok(());
        }
        if let Some(person) = self.store.learns(stored.person.as_ref(), id).map_err(defect)? {
            if stored.person.as_ref().is_some_and(|known| !known.is(id)) {
                warn!(
                    account = self.account,
                    "this sign-in belongs to a different person than before; compare with their Oura app"
                );
            }
            self.keep(&mut state, Tokens { person: Some(person.clone()), ..stored }).await;
            if let Some(names) = self.store.learnt(&self.account, person) {
                warn!(account = self.account, "{}", one_person(&names));
            }
        }
        Ok(())
    }

    /// The tokens as the store has them now: another process may have replaced them. Where their file cannot be read,
    /// those at hand are as good as before.
    fn newest(&self, state: &mut State) -> Result<Tokens, NoToken> {
        match (self.reread(state), &state.tokens) {
            (Ok(()), tokens) => tokens.clone().ok_or(NoToken::SignIn(SignInNeeded::Nobody)),
            (Err(NoToken::State(_)), Some(tokens)) => Ok(tokens.clone()),
            (Err(problem), _) => Err(problem),
        }
    }

    /// Takes the tokens from their file, if that is another one than before, and the same person's.
    fn reread(&self, state: &mut State) -> Result<(), NoToken> {
        if self.is_anothers.load(Ordering::Relaxed) {
            return Err(NoToken::SignIn(SignInNeeded::AnotherPerson));
        }
        let version = self.store.version(&self.account);
        if version == state.version && state.tokens.is_some() {
            return Ok(());
        }
        match self.store.still_there().and_then(|()| self.store.read(&self.account)) {
            Ok(Some(tokens)) if state.whose.refuses(&tokens) => {
                // What is known and shown is not theirs: nothing of theirs may come beside it. Nobody wants the pair at hand.
                self.is_anothers.store(true, Ordering::Relaxed);
                (state.tokens, state.is_unsaved) = (None, false);
                Err(NoToken::SignIn(SignInNeeded::AnotherPerson))
            }
            Ok(tokens) => {
                if state.unread.end() && tokens.is_some() {
                    info!(account = self.account, "its tokens can be read again");
                }
                if tokens.as_ref().and_then(Tokens::fingerprint).is_some_and(|token| state.spent.contains(&token)) {
                    // A copy from before a renewal: the pair at hand is the good one, and is stored in its place.
                    state.is_unsaved = true;
                    self.note_unsaved();
                } else {
                    self.adopt(state, tokens);
                }
                state.version = version;
                Ok(())
            }
            Err(error) => {
                let is_news = state.unread.is_news(Cause::from(&error), false);
                // That the whole store is gone is told once, and not of each account.
                if is_news && !error.is_of_the_whole() {
                    warn!(account = self.account, "{error}");
                }
                Err(NoToken::State(error))
            }
        }
    }

    /// Takes what the file holds: what was found out about another pair does not hold for this one.
    fn adopt(&self, state: &mut State, tokens: Option<Tokens>) {
        let before = state.tokens.as_ref();
        if !before.zip(tokens.as_ref()).is_some_and(|(before, new)| before.is_same(new)) {
            state.renewals = Renewals::default();
        }
        if before.is_some_and(|before| tokens.as_ref().is_none_or(|new| new.signed_in_at != before.signed_in_at)) {
            state.replacements = Replacements::default();
            let (unrenewed, unaccepted) = (state.unrenewed.end(), state.unaccepted.end());
            if tokens.is_some() && (unrenewed || unaccepted) {
                info!(account = self.account, "a new sign-in is in use");
            }
        }
        state.is_unsaved = false;
        tokens.iter().for_each(|tokens| state.whose.is_of(tokens));
        state.tokens = tokens;
    }

    /// Renews `old`, unless the last try was too short a while ago; `works` says whether it still opens the API.
    async fn renew(&self, state: &mut State, old: &Tokens, works: bool) -> Result<Tokens, NoToken> {
        let now = self.clock.now();
        let renewed = match state.renewals.blocked(now) {
            Some(problem) => Err(problem),
            None => self.ask(state, old, now).await,
        };
        match &renewed {
            Ok(_) => drop(state.unrenewed.end()),
            Err(problem) => self.tell_unrenewed(state, problem, works),
        }
        renewed
    }

    /// Renews `old` under the lock that other processes see, and stores the new pair before anything uses it. Oura is
    /// not even asked while there is no place to store what it would give.
    async fn ask(&self, state: &mut State, old: &Tokens, now: DateTime<Utc>) -> Result<Tokens, NoToken> {
        if old.refresh.is_none() {
            return Err(NoToken::SignIn(SignInNeeded::NoRefreshToken));
        }
        let (_lock, stored) = match self.prepared(state).await {
            Ok((_, stored)) if !stored.is_same(old) => return Ok(stored),
            Ok(prepared) => prepared,
            Err(problem) => return Err(state.renewals.failed(problem, now)),
        };
        let _under_way = UnderWay::new(format!("the renewal of account {}", self.account));
        match self.oauth_client.refresh(&stored, now).await {
            Ok(new) => {
                let before = stored.fingerprint().filter(|before| new.fingerprint().as_ref() != Some(before));
                state.spent.extend(before);
                if self.keep(state, new.clone()).await {
                    info!(account = self.account, "the sign-in is renewed");
                }
                state.renewals = Renewals::default();
                state.renewed_at = Some(now);
                Ok(new)
            }
            Err(OAuthError::Refused(refusal)) => Err(state.renewals.refused(refusal, now)),
            Err(error) => Err(state.renewals.failed(NoToken::Later(error), now)),
        }
    }

    /// The lock, and the pair as it is under the lock, in a store that takes the next one.
    async fn prepared(&self, state: &mut State) -> Result<(Lock, Tokens), NoToken> {
        let lock = lock(&self.store, &self.account).await.map_err(NoToken::State)?;
        self.reread(state)?;
        let stored = state.tokens.clone().ok_or(NoToken::SignIn(SignInNeeded::Nobody))?;
        let (store, account) = (self.store.clone(), self.account.clone());
        let tried = task::spawn_blocking(move || store.check_replacing(&account)).await;
        tried.map_err(|error| NoToken::Defect(error.to_string()))?.map_err(NoToken::State)?;
        state.version = self.store.version(&self.account);
        Ok((lock, stored))
    }

    /// Stores the pair that could not be stored before, unless another process has stored a newer one meanwhile. It
    /// works without that, too.
    async fn save(&self, state: &mut State, now: DateTime<Utc>) {
        let since = state.tried_to_save.map(|tried| now - tried);
        if since.is_some_and(|since| since >= TimeDelta::zero() && since < AFTER_DISK_TROUBLE) {
            return;
        }
        state.tried_to_save = Some(now);
        match lock(&self.store, &self.account).await {
            Ok(_lock) => {
                if self.reread(state).is_ok()
                    && let Some(tokens) = state.tokens.clone().filter(|_| state.is_unsaved)
                {
                    self.keep(state, tokens).await;
                }
            }
            Err(error) => self.tell_unstored(state, &error),
        }
    }

    /// Stores the pair; whether it is. If not it is kept in memory, where it still works, and stored at the next chance.
    async fn keep(&self, state: &mut State, new: Tokens) -> bool {
        let (store, account, tokens) = (self.store.clone(), self.account.clone(), new.clone());
        let written = task::spawn_blocking(move || store.write(&account, &tokens)).await;
        state.whose.is_of(&new);
        state.tokens = Some(new);
        state.version = self.store.version(&self.account);
        match written {
            Ok(Ok(())) => drop(state.unstored.end()),
            Ok(Err(ref error)) => self.tell_unstored(state, error),
            Err(ref error) => warn!(account = self.account, "the renewed sign-in is only in memory: {error}"),
        }
        let was_unsaved = state.is_unsaved;
        state.is_unsaved = !matches!(written, Ok(Ok(())));
        if was_unsaved && !state.is_unsaved {
            info!(account = self.account, "the renewed sign-in is stored now");
        }
        state.tried_to_save = Some(self.clock.now());
        if state.is_unsaved {
            self.note_unsaved();
        }
        !state.is_unsaved
    }

    fn note_unsaved(&self) {
        let mut unsaved = UNSAVED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = self.own.upgrade()
            && !unsaved.iter().any(|other| Arc::ptr_eq(other, &own))
        {
            unsaved.push(own);
        }
    }

    fn tell_unstored(&self, state: &mut State, error: &StoreError) {
        if state.unstored.is_news(error.into(), false) {
            warn!(account = self.account, "the renewed sign-in is only in memory: {error}");
        }
    }

    /// Logs once why the pair is not renewed, and once more when a person has to mend it: as long as it works, and may
    /// yet be renewed, nobody has to.
    fn tell_unrenewed(&self, state: &mut State, problem: &NoToken, works: bool) {
        let is_final = match problem {
            // Whoever follows the account tells that.
            NoToken::SignIn(SignInNeeded::Nobody | SignInNeeded::AnotherPerson) => return,
            NoToken::SignIn(SignInNeeded::Refused { again, .. }) => again.is_none(),
            NoToken::SignIn(_) => true,
            _ => false,
        };
        let calls = is_final || (!works && matches!(problem, NoToken::SignIn(_)));
        if !state.unrenewed.is_news(problem.into(), calls) {
            return;
        }
        let account = &self.account;
        let end = state.tokens.as_ref().and_then(|tokens| tokens.expires_at).filter(|_| works);
        let end = end.map(|end| format!("; the current token expires {}", time(&end))).unwrap_or_default();
        if calls {
            warn!(account, "{problem}{end}; run: oura-exporter login --account {account}");
        } else {
            warn!(account, "the sign-in is not renewed yet: {problem}{end}");
        }
    }

    /// Logs once that Oura's API accepts not even a new token; one that it has accepted since is only another refusal.
    fn tell_unaccepted(&self, state: &mut State, problem: &NoToken) {
        let account = &self.account;
        if !state.replacements.is_accepted() && state.unaccepted.is_news(problem.into(), true) {
            warn!(account, "{problem}; if it persists, run: oura-exporter login --account {account}");
        }
    }

    /// Oura's API accepts a token after it had refused even a new one.
    fn accepts_again(&self, state: &mut State) {
        if state.unaccepted.end() {
            info!(account = self.account, "Oura accepts the token again");
        }
    }
}
