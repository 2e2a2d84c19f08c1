//! Values as Oura sends them: null where an object should be, enums with states to come, words that may become labels.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};

use super::times::Time;
use crate::{
    metric::Row,
    observation::{CLOCK_TOLERANCE, Moment, is_measured},
};

/// Joules in a kilocalorie.
const JOULES_PER_KILOCALORIE: f64 = 4184.0;
/// Seconds in a minute.
pub(super) const SECONDS_PER_MINUTE: f64 = 60.0;
/// Milliseconds in a second.
pub(super) const MILLISECONDS_PER_SECOND: f64 = 1000.0;
/// Percent in a whole.
const PERCENT: f64 = 100.0;
/// Grams in a kilogram.
pub(super) const GRAMS_PER_KILOGRAM: f64 = 1000.0;

/// The label of a tag that has no code, only the wearer's words.
pub(super) const TEXT_ONLY: &str = "text_only";
/// The label of a word that is not fit to be one.
pub(super) const OTHER: &str = "other";
/// The longest word that becomes a label's value.
const LONGEST_WORD: usize = 48;
/// The longest version that becomes a label's value.
const LONGEST_VERSION: usize = 24;

/// Reads null as the empty value: a parent that is null has no parts.
pub(super) fn or_empty<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// Reads what the document can do without: a value of another shape is like none.
pub(super) fn hint<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Option<T>, D::Error> {
    Ok(serde_json::from_value(serde_json::Value::deserialize(from)?).ok())
}

/// A heart rate, where there is one: no heart beats backwards, or not at all.
pub(super) fn heart_rate(bpm: Option<f64>) -> Option<f64> {
    bpm.filter(|bpm| is_measured(*bpm) && *bpm > 0.0)
}

/// Kilocalories in joules.
pub(super) fn joules(kilocalories: Option<f64>) -> Option<f64> {
    kilocalories.map(|kilocalories| kilocalories * JOULES_PER_KILOCALORIE)
}

/// Percent as a ratio from 0 to 1.
pub(super) fn ratio(percent: Option<f64>) -> Option<f64> {
    percent.map(|percent| percent / PERCENT)
}

/// A time in seconds since 1970.
pub(super) fn timestamp(time: Option<Time>) -> Option<f64> {
    time.map(|time| time.to_utc().timestamp() as f64)
}

/// A value at a time of its own, if there are both.
pub(super) fn at(time: Option<Time>, value: Option<f64>) -> Vec<(DateTime<Utc>, f64)> {
    time.map(Time::to_utc).zip(value).into_iter().collect()
}

/// Whether what began at `start`, if that is known, has begun: what is to come is no fact.
pub(super) fn has_been(start: Option<Time>, moment: &Moment) -> bool {
    start.is_none_or(|start| start.to_utc() <= moment.now + CLOCK_TOLERANCE)
}

/// The seconds from `start` to `end`; none where the end comes first.
pub(super) fn seconds(start: Option<Time>, end: Option<Time>) -> Option<f64> {
    Some((end?.to_utc() - start?.to_utc()).as_seconds_f64()).filter(|seconds| *seconds >= 0.0)
}

/// Values at equal distances, as Oura puts them into a document; null where there is none.
#[derive(Debug, Deserialize)]
pub(super) struct EvenlySpaced {
    /// Seconds between two values.
    interval: f64,
    items: Vec<Option<f64>>,
    timestamp: Time,
}

impl EvenlySpaced {
    /// The values that are there and that `unit` makes something of, with their own time.
    pub(super) fn samples(&self, unit: fn(f64) -> Option<f64>) -> Vec<(DateTime<Utc>, f64)> {
        let at = |place: usize| {
            let milliseconds = place as f64 * self.interval * MILLISECONDS_PER_SECOND;
            self.timestamp.to_utc().checked_add_signed(TimeDelta::try_milliseconds(milliseconds as i64)?)
        };
        let values = self.items.iter().enumerate();
        values.filter_map(|(place, value)| Some((at(place)?, unit((*value)?)?))).collect()
    }
}

/// How often each label occurs, as rows of one label.
pub(super) fn count(labels: impl IntoIterator<Item = String>) -> Vec<Row> {
    let mut counts = BTreeMap::<String, f64>::new();
    for label in labels {
        *counts.entry(label).or_default() += 1.0;
    }
    counts.into_iter().map(|(label, count)| (vec![label.into()], count)).collect()
}

/// A version as a label: short, of letters, digits, dots, dashes and underscores, or `other`.
pub(super) fn version_label(version: &str) -> String {
    let fits = version.len() <= LONGEST_VERSION
        && version.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    if fits { version.to_owned() } else { OTHER.to_owned() }
}

/// A word that Oura chose from a list of its own which grows: fit to be a label, unlike what a person typed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Word(String);

impl Word {
    /// The word in lower case with underscores, or `other` for what does not look like a word of a list.
    pub(super) fn as_label(&self) -> String {
        self.0.clone()
    }

    fn new(text: &str) -> Self {
        let word: String = text.trim().to_ascii_lowercase().replace([' ', '-'], "_");
        let fits = (1..=LONGEST_WORD).contains(&word.len())
            && word.starts_with(|first: char| first.is_ascii_lowercase())
            && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            && word.chars().filter(char::is_ascii_digit).count() <= 4;
        Self(if fits { word } else { OTHER.to_owned() })
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self::new(&String::deserialize(from)?))
    }
}

/// A tag's code: Oura's all begin with `tag_`, and one of the wearer's own is `custom`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct TagCode(Word);

impl TagCode {
    /// The code, or `other` for what is none.
    pub(super) fn as_label(&self) -> String {
        let word = self.0.as_label();
        if word.starts_with("tag_") || word == "custom" { word } else { OTHER.to_owned() }
    }
}

/// Declares an enum of Oura's: its states in the order of the specification, and `Unknown` for those to come.
macro_rules! states {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum $name { $($variant,)* Unknown }

        impl $name {
            /// The states that this build knows, as Oura writes them.
            pub(super) const WORDS: &'static [&'static str] = &[$($word),*];

            /// The state as Oura writes it.
            pub(super) const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* Self::Unknown => crate::metric::UNKNOWN }
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let word = <String as serde::Deserialize>::deserialize(from)?;
                Ok(match word.as_str() { $($word => Self::$variant,)* _ => Self::Unknown })
            }
        }
    };
}
pub(super) use states;

#[cfg(test)]
mod tests {
    use super::Word;

    #[test]
    fn words_of_a_list_become_labels_and_what_a_person_typed_does_not() {
        let label = |text| Word::new(text).as_label();
        assert_eq!(label("walking"), "walking");
        assert_eq!(label("Strength training"), "strength_training");
        assert_eq!(label("tag_generic_nocaffeine"), "tag_generic_nocaffeine");
        for private in
            ["anna@example.com", "", "0a1b2c3d", "b3f1c9d2-8e7a-4c1d-9f00-1234567890ab", "päivä", "run, 5 km!"]
        {
            assert_eq!(label(private), "other", "{private}");
        }
    }
}
