//! What is to be done about the subscriptions: which are missing, which are ours and need mending, which are another's.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    api::{Pair, Subscription},
    event::Change,
};

/// A subscription that ends within this time is renewed.
const RENEW_WITHIN: TimeDelta = TimeDelta::days(7);

/// What tells our subscriptions from others.
#[derive(Clone, Debug, Default)]
pub(super) struct Own {
    /// Where the callback is now.
    pub(super) url: String,
    /// Where it was before.
    pub(super) before: Vec<String>,
    /// The subscriptions that were made with the present token.
    pub(super) ids: BTreeSet<String>,
}

impl Own {
    /// Whether that subscription is ours.
    pub(super) fn has(&self, one: &Subscription) -> bool {
        one.callback_url == self.url || self.before.contains(&one.callback_url)
    }

    /// Whether it is as it should be.
    fn is_current(&self, one: &Subscription) -> bool {
        one.callback_url == self.url && self.ids.contains(&one.id)
    }
}

/// One thing to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Make(Pair),
    Mend(String, Pair),
    Renew(String, Pair),
}

impl Step {
    /// What the subscription is of.
    pub(super) const fn pair(&self) -> Pair {
        match self {
            Self::Make(pair) | Self::Mend(_, pair) | Self::Renew(_, pair) => *pair,
        }
    }

    /// What it does to a subscription.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Make(_) => "make",
            Self::Mend(..) => "change",
            Self::Renew(..) => "renew",
        }
    }
}

/// What is to be done, and what is well.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    /// Those that work now, each with its end.
    pub(super) active: Vec<(Pair, Option<DateTime<Utc>>)>,
    /// Those that another program has.
    pub(super) foreign: Vec<Subscription>,
}

/// Every pair that is wanted of these data types.
pub(super) fn wanted(data_types: impl Iterator<Item = &'static str>) -> Vec<Pair> {
    data_types.flat_map(|data_type| Change::ALL.map(|change| (data_type, change))).collect()
}

impl Plan {
    /// The plan for what was `found` at Oura.
    pub(super) fn new(wanted: &[Pair], found: &[Subscription], own: &Own, now: DateTime<Utc>) -> Self {
        let mut plan = Self::default();
        for pair in wanted {
            let of_pair = |one: &&Subscription| one.data_type == pair.0 && one.event_type == pair.1.word();
            let mut others = found.iter().filter(of_pair).peekable();
            match others.clone().find(|one| own.has(one)) {
                Some(one) => plan.keep(*pair, one, own, now),
                None if others.peek().is_some() => plan.foreign.extend(others.cloned()),
                None => plan.steps.push(Step::Make(*pair)),
            }
        }
        plan
    }

    fn keep(&mut self, pair: Pair, one: &Subscription, own: &Own, now: DateTime<Utc>) {
        let (id, end) = (one.id.clone(), one.ends_at());
        if !own.is_current(one) {
            self.steps.push(Step::Mend(id.clone(), pair));
        } else if end.is_none_or(|end| end > now) {
            self.active.push((pair, end));
        }
        if end.is_none_or(|end| end - now < RENEW_WITHIN) {
            self.steps.push(Step::Renew(id, pair));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const URL: &str = "https://oura.example/webhook";
    const SLEEP: Pair = ("sleep", Change::Update);

    fn found(id: &str, url: &str, end: &str) -> Subscription {
        let text = json!({
            "id": id, "callback_url": url, "data_type": "sleep", "event_type": "update", "expiration_time": end,
        });
        serde_json::from_value(text).unwrap()
    }

    fn plan(found: &[Subscription]) -> Plan {
        let own = Own {
            url: URL.to_owned(),
            before: vec!["https://old.example/".to_owned()],
            ids: BTreeSet::from(["a".to_owned()]),
        };
        Plan::new(&[SLEEP], found, &own, "2026-11-22T12:00:00Z".parse().unwrap())
    }

    #[test]
    fn each_subscription_is_made_mended_renewed_or_left_alone() {
        const LATE: &str = "2027-01-01T00:00:00";
        let (mend, renew) = (|id: &str| Step::Mend(id.to_owned(), SLEEP), |id: &str| Step::Renew(id.to_owned(), SLEEP));
        for (one, steps, active) in [
            (None, vec![Step::Make(SLEEP)], 0),
            (Some(found("a", URL, LATE)), vec![], 1),
            (Some(found("a", URL, "2026-11-29T12:00:00")), vec![], 1),
            (Some(found("a", URL, "2026-11-29T11:59:59.999")), vec![renew("a")], 1),
            (Some(found("a", URL, "2026-11-22T11:00:00Z")), vec![renew("a")], 0),
            (Some(found("a", URL, "soon")), vec![renew("a")], 1),
            (Some(found("b", URL, LATE)), vec![mend("b")], 0),
            (Some(found("a", "https://old.example/", LATE)), vec![mend("a")], 0),
            (Some(found("b", "https://old.example/", "2026-11-23T00:00:00")), vec![mend("b"), renew("b")], 0),
        ] {
            let found: Vec<_> = one.clone().into_iter().collect();
            let plan = plan(&found);
            assert_eq!((plan.steps, plan.active.len(), plan.foreign.len()), (steps, active, 0), "{one:?}");
        }
    }

    #[test]
    fn anothers_is_never_touched_and_stands_in_nobodys_way_who_has_one_as_well() {
        for url in ["https://other.example/", "https://oura.example/webhook/", "not an address"] {
            let other = found("x", url, "2026-11-23T00:00:00");
            let alone = plan(std::slice::from_ref(&other));
            assert_eq!((alone.steps, alone.active, alone.foreign), (vec![], vec![], vec![other.clone()]), "{url}");
            let both = plan(&[other, found("a", URL, "2027-01-01T00:00:00")]);
            assert_eq!((both.steps.len(), both.active.len(), both.foreign.len()), (0, 1, 0), "{url}");
        }
    }
}
