//! What every kind of document has: its name, how it is asked for, its metrics, and how its newest view is chosen.

use std::{collections::BTreeMap, fmt, mem::size_of};

use chrono::{DateTime, NaiveDate, Utc};
use serde::de::DeserializeOwned;
use serde_aux::serde_introspection::serde_introspect;
use serde_json::value::RawValue;

use super::{
    record::{DayFacts, Sampled, Sampling, twin},
    times::Day,
    words::Words,
};
use crate::{
    metric::{Definition, Metric, SampleMetric},
    observation::{Date, DateRange, Evidence, Known, Moment, Observation, Run},
};

/// The most documents of a list: a sample every five seconds for eleven days.
pub const MOST_DOCUMENTS: usize = 200_000;

/// The largest document that is read: Oura's largest have some ten kilobytes, and a list of digits takes many times as much
/// memory as it has bytes.
const LARGEST_DOCUMENT: usize = 256 * 1024;
/// What a document that is too large is said to fail at.
const ITS_SIZE: &str = "its size";
/// The most memory that the documents of an answer take once they are read.
const MOST_MEMORY: usize = 16 * 1024 * 1024;

/// A kind of document as Oura sends it, and what the page makes of it. What each kind must decide has no default; what most
/// kinds have nothing of, events say, has one.
pub trait Document: DeserializeOwned + 'static {
    /// What the metrics are read from: the document itself, or what several documents of one day say together.
    type View: 'static;
    /// The collection, as Oura spells it in its routes.
    const NAME: &'static str;
    /// The OAuth scope that opens it.
    const SCOPE: &'static str;
    /// How its route is asked.
    const QUERY: Query;
    /// How often it is asked.
    const PACE: Pace;
    /// How many days a value may lie behind the wearer's today and still be shown; none for what is not dated.
    const KEEP_DAYS: Option<i64>;
    /// How many days before a day a document may have begun that still says something of it, where the past is asked for.
    const REACH_DAYS: i64;
    /// Whether its route honours `fields`, so that only what is read here is sent.
    const SELECTS_FIELDS: bool;
    /// Its metrics, in the order of the documentation.
    const METRICS: &'static [Metric<Self::View>];
    /// What the record has of each document by itself, at the time at which it began.
    const EVENTS: &'static [SampleMetric<Self>] = &[];

    /// The views that `documents` give, each with its date; the newest is the one that the page shows.
    fn views(documents: Vec<Self>, moment: &Moment) -> Vec<Dated<Self::View>>;

    /// What the document tells of its wearer besides.
    fn evidence(&self) -> Evidence {
        Evidence::default()
    }

    /// The views of the moment's days, where the documents themselves are not of one day.
    fn spelled_out(_: &[Self], _: &Moment) -> Vec<Dated<Self::View>> {
        vec![]
    }
}

/// A view and what dates it.
pub struct Dated<V> {
    /// What dates it.
    pub date: Date,
    /// What the metrics are read from.
    pub view: V,
}

/// How a collection's route is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Query {
    /// `start_date` and `end_date`, from that many days before today.
    Days {
        /// Days before today.
        back: i64,
    },
    /// The same, a week first and all of the days only if the week has nothing: what counts is the newest.
    Newest {
        /// Days before today.
        within: i64,
    },
    /// A time series: the 24 hours up to the newest sample.
    LastDay,
    /// A time series: the newest sample only.
    LastSample,
    /// Every document there is.
    All,
    /// One bare document without an envelope.
    Single,
}

/// How often a collection is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// At each poll.
    Poll,
    /// Every quarter of an hour.
    Quarter,
    /// Twice an hour.
    HalfHour,
    /// Every hour.
    Hour,
    /// Every six hours.
    QuarterDay,
}

/// What a collection's answer came to.
#[derive(Debug, Default)]
pub struct Reading {
    /// How many documents it was read from.
    pub documents: usize,
    /// The newest view's values; none where no document gives one.
    pub shown: Option<Shown>,
    /// The documents that could not be read.
    pub unreadable: Unreadable,
    /// Whether its words are more than a metric has series for.
    pub words_are_capped: bool,
    /// What is known of the wearer now.
    pub known: Known,
    /// What the record has of each day.
    pub days: Vec<DayFacts>,
    /// What the record has of each document by itself.
    pub events: Vec<Run>,
}

/// The values of one view, all from the same document or day.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// What dates them.
    pub date: Date,
    /// The values.
    pub observations: Vec<Observation>,
}

/// Documents that could not be read: how many, and where the first of them fails; never what they say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unreadable {
    /// How many.
    pub count: usize,
    /// The path to the field within the first of them.
    pub field: String,
}

impl Unreadable {
    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// Reads an answer of which so much is known, at that moment, with these days for the record.
type Read = fn(&[Box<RawValue>], &Known, DateTime<Utc>, Option<DateRange>) -> Reading;

/// A kind of document with its type erased, so that one list can hold them all.
pub struct Kind {
    /// The collection, as Oura spells it in its routes.
    pub name: &'static str,
    /// The OAuth scope that opens it.
    pub scope: &'static str,
    /// How its route is asked.
    pub query: Query,
    /// How often it is asked.
    pub pace: Pace,
    /// How many days a value may lie behind the wearer's today and still be shown; none for what is not dated.
    pub keep_days: Option<i64>,
    /// How many days before a day a document may have begun that still says something of it, where the past is asked for.
    pub reach_days: i64,
    /// The most documents that are read of an answer.
    pub most_documents: usize,
    /// A document of a kind that neither the simulator nor Oura's specification has; none of the others.
    pub example: Option<&'static str>,
    fields: Option<fn() -> &'static [&'static str]>,
    definitions: fn() -> Vec<Definition>,
    event_definitions: fn() -> Vec<Definition>,
    read: Read,
    sampling: Option<Sampling>,
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Kind {
    /// The kind of `D`.
    pub const fn of<D: Document>() -> Self {
        Self {
            name: D::NAME,
            scope: D::SCOPE,
            query: D::QUERY,
            pace: D::PACE,
            keep_days: D::KEEP_DAYS,
            reach_days: D::REACH_DAYS,
            fields: if D::SELECTS_FIELDS { Some(serde_introspect::<D>) } else { None },
            definitions: || D::METRICS.iter().map(Metric::definition).collect(),
            event_definitions: || D::EVENTS.iter().map(event_definition).collect(),
            read: read::<D>,
            most_documents: most_documents(size_of::<D>()),
            sampling: None,
            example: None,
        }
    }

    /// The same, of which the simulator has no model: it makes documents like this one, an object with a `day`.
    pub const fn with_example(self, document: &'static str) -> Self {
        Self { example: Some(document), ..self }
    }

    /// The same, whose documents hold samples `S` with their own time as well.
    pub const fn with_samples<S: Sampled>(self) -> Self {
        Self { sampling: Some(Sampling::of::<S>()), ..self }
    }

    /// The fields to ask for, where the route honours that: exactly those that are read here, with those that dense
    /// samples are read from if the documents are wanted whole.
    pub fn fields(&self, whole: bool) -> Option<Vec<&'static str>> {
        let mut fields = (self.fields?)().to_vec();
        let more = self.sampling.as_ref().filter(|_| whole || self.is_series()).map_or(&[][..], Sampling::fields);
        let known = fields.len();
        fields.extend(more.iter().filter(|field| !fields[..known].contains(field)).collect::<Vec<_>>());
        Some(fields)
    }

    /// Whether its documents are rows with a time, and not documents with a day.
    pub const fn is_series(&self) -> bool {
        matches!(self.query, Query::LastDay | Query::LastSample)
    }

    /// Whether its documents hold dense samples, which are read whole apart from the rest.
    pub const fn has_whole_documents(&self) -> bool {
        self.sampling.is_some() && !self.is_series()
    }

    /// Whether the record has anything of it.
    pub fn is_recorded(&self) -> bool {
        self.sampling.is_some() || self.definitions().iter().any(|definition| definition.is_recorded)
    }

    /// What the metrics of its events and dense samples are called and mean.
    pub fn sample_definitions(&self) -> Vec<Definition> {
        let dense = self.sampling.as_ref().map_or(vec![], Sampling::definitions);
        (self.event_definitions)().into_iter().chain(dense).collect()
    }

    /// How much of a document, of which only the light fields are there, is to be told; none: it is not to be read whole.
    pub fn due(&self, document: &RawValue, moment: &Moment) -> Option<i32> {
        self.sampling.as_ref()?.due(document, moment)
    }

    /// Gives `take` the dense samples of whole documents, one document at a time; what cannot be read has none.
    pub fn samples(&self, documents: &[Box<RawValue>], moment: &Moment, mut take: impl FnMut(Run)) {
        if let Some(sampling) = &self.sampling {
            sampling.read(documents, moment, &mut take);
        }
    }

    /// What its metrics are called and mean.
    pub fn definitions(&self) -> Vec<Definition> {
        (self.definitions)()
    }

    /// Reads an answer's documents, each on its own, given what is `known` of the wearer: picks the newest view, and
    /// takes for the record what they say of `days`; nothing if none are given.
    pub fn read(
        &self,
        documents: &[Box<RawValue>],
        known: &Known,
        now: DateTime<Utc>,
        days: Option<DateRange>,
    ) -> Reading {
        (self.read)(documents, known, now, days)
    }
}

/// The documents that can be read, and what is wrong with the others.
pub(super) fn parse<D: Document>(raw: &[Box<RawValue>]) -> (Vec<D>, Unreadable) {
    let mut documents = Vec::with_capacity(raw.len());
    let mut unreadable = Unreadable::default();
    for raw in raw {
        if let Some(document) = document(raw) {
            documents.push(document);
            continue;
        }
        if unreadable.is_empty() {
            unreadable.field = unreadable_field::<D>(raw);
        }
        unreadable.count += 1;
    }
    (documents, unreadable)
}

/// What a document says, if it can be read.
pub(super) fn document<D: DeserializeOwned>(raw: &RawValue) -> Option<D> {
    let fits = raw.get().len() <= LARGEST_DOCUMENT;
    fits.then(|| serde_json::from_str(raw.get()).ok()).flatten()
}

/// How many documents of that size an answer may have.
const fn most_documents(size: usize) -> usize {
    let fitting = MOST_MEMORY / if size == 0 { 1 } else { size };
    if fitting < MOST_DOCUMENTS { fitting } else { MOST_DOCUMENTS }
}

fn read<D: Document>(raw: &[Box<RawValue>], known: &Known, now: DateTime<Utc>, days: Option<DateRange>) -> Reading {
    let (documents, unreadable) = parse::<D>(raw);
    let mut known = known.clone();
    documents.iter().for_each(|document| known.add(&document.evidence(), now));
    let mut moment = known.moment(now);
    moment.days = days.unwrap_or(moment.days);
    let mut words = Words::default();
    let (events, spelled_out) = match days {
        Some(_) => (events(&documents, &moment, &mut words), D::spelled_out(&documents, &moment)),
        None => (vec![], vec![]),
    };
    let is_possible =
        |dated: &Dated<D::View>| dated.date.day(moment.zone).is_none_or(|day| day <= moment.last_possible_day());
    let mut views: Vec<_> = D::views(documents, &moment).into_iter().filter(is_possible).collect();
    views.iter().filter_map(|dated| dated.date.day(moment.zone)).for_each(|day| known.add_day(day));
    views.sort_by_key(|dated| dated.date);
    // The newest comes first, so that of too many words the page has its own.
    let newest = views.pop().map(|newest| shown::<D>(&newest, &mut words));
    let recorded = views.iter().chain(&spelled_out).filter(|dated| is_of(dated.date, days));
    let mut facts: Vec<_> = recorded.filter_map(|dated| facts(&shown::<D>(dated, &mut words))).collect();
    facts.extend(newest.iter().filter(|shown| is_of(shown.date, days)).filter_map(self::facts));
    Reading {
        documents: raw.len(),
        shown: newest,
        unreadable,
        words_are_capped: words.are_capped,
        known,
        days: facts,
        events,
    }
}

/// Whether it is one of the days that the record wants.
fn is_of(date: Date, days: Option<DateRange>) -> bool {
    let Date::Day(day) = date else { return false };
    days.is_some_and(|days| days.contains(day))
}

/// The values of a view.
fn shown<D: Document>(dated: &Dated<D::View>, words: &mut Words) -> Shown {
    let mut observations: Vec<_> = D::METRICS.iter().flat_map(|metric| words.observe(metric, &dated.view)).collect();
    // They are kept for as long as there are no newer ones.
    observations.shrink_to_fit();
    Shown { date: dated.date, observations }
}

/// What the record has of a view.
fn facts(shown: &Shown) -> Option<DayFacts> {
    let Date::Day(day) = shown.date else { return None };
    let observations: Vec<_> = shown.observations.iter().filter_map(twin).collect();
    Some(DayFacts { day, observations })
}

/// An event that is gone from the documents is told as zero.
fn event_definition<D>(metric: &SampleMetric<D>) -> Definition {
    Definition { is_tally: true, ..metric.definition() }
}

/// What the record has of each document by itself.
fn events<D: Document>(documents: &[D], moment: &Moment, words: &mut Words) -> Vec<Run> {
    let of = |document| D::EVENTS.iter().filter_map(move |metric| Some((metric, metric.observe(document, moment)?)));
    documents.iter().flat_map(of).map(|(metric, run)| words.capped(metric, run)).collect()
}

/// Where a document cannot be read; the parser's own message may quote the value, so it is left out.
fn unreadable_field<D: Document>(raw: &RawValue) -> String {
    if raw.get().len() > LARGEST_DOCUMENT {
        return ITS_SIZE.to_owned();
    }
    let mut json = serde_json::Deserializer::from_str(raw.get());
    let error = serde_path_to_error::deserialize::<_, D>(&mut json).err();
    error.map_or_else(String::new, |error| error.path().to_string())
}

/// One view for each day: what `view` makes of that day's documents, in the order of the answer.
pub(super) fn each_day<D, V>(
    documents: Vec<D>,
    day: impl Fn(&D) -> Day,
    view: impl Fn(NaiveDate, Vec<D>) -> Option<V>,
) -> Vec<Dated<V>> {
    let mut days = BTreeMap::<NaiveDate, Vec<D>>::new();
    for document in documents {
        days.entry(day(&document).date()).or_default().push(document);
    }
    let dated = |(day, documents)| view(day, documents).map(|view| Dated { date: Date::Day(day), view });
    days.into_iter().filter_map(dated).collect()
}

/// The usual case: one document a day is its own view; of several, the last.
pub(super) fn last_of_each_day<D>(documents: Vec<D>, day: impl Fn(&D) -> Day) -> Vec<Dated<D>> {
    // One by one, so that many of one day are never all in memory twice.
    let days: BTreeMap<Day, D> = documents.into_iter().map(|document| (day(&document), document)).collect();
    days.into_iter().map(|(day, view)| Dated { date: Date::Day(day.date()), view }).collect()
}
