//! An account, and what can be asked of it apart from all polling.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::fetch::{Fetch, Kept};
use crate::{
    defect::caught_in,
    documents::{Kind, Reading},
    observation::{DateRange, Known},
    oura::{Client, apart},
    problem::{Problem, TokenOrigin},
};

/// An account to follow.
#[derive(Clone)]
pub struct Account {
    /// The name given by the user.
    pub name: String,
    /// Its way to Oura.
    pub client: Arc<Client>,
}

impl Account {
    /// Asks a collection once, apart from all polling.
    ///
    /// # Errors
    /// What is wrong with it, none of its documents being readable included.
    pub async fn ask_once(&self, kind: &'static Kind, now: DateTime<Utc>) -> Result<Reading, Problem> {
        let fetch = Fetch::new(Arc::clone(&self.client), kind, now);
        let documents = fetch.run(&mut Kept::default()).await?.documents;
        let reading = apart(size(&documents), move || kind.read(&documents, &Known::default(), now, None));
        let reading = caught_in(reading).await.map_err(|defect| Problem::of_defect(&defect))?;
        Problem::of_reading(&reading).map_or(Ok(reading), Err)
    }

    /// How it comes by its token.
    pub fn access(&self) -> TokenOrigin<'_> {
        self.client.source().access(&self.name)
    }

    /// Asks a collection for what there is of `days`, with all samples, and of a little more on both sides.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn ask_past(
        &self,
        kind: &'static Kind,
        days: DateRange,
        now: DateTime<Utc>,
    ) -> Result<Vec<Box<RawValue>>, Problem> {
        let _turn = self.client.begin(Instant::now()).await;
        Fetch::new(Arc::clone(&self.client), kind, now).past(days).await
    }
}

/// How many bytes documents have.
pub(super) fn size(documents: &[Box<RawValue>]) -> usize {
    documents.iter().map(|document| document.get().len()).sum()
}
