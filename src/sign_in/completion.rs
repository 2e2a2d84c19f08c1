//! From the answer that a browser brought to the stored sign-in: in one task, which the end of the process waits for, as a
//! code works once and its tokens are nowhere until they are stored.

use std::sync::Arc;

use anyhow::Context as _;

use crate::{
    auth::{self, Doubt, Keeping, Login, Redirected, Replaces, Store, Tokens},
    oura::{Transport, person_id},
    samples,
};

/// What it takes to complete a sign-in.
pub(crate) struct Completion {
    /// The sign-in that was begun.
    pub(crate) login: Arc<Login>,
    /// Where its tokens go.
    pub(crate) store: Store,
    /// The way to Oura, who says whose they are.
    pub(crate) transport: Arc<Transport>,
    /// The name of the account.
    pub(crate) account: String,
    /// Whom it may put in the place of the account.
    pub(crate) replaces: Replaces,
}

impl Completion {
    /// Exchanges what the browser brought for tokens, asks whose they are, and stores them; goes on when the caller goes
    /// away. What could not be told of the person is to be said.
    ///
    /// # Errors
    /// Where Oura gives no tokens, or they are not of the person that they should be, or cannot be stored.
    pub(crate) async fn by(self, answer: Redirected) -> anyhow::Result<(Tokens, Vec<Doubt>)> {
        let what = format!("the sign-in as {}", self.account);
        let completed = auth::apart(what, async move {
            let tokens = self.login.finish(answer).await?;
            let id = person_id(&self.transport, &tokens.access).await;
            let (store, oauth_client) = (&self.store, self.login.oauth_client());
            let keeping = Keeping { store, oauth_client, forget: samples::forget_journals };
            let doubts = auth::keep(keeping, &self.account, tokens.clone(), id, self.replaces).await?;
            anyhow::Ok((tokens, doubts))
        });
        completed.await.context("this failed because of a defect; see the log, and report it")?
    }
}
