//! Samples by series and time, as a receiver takes them and as files of OpenMetrics have them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use super::wire::Parsed;

/// Series as OpenMetrics writes them, and their values by milliseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Samples(BTreeMap<String, BTreeMap<i64, f64>>);

impl Samples {
    /// Adds one; the value that is there already, if it is another.
    pub(crate) fn add(&mut self, series: &str, time: i64, value: f64) -> Option<f64> {
        if !self.0.contains_key(series) {
            self.0.insert(series.to_owned(), BTreeMap::new());
        }
        let known = *self.0.get_mut(series)?.entry(time).or_insert(value);
        (known.to_bits() != value.to_bits()).then_some(known)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, i64, f64)> {
        self.0.iter().flat_map(|(series, times)| times.iter().map(|(time, value)| (series.as_str(), *time, *value)))
    }

    pub(crate) fn series(&self) -> impl Iterator<Item = (&str, usize)> {
        self.0.iter().map(|(series, times)| (series.as_str(), times.len()))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.values().map(BTreeMap::len).sum()
    }

    /// The newest time of a series.
    pub(crate) fn newest(&self, series: &str) -> Option<i64> {
        self.0.get(series)?.keys().next_back().copied()
    }

    /// The time before which that share of the samples lies.
    pub(crate) fn quantile(&self, share: f64) -> i64 {
        let mut times: Vec<_> = self.all().map(|(_, time, _)| time).collect();
        times.sort_unstable();
        times[(times.len() as f64 * share) as usize]
    }

    /// Those of which `fits` is true.
    pub(crate) fn only(&self, fits: impl Fn(&str, i64) -> bool) -> Self {
        let mut only = Self::default();
        for (series, time, value) in self.all().filter(|(series, time, _)| fits(series, *time)) {
            only.add(series, time, value);
        }
        only
    }

    /// Adds all of `other`; no time may get a second value.
    pub(crate) fn join(mut self, other: &Self) -> Self {
        for (series, time, value) in other.all() {
            let known = self.add(series, time, value);
            assert_eq!(known, None, "{series} at {time}: {value}, and in the other file another");
        }
        self
    }

    /// How many there are that `other` has not, or has with another value.
    pub(crate) fn beyond(&self, other: &Self) -> usize {
        let has = |series: &str, time, value: f64| {
            other.0.get(series).and_then(|times| times.get(&time)).is_some_and(|known| *known == value)
        };
        self.all().filter(|(series, time, value)| !has(series, *time, *value)).count()
    }

    /// The very same samples; what is missing and what is too much is named.
    pub(crate) fn assert_same(&self, expected: &Self, what: &str) {
        let (lost, new) = (expected.beyond(self), self.beyond(expected));
        let first =
            expected.all().find(|(series, time, _)| self.0.get(*series).is_none_or(|at| !at.contains_key(time)));
        assert!(lost == 0 && new == 0, "{what}: {lost} of {} lost, as {first:?}; {new} beyond", expected.len());
    }

    /// The lines of a text that is whole.
    pub(crate) fn of_text(text: &str) -> Self {
        assert!(text.ends_with("# EOF\n") && text.matches("# EOF").count() == 1, "it has its one end");
        let mut samples = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let mut parts = line.rsplitn(3, ' ');
            let (time, value) = (parts.next().expect("a time"), parts.next().expect("a value"));
            let time = (time.parse::<f64>().expect("seconds") * 1000.0).round() as i64;
            let known = samples.add(parts.next().expect("a series"), time, value.parse().expect("a number"));
            assert_eq!(known, None, "two values: {line}");
        }
        samples
    }

    /// The lines of all files of a directory, which are whole.
    pub(crate) fn of_files(directory: &Path) -> Self {
        let text = |path: &PathBuf| fs::read_to_string(path).expect("a file");
        files(directory).iter().fold(Self::default(), |all, path| all.join(&Self::of_text(&text(path))))
    }
}

/// All files of a directory, in the order of their names.
pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(directory).expect("a directory").flatten().map(|entry| entry.path()).collect();
    files.sort();
    files
}

/// Which samples were sent, and how many in all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) times: BTreeSet<i64>,
    pub(crate) samples: usize,
}

impl Sent {
    pub(crate) fn note(&mut self, parsed: &Parsed) {
        self.samples += parsed.samples().count();
        self.times.extend(parsed.samples().map(|(_, time, _)| time));
    }
}
