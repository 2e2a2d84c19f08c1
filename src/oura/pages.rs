//! Answers in pages: the envelope, and following `next_token` to its end.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{ApiError, Client, transport::Get};

/// The envelope of every list; the documents stay raw, so that each can be read on its own.
#[derive(Deserialize)]
struct Page {
    data: Vec<Box<RawValue>>,
    next_token: Option<String>,
}

/// No list has more pages: a hundred are three months of heart rate.
const MOST_PAGES: usize = 100;

impl Client {
    /// All documents of a list, in the order in which Oura sends them: oldest first.
    ///
    /// # Errors
    /// That of the first page that fails; `EndlessPages` if a `next_token` comes twice or the pages do not end.
    pub async fn documents(
        &self,
        collection: &'static str,
        query: &[(&'static str, String)],
    ) -> Result<Vec<Box<RawValue>>, ApiError> {
        let mut query = query.to_vec();
        let asked = query.len();
        let mut documents = Vec::new();
        let mut seen = HashSet::new();
        loop {
            let body = self.send(&Get { collection, path: collection, query: &query }).await?;
            let page: Page = serde_json::from_slice(&body).map_err(|error| ApiError::of_json(&error))?;
            documents.extend(page.data);
            let Some(next) = page.next_token.filter(|next| !next.is_empty()) else { return Ok(documents) };
            if !seen.insert(next.clone()) || seen.len() == MOST_PAGES {
                return Err(ApiError::EndlessPages);
            }
            query.truncate(asked);
            query.push(("next_token", next));
        }
    }

    /// The one document of a collection without an envelope.
    ///
    /// # Errors
    /// That of the request, or `Unreadable` if the answer is no JSON.
    pub async fn single(&self, collection: &'static str) -> Result<Box<RawValue>, ApiError> {
        self.bare(&Get { collection, path: collection, query: &[] }).await
    }

    /// One document of a collection by its id; none if there is no such document any more.
    ///
    /// # Errors
    /// That of the request, or `Unreadable` if the answer is no JSON.
    pub async fn document(&self, collection: &'static str, id: &str) -> Result<Option<Box<RawValue>>, ApiError> {
        // An id is letters, digits and dashes; anything else would lead to another route.
        if !id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) {
            return Ok(None);
        }
        let path = format!("{collection}/{id}");
        match self.bare(&Get { collection, path: &path, query: &[] }).await {
            Err(ApiError::Rejected { status: 404 }) => Ok(None),
            answer => answer.map(Some),
        }
    }

    async fn bare(&self, get: &Get<'_>) -> Result<Box<RawValue>, ApiError> {
        let body = self.send(get).await?;
        serde_json::from_slice(&body).map_err(|error| ApiError::of_json(&error))
    }
}
