//! A journal that another process has, and lets go of: nothing of what was told meanwhile is lost, and nothing told twice.

use std::{collections::BTreeSet, path::Path};

use chrono::TimeDelta;

use super::{
    Format, JournalIn, Record, SampleStats, Samples,
    journal::Journal,
    tests::{around, at, minutes, morning, run, score},
};
use crate::{
    auth::Store,
    documents::{Reading, kind},
    problem::TokenOrigin,
};

const READINESS: &str = "daily_readiness";
const ACTIVITY: &str = "daily_activity";
const BY_HAND: TokenOrigin<'_> = TokenOrigin::ByHand;

fn samples(state: &Path) -> Samples {
    Samples::new(JournalIn::State(Some(Store::new(state))), SampleStats::new().unwrap())
}

/// Learns that the score of 22 November is `value`, and a dense sample, at so many minutes after the morning.
fn learn(samples: &Samples, value: f64, later: i64) {
    let now = morning() + minutes(later);
    let key = samples.keep("anna", BY_HAND, now);
    let reading = Reading { days: vec![score("2026-11-22", value)], ..Reading::default() };
    samples.learn(&key, kind(READINESS).unwrap(), &reading, around(), now);
    let rows =
        run(&[(&at("2026-11-22T05:00:00Z").checked_add_signed(minutes(later % 50)).unwrap().to_rfc3339(), value)]);
    samples.learn_dense(&key, kind(ACTIVITY).unwrap(), |take| take(rows), now);
}

/// The lines of the record.
fn lines(samples: &Samples, later: i64) -> Vec<String> {
    let page = samples.page(None, Format::OpenMetrics, false, TimeDelta::days(2), morning() + minutes(later));
    let page = String::from_utf8(page.to_vec()).unwrap();
    page.lines().filter(|line| line.starts_with("oura_sample_")).map(str::to_owned).collect()
}

/// What the journal says, read by another process.
fn journal(state: &Path, later: i64) -> Record {
    Journal::glance(&Store::new(state), "anna", BY_HAND, morning() + minutes(later))
}

/// What this process told is there, but for a score that was `old` when the journal became free, and no score is there twice.
fn assert_has_all_once(after: &[String], before: &[String], old: Option<&str>) {
    // Both may have told the same at different times, of which one is enough.
    let without_time = |line: &String| line.rsplit_once(' ').unwrap().0.to_owned();
    let all: Vec<_> = after.iter().map(without_time).collect();
    for line in before {
        let is_old = line.contains("score") && old.is_some_and(|old| line.contains(old));
        assert!(is_old || all.contains(&without_time(line)), "{line} is lost: {after:#?}");
    }
    let scores: Vec<_> = all.iter().filter(|line| line.contains("score")).collect();
    assert_eq!(scores.iter().collect::<BTreeSet<_>>().len(), scores.len(), "a score is there twice: {scores:#?}");
    assert!(after.windows(2).all(|pair| pair[0] != pair[1]), "a line is there twice: {after:#?}");
}

#[test]
fn what_was_told_while_another_process_had_the_journal_is_in_it_once_after_that() {
    // What each of the two saw last: the same; something newer here; something newer there, after which ours is old.
    for (theirs, ours, last) in [(71.0, 71.0, 71.0), (71.0, 72.0, 72.0), (73.0, 72.0, 73.0)] {
        let state = tempfile::tempdir().unwrap();
        let first = samples(state.path());
        learn(&first, 70.0, 0);
        let second = samples(state.path());
        second.keep("anna", BY_HAND, morning() + minutes(5));
        assert_eq!(lines(&second, 5), lines(&first, 5), "it begins with what the other one has told");
        let is_theirs_later = theirs > ours;
        for own in [!is_theirs_later, is_theirs_later] {
            if own { learn(&first, theirs, if is_theirs_later { 61 } else { 30 }) } else { learn(&second, ours, 60) }
        }
        second.take_up(morning() + minutes(61));
        let (before, foreign) = (lines(&second, 61), lines(&first, 61));
        assert!(journal(state.path(), 61).count_since(0) == foreign.len(), "it is left to the process that has it");
        drop(first);
        second.take_up(morning() + minutes(62));
        let after = lines(&second, 62);
        assert!(foreign.iter().all(|line| after.contains(line)), "{theirs} {ours}: {foreign:#?} and not {after:#?}");
        assert_has_all_once(&after, &before, is_theirs_later.then_some(" 72 "));
        let said = journal(state.path(), 62);
        assert_eq!(said.points(said.numbers()).values().map(Vec::len).sum::<usize>(), after.len(), "{after:#?}");
        let score = said.documents(READINESS).next().unwrap().1;
        assert!(score.values.values().any(|value| *value == last), "{theirs} {ours}: {score:?}");
        learn(&second, 75.0, 130);
        let said = journal(state.path(), 130);
        assert!(said.documents(READINESS).next().unwrap().1.values.values().any(|value| *value == 75.0), "it goes on");
        drop(second);
        let restarted = samples(state.path());
        restarted.keep("anna", BY_HAND, morning() + minutes(131));
        learn(&restarted, 75.0, 130);
        assert_eq!(said.count_since(0), journal(state.path(), 131).count_since(0), "and a restart tells nothing again");
    }
}

#[test]
fn a_journal_that_cannot_be_used_when_it_is_free_leaves_the_record_in_memory() {
    let state = tempfile::tempdir().unwrap();
    let first = samples(state.path());
    learn(&first, 70.0, 0);
    let second = samples(state.path());
    learn(&second, 71.0, 60);
    drop(first);
    let path = state.path().join("samples/anna.journal");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    second.take_up(morning() + minutes(61));
    let told = lines(&second, 61);
    assert!(told.iter().any(|line| line.contains(" 71 ")), "{told:#?}");
    std::fs::remove_dir(&path).unwrap();
    second.take_up(morning() + minutes(62));
    assert_eq!(lines(&second, 62), told, "what is there stays until a restart");
}
