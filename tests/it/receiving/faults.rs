//! What a receiver may do with what it is sent, and which samples that costs: alike for a backfill and for live sending.

use std::{ops::Range, sync::Arc};

use super::receiver::{Behaviour, Receiver, Rule, Trouble};
use crate::common::samples::Samples;

/// Whether a sample of that series and time is meant.
pub(crate) type Which = Arc<dyn Fn(&str, i64) -> bool + Send + Sync>;

/// A receiver that misbehaves, and what is to come of it.
pub(crate) struct Row {
    pub(crate) fault: &'static str,
    pub(crate) behaviour: Behaviour,
    /// What it has before anything is sent.
    pub(crate) has: Vec<(String, i64, f64)>,
    /// Which samples it never takes.
    pub(crate) refuses: Which,
    /// What is said of it.
    pub(crate) says: &'static str,
}

impl Row {
    /// A fault of some samples.
    pub(crate) fn refusing(fault: &'static str, rule: Rule, refuses: Which, says: &'static str) -> Self {
        Self { fault, behaviour: Behaviour { rules: vec![rule], ..Behaviour::default() }, has: vec![], refuses, says }
    }

    /// A fault of the requests with these numbers, which costs nothing.
    pub(crate) fn passing(fault: &'static str, which: Range<usize>, trouble: Trouble, says: &'static str) -> Self {
        let behaviour = Behaviour { troubles: vec![(which, trouble)], ..Behaviour::default() };
        Self { fault, behaviour, has: vec![], refuses: Arc::new(|_, _| false), says }
    }

    /// The receiver.
    pub(crate) async fn receiver(&self) -> Receiver {
        let receiver = Receiver::that(self.behaviour.clone()).await;
        receiver.has(&self.has);
        receiver
    }
}

/// A sample in the midst of the others, of a series that may be meant.
pub(crate) fn in_the_midst(all: &Samples, may_be_meant: impl Fn(&str) -> bool) -> (String, i64, f64) {
    let middle = all.quantile(0.5);
    let (series, time, value) =
        all.all().find(|(series, time, _)| may_be_meant(series) && *time >= middle).expect("one of them");
    (series.to_owned(), time, value)
}

/// Exactly that sample.
pub(crate) fn only(series: &str, time: i64) -> Which {
    let series = series.to_owned();
    Arc::new(move |name, at| name == series && at == time)
}

/// What a sender of `all` can meet; after what passes it says `passed`.
pub(crate) fn rows(all: &Samples, may_be_meant: impl Fn(&str) -> bool, passed: &'static str) -> Vec<Row> {
    let mut rows = refusals(all, in_the_midst(all, may_be_meant));
    rows.extend([
        Row { says: "", ..Row::refusing("413 above 300 samples", Rule::TooLarge(300), Arc::new(|_, _| false), "") },
        Row::passing("429, Retry-After: 1", 1..2, Trouble::Status(429, Some(1)), passed),
        Row::passing("503 twice", 1..3, Trouble::Status(503, None), passed),
        Row::passing("connection cut", 1..2, Trouble::Cut, passed),
        Row::passing("connection cut, samples taken", 1..2, Trouble::CutAfterwards, passed),
    ]);
    rows
}

/// What some samples of `all` can meet for good, `one` among them.
fn refusals(all: &Samples, one: (String, i64, f64)) -> Vec<Row> {
    let bound = all.quantile(0.4);
    let this = only(&one.0, one.1);
    let older: Which = Arc::new({
        let (series, time, _) = one.clone();
        move |name, at| name == series && at < time
    });
    let old: Which = Arc::new(move |_, at| at < bound);
    let wrong = Rule::Samples(400, "invalid sample", Arc::clone(&this));
    let duplicate = Rule::Samples(409, "sample-duplicate-timestamp", Arc::clone(&this));
    let (too_old, not_newest) = ("too old for the receiver", "older than the newest of their series");
    vec![
        Row::refusing("400, one bad sample", wrong, Arc::clone(&this), "the receiver says that they are wrong"),
        Row::refusing("409, another value there", duplicate, this, "already has another value at that time"),
        Row::refusing("400 \"too old sample\"", Rule::too_old(400, bound), Arc::clone(&old), too_old),
        Row::refusing("500 \"too old sample\"", Rule::too_old(500, bound), old, too_old),
        Row { has: vec![one], ..Row::refusing("400 \"out of order sample\"", Rule::OutOfOrder, older, not_newest) },
    ]
}
