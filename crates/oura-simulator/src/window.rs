//! From parameters to documents: the window, its defaults and limits, pages, and the choice of fields.

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};

use super::{
    collections::{Collection, Kind, Stamp},
    cursor::Cursor,
    faults::Faults,
    person_timeline::{View, shifted},
    query::{Bound, Parameters, bound, flag, value},
    replies::Reply,
};

/// How many rows of a time series fit on a page.
const PAGE_ROWS: usize = 1000;
/// How long a time series may be asked for at once.
const LONGEST_SERIES: TimeDelta = TimeDelta::days(30);
/// How old the newest row of a time series may be.
const LATEST_WITHIN: TimeDelta = TimeDelta::days(3);
/// How far beyond the window documents are made before the window is cut.
const MARGIN_DAYS: i64 = 3;

/// One person's documents of one collection, as they are edited now.
pub(super) struct Query<'a> {
    pub(super) view: View,
    pub(super) collection: &'a Collection,
    pub(super) faults: &'a Faults,
}

impl Query<'_> {
    /// The documents that `parameters` ask for, in their envelope, if the collection has one.
    pub(super) fn list(&self, parameters: &Parameters) -> Result<Value, Reply> {
        let (documents, next) = match self.collection.kind {
            Kind::Single => {
                let documents = self.edited(self.near(self.view.today(), self.view.today()).collect());
                return documents.into_iter().next().ok_or_else(|| Reply::detail(404, "Document not found."));
            }
            Kind::List => (self.edited(self.near(self.view.today(), self.view.today()).collect()), None),
            Kind::Dates => (self.dates(parameters)?, None),
            Kind::Series => self.series(parameters)?,
        };
        let chosen: Vec<Value> = documents.into_iter().map(|document| self.choose(document, parameters)).collect();
        Ok(json!({ "data": chosen, "next_token": next }))
    }

    /// The document with this identifier.
    pub(super) fn document(&self, id: &str) -> Result<Value, Reply> {
        let day = self.view.life.day_of(self.collection.number, id);
        let documents = match (self.collection.kind, day) {
            (Kind::List, _) => self.edited(self.near(self.view.today(), self.view.today()).collect()),
            (Kind::Dates, day) => {
                // Of what an edit has added, the identifier tells no day.
                let day = day.unwrap_or_else(|| self.view.today());
                self.edited(self.near(day, day).collect())
            }
            _ => Vec::new(),
        };
        let found = documents.into_iter().find(|document| document["id"].as_str() == Some(id));
        found.ok_or_else(|| Reply::detail(404, "Document not found."))
    }

    /// The documents of these days and some around them; day by day, made when they are reached.
    fn near(&self, first: NaiveDate, last: NaiveDate) -> impl Iterator<Item = Value> {
        let margin = match self.collection.kind {
            Kind::Single | Kind::List => 0,
            Kind::Series => 1,
            Kind::Dates => MARGIN_DAYS,
        };
        let (view, collection) = (self.view, self.collection);
        let first = shifted(first, -margin).max(shifted(view.life.first, -margin));
        let last = shifted(last, margin).min(shifted(view.today(), margin));
        first.iter_days().take_while(move |day| *day <= last).flat_map(move |day| collection.documents(&view, day))
    }

    fn edited(&self, mut documents: Vec<Value>) -> Vec<Value> {
        for edit in self.faults.edits(Some(self.view.life.person.name), self.collection.name) {
            edit(&mut documents);
        }
        documents
    }

    /// The documents between start_date and end_date; both ends are compared with the document's stamp.
    fn dates(&self, parameters: &Parameters) -> Result<Vec<Value>, Reply> {
        if let Some(token) = value(parameters, "next_token") {
            return Err(unknown_token(token));
        }
        let today = Bound::Clock(self.view.today().and_time(NaiveTime::MIN));
        let end = bound(parameters, "end_date")?.unwrap_or(today);
        let start = bound(parameters, "start_date")?.unwrap_or_else(|| day_before(end));
        if start.as_utc() > end.as_utc() {
            return Err(Reply::detail(400, "Start date is after end date"));
        }
        let mut documents: Vec<Value> = self.near(start.as_utc().date_naive(), end.as_utc().date_naive()).collect();
        if matches!(self.collection.stamp, Stamp::Local(_)) {
            documents.sort_by_key(|document| self.stamp(document).map(|(_, moment)| moment));
        }
        let mut documents = self.edited(documents);
        documents.retain(|document| self.is_within(document, start, end));
        Ok(documents)
    }

    /// A page of rows between start_datetime and end_datetime, or the newest row; and the token of the next page.
    fn series(&self, parameters: &Parameters) -> Result<(Vec<Value>, Option<String>), Reply> {
        if flag(parameters, "latest")? {
            return Ok((self.latest(), None));
        }
        let number = self.collection.number;
        let cursor = match value(parameters, "next_token") {
            Some(token) => Cursor::read(token, number).ok_or_else(|| unknown_token(token))?,
            None => self.first_page(parameters)?,
        };
        let mut rows = self.rows(cursor.from, cursor.until);
        let page: Vec<Value> = rows.by_ref().skip(cursor.skip).take(PAGE_ROWS).collect();
        let has_more = rows.next().is_some();
        let next = has_more.then(|| cursor.after(&page, |row| self.stamp(row).map(|(_, moment)| moment)).write(number));
        Ok((page, next))
    }

    fn first_page(&self, parameters: &Parameters) -> Result<Cursor, Reply> {
        let until = bound(parameters, "end_datetime")?.map_or(self.view.now, Bound::as_utc);
        let from = bound(parameters, "start_datetime")?
            .map_or_else(|| until.checked_sub_days(Days::new(1)).unwrap_or(until), Bound::as_utc);
        if from > until {
            return Err(Reply::detail(400, "Start datetime is after end datetime"));
        }
        if until - from > LONGEST_SERIES {
            return Err(Reply::detail(400, "The time range is longer than 30 days"));
        }
        Ok(Cursor { from, skip: 0, until })
    }

    /// The rows from one moment to another, both included.
    fn rows(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Box<dyn Iterator<Item = Value> + '_> {
        let days = self.days(from, until);
        let rows = self.near(from.date_naive(), until.date_naive());
        let is_edited = !self.faults.edits(Some(self.view.life.person.name), self.collection.name).is_empty();
        let rows: Box<dyn Iterator<Item = Value>> = if is_edited {
            Box::new(self.edited(rows.collect()).into_iter())
        } else {
            Box::new(days.into_iter().flat_map(|day| self.collection.documents(&self.view, day)))
        };
        let (from, until) = (Bound::Moment(from), Bound::Moment(until));
        Box::new(rows.filter(move |row| self.is_within(row, from, until)))
    }

    /// The person's days that have a part of that time: what is made of others would be cut off.
    fn days(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<NaiveDate> {
        let life = &self.view.life;
        let (first, last) = (shifted(from.date_naive(), -1).max(life.first), shifted(until.date_naive(), 1));
        let is_part = |day: &NaiveDate| life.midnight(shifted(*day, 1)) >= from && life.midnight(*day) <= until;
        let today = shifted(self.view.today(), 1);
        first.iter_days().take_while(|day| *day <= last.min(today)).filter(is_part).collect()
    }

    /// The newest row of the last days, without the field that such an answer lacks.
    fn latest(&self) -> Vec<Value> {
        let newest = self.rows(self.view.now - LATEST_WITHIN, self.view.now).last();
        newest.into_iter().map(|row| without(row, "timestamp_unix")).collect()
    }

    /// Only the fields that were asked for; all, if one of them is not known.
    fn choose(&self, document: Value, parameters: &Parameters) -> Value {
        let Some(names) = value(parameters, "fields") else { return document };
        let names: Vec<&str> = names.split(',').map(str::trim).collect();
        match document {
            Value::Object(all) if names.iter().all(|name| self.collection.fields.contains(name)) => {
                let is_chosen = |name: &str| name == "id" || name == "day" || names.contains(&name);
                Value::Object(all.into_iter().filter(|(name, _)| is_chosen(name)).collect::<Map<_, _>>())
            }
            whole => whole,
        }
    }

    /// Whether the document is in the window; one whose time cannot be read always is.
    fn is_within(&self, document: &Value, start: Bound, end: Bound) -> bool {
        let Some((clock, moment)) = self.stamp(document) else { return true };
        let after = match start {
            Bound::Clock(start) => clock >= start,
            Bound::Moment(start) => moment >= start,
        };
        after
            && match end {
                Bound::Clock(end) => clock <= end,
                Bound::Moment(end) => moment <= end,
            }
    }

    /// When the document is: as the clock shows it that counts for this collection, and as a moment.
    fn stamp(&self, document: &Value) -> Option<(NaiveDateTime, DateTime<Utc>)> {
        let time = |field: &str| DateTime::parse_from_rfc3339(document[field].as_str()?).ok();
        match self.collection.stamp {
            Stamp::Day(field) => {
                let day: NaiveDate = document[field].as_str()?.parse().ok()?;
                Some((day.and_time(NaiveTime::MIN), self.view.life.midnight(day)))
            }
            Stamp::Local(field) => time(field).map(|time| (time.naive_local(), time.to_utc())),
            Stamp::Utc(field) => time(field).map(|time| (time.naive_utc(), time.to_utc())),
        }
    }
}

fn unknown_token(token: &str) -> Reply {
    Reply::detail(400, &format!("Invalid next_token {token}"))
}

fn day_before(end: Bound) -> Bound {
    match end {
        Bound::Clock(time) => Bound::Clock(time.checked_sub_days(Days::new(1)).unwrap_or(time)),
        Bound::Moment(moment) => Bound::Moment(moment.checked_sub_days(Days::new(1)).unwrap_or(moment)),
    }
}

fn without(mut row: Value, field: &str) -> Value {
    row.as_object_mut().map(|row| row.remove(field));
    row
}
