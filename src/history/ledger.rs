//! Which samples of the last days a receiver has: what is in the ledger is never sent again, whatever its value became.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    remote::Batch,
    series::{Lines, Points, Series},
    state::StateFile,
};

/// The times of the samples that are settled, by series.
pub(super) struct Ledger {
    file: Option<StateFile>,
    settled: BTreeMap<String, BTreeSet<i64>>,
}

/// The ledger as it is stored: of each series the first time, and then how much later each next one is.
#[derive(Default, Deserialize, Serialize)]
struct Stored(BTreeMap<String, Vec<i64>>);

impl Ledger {
    /// The ledger in `file`; without one it is forgotten at the end.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub(super) fn open(file: Option<StateFile>) -> anyhow::Result<Self> {
        let Stored(stored) = file.as_ref().map_or(Ok(Stored::default()), StateFile::read)?;
        let times = |steps: Vec<i64>| {
            let add = |sum: &mut i64, step| {
                *sum = sum.saturating_add(step);
                Some(*sum)
            };
            steps.into_iter().scan(0, add).collect()
        };
        Ok(Self { file, settled: stored.into_iter().map(|(series, steps)| (series, times(steps))).collect() })
    }

    /// What of `lines` is not settled.
    pub(super) fn open_of(&self, lines: &Lines) -> Lines {
        let open = lines.iter().filter_map(|(series, points)| {
            let settled = self.settled.get(&key(series));
            let is_open = |time: &i64| settled.is_none_or(|settled| !settled.contains(time));
            let open: BTreeMap<_, _> = points.iter().filter(|(time, _)| is_open(time)).collect();
            (!open.is_empty()).then(|| (series.clone(), Points::Samples(open)))
        });
        open.collect()
    }

    /// Takes note that all of `batch` is settled, and forgets what is older than `oldest`.
    ///
    /// # Errors
    /// Where the file cannot be written; the note holds as long as the process.
    pub(super) fn settle(&mut self, batch: &Batch, oldest: i64) -> anyhow::Result<()> {
        for (series, points) in batch {
            self.settled.entry(key(series)).or_default().extend(points.iter().map(|(time, _)| *time));
        }
        for times in self.settled.values_mut() {
            *times = times.split_off(&oldest);
        }
        self.settled.retain(|_, times| !times.is_empty());
        self.file.as_ref().map_or(Ok(()), |file| file.write(&self.stored()))
    }

    fn stored(&self) -> Stored {
        let steps = |times: &BTreeSet<i64>| {
            let before = [0].into_iter().chain(times.iter().copied());
            times.iter().zip(before).map(|(time, before)| time - before).collect()
        };
        Stored(self.settled.iter().map(|(series, times)| (series.clone(), steps(times))).collect())
    }
}

fn key(series: &Series) -> String {
    let labels = series.labels.iter().map(|(name, value)| format!("{name}={value:?}"));
    format!("{}{{{}}}", series.name, labels.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_settled_stays_so_over_a_restart_and_is_forgotten_in_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let file = StateFile::new(directory.path(), "live", &["http://localhost/".to_owned()]);
        let series = Series::of("anna", "oura_sample_met", vec![]);
        let lines = Lines::from([(series.clone(), Points::Samples([(10, 1.0), (20, 2.0), (30, 3.0)].into()))]);
        let mut ledger = Ledger::open(Some(file.clone())).unwrap();
        ledger.settle(&vec![(series.clone(), vec![(30, 3.0), (10, 1.0)])], 0).unwrap();
        let mut again = Ledger::open(Some(file)).unwrap();
        let open = again.open_of(&lines);
        assert_eq!(open[&series].iter().collect::<Vec<_>>(), [(20, 2.0)]);
        again.settle(&vec![(series.clone(), vec![(20, 2.0)])], 20).unwrap();
        assert!(again.open_of(&lines)[&series].iter().eq([(10, 1.0)]), "older than is kept");
    }
}
