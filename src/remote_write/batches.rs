//! Cutting history into requests: in order of time, of one class of age each, and none too large.

use std::sync::Arc;

use super::Batch;
use crate::samples::Lines;

/// The most samples in a request.
const MOST: usize = 5_000;
/// A day in milliseconds; a request is of one.
const DAY: i64 = 24 * 3_600_000;
/// What is younger than this, in milliseconds, a receiver takes that takes nothing old: it goes apart.
const YOUNG: i64 = 3_600_000;

/// A request's worth of points, and the time before which everything is in it or in those before it.
pub(crate) struct Slice {
    pub(crate) batch: Batch,
    pub(crate) until: i64,
}

/// The points of `lines` from `from` until `until`, in requests.
pub(crate) fn batches(lines: &Lines, from: i64, until: i64, now: i64) -> impl Iterator<Item = Slice> {
    let first = lines.values().filter_map(|points| Some(*points.range(from..until).next()?.0)).min();
    let last = lines.values().filter_map(|points| Some(*points.range(from..until).next_back()?.0)).max();
    let (mut begin, until) = (first.unwrap_or(until), last.map_or(until, |last| last + 1));
    let days = std::iter::from_fn(move || {
        let next = (begin.div_euclid(DAY) + 1).saturating_mul(DAY).min(until);
        let next = if begin < now - YOUNG { next.min(now - YOUNG) } else { next };
        let stretch = (begin, next);
        begin = next;
        (stretch.0 < stretch.1).then_some(stretch)
    });
    days.flat_map(move |(from, until)| stretch(lines, from, until))
}

fn stretch(lines: &Lines, from: i64, until: i64) -> Vec<Slice> {
    let mut times: Vec<i64> =
        lines.values().flat_map(|points| points.range(from..until)).map(|(time, _)| *time).collect();
    times.sort_unstable();
    let mut slices = Vec::new();
    let mut begin = from;
    while begin < until {
        let left = times.partition_point(|time| *time < begin);
        // All points of one moment go together, so a slice may hold a few more than the most.
        let end = times.get(left + MOST).map_or(until, |time| (*time).max(begin + 1));
        let batch = slice(lines, begin, end);
        if !batch.is_empty() {
            slices.push(Slice { batch, until: end });
        }
        begin = end;
    }
    slices
}

fn slice(lines: &Lines, from: i64, until: i64) -> Batch {
    let cut = lines.iter().map(|(series, points)| {
        (series, points.range(from..until).map(|(time, value)| (*time, *value)).collect::<Vec<_>>())
    });
    cut.filter(|(_, points)| !points.is_empty()).map(|(series, points)| (Arc::clone(series), points)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Series;

    #[test]
    fn it_ends_with_the_last_point_and_not_with_time() {
        let one = Lines::from([(Arc::new(Series::of("anna", "oura_a", vec![])), [(DAY, 1.0)].into())]);
        assert_eq!(
            batches(&one, i64::MIN / 4, i64::MAX / 4, DAY).map(|slice| slice.until).collect::<Vec<_>>(),
            [DAY + 1]
        );
        assert_eq!(batches(&Lines::new(), i64::MIN / 4, i64::MAX / 4, DAY).count(), 0);
    }

    #[test]
    fn everything_once_in_order_and_each_request_within_one_day_and_class() {
        let of = |name| Arc::new(Series::of("anna", name, vec![]));
        let steady = (0..3 * DAY).step_by(10_000).map(|time| (time, 1.0)).collect();
        let samples = (0..1000).map(|i| (DAY + i * 7_000, f64::from(i as i32))).collect();
        let lines = Lines::from([(of("oura_a"), steady), (of("oura_b"), samples)]);
        let now = 3 * DAY - 1;
        let slices: Vec<_> = batches(&lines, DAY / 2, 3 * DAY, now).collect();
        let count: usize = slices.iter().flat_map(|slice| &slice.batch).map(|(_, points)| points.len()).sum();
        assert_eq!(count, usize::try_from(DAY * 5 / 2 / 10_000).unwrap() + 1000);
        let mut before = 0;
        for Slice { batch, until } in &slices {
            let times: Vec<i64> = batch.iter().flat_map(|(_, points)| points.iter().map(|(time, _)| *time)).collect();
            let (first, last) = (times.iter().min().unwrap(), times.iter().max().unwrap());
            assert!(before <= *first && last < until && times.len() <= MOST + 2, "{first} {last} {}", times.len());
            assert_eq!(first / DAY, last / DAY, "one day");
            assert_eq!(*first < now - YOUNG, *last < now - YOUNG, "one class");
            before = *until;
        }
    }
}
