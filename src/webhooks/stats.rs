//! What webhooks tell of themselves: events by result, whether they flow for each account, and the subscriptions.

use std::{collections::HashMap, sync::Arc};

use prometheus::{
    IntCounterVec, IntGaugeVec, Opts,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use super::inbox::Inbox;
use crate::{metric::SelfMetric, observation::ACCOUNT_LABEL};

const EVENTS: SelfMetric = SelfMetric {
    name: "oura_webhook_events_total",
    help: "What came to the callback by result; accepted: its collection is asked for at once.",
    labels: &["result"],
};
const LAST: SelfMetric = SelfMetric {
    name: "oura_webhook_last_event_timestamp_seconds",
    help: "When Oura last told of the account, from the first event on.",
    labels: &[ACCOUNT_LABEL],
};
const SILENT: SelfMetric = SelfMetric {
    name: "oura_webhook_silent",
    help: "1: no event of the account has come for longer than usual, or for 36 hours since the start; else 0. How it is polled \
           is in oura_webhook_hourly_collections.",
    labels: &[ACCOUNT_LABEL],
};
const HOURLY: SelfMetric = SelfMetric {
    name: "oura_webhook_hourly_collections",
    help: "Collections of the account that are polled once an hour at most because events tell of them; 0: all are polled as \
           without webhooks, as after a start until the first event, in silence, and without subscriptions.",
    labels: &[ACCOUNT_LABEL],
};
const WAITING: SelfMetric = SelfMetric {
    name: "oura_webhook_waiting_collections",
    help: "Collections of all accounts of which Oura has told and which are not asked for yet.",
    labels: &[],
};
const SUBSCRIPTIONS: SelfMetric = SelfMetric {
    name: "oura_webhook_subscriptions",
    help: "Subscriptions by state; active: ours, and they work; missing: not made yet, or refused; foreign: another program has them.",
    labels: &["state"],
};
const EXPIRY: SelfMetric = SelfMetric {
    name: "oura_webhook_subscription_expiry_timestamp_seconds",
    help: "When the first of our active subscriptions ends; it is renewed seven days before.",
    labels: &[],
};
/// The metrics of webhooks; they are there only where they are on.
pub const WEBHOOKS: &[SelfMetric] = &[EVENTS, LAST, SILENT, HOURLY, WAITING, SUBSCRIPTIONS, EXPIRY];

/// What became of a request to the callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Accepted,
    Duplicate,
    Ignored,
    UnknownUser,
    Forged,
    Late,
    Unreadable,
    TooLarge,
    Slow,
    Verified,
    Refused,
}

impl Outcome {
    const ALL: [Self; 11] = [
        Self::Accepted,
        Self::Duplicate,
        Self::Ignored,
        Self::UnknownUser,
        Self::Forged,
        Self::Late,
        Self::Unreadable,
        Self::TooLarge,
        Self::Slow,
        Self::Verified,
        Self::Refused,
    ];

    const fn label(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Ignored => "ignored",
            Self::UnknownUser => "unknown_user",
            Self::Forged => "forged",
            Self::Late => "late",
            Self::Unreadable => "unreadable",
            Self::TooLarge => "too_large",
            Self::Slow => "slow",
            Self::Verified => "verified",
            Self::Refused => "refused",
        }
    }
}

/// How many subscriptions there are of each state, and when the first ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) active: i64,
    pub(super) missing: i64,
    pub(super) foreign: i64,
    pub(super) expiry: Option<i64>,
}

/// What webhooks tell of themselves.
#[derive(Clone)]
pub struct WebhookStats {
    inbox: Arc<Inbox>,
    events: IntCounterVec,
    subscriptions: IntGaugeVec,
    expiry: IntGaugeVec,
    by_account: [Desc; 3],
    waiting: Desc,
}

fn description(own: &SelfMetric) -> Result<Desc, prometheus::Error> {
    let labels = own.labels.iter().map(|label| (*label).to_owned()).collect();
    Desc::new(own.name.to_owned(), own.help.to_owned(), labels, HashMap::new())
}

impl WebhookStats {
    /// Counters at zero.
    ///
    /// # Errors
    /// None in practice: the names are constants.
    pub fn new(inbox: Arc<Inbox>) -> Result<Self, prometheus::Error> {
        let options = |own: &SelfMetric| Opts::new(own.name, own.help);
        let events = IntCounterVec::new(options(&EVENTS), EVENTS.labels)?;
        for outcome in Outcome::ALL {
            events.with_label_values(&[outcome.label()]);
        }
        Ok(Self {
            inbox,
            events,
            subscriptions: IntGaugeVec::new(options(&SUBSCRIPTIONS), SUBSCRIPTIONS.labels)?,
            expiry: IntGaugeVec::new(options(&EXPIRY), EXPIRY.labels)?,
            by_account: [description(&LAST)?, description(&SILENT)?, description(&HOURLY)?],
            waiting: description(&WAITING)?,
        })
    }

    pub(super) fn event(&self, outcome: Outcome) {
        self.events.with_label_values(&[outcome.label()]).inc();
    }

    pub(super) fn subscriptions(&self, counts: Counts) {
        for (state, count) in [("active", counts.active), ("missing", counts.missing), ("foreign", counts.foreign)] {
            self.subscriptions.with_label_values(&[state]).set(count);
        }
        self.expiry.reset();
        if let Some(expiry) = counts.expiry {
            self.expiry.with_label_values(&[] as &[&str]).set(expiry);
        }
    }

    fn parts(&self) -> [&dyn Collector; 3] {
        [&self.events, &self.subscriptions, &self.expiry]
    }

    /// What stands in the inbox now; it changes by time alone, too.
    fn of_accounts(&self) -> Result<Vec<MetricFamily>, prometheus::Error> {
        let gauge = |own: &SelfMetric| IntGaugeVec::new(Opts::new(own.name, own.help), own.labels);
        let (last, silent, hourly, waiting) = (gauge(&LAST)?, gauge(&SILENT)?, gauge(&HOURLY)?, gauge(&WAITING)?);
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let mut sum = 0;
        for standing in self.inbox.standings() {
            let account = &[standing.account.as_str()];
            if let Some(time) = standing.last {
                last.with_label_values(account).set(time.timestamp());
            }
            silent.with_label_values(account).set(i64::from(standing.is_silent));
            hourly.with_label_values(account).set(count(standing.hourly));
            sum += count(standing.waiting);
        }
        waiting.with_label_values(&[] as &[&str]).set(sum);
        Ok([last.collect(), silent.collect(), hourly.collect(), waiting.collect()].concat())
    }
}

impl Collector for WebhookStats {
    fn desc(&self) -> Vec<&Desc> {
        let own = self.by_account.iter().chain([&self.waiting]);
        self.parts().into_iter().flat_map(Collector::desc).chain(own).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let own = self.of_accounts().unwrap_or_default();
        self.parts().into_iter().flat_map(Collector::collect).chain(own).collect()
    }
}
