//! One collection's turn: the windows that are asked for, and what a refusal means.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, TimeDelta, Utc};
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::series::{KEPT, OVERLAP, Series, distinct, time};
use crate::{
    defect::caught_in,
    documents::{Days, Kind, Query},
    latest::{is_granted, missing_scope},
    oura::{ApiError, Client, Room, Standing},
    problem::{Problem, Reason},
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

type Parameters = Vec<(&'static str, String)>;

/// What is asked of a collection.
enum Ask<'a> {
    /// What is newest, with what is kept of a time series.
    Newest(&'a mut Option<Series>),
    /// What there is of some days.
    Past(Days),
}

/// One collection's turn.
pub(super) struct Fetch {
    pub(super) client: Arc<Client>,
    pub(super) kind: &'static Kind,
    pub(super) now: DateTime<Utc>,
    /// The token was refused at the last turn, so it is tried elsewhere first.
    pub(super) is_doubtful: bool,
    /// How far back samples with their own time are wanted; none if they are not wanted at all.
    pub(super) samples: Option<TimeDelta>,
    /// What its lists may take up together.
    pub(super) room: Room,
}

impl Fetch {
    /// A turn without samples.
    pub(super) fn new(client: Arc<Client>, kind: &'static Kind, now: DateTime<Utc>) -> Self {
        Self { client, kind, now, is_doubtful: false, samples: None, room: Room::new(kind.most_documents) }
    }

    /// Gets the collection's documents; for a time series together with those kept from before.
    pub(super) async fn run(&self, series: &mut Option<Series>) -> Result<Vec<Box<RawValue>>, Problem> {
        let turn = caught_in(self.with_renewal(&mut Ask::Newest(series))).await;
        turn.unwrap_or_else(|defect| {
            // Nobody knows how far it had come.
            *series = None;
            Err(Problem::of_defect(&defect))
        })
    }

    /// Gets what there is of `days`, by the documents' own days or instants, and of a little more on both sides.
    pub(super) async fn past(&self, days: Days) -> Result<Vec<Box<RawValue>>, Problem> {
        let turn = caught_in(self.with_renewal(&mut Ask::Past(days))).await;
        turn.unwrap_or_else(|defect| Err(Problem::of_defect(&defect)))
    }

    async fn with_renewal(&self, ask: &mut Ask<'_>) -> Result<Vec<Box<RawValue>>, Problem> {
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

    async fn turn(&self, ask: &mut Ask<'_>) -> Result<Vec<Box<RawValue>>, Problem> {
        if self.is_doubtful && self.standing(&ApiError::Unauthorized).await == Ok(Standing::TokenRefused) {
            return Err(Problem::of_refusal(Standing::TokenRefused));
        }
        self.room.clear();
        match timeout(LONGEST_TURN, self.documents(ask)).await {
            Ok(Ok(documents)) => Ok(documents),
            Ok(Err(error @ (ApiError::Unauthorized | ApiError::Forbidden))) => Err(self.explain(error).await),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(ApiError::Timeout(LONGEST_TURN).into()),
        }
    }

    async fn documents(&self, ask: &mut Ask<'_>) -> Result<Vec<Box<RawValue>>, ApiError> {
        match ask {
            Ask::Newest(series) => self.newest_documents(series).await,
            Ask::Past(days) => self.of_days(*days).await,
        }
    }

    async fn newest_documents(&self, series: &mut Option<Series>) -> Result<Vec<Box<RawValue>>, ApiError> {
        match self.kind.query {
            Query::Single => Ok(vec![self.client.single(self.kind.name).await?]),
            Query::All => self.ask(vec![]).await,
            Query::Days { back } => {
                self.ask(self.days(back.max(self.depth().map_or(0, |depth| depth.num_days())))).await
            }
            Query::Newest { within } => self.newest(within).await,
            Query::LastSample => self.last_sample().await,
            Query::LastDay => self.last_day(series).await,
        }
    }

    /// How far back samples are wanted, where the documents hold some.
    fn depth(&self) -> Option<TimeDelta> {
        self.samples.filter(|_| self.kind.has_samples())
    }

    async fn of_days(&self, (first, last): Days) -> Result<Vec<Box<RawValue>>, ApiError> {
        match self.kind.query {
            Query::Single => Ok(vec![self.client.single(self.kind.name).await?]),
            Query::All => self.ask(vec![]).await,
            Query::Newest { .. } => self.ask(between(first, last)).await,
            Query::Days { back } => self.ask(between(first - TimeDelta::days(back), last)).await,
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

    /// The newest sample; where more are wanted, all of those days, and the newest if there are none.
    async fn last_sample(&self) -> Result<Vec<Box<RawValue>>, ApiError> {
        if let Some(depth) = self.depth() {
            let rows = self.ask(self.instants(self.now - depth)).await?;
            if !rows.is_empty() {
                return Ok(distinct(rows));
            }
        }
        self.ask(latest()).await
    }

    async fn newest(&self, within: i64) -> Result<Vec<Box<RawValue>>, ApiError> {
        let near = self.ask(self.days(WEEK)).await?;
        if near.is_empty() { self.ask(self.days(within)).await } else { Ok(near) }
    }

    /// What is new since the last poll; or the whole day, once an hour.
    async fn last_day(&self, kept: &mut Option<Series>) -> Result<Vec<Box<RawValue>>, ApiError> {
        let known = kept.as_ref().and_then(|series| series.continues_from(self.now));
        match known {
            Some(newest) => {
                let new = self.ask(self.instants(newest - OVERLAP)).await?;
                let series = kept.get_or_insert_with(|| Series::new(self.now, KEPT));
                series.add(new, self.now);
            }
            None => self.whole_day(kept).await?,
        }
        Ok(kept.as_ref().map_or(vec![], Series::documents))
    }

    /// The day up to the newest sample, and what came since the newest that was known; the first time, as far back as
    /// samples are wanted.
    async fn whole_day(&self, kept: &mut Option<Series>) -> Result<(), ApiError> {
        let depth = self.depth().unwrap_or(KEPT).max(KEPT);
        let mut rows = self.ask(latest()).await?;
        let newest = rows.iter().filter_map(|row| time(row)).max().map(|newest| newest.min(self.now));
        // There is one, of which nobody can tell when it was: the others may be good.
        let newest = newest.or((!rows.is_empty()).then_some(self.now));
        let known =
            kept.as_ref().map(|series| series.newest().map_or(DateTime::<Utc>::MAX_UTC, |known| known - OVERLAP));
        let since = known.unwrap_or(DateTime::<Utc>::MIN_UTC);
        let start = newest.map(|newest| (newest - KEPT).min(since).max(newest - depth));
        if let Some(start) = start {
            rows.extend(self.ask(self.instants(start)).await?);
        }
        let series = kept.get_or_insert_with(|| Series::new(self.now, depth));
        series.begin_anew(start, self.now);
        series.add(rows, self.now);
        Ok(())
    }

    async fn ask(&self, mut query: Parameters) -> Result<Vec<Box<RawValue>>, ApiError> {
        if let Some(fields) = self.kind.fields(self.samples.is_some()) {
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
        let standing = self.standing(&refusal).await;
        let grant = self.client.source().grant().await;
        match standing {
            Ok(Standing::Good) if is_granted(self.kind, grant.as_ref()) == Some(false) => {
                Problem::of_scope(missing_scope(self.kind, grant.as_ref()))
            }
            Ok(standing) => Problem::of_refusal(standing),
            Err(error) => error.into(),
        }
    }

    async fn standing(&self, refusal: &ApiError) -> Result<Standing, ApiError> {
        self.client.standing(self.kind.name, refusal).await
    }
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
