//! The record by hand: what is told, when, and what a restart knows of it.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::{Place, Record, Series, Telling, Told, journal::Journal};
use crate::{
    auth::Store,
    documents::DayFacts,
    observation::{DateRange, LabelValue, Observation, Run},
    problem::TokenOrigin,
};

const SCORE: &str = "oura_sample_readiness_score";
const WORKOUTS: &str = "oura_sample_day_workouts";

pub(super) fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub(super) fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

pub(super) fn minutes(count: i64) -> TimeDelta {
    TimeDelta::minutes(count)
}

/// The morning on which everything is learnt first.
pub(super) fn morning() -> DateTime<Utc> {
    at("2026-11-22T06:53:00Z")
}

pub(super) fn around() -> DateRange {
    DateRange { first: day("2026-11-08"), last: day("2026-11-23") }
}

/// A metric, its labels and its value.
type Value<'a> = (&'static str, &'a [(&'static str, &'static str)], f64);

fn facts(of: &str, values: &[Value<'_>]) -> DayFacts {
    let observation = |(name, labels, value): &Value<'_>| Observation {
        name,
        labels: labels.iter().map(|(name, value)| (*name, LabelValue::from(*value))).collect(),
        value: *value,
    };
    DayFacts { day: day(of), observations: values.iter().map(observation).collect() }
}

pub(super) fn score(of: &str, value: f64) -> DayFacts {
    facts(of, &[(SCORE, &[], value)])
}

fn learn(record: &mut Record, facts: &[DayFacts], now: DateTime<Utc>) -> Vec<(i64, f64)> {
    let told = record.learn("daily_readiness", facts, &[], around(), now);
    told.into_iter().flat_map(|telling| telling.told).flat_map(|(_, points)| points).collect()
}

fn anna() -> Record {
    Record::new("anna", morning())
}

#[test]
fn a_value_is_told_once_and_again_when_it_changed() {
    let (mut record, now) = (anna(), morning());
    let begin = Place::Day(day("2026-11-22")).begin();
    assert_eq!(learn(&mut record, &[score("2026-11-22", 71.0)], now), [(begin + 412, 71.0)]);
    assert!(learn(&mut record, &[score("2026-11-22", 71.0)], now + minutes(20)).is_empty());
    assert!(learn(&mut record, &[score("2026-11-22", 74.0)], now + minutes(14)).is_empty(), "not sooner");
    assert_eq!(learn(&mut record, &[score("2026-11-22", 74.0)], now + minutes(15)), [(begin + 427, 74.0)]);
    assert_eq!(learn(&mut record, &[score("2026-11-22", 71.0)], now + minutes(90)), [(begin + 502, 71.0)], "and back");
    assert_eq!(record.revisions()["daily_readiness"], 2);
}

#[test]
fn of_a_revised_document_only_what_changed_is_told() {
    let mut record = anna();
    let both = |value| {
        facts("2026-11-22", &[(SCORE, &[], value), ("oura_sample_readiness_temperature_deviation_celsius", &[], 0.1)])
    };
    assert_eq!(learn(&mut record, &[both(71.0)], morning()).len(), 2);
    assert_eq!(learn(&mut record, &[both(72.0)], morning() + minutes(60)).len(), 1);
}

#[test]
fn late_days_stand_at_their_own_day_and_days_that_are_too_old_are_for_the_backfill() {
    let mut record = anna();
    let told = learn(&mut record, &[score("2026-11-17", 60.0), score("2026-11-07", 61.0)], morning());
    assert_eq!(told, [(Place::Day(day("2026-11-17")).begin() + 5 * 1440 + 412, 60.0)]);
}

#[test]
fn a_morning_in_asia_waits_for_its_place() {
    let mut record = anna();
    let evening = at("2026-11-21T22:10:00Z");
    assert!(learn(&mut record, &[score("2026-11-22", 80.0)], evening).is_empty());
    let midnight = at("2026-11-22T00:01:00Z");
    assert_eq!(learn(&mut record, &[score("2026-11-22", 80.0)], midnight), [(midnight.timestamp_millis(), 80.0)]);
}

#[test]
fn what_oura_takes_back_stays_but_a_part_of_a_sum_that_is_gone_is_zero() {
    let mut record = anna();
    learn(&mut record, &[score("2026-11-22", 71.0)], morning());
    assert!(learn(&mut record, &[facts("2026-11-22", &[])], morning() + minutes(30)).is_empty());
    let workouts = |activity| facts("2026-11-22", &[(WORKOUTS, &[("activity", activity)], 1.0)]);
    learn(&mut record, &[workouts("running")], morning());
    let begin = Place::Day(day("2026-11-22")).begin();
    let told = record.learn("workout", &[workouts("running")], &[], around(), morning());
    assert_eq!(told.len(), 1);
    let told = record.learn("workout", &[workouts("walking")], &[], around(), morning() + minutes(30));
    let points: Vec<_> = told[0].told.iter().map(|(series, points)| (series.labels[1].1.as_ref(), points[0])).collect();
    assert_eq!(points, [("running", (begin + 442, 0.0)), ("walking", (begin + 442, 1.0))]);
}

#[test]
fn a_document_that_is_missing_twice_is_gone() {
    let mut record = anna();
    let workouts = [facts("2026-11-21", &[(WORKOUTS, &[("activity", "running")], 2.0)])];
    let learn = |record: &mut Record, facts: &[DayFacts], after| {
        let told = record.learn("workout", facts, &[], around(), morning() + minutes(after));
        told.into_iter()
            .flat_map(|telling| telling.told)
            .flat_map(|(_, points)| points)
            .map(|(_, value)| value)
            .collect::<Vec<_>>()
    };
    assert_eq!(learn(&mut record, &workouts, 0), [2.0]);
    assert!(learn(&mut record, &[], 60).is_empty(), "an answer may be empty by mistake");
    assert!(learn(&mut record, &workouts, 70).is_empty());
    assert!(learn(&mut record, &[], 80).is_empty());
    assert_eq!(learn(&mut record, &[], 140), [0.0]);
    assert!(learn(&mut record, &[], 200).is_empty(), "told once");
    assert_eq!(learn(&mut record, &workouts, 260), [2.0], "and there again");
}

#[test]
fn what_is_too_old_to_be_looked_at_is_not_gone() {
    let mut record = anna();
    let workouts = [facts("2026-11-09", &[(WORKOUTS, &[("activity", "running")], 2.0)])];
    assert_eq!(record.learn("workout", &workouts, &[], around(), morning()).len(), 1);
    let wide = DateRange { first: day("2026-10-20"), last: day("2026-11-30") };
    for after in [1, 2, 5] {
        let told = record.learn("workout", &workouts, &[], wide, morning() + TimeDelta::days(after));
        assert_eq!(told, [], "{after} days later");
    }
}

pub(super) fn run(samples: &[(&str, f64)]) -> Run {
    let samples = samples.iter().map(|(time, value)| (at(time), *value)).collect();
    Run { name: "oura_sample_met", labels: vec![], samples }
}

fn dense(record: &mut Record, samples: &[(&str, f64)], now: DateTime<Utc>) -> Vec<(i64, f64)> {
    let told = record.learn_dense("daily_activity", |take| take(run(samples)), now);
    told.into_iter().flat_map(|telling| telling.told).flat_map(|(_, points)| points).collect()
}

#[test]
fn a_dense_sample_is_told_at_its_second_and_a_changed_one_a_millisecond_later() {
    let mut record = anna();
    let (one, two) = ("2026-11-22T05:00:00Z", "2026-11-22T05:01:00Z");
    let millis = |text| at(text).timestamp_millis();
    assert_eq!(dense(&mut record, &[(one, 1.1), (two, 1.2)], morning()), [(millis(one), 1.1), (millis(two), 1.2)]);
    assert_eq!(dense(&mut record, &[(one, 1.1), (two, 1.4)], morning()), [(millis(two) + 1, 1.4)]);
    assert_eq!(dense(&mut record, &[(two, 1.2)], morning()), [(millis(two) + 2, 1.2)]);
    assert!(dense(&mut record, &[(one, 1.1), (two, 1.2)], morning()).is_empty());
    assert_eq!(record.revisions()["daily_activity"], 2);
    assert!(dense(&mut record, &[("2026-11-22T07:00:00Z", 1.0)], morning()).is_empty(), "nothing from the future");
    assert!(dense(&mut record, &[("2026-11-20T06:00:00Z", 1.0)], morning()).is_empty(), "years are for the backfill");
}

#[test]
fn of_several_samples_of_one_second_the_last_counts_and_none_is_told_again() {
    let second = at("2026-11-22T05:00:00Z").timestamp_millis();
    for times in [
        ["2026-11-22T05:00:00.100Z", "2026-11-22T05:00:00.700Z", "2026-11-22T05:00:00.999Z"],
        ["2026-11-22T05:00:00Z", "2026-11-22T05:00:00Z", "2026-11-22T05:00:00.001Z"],
        ["2026-11-22T05:00:00.999Z", "2026-11-22T05:00:00.5Z", "2026-11-22T05:00:00Z"],
    ] {
        let mut record = anna();
        let [one, two, three] = times;
        let samples = [(one, 60.0), (two, 61.0), (three, 62.0)];
        assert_eq!(dense(&mut record, &samples, morning()), [(second, 62.0)], "{times:?}");
        assert!(dense(&mut record, &samples, morning()).is_empty(), "{times:?}");
        assert_eq!(dense(&mut record, &samples[..2], morning()), [(second + 1, 61.0)], "{times:?}");
    }
}

pub(super) fn opened(state: &Path, now: DateTime<Utc>) -> (Journal, Record) {
    Journal::open(&Store::new(state), "anna", TokenOrigin::ByHand, now).unwrap()
}

pub(super) fn kept(state: &Path, facts: &[DayFacts], now: DateTime<Utc>) -> Vec<Telling> {
    let (mut journal, mut record) = opened(state, now);
    let told = record.learn("daily_readiness", facts, &[], around(), now);
    journal.add(&told, &record);
    let dense = record.learn_dense(
        "daily_activity",
        |take| take(run(&[("2026-11-22T05:00:00Z", 1.1), ("2026-11-22T05:01:00Z", 0.9)])),
        now,
    );
    journal.add(&dense.into_iter().collect::<Vec<_>>(), &record);
    record.tellings(0..u64::MAX)
}

#[test]
fn a_restart_knows_what_was_told() {
    let state = tempfile::tempdir().unwrap();
    let first = kept(state.path(), &[score("2026-11-22", 71.0)], morning());
    assert_eq!(first.len(), 2);
    let again = kept(state.path(), &[score("2026-11-22", 71.0)], morning() + minutes(30));
    assert_eq!(again, first, "nothing is told anew, and what was told can be served and sent as before");
    let changed = kept(state.path(), &[score("2026-11-22", 73.0)], morning() + minutes(60));
    assert_eq!(changed.len(), 3);
    assert!(changed[2].number > changed[1].number, "{changed:?}");
    assert_eq!(changed[2].learnt, morning() + minutes(60));
}

#[test]
fn a_journal_that_is_cut_short_keeps_what_can_be_read() {
    for cut in [1, 7, 60] {
        let state = tempfile::tempdir().unwrap();
        kept(state.path(), &[score("2026-11-22", 71.0)], morning());
        let path = state.path().join("samples/anna.journal");
        let text = fs::read(&path).unwrap();
        fs::write(&path, &text[..text.len() - cut]).unwrap();
        let (_, record) = opened(state.path(), morning());
        assert_eq!(record.tellings(0..u64::MAX).len(), 1, "all but the last line");
        assert_eq!(fs::read(path.with_extension("journal.damaged")).unwrap(), &text[..text.len() - cut], "set aside");
        drop(record);
        assert_eq!(kept(state.path(), &[score("2026-11-22", 71.0)], morning() + minutes(20)).len(), 2, "and goes on");
    }
}

#[test]
fn with_the_clock_set_back_a_revision_still_stands_after_what_it_revises() {
    for back in [minutes(0), minutes(20), minutes(40), TimeDelta::days(1)] {
        let state = tempfile::tempdir().unwrap();
        let first = kept(state.path(), &[score("2026-11-21", 86.0)], morning());
        let again = kept(state.path(), &[score("2026-11-21", 86.0)], morning() - back);
        assert_eq!(again, first, "{back}: nothing is damaged, and nothing told anew");
        assert!(!state.path().join("samples/anna.journal.damaged").exists(), "{back}");
        let revised = kept(state.path(), &[score("2026-11-21", 87.0)], morning() + minutes(60) - back);
        let place = |telling: &Telling| telling.told[0].1[0].0;
        let told = revised.last().unwrap();
        assert_eq!(told.told[0].1[0].1, 87.0, "{back}");
        assert!(place(told) > place(&first[0]) && told.number > first[1].number, "{back}: {told:?}");
    }
}

#[test]
fn a_backfill_by_a_clock_set_back_puts_what_has_changed_after_what_was_told() {
    for back in [minutes(0), minutes(30), TimeDelta::days(2)] {
        let state = tempfile::tempdir().unwrap();
        let told = |value: f64, now: DateTime<Utc>| {
            let mut told =
                Told::open(Some(&Store::new(state.path())), "anna", TokenOrigin::ByHand, day("2026-11-22"), now);
            let seen = score("2026-11-20", value).observations;
            let values = seen.iter().map(|seen| (Arc::new(Series::of_observation("anna", seen)), seen.value));
            let seen = BTreeMap::from([(Place::Day(day("2026-11-20")), values.collect())]);
            told.documents("daily_readiness", seen, None, DateTime::<Utc>::MAX_UTC).pop().unwrap().0
        };
        let first = told(86.0, morning());
        assert!(told(86.0, morning() - back) <= first, "{back}: the same may stand where it stood");
        let changed = told(87.0, morning() - back);
        assert!(changed > first, "{back}: {changed} and {first}");
        assert!(told(88.0, morning() - back) > changed, "{back}");
    }
}

#[test]
fn a_line_that_no_exporter_of_this_account_wrote_is_set_aside_and_the_others_count() {
    let state = tempfile::tempdir().unwrap();
    kept(state.path(), &[score("2026-11-22", 71.0)], morning());
    let path = state.path().join("samples/anna.journal");
    let text = fs::read_to_string(&path).unwrap();
    let line = text.lines().nth(1).unwrap();
    let number = line.split(['"', ':', ',']).find(|part| part.parse::<u64>().is_ok()).unwrap();
    for stranger in [
        line.replace(number, "18446744073709551615"),
        line.replace("anna", "eve"),
        line.replace("\"times\":[", "\"times\":[9223372036854775807,"),
        line.replace("2026-11-22T06", "9999-11-22T06"),
    ] {
        assert_ne!(stranger, line);
        fs::write(&path, format!("{text}{stranger}\n")).unwrap();
        let (_, record) = opened(state.path(), morning());
        assert_eq!(record.tellings(record.numbers()).len(), 2, "{stranger}");
        assert!(path.with_extension("journal.damaged").exists());
    }
}

#[test]
fn what_oura_takes_back_is_counted_once() {
    let mut record = anna();
    learn(&mut record, &[score("2026-11-22", 71.0)], morning());
    for after in [20, 40, 60] {
        assert!(learn(&mut record, &[facts("2026-11-22", &[])], morning() + minutes(after)).is_empty());
    }
    assert_eq!(record.revisions()["daily_readiness"], 1);
}

#[test]
fn a_journal_of_another_version_or_none_at_all_is_set_aside_and_everything_is_told_again() {
    for text in
        ["{\"version\":2,\"id\":\"x\",\"born\":\"2026-11-01T00:00:00Z\"}\n", "\u{0}\u{1}\u{2}", "not a journal\n"]
    {
        let state = tempfile::tempdir().unwrap();
        fs::create_dir_all(state.path().join("samples")).unwrap();
        let path = state.path().join("samples/anna.journal");
        fs::write(&path, text).unwrap();
        assert_eq!(kept(state.path(), &[score("2026-11-22", 71.0)], morning()).len(), 2, "{text}");
        assert_eq!(fs::read_to_string(path.with_extension("journal.damaged")).unwrap(), text);
    }
}

#[test]
fn a_second_process_does_not_write_into_the_same_journal() {
    let state = tempfile::tempdir().unwrap();
    let _first = opened(state.path(), morning());
    let second =
        Journal::open(&Store::new(state.path()), "anna", TokenOrigin::ByHand, morning()).map(|_| ()).unwrap_err();
    assert!(second.to_string().contains("another process"), "{second}");
}

#[test]
fn a_journal_forgets_what_can_be_seen_no_more() {
    let state = tempfile::tempdir().unwrap();
    kept(state.path(), &[score("2026-11-22", 71.0)], morning());
    let (_, record) = opened(state.path(), morning() + TimeDelta::days(21));
    assert_eq!(record.tellings(0..u64::MAX).len(), 0);
}

#[test]
fn a_series_has_its_labels_in_order_and_none_that_is_empty() {
    let series = Series::of("anna", WORKOUTS, vec![("activity", "".into())]);
    assert_eq!(*Arc::new(series).labels, [("account", LabelValue::from("anna"))]);
}
