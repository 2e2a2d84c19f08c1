//! Journals by hand: by wrong clocks, with lines that nobody wrote, too large, not files, gone; and whom that makes read again.

use std::{fs, path::Path, process::Command};

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    JournalIn, Record, SampleStats, Samples, Told,
    tests::{around, at, day, kept, minutes, morning, opened, run, score},
};
use crate::{auth::Store, documents::kind, problem::TokenOrigin};

const JOURNAL: &str = "samples/anna.journal";
const ASIDE: &str = "samples/anna.journal.damaged";

/// What the journal says by that clock, and its identity.
fn read(state: &Path, now: DateTime<Utc>) -> (String, Record) {
    let (journal, record) = opened(state, now);
    (journal.id().to_owned(), record)
}

/// A journal of two lines, its text and its identity.
fn written() -> (tempfile::TempDir, String, String) {
    let state = tempfile::tempdir().unwrap();
    kept(state.path(), &[score("2026-11-22", 71.0)], morning());
    let text = fs::read_to_string(state.path().join(JOURNAL)).unwrap();
    let (id, _) = read(state.path(), morning());
    (state, text, id)
}

fn count(record: &Record) -> usize {
    record.tellings(record.numbers()).len()
}

#[test]
fn a_wrong_clock_drops_no_line_rewrites_nothing_and_takes_no_number_back() {
    let later = |days| morning() + TimeDelta::days(days);
    for wrong in [at("1970-01-01T00:00:10Z"), at("2015-06-01T00:00:00Z"), later(-30), later(10), later(25), later(400)]
    {
        let (state, text, id) = written();
        let first = opened(state.path(), morning()).1.tellings(0..u64::MAX);
        read(state.path(), wrong);
        assert_eq!(fs::read_to_string(state.path().join(JOURNAL)).unwrap(), text, "{wrong}: as it was");
        let today = score(&wrong.date_naive().to_string(), 80.0);
        let by_it = kept(state.path(), if wrong > morning() { std::slice::from_ref(&today) } else { &[] }, wrong);
        let (again, record) = read(state.path(), morning() + minutes(60));
        assert!(!state.path().join(ASIDE).exists(), "{wrong}: nothing is damaged");
        let all = record.tellings(0..u64::MAX);
        assert!(all.starts_with(&first), "{wrong}: {all:?}");
        assert_eq!(all.len(), first.len() + usize::from(wrong > morning()), "{wrong}: {all:?}");
        assert_eq!(again, id, "{wrong}: nobody need read it again");
        assert!(by_it.last().is_none_or(|told| told.number < record.numbers().end), "{wrong}: no number comes twice");
    }
}

#[test]
fn what_a_clock_that_was_ahead_has_told_keeps_nothing_else_from_being_forgotten() {
    for ahead in [1, 25, 4_000] {
        let state = tempfile::tempdir().unwrap();
        let wrong = morning() + TimeDelta::days(ahead);
        kept(state.path(), &[score(&wrong.date_naive().to_string(), 80.0)], wrong);
        kept(state.path(), &[score("2026-11-22", 71.0)], morning());
        let (_, mut record) = read(state.path(), morning());
        assert!(count(&record) >= 2, "{ahead}");
        record.forget(morning() + TimeDelta::days(22));
        assert_eq!(count(&record), 0, "{ahead}");
    }
}

#[test]
fn where_a_line_is_lost_the_journal_is_another_one_and_all_of_it_is_read_again() {
    let (_, text, id) = written();
    let header = text.lines().next().unwrap().to_owned();
    let lines: Vec<_> = text.lines().skip(1).map(str::to_owned).collect();
    for (how, spoilt, left) in [
        ("cut short", text[..text.len() - 9].to_owned(), 1),
        ("a line in the midst", text.replace(&lines[0], "{}"), 1),
        ("out of order", format!("{header}\n{}\n{}\n", lines[1], lines[0]), 1),
        ("no end of the first line", header.clone(), 0),
        ("half a first line", header[..header.len() / 2].to_owned(), 0),
        ("a first line that runs into the next", text.replacen('\n', "", 1), 0),
    ] {
        let (state, ..) = written();
        fs::write(state.path().join(JOURNAL), &spoilt).unwrap();
        let (again, record) = read(state.path(), morning());
        assert!(again != id && count(&record) == left, "{how}: {} left", count(&record));
        assert_eq!(fs::read_to_string(state.path().join(ASIDE)).unwrap(), spoilt, "{how}: set aside");
        assert!(kept(state.path(), &[score("2026-11-22", 71.0)], morning() + minutes(20)).len() >= 2, "{how}");
        fs::remove_file(state.path().join(ASIDE)).unwrap();
        assert_eq!(read(state.path(), morning()).0, again, "{how}: and stays that one");
        assert!(!state.path().join(ASIDE).exists(), "{how}: and is whole");
    }
}

#[test]
fn who_has_read_further_than_the_journal_goes_has_read_another_one() {
    let state = tempfile::tempdir().unwrap();
    let samples = Samples::new(JournalIn::State(Some(Store::new(state.path()))), SampleStats::new().unwrap());
    let record = samples.keep("anna", TokenOrigin::ByHand, morning());
    let rows = run(&[("2026-11-22T05:00:00Z", 1.1), ("2026-11-22T05:01:00Z", 0.9)]);
    samples.learn_dense(&record, kind("daily_activity").unwrap(), |take| take(rows), morning());
    let journal = samples.journal("anna").unwrap();
    let all = samples.since("anna", &journal, 0, 1_000);
    let end = all.last().unwrap().number + 1;
    assert_eq!(samples.count_since("anna", &journal, end), 0, "all is read");
    for beyond in [end + 1, end + TimeDelta::days(25).num_milliseconds().unsigned_abs(), u64::MAX] {
        assert_eq!(samples.since("anna", &journal, beyond, 1_000), all, "{beyond}");
        assert_eq!(samples.count_since("anna", &journal, beyond), 2, "{beyond}");
    }
}

#[test]
fn a_number_that_is_too_high_costs_nothing_that_comes_after_it() {
    for number in [4_102_444_799_999, (1 << 49) - 1, 1 << 49, (1 << 50) - 1_u64] {
        let (state, text, _) = written();
        let line = text.lines().nth(2).unwrap();
        let own = line.split(['"', ':', ',']).find(|part| part.parse::<u64>().is_ok()).unwrap();
        let high = line.replacen(own, &number.to_string(), 1).replace("2026-11-22T05", "2026-11-22T04");
        fs::write(state.path().join(JOURNAL), format!("{text}{high}\n")).unwrap();
        let (id, record) = read(state.path(), morning());
        assert_eq!(count(&record), 3, "{number}");
        let all = kept(state.path(), &[score("2026-11-22", 75.0)], morning() + minutes(60));
        assert!(all.len() == 4 && all.is_sorted_by(|one, next| one.number < next.number), "{number}: {all:?}");
        let _aside = fs::remove_file(state.path().join(ASIDE));
        let (again, record) = read(state.path(), morning());
        assert_eq!(record.tellings(0..u64::MAX), all, "{number}");
        assert!(again == id && !state.path().join(ASIDE).exists(), "{number}: whole from then on");
    }
}

#[test]
fn no_time_that_a_file_can_have_stops_the_exporter() {
    let born = |text: &str| text.split("\"born\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    for time in ["-262143-01-01T00:00:00Z", "+262142-12-31T23:59:59Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z"] {
        let (state, text, id) = written();
        fs::write(state.path().join(JOURNAL), text.replacen(&born(&text), time, 1)).unwrap();
        assert_eq!(kept(state.path(), &[score("2026-11-22", 71.0)], morning()).len(), 2, "born {time}");
        assert_eq!(read(state.path(), morning()).0, id, "born {time}");
        let places = [("learnt", "2026-11-22T06:53:00Z", time), ("day", "2026-11-22", &time[..time.len() - 10])];
        for (what, own, other) in places {
            let named = |value: &str| format!("\"{what}\":\"{value}\"");
            let spoilt = text.replacen(&named(own), &named(other), 1);
            assert_ne!(spoilt, text, "{what}");
            fs::write(state.path().join(JOURNAL), &spoilt).unwrap();
            let told = kept(state.path(), &[score("2026-11-22", 71.0)], morning() + minutes(20));
            assert_eq!(told.len(), 2, "{what} {time}: {told:?}");
        }
    }
}

#[test]
fn what_is_too_large_to_be_a_journal_is_set_aside_as_it_is() {
    for (bytes, begins_well) in [((64 << 20) + 1, true), (65 << 20, false), (1 << 32, true)] {
        let (state, text, id) = written();
        let path = state.path().join(JOURNAL);
        fs::write(&path, if begins_well { text.as_str() } else { "" }).unwrap();
        fs::File::options().append(true).open(&path).unwrap().set_len(bytes).unwrap();
        assert_ne!(read(state.path(), morning()).0, id);
        assert_eq!(fs::metadata(state.path().join(ASIDE)).unwrap().len(), bytes);
        assert!(fs::metadata(&path).unwrap().len() < 1_000);
        assert_eq!(kept(state.path(), &[score("2026-11-22", 71.0)], morning()).len(), 2, "and it goes on");
    }
}

#[test]
fn what_is_no_file_is_not_waited_for() {
    let pipe = |path: &Path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    let directory = |path: &Path| fs::create_dir(path).unwrap();
    let device = |path: &Path| std::os::unix::fs::symlink("/dev/zero", path).unwrap();
    for make in [&pipe as &dyn Fn(&Path), &directory, &device] {
        let state = tempfile::tempdir().unwrap();
        fs::create_dir(state.path().join("samples")).unwrap();
        for name in ["anna.journal", "anna.backfill"] {
            make(&state.path().join("samples").join(name));
        }
        drop(Told::open(Some(&Store::new(state.path())), "anna", TokenOrigin::ByHand, day("2026-11-22"), morning()));
        let failure = super::journal::Journal::open(&Store::new(state.path()), "anna", TokenOrigin::ByHand, morning())
            .map(drop)
            .unwrap_err();
        assert!(failure.to_string().contains("samples/anna.journal: "), "{failure}");
        assert_eq!(failure.advice(), "move what is there elsewhere");
    }
}

#[test]
fn a_journal_that_is_gone_while_it_is_in_use_is_written_again() {
    let gone = |path: &Path| fs::remove_file(path).unwrap();
    let with_its_directory = |path: &Path| fs::remove_dir_all(path.parent().unwrap()).unwrap();
    let replaced = |path: &Path| {
        fs::remove_file(path).unwrap();
        fs::write(path, "something else\n").unwrap();
    };
    for lose in [&gone as &dyn Fn(&Path), &with_its_directory, &replaced] {
        let (state, ..) = written();
        let (mut journal, mut record) = opened(state.path(), morning());
        lose(&state.path().join(JOURNAL));
        for (after, value) in [(60, 75.0), (120, 76.0)] {
            let now = morning() + minutes(after);
            let told = record.learn("daily_readiness", &[score("2026-11-22", value)], &[], around(), now);
            journal.add(&told, &record);
        }
        let (id, all) = (journal.id().to_owned(), record.tellings(0..u64::MAX));
        drop(journal);
        let (again, record) = read(state.path(), morning() + minutes(130));
        assert_eq!((again, record.tellings(0..u64::MAX)), (id, all));
        assert!(!state.path().join(ASIDE).exists());
    }
}

#[test]
fn what_could_not_be_written_is_written_at_the_next_look_or_at_the_stop() {
    for at_the_stop in [false, true] {
        let state = tempfile::tempdir().unwrap();
        let directory = state.path().join("samples");
        let samples = Samples::new(JournalIn::State(Some(Store::new(state.path()))), SampleStats::new().unwrap());
        let record = samples.keep("anna", TokenOrigin::ByHand, morning());
        fs::remove_dir_all(&directory).unwrap();
        fs::write(&directory, "no directory").unwrap();
        let look = || {
            let rows = run(&[("2026-11-22T05:00:00Z", 1.1), ("2026-11-22T05:01:00Z", 0.9)]);
            samples.learn_dense(&record, kind("daily_activity").unwrap(), |take| take(rows), morning());
        };
        look();
        fs::remove_file(&directory).unwrap();
        if at_the_stop {
            samples.close()
        } else {
            look()
        }
        drop(samples);
        assert_eq!(count(&read(state.path(), morning()).1), 1, "at the stop: {at_the_stop}");
    }
}
