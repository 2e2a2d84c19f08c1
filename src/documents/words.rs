//! Words that become labels, a hundred for each metric at most: no answer can fill the page with series.

use std::collections::{BTreeMap, BTreeSet};

use super::values::OTHER;
use crate::{
    metric::{Metric, SampleMetric},
    observation::{LabelValue, Observation, Run},
};

/// How many different words of Oura's a metric shows of an account.
const MOST_WORDS: usize = 100;

/// The words that the metrics show so far.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// By metric and label.
    shown: BTreeMap<(&'static str, &'static str), BTreeSet<LabelValue>>,
    /// Whether there were more than are shown.
    pub(super) are_capped: bool,
}

impl Words {
    /// The series of a metric as `view` has them; words beyond the hundred are summed up as `other`.
    pub(super) fn observe<V>(&mut self, metric: &Metric<V>, view: &V) -> Vec<Observation> {
        let mut observations = metric.observe(view);
        let mut is_capped = false;
        for name in metric.free_labels() {
            for observation in &mut observations {
                is_capped |= self.cap(observation.name, &mut observation.labels, name);
            }
        }
        self.are_capped |= is_capped;
        if is_capped { summed(observations) } else { observations }
    }

    /// Samples of `metric`, whose words beyond the hundred are `other`.
    pub(super) fn capped<D>(&mut self, metric: &SampleMetric<D>, mut run: Run) -> Run {
        for name in metric.free_labels() {
            self.are_capped |= self.cap(run.name, &mut run.labels, name);
        }
        run
    }

    /// Puts `other` in the place of a word for which there is none; whether it did.
    fn cap(&mut self, metric: &'static str, labels: &mut [(&'static str, LabelValue)], name: &'static str) -> bool {
        let shown = self.shown.entry((metric, name)).or_default();
        let Some((_, word)) = labels.iter_mut().find(|(label, _)| *label == name) else { return false };
        if shown.contains(word) || word == OTHER {
            return false;
        }
        if shown.len() < MOST_WORDS {
            shown.insert(word.clone());
            return false;
        }
        *word = OTHER.into();
        true
    }
}

/// EvenlySpaced with the same labels are one, with the sum of their values.
fn summed(observations: Vec<Observation>) -> Vec<Observation> {
    let mut sums = BTreeMap::new();
    let name = observations.first().map_or("", |observation| observation.name);
    for Observation { labels, value, .. } in observations {
        *sums.entry(labels).or_insert(0.0) += value;
    }
    sums.into_iter().map(|(labels, value)| Observation { name, labels, value }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::{Row, help, label};

    const METRIC: Metric<Vec<String>> =
        help("Words.").rows("oura_words", &[label("word", &[]), label("kind", &["a"])], |words| {
            words.iter().map(|word| -> Row { (vec![word.clone().into(), "a".into()], 2.0) }).collect()
        });

    fn numbered(numbers: std::ops::Range<usize>) -> Vec<String> {
        numbers.map(|number| format!("word_{number:04}")).collect()
    }

    fn values(words: &mut Words, view: &Vec<String>) -> BTreeMap<String, f64> {
        let observations = words.observe(&METRIC, view);
        observations.into_iter().map(|series| (series.labels[0].1.to_string(), series.value)).collect()
    }

    #[test]
    fn a_hundred_words_have_series_of_their_own_and_the_others_are_summed_up() {
        let mut words = Words::default();
        assert_eq!(values(&mut words, &numbered(0..100)).len(), 100);
        assert!(!words.are_capped);
        let shown = values(&mut Words::default(), &numbered(0..1_000));
        assert_eq!((shown.len(), shown["word_0099"], shown["other"]), (101, 2.0, 1_800.0));
    }

    #[test]
    fn the_hundred_are_of_all_days_together_and_a_word_that_was_other_already_counts_with_them() {
        let mut words = Words::default();
        values(&mut words, &numbered(0..60));
        let mut second = numbered(50..150);
        second.push("other".to_owned());
        let shown = values(&mut words, &second);
        assert_eq!((shown.len(), shown["other"]), (51, 102.0));
        assert!(words.are_capped);
    }
}
