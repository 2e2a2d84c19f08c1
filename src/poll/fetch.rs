//! One collection's turn: the windows that are asked for, and what a refusal means.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Days, SecondsFormat, TimeDelta, Utc};
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::series::{KEPT, OVERLAP, Series, time};
use crate::{
    documents::{Kind, Query},
    oura::{ApiError, Client, Standing},
    problem::{Problem, Reason},
};

/// Days asked for beyond what is shown, on both sides: Oura filters some collections by UTC, some by the time they
/// began, and takes some end dates as exclusive; what counts is each document's own day.
const PADDING: u64 = 2;
/// The wearer's date may be one ahead of UTC's.
const AHEAD: u64 = 1;
/// Days asked for first where only the newest document counts.
const WEEK: i64 = 7;
/// The longest window that Oura allows for a time series is 30 days.
const LONGEST_WINDOW: TimeDelta = TimeDelta::days(29);

/// The longest time for all pages and repetitions of one collection.
const LONGEST_TURN: Duration = Duration::from_secs(300);

type Parameters = Vec<(&'static str, String)>;

/// One collection's turn.
pub(super) struct Fetch {
    pub(super) client: Arc<Client>,
    pub(super) kind: &'static Kind,
    pub(super) now: DateTime<Utc>,
    /// The token was refused at the last turn, so it is tried elsewhere first.
    pub(super) is_doubtful: bool,
}

impl Fetch {
    /// Gets the collection's documents; for a time series together with those kept from before.
    pub(super) async fn run(self, series: &mut Option<Series>) -> Result<Vec<Box<RawValue>>, Problem> {
        let first = self.turn(series).await;
        match &first {
            Err(problem) if problem.reason == Reason::Token && self.client.source().is_kept() => {
                match self.client.renew().await {
                    Ok(()) => self.turn(series).await,
                    Err(error) => Err(error.into()),
                }
            }
            _ => first,
        }
    }

    async fn turn(&self, series: &mut Option<Series>) -> Result<Vec<Box<RawValue>>, Problem> {
        if self.is_doubtful && self.standing(&ApiError::Unauthorized).await == Ok(Standing::TokenRefused) {
            return Err(Problem::of_refusal(Standing::TokenRefused, self.kind.scope));
        }
        match timeout(LONGEST_TURN, self.documents(series)).await {
            Ok(Ok(documents)) => Ok(documents),
            Ok(Err(error @ (ApiError::Unauthorized | ApiError::Forbidden))) => Err(self.explain(error).await),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(ApiError::Timeout(LONGEST_TURN).into()),
        }
    }

    async fn documents(&self, series: &mut Option<Series>) -> Result<Vec<Box<RawValue>>, ApiError> {
        match self.kind.query {
            Query::Single => Ok(vec![self.client.single(self.kind.name).await?]),
            Query::All => self.ask(vec![]).await,
            Query::Days { back } => self.ask(self.days(back)).await,
            Query::Newest { within } => self.newest(within).await,
            Query::LastSample => self.ask(latest()).await,
            Query::LastDay => self.last_day(series).await,
        }
    }

    async fn newest(&self, within: i64) -> Result<Vec<Box<RawValue>>, ApiError> {
        let near = self.ask(self.days(WEEK)).await?;
        if near.is_empty() { self.ask(self.days(within)).await } else { Ok(near) }
    }

    /// What is new since the last poll; or the whole day, once an hour.
    async fn last_day(&self, kept: &mut Option<Series>) -> Result<Vec<Box<RawValue>>, ApiError> {
        let known = kept.as_ref().and_then(|series| series.continues_from(self.now));
        let new = match known {
            Some(newest) => self.ask(self.instants(newest - OVERLAP)).await?,
            None => self.whole_day().await?,
        };
        let series = match kept {
            Some(series) if known.is_some() => series,
            _ => kept.insert(Series::new(self.now)),
        };
        series.add(new, self.now);
        Ok(series.documents())
    }

    async fn whole_day(&self) -> Result<Vec<Box<RawValue>>, ApiError> {
        let mut rows = self.ask(latest()).await?;
        if let Some(newest) = rows.iter().filter_map(|row| time(row)).max() {
            rows.extend(self.ask(self.instants(newest.min(self.now) - KEPT)).await?);
        }
        Ok(rows)
    }

    async fn ask(&self, mut query: Parameters) -> Result<Vec<Box<RawValue>>, ApiError> {
        if let Some(fields) = self.kind.fields() {
            query.push(("fields", fields.join(",")));
        }
        self.client.documents(self.kind.name, &query).await
    }

    fn days(&self, back: i64) -> Parameters {
        let today = self.now.date_naive();
        let start = today - TimeDelta::days(back) - Days::new(PADDING);
        let end = today + Days::new(AHEAD + PADDING);
        vec![("start_date", start.to_string()), ("end_date", end.to_string())]
    }

    fn instants(&self, start: DateTime<Utc>) -> Parameters {
        let end = (self.now + TimeDelta::days(1)).min(start + LONGEST_WINDOW);
        let text = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
        vec![("start_datetime", text(start)), ("end_datetime", text(end))]
    }

    /// What a 401 or 403 means depends on how the account stands elsewhere.
    async fn explain(&self, refusal: ApiError) -> Problem {
        match self.standing(&refusal).await {
            Ok(standing) => Problem::of_refusal(standing, self.kind.scope),
            Err(error) => error.into(),
        }
    }

    async fn standing(&self, refusal: &ApiError) -> Result<Standing, ApiError> {
        self.client.standing(self.kind.name, refusal).await
    }
}

fn latest() -> Parameters {
    vec![("latest", "true".to_owned())]
}
