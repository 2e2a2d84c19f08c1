//! What was made before: between two syncs whoever asks the same of the same person gets the same, and thousands ask.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde_json::Value;

use super::{
    collections::{Collection, Kind, Source},
    cursor::Cursor,
    person_timeline::{Life, View},
    query::{Bound, Parameters, bound, flag, value},
    replies::Reply,
    syncs::{Sync, syncs},
};

/// So many answers of a person are kept.
const MOST_OF_ONE: usize = 64;
/// Of a longer window the service says that it is too long, a day later than of a shorter one.
const SURELY_SHORT: TimeDelta = TimeDelta::days(29);
/// So fresh is a row that is still the newest of the last days when the person's day ends.
const SURELY_LATEST: TimeDelta = TimeDelta::days(1);

/// What was made of each person.
#[derive(Debug, Default)]
pub(super) struct Answers(Mutex<HashMap<u8, OfOne>>);

#[derive(Debug, Default)]
struct OfOne {
    /// What the service knew when the answers were made: they hold until it knows more.
    known: Option<Known>,
    answers: HashMap<String, Reply>,
    /// The syncs of each day that was looked at; they follow from the person alone.
    syncs: HashMap<NaiveDate, Arc<[Sync]>>,
}

/// All that documents depend on besides the person: the last syncs of each sort, and the person's day.
type Known = ([DateTime<Utc>; 3], NaiveDate);

fn known(view: &View) -> Known {
    ([view.synced, view.opened, view.heard], view.today())
}

impl Answers {
    /// What the service knows of `life` at `now`.
    pub(super) fn view(&self, life: Life, now: DateTime<Utc>) -> View {
        let mut all = self.all();
        let made = &mut all.entry(life.number).or_default().syncs;
        View::after(life, now, |day| made.entry(day).or_insert_with(|| syncs(&life, day).into()).to_vec())
    }

    /// The answer to what was asked, if it was made before.
    pub(super) fn get(&self, view: &View, asked: &str) -> Option<Reply> {
        let all = self.all();
        let one = all.get(&view.life.number)?;
        one.answers.get(asked).filter(|_| one.known == Some(known(view))).cloned()
    }

    /// Keeps an answer.
    pub(super) fn keep(&self, view: &View, asked: String, reply: Reply) {
        let (mut all, known) = (self.all(), known(view));
        let one = all.entry(view.life.number).or_default();
        if one.known != Some(known) || one.answers.len() >= MOST_OF_ONE {
            (one.known, one.answers) = (Some(known), HashMap::new());
        }
        one.answers.insert(asked, reply);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<u8, OfOne>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is asked, in words that are the same wherever the answer is, until the service knows more; none where that is not
/// certain.
pub(super) fn asked(view: &View, collection: &Collection, id: Option<&str>, query: &Parameters) -> Option<String> {
    let is_open = collection.kind == Kind::Series && !flag(query, "latest").ok()?;
    let is_kept = match collection.kind {
        // It shows what the token opens.
        Kind::Single => false,
        Kind::Dates | Kind::List => true,
        Kind::Series if is_open => ends_with_now(view, collection, query)?,
        Kind::Series => id.is_none(),
    };
    if !is_kept || !matches!(collection.source, Source::Life(_)) {
        return None;
    }
    let mut asked = format!("{} {}", collection.number, id.unwrap_or_default());
    for (name, value) in query.iter().filter(|(name, _)| !is_open || name != "end_datetime") {
        asked.extend(["\n", name, "=", value]);
    }
    Some(asked)
}

/// Whether a window, or what is left of it, has all rows from its beginning on, so that its end does not matter.
fn ends_with_now(view: &View, collection: &Collection, query: &Parameters) -> Option<bool> {
    if let Some(token) = value(query, "next_token") {
        return Some(Cursor::read(token, collection.number)?.until >= view.now);
    }
    let moment = |name| bound(query, name).ok().flatten().map(Bound::as_utc);
    let (start, end) = moment("start_datetime").zip(moment("end_datetime"))?;
    Some(end >= view.now && end - start <= SURELY_SHORT)
}

/// Whether what was answered stays true until the service knows more.
pub(super) fn stays(view: &View, collection: &Collection, query: &Parameters, answer: &Value) -> bool {
    if collection.kind != Kind::Series || !flag(query, "latest").is_ok_and(|is_latest| is_latest) {
        return true;
    }
    let newest = answer["data"][0]["timestamp"].as_str().and_then(|time| time.parse::<DateTime<Utc>>().ok());
    newest.is_some_and(|newest| view.now - newest < SURELY_LATEST)
}
