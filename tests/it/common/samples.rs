//! Samples by series and time, as a receiver takes them, as files of OpenMetrics have them, and as a store holds them.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use chrono::Utc;

use super::stores::{Labels, Store};

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
        let fitting = |(series, times): (&String, &BTreeMap<i64, f64>)| {
            let those = times.iter().filter(|(time, _)| fits(series, **time));
            let those: BTreeMap<_, _> = those.map(|(time, value)| (*time, *value)).collect();
            (!those.is_empty()).then(|| (series.clone(), those))
        };
        Self(self.0.iter().filter_map(fitting).collect())
    }

    /// Adds all of `other`; no time may get a second value.
    pub(crate) fn join(mut self, other: &Self) -> Self {
        for (series, times) in &other.0 {
            let Some(known) = self.0.get_mut(series) else {
                self.0.insert(series.clone(), times.clone());
                continue;
            };
            for (time, value) in times {
                let known = *known.entry(*time).or_insert(*value);
                let are_same = known.to_bits() == value.to_bits();
                assert!(are_same, "{series} at {time}: {value}, and {known} in the other file");
            }
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

    /// How many samples each metric has.
    pub(crate) fn counts(&self) -> BTreeMap<String, f64> {
        let mut counts = BTreeMap::new();
        for (series, points) in self.series() {
            let (name, _) = series.split_once('{').expect("labels");
            *counts.entry(name.to_owned()).or_default() += points as f64;
        }
        counts
    }

    /// The lines of a text that a backfill wrote; it must end as such, and each series must be in order.
    pub(crate) fn of_text(text: &str) -> Self {
        assert!(text.ends_with("\n# EOF\n"), "it ends with {:?}", &text[text.len().saturating_sub(80)..]);
        assert_eq!(text.matches("# EOF").count(), 1, "one end");
        let parts = |line| -> Option<(&str, &str, &str)> {
            let (rest, time) = str::rsplit_once(line, ' ')?;
            rest.rsplit_once(' ').map(|(series, value)| (series, value, time))
        };
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let lines: Vec<_> = lines.map(|line| parts(line).unwrap_or_else(|| panic!("{line}"))).collect();
        let mut samples = Self::default();
        // One look-up for the lines of a series that follow each other, which are nearly all.
        for of_one in lines.chunk_by(|one, next| one.0 == next.0) {
            let series = of_one[0].0;
            assert!(series.starts_with("oura_") && series.ends_with('}'), "{series}");
            let known = samples.0.entry(series.to_owned()).or_default();
            let mut last = known.keys().next_back().copied();
            for (_, value, time) in of_one {
                let time = (time.parse::<f64>().expect("seconds") * 1000.0).round() as i64;
                assert!(last.is_none_or(|last| last < time), "not in order: {series} {value} {time}");
                last = Some(time);
                known.insert(time, value.parse().expect("a number"));
            }
        }
        samples
    }

    /// The lines of a file.
    pub(crate) fn of_file(path: &Path) -> Self {
        Self::of_text(&fs::read_to_string(path).expect("a file"))
    }

    /// The lines of all files of a directory; where a run went on, they may tell the same twice.
    pub(crate) fn of_files(directory: &Path) -> Self {
        files(directory).iter().fold(Self::default(), |all, path| all.join(&Self::of_file(path)))
    }

    /// The lines of all files of a run, each of which goes on where the one before ended.
    pub(crate) fn of_run(directory: &Path) -> Self {
        files(directory).iter().fold(Self::default(), |all, path| {
            let next = Self::of_file(path);
            for (series, times) in &next.0 {
                let follows = all.newest(series) < times.keys().next().copied();
                assert!(follows, "{}: {series} does not go on where the file before ended", path.display());
            }
            all.join(&next)
        })
    }

    /// All that a store holds of ours in the last thirty days.
    pub(crate) async fn of_store(store: &Store) -> Self {
        let mut samples = Self::default();
        for (labels, points) in store.samples(r#"{__name__=~"oura_.+"}"#, "30d", Utc::now()).await {
            let series = named(&labels);
            for (time, value) in points {
                samples.add(&series, time, value);
            }
        }
        samples
    }
}

/// A series as OpenMetrics writes it.
fn named(labels: &Labels) -> String {
    let quoted = |value: &str| value.replace('\\', r"\\").replace('"', "\\\"");
    let others = labels.iter().filter(|(name, _)| *name != "__name__");
    let others: Vec<_> = others.map(|(name, value)| format!("{name}=\"{}\"", quoted(value))).collect();
    format!("{}{{{}}}", labels["__name__"], others.join(","))
}

/// The files of a backfill, in order of time.
pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    // The name of the first, partial month is that of its first day, and so sorts by its date too.
    files.sort_by_key(|path| path.file_stem().map(OsStr::to_owned));
    files
}
