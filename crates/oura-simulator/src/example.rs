//! Collections that the simulator has no model of: one document a day, after an example that whoever starts it hands over.

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Value, json};

use super::{
    collections::{COLLECTIONS, Changes, Collection, Kind, Source, Stamp, named},
    person_timeline::{Life, View},
    sandbox::move_days,
};

/// The field with a document's day.
const DAY: &str = "day";

/// A collection, and what a document of it looks like.
#[derive(Clone, Debug)]
pub struct Example {
    name: &'static str,
    scope: &'static str,
    document: Value,
    day: NaiveDate,
}

/// Why something is no example.
#[derive(Debug, thiserror::Error)]
pub enum ExampleError {
    /// It cannot be read.
    #[error("the example of {0} is no JSON: {1}")]
    NoJson(&'static str, serde_json::Error),
    /// Nothing can be made of it for another day.
    #[error("the example of {0} is no object with a day, written as 2026-11-22")]
    NoDay(&'static str),
    /// The simulator's own documents are better.
    #[error("{0} needs no example, the simulator has a model of it")]
    Modelled(&'static str),
}

impl Example {
    /// The collection of that name, which needs that scope and has documents like `document`, an object with a `day`.
    ///
    /// # Errors
    /// Where no document can be made like it, or the simulator has better ones.
    pub fn new(name: &'static str, scope: &'static str, document: &str) -> Result<Self, ExampleError> {
        if named(name).is_some() {
            return Err(ExampleError::Modelled(name));
        }
        let document: Value = serde_json::from_str(document).map_err(|error| ExampleError::NoJson(name, error))?;
        let day = document[DAY].as_str().and_then(|day| day.parse().ok()).ok_or(ExampleError::NoDay(name))?;
        Ok(Self { name, scope, document, day })
    }

    /// The document of `day`, from the first sync of that day on: the example with its days moved and an identifier.
    pub(super) fn documents(&self, number: u8, view: &View, day: NaiveDate) -> Vec<Value> {
        if view.synced < view.life.midnight(day) {
            return Vec::new();
        }
        let mut document = self.document.clone();
        move_days(&mut document, (day - self.day).num_days());
        document["id"] = json!(view.life.id(number, day, 0));
        vec![document]
    }
}

/// The collections of the simulator: those of which it has a model, and the others after their examples.
pub(super) fn with_examples(examples: &[Example]) -> Vec<Collection> {
    let numbered = (COLLECTIONS.len()..).zip(examples);
    let collection = |(number, example): (usize, &Example)| Collection {
        name: example.name,
        scope: example.scope,
        kind: Kind::Dates,
        // Nobody hands over two hundred of them.
        number: u8::try_from(number).unwrap_or(u8::MAX),
        stamp: Stamp::Day(DAY),
        source: Source::Example(example.clone()),
        changes: Changes { after: beginning, during: |_, _| None },
        fields: &[],
    };
    COLLECTIONS.iter().cloned().chain(numbered.map(collection)).collect()
}

fn beginning(life: &Life, day: NaiveDate) -> Vec<DateTime<Utc>> {
    vec![life.midnight(day)]
}
