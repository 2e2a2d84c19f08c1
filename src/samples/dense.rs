//! The dense samples of a record: each once, in little memory, and with the number of the telling that it is of.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use super::{Series, SeriesPoints};

/// Milliseconds in a day: the samples of a series are kept day by day.
const DAY: i64 = 24 * 3_600_000;
/// And in a second: a dense sample that is told again moves within its own second.
const SECOND: i64 = 1_000;

/// Dense samples by series.
#[derive(Debug, Default)]
pub(super) struct Dense {
    series: BTreeMap<Arc<Series>, BTreeMap<i64, Stretch>>,
    count: usize,
}

/// The samples of a series of one day of UTC, in order of time.
#[derive(Debug, Default)]
struct Stretch {
    /// Milliseconds since the day began.
    times: Vec<u32>,
    values: Vec<f64>,
    /// The numbers of their tellings.
    numbers: Vec<u64>,
}

impl Stretch {
    /// Makes room for so many more and no others: there are hundreds of stretches.
    fn reserve(&mut self, more: usize) {
        self.times.reserve_exact(more);
        self.values.reserve_exact(more);
        self.numbers.reserve_exact(more);
    }

    /// Puts a sample in its place; whether there was none.
    fn put(&mut self, time: u32, value: f64, number: u64) -> bool {
        // Most are newer than all others.
        let place = if self.times.last().is_none_or(|last| *last < time) {
            Err(self.times.len())
        } else {
            self.times.binary_search(&time)
        };
        match place {
            Ok(place) => (self.values[place], self.numbers[place]) = (value, number),
            Err(place) => {
                self.times.insert(place, time);
                self.values.insert(place, value);
                self.numbers.insert(place, number);
            }
        }
        place.is_err()
    }

    /// The times and values of the tellings with these numbers, of the day that begins at `begin`.
    fn of(&self, begin: i64, numbers: Range<u64>) -> impl Iterator<Item = (u64, (i64, f64))> {
        let points = self.times.iter().zip(&self.values).map(move |(time, value)| (begin + i64::from(*time), *value));
        let all = self.numbers.iter().copied().zip(points);
        all.filter(move |(number, _)| numbers.contains(number))
    }
}

/// The day of a time, and the milliseconds from its beginning.
fn split(time: i64) -> (i64, u32) {
    let within = u32::try_from(time.rem_euclid(DAY)).expect("a day has fewer than 2^32 milliseconds");
    (time.div_euclid(DAY), within)
}

impl Dense {
    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.count
    }

    /// Adds points of a series, which the telling of that number told.
    pub(super) fn add(&mut self, series: &Arc<Series>, points: &[(i64, f64)], number: u64) {
        let days = self.series.entry(Arc::clone(series)).or_default();
        for points in points.chunk_by(|(one, _), (next, _)| split(*one).0 == split(*next).0) {
            let stretch = days.entry(split(points[0].0).0).or_default();
            stretch.reserve(points.len());
            for (time, value) in points {
                self.count += usize::from(stretch.put(split(*time).1, *value, number));
            }
        }
    }

    /// The last point within the second that begins at `time`.
    pub(super) fn last_within(&self, series: &Series, time: i64) -> Option<(i64, f64)> {
        let end = time + SECOND;
        let days = self.series.get(series)?.range(split(time).0..=split(end - 1).0).rev();
        let last = |(day, stretch): (&i64, &Stretch)| {
            let begin = day * DAY;
            let after = stretch.times.partition_point(|within| begin + i64::from(*within) < end);
            let place = after.checked_sub(1)?;
            let found = begin + i64::from(stretch.times[place]);
            (found >= time).then(|| (found, stretch.values[place]))
        };
        days.filter_map(last).next()
    }

    /// The points of a series from `from` on and before `to`, in order of time; of one second, the last.
    pub(super) fn between(&self, series: &Series, from: i64, to: i64) -> Vec<(i64, f64)> {
        let Some(days) = self.series.get(series).filter(|_| from < to) else { return vec![] };
        let days = days.range(split(from).0..=split(to).0);
        let all = days.flat_map(|(day, stretch)| stretch.of(day * DAY, 0..u64::MAX)).map(|(_, point)| point);
        let mut points = BTreeMap::new();
        for (time, value) in all.filter(|(time, _)| (from..to).contains(time)) {
            points.insert(time.div_euclid(SECOND), (time, value));
        }
        points.into_values().collect()
    }

    /// The newest time of a metric.
    pub(super) fn newest(&self, metric: &str) -> Option<i64> {
        let of_it = self.series.iter().filter(|(series, _)| series.name == metric);
        let newest = |days: &BTreeMap<i64, Stretch>| {
            let (day, stretch) = days.last_key_value()?;
            Some(day * DAY + i64::from(*stretch.times.last()?))
        };
        of_it.filter_map(|(_, days)| newest(days)).max()
    }

    /// The points of the tellings with these numbers, by number.
    pub(super) fn told(&self, numbers: Range<u64>) -> BTreeMap<u64, Vec<SeriesPoints>> {
        let mut told = BTreeMap::<u64, Vec<SeriesPoints>>::new();
        for (series, days) in &self.series {
            for (number, point) in days.iter().flat_map(|(day, stretch)| stretch.of(day * DAY, numbers.clone())) {
                let of_it = told.entry(number).or_default();
                match of_it.last_mut().filter(|(last, _)| last == series) {
                    Some((_, points)) => points.push(point),
                    None => of_it.push((Arc::clone(series), vec![point])),
                }
            }
        }
        told
    }

    /// The points of the tellings with these numbers, by series and in order of time.
    pub(super) fn points(&self, numbers: Range<u64>) -> impl Iterator<Item = SeriesPoints> {
        self.series.iter().filter_map(move |(series, days)| {
            let days = days.iter().flat_map(|(day, stretch)| stretch.of(day * DAY, numbers.clone()));
            let points: Vec<_> = days.map(|(_, point)| point).collect();
            (!points.is_empty()).then(|| (Arc::clone(series), points))
        })
    }

    /// Forgets the days before `oldest` of which no telling from the number `first` on told anything.
    pub(super) fn forget(&mut self, oldest: i64, first: u64) {
        let day = split(oldest).0;
        for days in self.series.values_mut() {
            days.retain(|of, stretch| {
                let is_kept = *of >= day || stretch.numbers.iter().any(|number| *number >= first);
                self.count -= if is_kept { 0 } else { stretch.times.len() };
                is_kept
            });
        }
        self.series.retain(|_, days| !days.is_empty());
    }
}

/// Dense samples that are to be told.
#[derive(Default)]
pub(super) struct News {
    pub(super) new: BTreeMap<Arc<Series>, BTreeMap<i64, f64>>,
    /// How many more can be remembered.
    pub(super) room: usize,
    pub(super) is_full: bool,
    /// Whether one of them was told before, with another value.
    pub(super) is_revised: bool,
}

impl News {
    /// Adds the sample of a series' second, unless it was told: those are `known`.
    pub(super) fn add(&mut self, series: &Arc<Series>, known: &Dense, second: i64, value: f64) {
        let last = known.last_within(series, second);
        let Some(place) = place_after(last, second, value) else { return };
        if self.room == 0 {
            self.is_full = true;
            return;
        }
        self.room -= 1;
        self.is_revised |= last.is_some();
        self.new.entry(Arc::clone(series)).or_default().insert(place, value);
    }
}

/// Where a dense sample of a second is told of which this was the last; none if that says the same.
pub(super) fn place_after(last: Option<(i64, f64)>, second: i64, value: f64) -> Option<i64> {
    match last {
        Some((_, last)) if last == value => None,
        Some((place, _)) => Some(place + 1),
        None => Some(second),
    }
}

/// Points in milliseconds by their second: of several of one second, the last counts.
pub(super) fn by_second(points: impl IntoIterator<Item = (i64, f64)>) -> BTreeMap<i64, f64> {
    points.into_iter().map(|(time, value)| (time.div_euclid(SECOND) * SECOND, value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &'static str) -> Arc<Series> {
        Arc::new(Series::of("anna", name, vec![]))
    }

    #[test]
    fn samples_are_found_by_their_second_and_by_their_telling() {
        let (met, class) = (series("oura_sample_met"), series("oura_sample_activity_class"));
        let midnight = 20_000 * DAY;
        let mut dense = Dense::default();
        dense.add(&met, &[(midnight - 60_000, 1.0), (midnight, 1.1), (midnight + 60_000, 1.2)], 0);
        dense.add(&class, &[(midnight, 2.0)], 0);
        dense.add(&met, &[(midnight - 120_000, 0.9), (midnight + 1, 1.5)], 3);
        assert_eq!(dense.len(), 6);
        let found = |time| dense.last_within(&met, time);
        assert_eq!(found(midnight), Some((midnight + 1, 1.5)), "the last of that second");
        assert_eq!(found(midnight - 500), Some((midnight + 1, 1.5)), "a second may belong to two days");
        assert_eq!((found(midnight + 1_000), found(midnight - 61_000)), (None, None));
        assert_eq!(found(midnight - 60_000), Some((midnight - 60_000, 1.0)));
        assert_eq!(dense.newest("oura_sample_met"), Some(midnight + 60_000));
        let between = |from, to| dense.between(&met, midnight + from, midnight + to);
        assert_eq!(
            between(-60_000, 60_000),
            [(midnight - 60_000, 1.0), (midnight + 1, 1.5)],
            "the last of each second"
        );
        assert_eq!((between(0, 0), between(1, -1), between(60_001, 90_000)), (vec![], vec![], vec![]));
        assert_eq!(dense.between(&series("oura_sample_movement"), 0, i64::MAX), []);
        let told = dense.told(0..9);
        assert_eq!(told[&3], [(Arc::clone(&met), vec![(midnight - 120_000, 0.9), (midnight + 1, 1.5)])]);
        assert_eq!((told.len(), told[&0].len()), (2, 2));
        assert_eq!(dense.told(1..3).len(), 0);
        let points: Vec<_> = dense.points(0..4).collect();
        assert_eq!(
            points[1].1.iter().map(|(time, _)| time - midnight).collect::<Vec<_>>(),
            [-120_000, -60_000, 0, 1, 60_000]
        );
    }

    #[test]
    fn days_that_nobody_can_ask_for_any_more_are_forgotten() {
        let met = series("oura_sample_met");
        let mut dense = Dense::default();
        for day in 0..3 {
            dense.add(&met, &[(day * DAY, 1.0), (day * DAY + 1, 2.0)], u64::try_from(day).expect("a number"));
        }
        dense.add(&met, &[(60_000, 3.0)], 7);
        dense.forget(2 * DAY + 5, 2);
        assert_eq!((dense.len(), dense.points(0..9).next().map(|(_, points)| points.len())), (5, Some(5)));
        assert!(dense.last_within(&met, DAY).is_none(), "the second day is forgotten");
        assert!(dense.last_within(&met, 0).is_some(), "the first one was told of again");
        dense.forget(3 * DAY, 8);
        assert_eq!((dense.len(), dense.newest("oura_sample_met")), (0, None));
    }
}
