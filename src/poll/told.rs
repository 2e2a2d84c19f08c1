//! What Oura has told of: a collection is asked at once, and again until it says what was told.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
    time::Duration,
};

use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;
use tracing::debug;

use super::{fetch::Fetched, follower::Follower, schedule::every};
use crate::{
    problem::Problem,
    webhooks::{Change, Documents, data_type},
};

/// For so long a collection is asked again that does not say yet what Oura has told of it.
const LOOKED_OUT_FOR: Duration = Duration::from_secs(120);
/// The waits in between: a document may be there half a minute and more after its event.
const AGAIN_SECONDS: [u64; 5] = [5, 10, 20, 35, 45];
/// However often Oura tells of a collection, it is asked for that no more often than this: a flood is a few requests.
const LEAST_BETWEEN: Duration = Duration::from_secs(5);
/// A document that is as it was before its update may be so because nothing is different that is read here, or because
/// Oura's answers are behind; it is looked at again so long after its event, and then at the usual pace.
const AGAIN_UNCHANGED: [Duration; 2] = [Duration::from_secs(30), Duration::from_secs(90)];
/// What did not come, or did not change, in so long does not.
const GIVEN_UP: Duration = Duration::from_secs(3600);
/// While events tell of every change, a collection is polled this often for what they may have missed.
const WHILE_TOLD: Duration = Duration::from_secs(3600);

/// So many documents of one collection are looked out for; beyond that it is read all the same.
const MOST_AWAITED: usize = 32;

/// What Oura has told of one collection.
#[derive(Default)]
pub(super) struct Told {
    /// The documents that were not seen as told yet.
    awaited: BTreeMap<String, Awaited>,
    /// Told since the turn under way began: it does not count.
    is_newer: bool,
    /// How often it was looked since Oura told of something last.
    looked: usize,
    /// When it was, or is to be, asked for what was told last.
    turn: Option<Instant>,
    /// What every document was when it was last read.
    seen: Contents,
}

/// A document that was not seen as told yet.
struct Awaited {
    change: Change,
    /// When it was told.
    since: Instant,
    /// Whether the last look did not find it, or found what is to be gone.
    is_lacking: bool,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
}

fn digest(text: &str) -> u32 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    // Its half is enough to tell some dozens from each other.
    hasher.finish() as u32
}

/// What documents are, by id: digests of both, as small as thousands of accounts want them.
#[derive(Default)]
struct Contents(Box<[(u32, u32)]>);

impl Contents {
    /// None where a document has no id: nobody can tell one from the other.
    fn of(documents: &[Box<RawValue>]) -> Option<Self> {
        let named = |document: &RawValue| {
            let Named { id } = serde_json::from_str(document.get()).ok()?;
            Some((digest(id?.as_ref()), digest(document.get())))
        };
        documents.iter().map(|document| named(document)).collect::<Option<_>>().map(Self)
    }

    fn get(&self, id: &str) -> Option<u32> {
        let id = digest(id);
        self.0.iter().find(|(known, _)| *known == id).map(|(_, content)| *content)
    }
}

impl Told {
    /// Whether the present turn has to look back further than usual: what was told of was not among the newest.
    pub(super) fn looks_back(&self) -> bool {
        self.awaited.values().any(|one| one.is_lacking)
    }

    fn add(&mut self, documents: &Documents, is_running: bool, now: Instant) {
        for (id, change) in documents.iter() {
            if let Some(one) = self.awaited.get_mut(id) {
                (one.change, one.since) = (change, now);
            } else if self.awaited.len() < MOST_AWAITED {
                self.awaited.insert(id.to_owned(), Awaited { change, since: now, is_lacking: false });
            }
        }
        (self.is_newer, self.looked) = (is_running, 0);
    }

    /// When the collection is to be asked for what was told at `now`.
    fn turn(&mut self, now: Instant) -> Instant {
        let turn = match self.turn {
            // It is still to come, and serves this one as well.
            Some(turn) if turn >= now => turn,
            Some(turn) => now.max(turn + LEAST_BETWEEN),
            None => now,
        };
        self.turn = Some(turn);
        turn
    }

    /// Takes note of what an answer says; when the collection is to be asked again for what it does not.
    fn answered(&mut self, documents: &[Box<RawValue>], now: Instant) -> Option<Duration> {
        let Some(contents) = Contents::of(documents) else {
            *self = Self { turn: self.turn, ..Self::default() };
            return None;
        };
        let (seen, looked) = (&self.seen, self.looked);
        self.awaited.retain(|id, one| {
            let (before, after) = (seen.get(id), contents.get(id));
            one.is_lacking = if one.change == Change::Delete { after.is_some() } else { after.is_none() };
            let is_unchanged = one.change == Change::Update && before == after;
            (one.is_lacking || is_unchanged) && now <= one.since + GIVEN_UP
        });
        (self.seen, self.looked) = (contents, looked + 1);
        self.again(looked, now)
    }

    /// When it is to be looked again after so many looks: soon for what is lacking, then for what is as it was.
    fn again(&self, looked: usize, now: Instant) -> Option<Duration> {
        let lacking = self.awaited.values().filter(|one| one.is_lacking).map(|one| one.since).max();
        let soon = lacking.and_then(|since| {
            let wait = AGAIN_SECONDS.get(looked).map(|seconds| Duration::from_secs(*seconds));
            wait.filter(|wait| now + *wait <= since + LOOKED_OUT_FOR)
        });
        let unchanged = || {
            let passed = self.awaited.values().map(|one| now.saturating_duration_since(one.since));
            passed.filter_map(|passed| Some(*AGAIN_UNCHANGED.iter().find(|again| **again > passed)? - passed)).min()
        };
        soon.or_else(unchanged)
    }
}

impl Follower {
    /// Has the collections be due at once of which Oura has told something.
    pub(super) fn heed_events(&mut self) {
        let Some(mailbox) = &self.mailbox else { return };
        let now = self.poller.clock.instant();
        for (collection, documents) in mailbox.take() {
            let Some(place) = self.poller.kinds.iter().position(|kind| kind.name == collection) else { continue };
            debug!(account = self.state.name, collection, documents = documents.iter().count(), "Oura tells of news");
            let is_running = self.schedule.is_running(place);
            self.told[place].add(&documents, is_running, now);
            // Before what merely repeats, where the request budget is scarce.
            self.kept[place].is_awaited = true;
            if !is_running {
                let turn = self.told[place].turn(now);
                self.schedule.hasten(place, turn);
            }
        }
    }

    /// Takes note of what a turn brought of what Oura has told of the collection in `place`; when it is due again for that.
    pub(super) fn heard(&mut self, place: usize, result: &Result<Fetched, Problem>) -> Option<Instant> {
        let now = self.poller.clock.instant();
        let told = self.told.get_mut(place)?;
        if std::mem::take(&mut told.is_newer) {
            return Some(told.turn(now));
        }
        // After a failure the usual repetition brings it.
        let answer = result.as_ref().ok()?;
        data_type(self.poller.kinds[place])?;
        told.answered(&answer.documents, now).map(|wait| now + wait)
    }

    /// How long it is between two polls of the collection in `place`, if nothing goes wrong.
    pub(super) fn pace(&self, place: usize) -> Duration {
        self.pace_where(place, self.told_collections().as_deref())
    }

    /// The collections of which events tell every change now; none where no events come.
    pub(super) fn told_collections(&self) -> Option<Arc<BTreeSet<&'static str>>> {
        self.mailbox.as_ref()?.told()
    }

    /// The same, where events tell of the collections in `told`.
    pub(super) fn pace_where(&self, place: usize, told: Option<&BTreeSet<&'static str>>) -> Duration {
        let kind = self.poller.kinds[place];
        let usual = every(kind.pace, self.poller.interval);
        let is_told = told.is_some_and(|told| told.contains(kind.name));
        if is_told && self.told[place].awaited.is_empty() { usual.max(WHILE_TOLD) } else { usual }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(all: &[(&str, u32)]) -> Vec<Box<RawValue>> {
        let document = |(id, score): &(&str, u32)| RawValue::from_string(format!(r#"{{"id":"{id}","score":{score}}}"#));
        all.iter().map(|one| document(one).unwrap()).collect()
    }

    /// The moments, in seconds after the event, at which the collection is asked, given what it answers at each.
    fn asked(change: Change, before: &[(&str, u32)], answer: impl Fn(u64) -> Vec<(&'static str, u32)>) -> Vec<u64> {
        let (start, mut told) = (Instant::now(), Told::default());
        assert_eq!(told.answered(&documents(before), start), None, "nothing was told");
        told.add(&news("x", change), false, start);
        let (mut moment, mut asked) = (Duration::ZERO, vec![]);
        loop {
            asked.push(moment.as_secs());
            let answer = documents(&answer(moment.as_secs()));
            let Some(wait) = told.answered(&answer, start + moment) else { return asked };
            moment += wait;
        }
    }

    #[test]
    fn a_collection_is_asked_until_it_says_what_was_told_and_two_minutes_at_most() {
        let two_minutes = vec![0, 5, 15, 35, 70, 115];
        let changes_after = |seconds| move |at: u64| vec![("x", if at < seconds { 1 } else { 2 })];
        let comes_after = |seconds| move |at: u64| if at < seconds { vec![] } else { vec![("x", 1)] };
        for (what, asked, moments) in [
            ("new at once", asked(Change::Create, &[], comes_after(0)), vec![0]),
            ("new after 30 s", asked(Change::Create, &[], comes_after(30)), vec![0, 5, 15, 35]),
            ("never there", asked(Change::Create, &[("y", 1)], |_| vec![("y", 1)]), two_minutes.clone()),
            ("changed at once", asked(Change::Update, &[("x", 1)], |_| vec![("x", 2)]), vec![0]),
            ("changed in what is not read", asked(Change::Update, &[("x", 1)], |_| vec![("x", 1)]), vec![0, 30, 90]),
            ("changed after 31 s", asked(Change::Update, &[("x", 1)], changes_after(31)), vec![0, 30, 90]),
            ("changed after 20 s", asked(Change::Update, &[("x", 1)], changes_after(20)), vec![0, 30]),
            (
                "changed, and away for a while",
                asked(Change::Update, &[("x", 1)], |at| if at < 20 { vec![] } else { vec![("x", 1)] }),
                vec![0, 5, 15, 35],
            ),
            ("never seen before", asked(Change::Update, &[], comes_after(0)), vec![0]),
            ("gone at once", asked(Change::Delete, &[("x", 1)], |_| vec![]), vec![0]),
            (
                "not gone yet",
                asked(Change::Delete, &[("x", 1)], |at| if at < 9 { vec![("x", 1)] } else { vec![] }),
                vec![0, 5, 15],
            ),
            ("never gone", asked(Change::Delete, &[("x", 1)], |_| vec![("x", 1)]), two_minutes),
        ] {
            assert_eq!(asked, moments, "{what}");
        }
    }

    fn news(id: &str, change: Change) -> Documents {
        let mut news = Documents::default();
        news.add(id, change);
        news
    }

    #[test]
    fn each_document_is_given_up_after_its_own_hour_whatever_else_is_told_meanwhile() {
        // How many minutes lie between the events of another document; it is new each time.
        for minutes in [5, 10, 45, 61] {
            let (start, mut told) = (Instant::now(), Told::default());
            told.answered(&documents(&[("x", 1), ("y", 0)]), start);
            told.add(&news("x", Change::Update), false, start);
            let mut given_up = None;
            for number in 1..=(180 / minutes) {
                let (minute, content) = (number * minutes, u32::try_from(number).unwrap());
                let now = start + Duration::from_secs(60 * minute);
                told.add(&news("y", Change::Update), false, now);
                assert_eq!(told.answered(&documents(&[("x", 1), ("y", content)]), now), None, "y is as told");
                assert!(!told.awaited.contains_key("y"));
                if told.awaited.is_empty() {
                    given_up.get_or_insert(minute);
                }
            }
            let after_an_hour = (61..).find(|minute| minute % minutes == 0);
            assert_eq!(given_up, after_an_hour, "events every {minutes} minutes");
        }
    }

    #[test]
    fn only_what_was_not_there_is_looked_back_for() {
        let there = || documents(&[("x", 1)]);
        for (what, change, answer, looks_back) in [
            ("it is as it was", Change::Update, there(), false),
            ("it is not among the newest", Change::Update, documents(&[("y", 1)]), true),
            ("it is not there yet", Change::Create, documents(&[]), true),
            ("it is not gone yet", Change::Delete, there(), true),
        ] {
            let (start, mut told) = (Instant::now(), Told::default());
            told.answered(&there(), start);
            told.add(&news("x", change), false, start);
            assert!(!told.looks_back(), "{what}: the newest are looked at first");
            told.answered(&answer, start);
            assert_eq!(told.looks_back(), looks_back, "{what}");
            // Something else is told: what is lacking is still looked back for, and nothing but that.
            told.add(&news("z", Change::Create), false, start);
            assert_eq!(told.looks_back(), looks_back, "{what}");
            let (found, gone) = (documents(&[("x", 2), ("z", 1)]), documents(&[("z", 1)]));
            told.answered(if change == Change::Delete { &gone } else { &found }, start);
            assert!(!told.looks_back() && told.awaited.is_empty(), "{what}: all is as told");
        }
    }

    #[test]
    fn a_flood_of_news_is_a_request_every_few_seconds() {
        let (start, mut told) = (Instant::now(), Told::default());
        let turns: BTreeSet<_> = (0..1_000)
            .map(|number| Duration::from_millis(10 * number))
            .map(|after| told.turn(start + after).duration_since(start).as_secs())
            .collect();
        assert_eq!(Vec::from_iter(turns), [0, 5, 10], "ten seconds of a hundred events each");
        assert_eq!(
            told.turn(start + Duration::from_secs(60)),
            start + Duration::from_secs(60),
            "the next one is at once"
        );
    }

    #[test]
    fn documents_without_ids_are_read_once_and_nobody_waits_for_them() {
        let (start, mut told) = (Instant::now(), Told::default());
        told.add(&news("x", Change::Create), false, start);
        let bare = vec![RawValue::from_string(r#"{"score":1}"#.to_owned()).unwrap()];
        assert_eq!(told.answered(&bare, start), None);
        assert!(told.awaited.is_empty());
    }
}
