//! Answers in pages: the envelope, and following `next_token` to its end, as far as there is room.

use std::{collections::HashSet, fmt};

use serde::{
    Deserialize, Deserializer as _,
    de::{Error as _, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use tracing::{debug, trace};

use super::{
    ApiError, Client, Room,
    room::{LARGEST_LIST, Left, apart},
    transport::{Get, LARGEST_PAGE},
};
use crate::http_client::body::{KILOBYTE, LARGEST_REPLY, size};

/// The envelope of every list, as it lies in the body.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
    next_token: Option<String>,
}

/// A page: its documents stay raw, so that each can be read on its own.
struct Page {
    documents: Vec<Box<RawValue>>,
    bytes: usize,
    next: Option<String>,
}

/// No list has more pages: a hundred are three months of heart rate.
const MOST_PAGES: usize = 100;
/// The longest `next_token`; each is kept until the list is whole, and sent in an address.
const LONGEST_TOKEN: usize = 4 * KILOBYTE;
/// The largest document that is asked for by its id.
const LARGEST_DOCUMENT: usize = 256 * KILOBYTE;

impl Client {
    /// All documents of a list, in the order in which Oura sends them: oldest first.
    ///
    /// # Errors
    /// That of the first page that fails; `EndlessPages` if a `next_token` comes twice or the pages do not end;
    /// `Unreadable` if a page or the list is larger than its limit.
    pub async fn documents(
        &self,
        collection: &'static str,
        query: &[(&'static str, String)],
    ) -> Result<Vec<Box<RawValue>>, ApiError> {
        self.documents_within(&Room::default(), collection, query).await
    }

    /// The same, where several lists share `room`.
    ///
    /// # Errors
    /// The same.
    pub async fn documents_within(
        &self,
        room: &Room,
        collection: &'static str,
        query: &[(&'static str, String)],
    ) -> Result<Vec<Box<RawValue>>, ApiError> {
        let mut query = query.to_vec();
        let asked = query.len();
        let mut documents = Vec::new();
        let mut seen = HashSet::new();
        loop {
            let get = Get { collection, path: collection, query: &query, largest: LARGEST_PAGE };
            let body = self.send(&get, room).await?;
            let left = room.left();
            let page = apart(body.len(), move || Page::read(&body, left)).await?;
            let pages = seen.len() + 1;
            trace!(collection, page = pages, documents = page.documents.len(), "page read");
            if room.add(page.bytes, page.documents.len()) {
                room.claim(self.large()).await;
            }
            documents.extend(page.documents);
            let Some(next) = page.next else {
                debug!(collection, pages, documents = documents.len(), "list read");
                return Ok(documents);
            };
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
        self.bare(&Get { collection, path: collection, query: &[], largest: LARGEST_REPLY }).await
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
        match self.bare(&Get { collection, path: &path, query: &[], largest: LARGEST_DOCUMENT }).await {
            Err(ApiError::Rejected { status: 404, .. }) => Ok(None),
            answer => answer.map(Some),
        }
    }

    async fn bare(&self, get: &Get<'_>) -> Result<Box<RawValue>, ApiError> {
        let body = self.send(get, &Room::default()).await?;
        serde_json::from_slice(&body).map_err(|error| ApiError::of_json(&error))
    }
}

impl Page {
    fn read(body: &[u8], left: Left) -> Result<Self, ApiError> {
        let envelope: Envelope<'_> = serde_json::from_slice(body).map_err(|error| ApiError::of_json(&error))?;
        let next = envelope.next_token.filter(|next| !next.is_empty());
        if next.as_ref().is_some_and(|next| next.len() > LONGEST_TOKEN) {
            return Err(ApiError::Unreadable(format!("its next_token is longer than {}", size(LONGEST_TOKEN))));
        }
        let mut list = List { left, documents: vec![], full: None };
        let read = serde_json::Deserializer::from_str(envelope.data.get()).deserialize_seq(&mut list);
        match (list.full, read) {
            (Some(full), _) => Err(ApiError::Unreadable(full)),
            (None, Err(error)) => Err(ApiError::of_json(&error)),
            (None, Ok(())) => Ok(Self { bytes: left.bytes - list.left.bytes, documents: list.documents, next }),
        }
    }
}

/// Documents, taken one by one while there is room for them.
struct List {
    left: Left,
    documents: Vec<Box<RawValue>>,
    /// Which limit was reached.
    full: Option<String>,
}

impl List {
    /// Which limit `document` is beyond.
    fn limit(&self, document: &RawValue) -> Option<String> {
        if self.left.documents == 0 {
            Some(format!("the list has more than {} documents", self.left.most_documents))
        } else if self.left.bytes < document.get().len() {
            Some(format!("the list is larger than {}", size(LARGEST_LIST)))
        } else {
            None
        }
    }
}

impl<'de> Visitor<'de> for &mut List {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of documents")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        while let Some(document) = sequence.next_element::<&RawValue>()? {
            self.full = self.limit(document);
            if self.full.is_some() {
                return Err(A::Error::custom("no room"));
            }
            self.left.documents -= 1;
            self.left.bytes -= document.get().len();
            self.documents.push(document.to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(data: &str, left: Left) -> Result<usize, String> {
        let body = format!(r#"{{"data":{data},"next_token":null}}"#);
        Page::read(body.as_bytes(), left).map(|page| page.documents.len()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_list_is_read_up_to_its_limits_and_says_which_one_it_is_beyond() {
        let left = |documents, bytes| Left { bytes, documents, most_documents: 3 };
        assert_eq!(read(r#"[1,{"a":[1]},"x"]"#, left(3, 100)), Ok(3));
        let beyond = |error: &str| Err(format!("the answer cannot be read: {error}"));
        assert_eq!(read("[1,1,1,1]", left(3, 100)), beyond("the list has more than 3 documents"));
        assert_eq!(read("[null,[]]", left(1, 100)), beyond("the list has more than 3 documents"));
        assert_eq!(read(r#"["0123456789"]"#, left(3, 10)), beyond("the list is larger than 32 MB"));
        assert!(read("{}", left(3, 100)).unwrap_err().contains("different shape"));
    }

    #[test]
    fn an_endless_token_for_the_next_page_is_refused() {
        let body = format!(r#"{{"data":[],"next_token":"{}"}}"#, "a".repeat(5_000));
        let error = Page::read(body.as_bytes(), Room::default().left()).err().unwrap();
        assert_eq!(error.to_string(), "the answer cannot be read: its next_token is longer than 4 kB");
    }
}
