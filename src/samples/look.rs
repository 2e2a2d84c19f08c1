//! What the landing page draws of a record: the days of one figure, and a stretch of dense samples.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};

use super::{Place, Samples, Series};
use crate::observation::DateRange;

impl Samples {
    /// What `metric`, of the collection's documents, was last told to be on each of these days.
    pub fn days(
        &self,
        account: &str,
        collection: &str,
        metric: &'static str,
        days: DateRange,
    ) -> BTreeMap<NaiveDate, f64> {
        let series = Series::of(account, metric, vec![]);
        let found = self.with_record(account, |record| {
            let documents = record.documents(collection).filter_map(|(place, document)| match place {
                Place::Day(day) if days.contains(day) => Some((day, *document.values.get(&series)?)),
                _ => None,
            });
            documents.collect()
        });
        found.unwrap_or_default()
    }

    /// The dense samples of `metric` from `from` on and before `to`, in order of time.
    pub fn stretch(
        &self,
        account: &str,
        metric: &'static str,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Vec<(DateTime<Utc>, f64)> {
        let series = Series::of(account, metric, vec![]);
        let (from, to) = (from.timestamp_millis(), to.timestamp_millis());
        let points = self.with_record(account, |record| record.dense_between(&series, from, to)).unwrap_or_default();
        let at = |(time, value)| Some((DateTime::from_timestamp_millis(time)?, value));
        points.into_iter().filter_map(at).collect()
    }
}
