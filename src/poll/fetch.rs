//! One collection's turn: the windows that are asked for, and what a refusal means.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, TimeDelta, Utc};
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::{
    account::size,
    series::{KEPT, OVERLAP, TimedRows, WHOLE_EVERY, distinct, time},
    whole::{Due, Wholes},
};
use crate::{
    defect::caught_in,
    documents::{Kind, Query},
    observation::{DateRange, Moment},
    oura::{AccountStatus, ApiError, Client, Room, apart},
    problem::{Problem, Reason},
    samples::LOOK_BACK,
    state::{is_granted, missing_scope},
};

/// Days asked for beyond what is shown, on both sides: Oura filters some collections by UTC, some by the time they
/// began, and takes some end dates as exclusive; what counts is each document's own day.
const PADDING: TimeDelta = TimeDelta::days(2);
/// The wearer's date may be one ahead of UTC's.
const AHEAD: i64 = 1;
/// Days asked for first where only the newest document counts.
const WEEK: i64 = 7;
/// The longest window that Oura allows for a time series is 30 days.
const LONGEST_WINDOW: TimeDelta = TimeDelta::days(29);
/// The wearer's date is at most that many hours before or after UTC's.
const FURTHEST_ZONE: TimeDelta = TimeDelta::hours(14);

/// The longest time for all pages and repetitions of one collection.
const LONGEST_TURN: Duration = Duration::from_secs(300);

/// So many documents are read whole one by one; more of them come in one list.
const MOST_SINGLE: usize = 2;

type Parameters = Vec<(&'static str, String)>;
type Documents = Vec<Box<RawValue>>;

/// What is kept of a collection between its turns.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// The rows of a time series.
    pub(super) series: Option<TimedRows>,
    /// What was read whole.
    wholes: Wholes,
}

impl Kept {
    /// Keeps no rows of a time series that is not asked for again before it is read whole.
    pub(super) fn is_asked_every(&mut self, interval: Duration) {
        if let Some(series) = self.series.as_mut().filter(|_| interval >= WHOLE_EVERY.to_std().unwrap_or_default()) {
            series.forget_rows();
        }
    }

    /// None where nothing is kept.
    pub(super) fn unless_empty(self: Box<Self>) -> Option<Box<Self>> {
        (self.series.is_some() || !self.wholes.is_empty()).then_some(self)
    }
}

/// What the record wants of a turn.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// Now, with all that is known of the wearer.
    pub(super) moment: Moment,
    /// Whether it looks back at all days that may still change.
    pub(super) looks_back: bool,
    /// How far back dense samples are told.
    pub(super) dense_from: DateTime<Utc>,
    /// The newest dense sample that was told.
    pub(super) newest: Option<DateTime<Utc>>,
}

/// What a turn brought.
pub(super) struct Fetched {
    /// The documents; of a time series together with those kept from before.
    pub(super) documents: Documents,
    /// The days of which all documents are there.
    pub(super) days: DateRange,
    /// The documents that were read whole, or why they could not be.
    pub(super) whole: Result<Documents, Problem>,
}

/// What is asked of a collection.
enum Ask<'a> {
    /// What is newest, with what is kept of the collection.
    Newest(&'a mut Kept),
    /// What there is of some days.
    Past(DateRange),
}

/// One collection's turn.
pub(super) struct Fetch {
    pub(super) client: Arc<Client>,
    pub(super) kind: &'static Kind,
    pub(super) now: DateTime<Utc>,
    /// The token was refused at the last turn, so it is tried elsewhere first.
    pub(super) is_doubtful: bool,
    /// What the record wants; none: there is no record.
    pub(super) wanted: Option<Wanted>,
    /// What its lists may take up together.
    pub(super) room: Room,
}

impl Fetch {
    /// A turn for the page alone.
    pub(super) fn new(client: Arc<Client>, kind: &'static Kind, now: DateTime<Utc>) -> Self {
        Self { client, kind, now, is_doubtful: false, wanted: None, room: Room::new(kind.most_documents) }
    }

    /// Gets the collection's documents, and what is to be read whole of them.
    pub(super) async fn run(&self, kept: &mut Kept) -> Result<Fetched, Problem> {
        let turn = caught_in(self.answer(kept)).await;
        turn.unwrap_or_else(|defect| {
            // Nobody knows how far it had come.
            *kept = Kept::default();
            Err(Problem::of_defect(&defect))
        })
    }

    async fn answer(&self, kept: &mut Kept) -> Result<Fetched, Problem> {
        let documents = self.with_renewal(&mut Ask::Newest(kept)).await?;
        let whole = timeout(LONGEST_TURN, self.whole(&mut kept.wholes, &documents)).await;
        let whole = whole.unwrap_or(Err(ApiError::Timeout(LONGEST_TURN))).map_err(Problem::from);
        Ok(Fetched { documents, days: self.covered(), whole })
    }

    /// Gets what there is of `days`, by the documents' own days or instants, and of a little more on both sides.
    pub(super) async fn past(&self, days: DateRange) -> Result<Documents, Problem> {
        let turn = caught_in(self.with_renewal(&mut Ask::Past(days))).await;
        turn.unwrap_or_else(|defect| Err(Problem::of_defect(&defect)))
    }

    async fn with_renewal(&self, ask: &mut Ask<'_>) -> Result<Documents, Problem> {
        let first = self.turn(ask).await;
        match &first {
            Err(problem) if problem.reason == Reason::Token && self.client.source().is_kept() => {
                match self.client.renew().await {
                    Ok(()) => self.turn(ask).await,
                    Err(error) => Err(error.into()),
                }
            }
            _ => first,
        }
    }

    async fn turn(&self, ask: &mut Ask<'_>) -> Result<Documents, Problem> {
        if self.is_doubtful && self.account_status(&ApiError::Unauthorized).await == Ok(AccountStatus::TokenRefused) {
            return Err(Problem::from(AccountStatus::TokenRefused));
        }
        self.room.clear();
        match timeout(LONGEST_TURN, self.documents(ask)).await {
            Ok(Ok(documents)) => Ok(documents),
            Ok(Err(error @ (ApiError::Unauthorized | ApiError::Forbidden))) => Err(self.explain(error).await),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(ApiError::Timeout(LONGEST_TURN).into()),
        }
    }

    async fn documents(&self, ask: &mut Ask<'_>) -> Result<Documents, ApiError> {
        match ask {
            Ask::Newest(kept) => self.newest_documents(&mut kept.series).await,
            Ask::Past(days) => self.of_days(*days).await,
        }
    }

    async fn newest_documents(&self, series: &mut Option<TimedRows>) -> Result<Documents, ApiError> {
        match self.kind.query {
            Query::Single => Ok(vec![self.client.single(self.kind.name).await?]),
            Query::All => self.ask(vec![]).await,
            Query::Days { .. } => self.ask(self.days(self.back())).await,
            Query::Newest { within } => self.newest(within).await,
            Query::LastSample => self.last_sample().await,
            Query::LastDay => self.last_day(series).await,
        }
    }

    fn looks_back(&self) -> bool {
        self.wanted.as_ref().is_some_and(|wanted| wanted.looks_back)
    }

    /// How many days before today are asked for first.
    fn back(&self) -> i64 {
        let usual = match self.kind.query {
            Query::Days { back } => back,
            Query::Newest { within } if self.looks_back() => within,
            _ => WEEK,
        };
        if self.looks_back() { usual.max(LOOK_BACK.num_days()).max(self.kind.reach_days) } else { usual }
    }

    /// The days of which an answer has all documents.
    fn covered(&self) -> DateRange {
        let today = self.now.date_naive();
        DateRange { first: today - TimeDelta::days(self.back()), last: today + TimeDelta::days(AHEAD) }
    }

    /// The documents that are to be read whole.
    async fn whole(&self, wholes: &mut Wholes, documents: &[Box<RawValue>]) -> Result<Documents, ApiError> {
        let Some(wanted) = self.wanted.as_ref().filter(|_| self.kind.has_whole_documents()) else { return Ok(vec![]) };
        // The wearer's day goes on into the next date: to four in the morning, which west of Greenwich is later still.
        let oldest = wanted.dense_from.date_naive() - TimeDelta::days(1);
        let due = wholes.due(self.kind, documents, &wanted.moment, oldest);
        let read = if due.len() > MOST_SINGLE { self.listed(&due).await? } else { self.one_by_one(&due).await? };
        wholes.read(&due, &read, self.now);
        Ok(read)
    }

    async fn one_by_one(&self, due: &[Due]) -> Result<Documents, ApiError> {
        let mut documents = Vec::with_capacity(due.len());
        for document in due {
            documents.extend(self.client.document(self.kind.name, &document.id).await?);
        }
        Ok(documents)
    }

    async fn listed(&self, due: &[Due]) -> Result<Documents, ApiError> {
        let days = due.iter().map(|document| document.day);
        let Some((first, last)) = days.clone().min().zip(days.max()) else { return Ok(vec![]) };
        self.ask_for(between(first, last), true).await
    }

    async fn of_days(&self, DateRange { first, last }: DateRange) -> Result<Documents, ApiError> {
        match self.kind.query {
            Query::Single => Ok(vec![self.client.single(self.kind.name).await?]),
            Query::All => self.ask(vec![]).await,
            Query::Newest { .. } => self.ask_for(between(first, last), true).await,
            Query::Days { back } => {
                let first = first - TimeDelta::days(back.max(self.kind.reach_days));
                self.ask_for(between(first, last), true).await
            }
            Query::LastSample | Query::LastDay => {
                let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
                let (mut start, end) =
                    (midnight(first) - FURTHEST_ZONE, midnight(last + TimeDelta::days(1)) + FURTHEST_ZONE);
                let mut rows = Vec::new();
                while start < end {
                    let until = end.min(start + LONGEST_WINDOW);
                    rows.extend(self.ask(instants(start, until)).await?);
                    start = until;
                }
                Ok(distinct(rows))
            }
        }
    }

    /// The newest sample; for the record, all since the newest that was told, and once an hour a day's at least.
    async fn last_sample(&self) -> Result<Documents, ApiError> {
        if let Some(wanted) = &self.wanted {
            let since = wanted.newest.map_or(wanted.dense_from, |newest| newest - OVERLAP);
            let start = if wanted.looks_back { since.min(self.now - KEPT) } else { since };
            let rows = self.ask(self.instants(start.max(wanted.dense_from))).await?;
            if !rows.is_empty() {
                return Ok(distinct(rows));
            }
        }
        self.ask(latest()).await
    }

    async fn newest(&self, within: i64) -> Result<Documents, ApiError> {
        let near = self.ask(self.days(self.back())).await?;
        if near.is_empty() && !self.looks_back() { self.ask(self.days(within)).await } else { Ok(near) }
    }

    /// What is new since the last poll; or the whole day, once an hour.
    async fn last_day(&self, kept: &mut Option<TimedRows>) -> Result<Documents, ApiError> {
        let known = kept.as_ref().and_then(|series| series.continues_from(self.now));
        match known {
            Some(newest) => {
                let (new, now) = (self.ask(self.instants(newest - OVERLAP)).await?, self.now);
                Ok(added(kept, new, move |series, new| series.add(new, now)).await)
            }
            None => self.whole_day(kept).await,
        }
    }

    /// The day up to the newest sample, and what came since the newest that was known; where none was, as far back as
    /// samples are wanted.
    async fn whole_day(&self, kept: &mut Option<TimedRows>) -> Result<Documents, ApiError> {
        let depth = self.first_depth();
        let mut rows = self.ask(latest()).await?;
        let newest = rows.iter().filter_map(|row| time(row)).max().map(|newest| newest.min(self.now));
        // There is one, of which nobody can tell when it was: the others may be good.
        let newest = newest.or((!rows.is_empty()).then_some(self.now));
        let known = kept.as_ref().and_then(TimedRows::newest);
        // What is known may not be told: while a clock was ahead, all of it was too old to be.
        let told = self.wanted.as_ref().map(|wanted| wanted.newest.unwrap_or(wanted.dense_from));
        let since = known.map_or(DateTime::<Utc>::MIN_UTC, |known| known.min(told.unwrap_or(known)) - OVERLAP);
        let start = newest.map(|newest| (newest - KEPT).min(since).max(newest - depth));
        if let Some(start) = start {
            rows.extend(self.ask(self.instants(start)).await?);
        }
        let now = self.now;
        Ok(added(kept, rows, move |series, rows| series.add_whole(start, rows, now)).await)
    }

    /// How far back of its newest sample a time series is read that was not followed before: as far as its samples are to
    /// be told.
    fn first_depth(&self) -> TimeDelta {
        let Some(wanted) = &self.wanted else { return KEPT };
        let start = wanted.newest.map_or(wanted.dense_from, |newest| (newest - OVERLAP).max(wanted.dense_from));
        (self.now - start).max(KEPT)
    }

    async fn ask(&self, query: Parameters) -> Result<Documents, ApiError> {
        self.ask_for(query, false).await
    }

    async fn ask_for(&self, mut query: Parameters, whole: bool) -> Result<Documents, ApiError> {
        if let Some(fields) = self.kind.fields(whole) {
            query.push(("fields", fields.join(",")));
        }
        self.client.documents_within(&self.room, self.kind.name, &query).await
    }

    fn days(&self, back: i64) -> Parameters {
        let today = self.now.date_naive();
        between(today - TimeDelta::days(back), today + TimeDelta::days(AHEAD))
    }

    fn instants(&self, start: DateTime<Utc>) -> Parameters {
        instants(start, (self.now + TimeDelta::days(1)).min(start + LONGEST_WINDOW))
    }

    /// What a 401 or 403 means depends on how the account stands elsewhere, and on what was granted.
    async fn explain(&self, refusal: ApiError) -> Problem {
        let account_status = self.account_status(&refusal).await;
        let grant = self.client.source().grant().await;
        match account_status {
            Ok(AccountStatus::Good) if is_granted(self.kind, grant.as_ref()) == Some(false) => {
                Problem::of_scope(missing_scope(self.kind, grant.as_ref()))
            }
            Ok(account_status) => Problem::from(account_status),
            Err(error) => error.into(),
        }
    }

    async fn account_status(&self, refusal: &ApiError) -> Result<AccountStatus, ApiError> {
        self.client.account_status(self.kind.name, refusal).await
    }
}

/// Adds rows to what is kept of a series, apart from all that waits where they are many; all of them as they are then.
async fn added(
    kept: &mut Option<TimedRows>,
    rows: Documents,
    add: impl FnOnce(&mut TimedRows, Documents) -> Documents + Send + 'static,
) -> Documents {
    let mut series = kept.take().unwrap_or_default();
    let added = apart(series.bytes() + size(&rows), move || {
        let documents = add(&mut series, rows);
        (series, documents)
    });
    let (series, documents) = added.await;
    *kept = Some(series);
    documents
}

fn between(first: NaiveDate, last: NaiveDate) -> Parameters {
    vec![("start_date", (first - PADDING).to_string()), ("end_date", (last + PADDING).to_string())]
}

fn instants(start: DateTime<Utc>, end: DateTime<Utc>) -> Parameters {
    let text = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
    vec![("start_datetime", text(start)), ("end_datetime", text(end))]
}

fn latest() -> Parameters {
    vec![("latest", "true".to_owned())]
}
