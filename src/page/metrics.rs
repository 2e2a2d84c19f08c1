//! Whether the page can be trusted: the metrics of the accounts and their collections.

use std::sync::Arc;

use chrono::{NaiveDate, NaiveTime};

use crate::{
    metric::{Metric, Row, flag, help, label},
    state::{AccountState, CollectionState},
};

fn each(account: &AccountState, value: impl Fn(&CollectionState) -> Option<f64>) -> Vec<Row> {
    let row = |collection| Some((vec![CollectionState::name(collection).into()], value(collection)?));
    account.collections.iter().filter_map(row).collect()
}

impl CollectionState {
    fn name(&self) -> &'static str {
        self.kind.name
    }

    fn day(&self, account: &AccountState) -> Option<NaiveDate> {
        self.shown.as_ref()?.date.day(account.zone())
    }

    fn day_seconds(&self, account: &AccountState) -> Option<f64> {
        Some(self.day(account)?.and_time(NaiveTime::MIN).and_utc().timestamp() as f64)
    }

    fn age_days(&self, account: &AccountState) -> Option<f64> {
        let today = account.moment(account.seen_at).today();
        Some((today - self.day(account)?).num_days() as f64)
    }
}

/// The metrics of an account.
pub const ACCOUNT_METRICS: &[Metric<AccountState>] = &[
    help("Whether every collection works that the account may read, or could read once with this token, 0 or 1.")
        .gauge("oura_up", |a| flag(Some(a.is_up()))),
    help("Whether the last attempt at the collection succeeded, at most three of its intervals ago, 0 or 1.").rows(
        "oura_collection_up",
        &[label("collection", &[])],
        |a| each(a, |c| flag(c.up)),
    ),
    help("When the collection was last read.").rows(
        "oura_collection_last_success_timestamp_seconds",
        &[label("collection", &[])],
        |a| each(a, |c| c.last_success.map(|time| time.timestamp() as f64)),
    ),
    help("Whether Oura accepts the account's token, 0 or 1; 0: a person must sign in again.")
        .gauge("oura_account_authorized", |a| flag(a.authorized)),
    help("When the account's access token ends; it is renewed before.")
        .gauge("oura_token_expiry_timestamp_seconds", |a| a.token_expires_at.map(|time| time.timestamp() as f64)),
    help("Whether the account may read the collection, 0 or 1; 0: the scope or the membership is missing.").rows(
        "oura_collection_permitted",
        &[label("collection", &[])],
        |a| each(a, |c| flag(c.permitted)),
    ),
    help("00:00 UTC of the day whose document is shown.")
        .rows("oura_document_day_timestamp_seconds", &[label("collection", &[])], |a| each(a, |c| c.day_seconds(a))),
    help("Days from the shown document's day to the wearer's today, by the wearer's own clock; 0: today's, -1: after a late nap.")
        .rows("oura_document_age_days", &[label("collection", &[])], |a| each(a, |c| c.age_days(a))),
    help("The wearer's offset from UTC, as their newest document tells it, from the first one on.")
        .gauge("oura_wearer_utc_offset_seconds", |a| {
            a.known.zone.map(|seen| f64::from(seen.zone.local_minus_utc()))
        }),
];

/// The metrics of all accounts together.
pub const EXPORTER_METRICS: &[Metric<Vec<Arc<AccountState>>>] = &[help(
    "Until when Oura asked for no requests after a 429, from the first one on.",
)
.gauge("oura_api_rate_limited_until_timestamp_seconds", |accounts| {
    let until = accounts.iter().filter_map(|account| account.rate_limited_until).max();
    until.map(|until| until.timestamp() as f64)
})];
