//! A name that changes hands: nothing of one person is told, or left, in the record of another one.

use chrono::TimeDelta;

use super::{
    Format, JournalIn, SampleStats, Samples,
    tests::{morning, run},
};
use crate::documents::kind;

const HEART_RATE: &str = "heartrate";

fn samples(journals: JournalIn) -> Samples {
    Samples::new(journals, SampleStats::new().unwrap())
}

/// The samples of the last hours.
fn page(samples: &Samples) -> String {
    let page = samples.page(Format::OpenMetrics, false, TimeDelta::hours(12), morning());
    String::from_utf8(page.to_vec()).unwrap()
}

#[test]
fn what_was_asked_for_one_person_is_not_told_of_the_next_one_however_long_it_takes_to_read() {
    let state = tempfile::tempdir().unwrap();
    for (journals, hands) in [
        (JournalIn::Nowhere, 1),
        (JournalIn::State(Some(state.path().to_owned())), 1),
        (JournalIn::State(Some(state.path().to_owned())), 2),
    ] {
        let samples = samples(journals);
        let alices = samples.keep("anna", morning());
        for _ in 0..hands {
            samples.forget("anna");
            samples.keep("anna", morning());
        }
        let bobs = samples.keep("anna", morning());
        let hers = run(&[("2026-11-22T05:00:00Z", 61.0), ("2026-11-22T05:01:00Z", 62.0)]);
        samples.learn_dense(&alices, kind(HEART_RATE).unwrap(), |take| take(hers), morning());
        assert!(!page(&samples).contains("oura_sample"), "{}", page(&samples));
        let journal = samples.journal("anna").unwrap();
        assert_eq!(samples.count_since("anna", &journal, 0), 0);
        let his = run(&[("2026-11-22T05:00:00Z", 51.0)]);
        samples.learn_dense(&bobs, kind(HEART_RATE).unwrap(), |take| take(his), morning());
        assert_eq!(samples.count_since("anna", &journal, 0), 1, "and his own are told");
        samples.forget("anna");
    }
}
