//! A name that changes hands: nothing of one person is told, or left, in the record of another one.

use std::{fs, path::Path};

use chrono::TimeDelta;

use super::{
    Format, JournalIn, Record, SampleStats, Samples, forget_journals,
    journal::Journal,
    rename_journals,
    tests::{around, at, minutes, morning, run, score},
};
use crate::{
    auth::{Person, Portal, Store, Tokens},
    documents::kind,
    problem::TokenOrigin,
};

const HEART_RATE: &str = "heartrate";

fn samples(journals: JournalIn) -> Samples {
    Samples::new(journals, SampleStats::new().unwrap())
}

/// The samples of the last hours.
fn page(samples: &Samples) -> String {
    let page = samples.page(None, Format::OpenMetrics, false, TimeDelta::hours(12), morning());
    String::from_utf8(page.to_vec()).unwrap()
}

#[test]
fn what_was_asked_for_one_person_is_not_told_of_the_next_one_however_long_it_takes_to_read() {
    let state = tempfile::tempdir().unwrap();
    for (journals, hands) in [
        (JournalIn::Nowhere, 1),
        (JournalIn::State(Some(Store::new(state.path()))), 1),
        (JournalIn::State(Some(Store::new(state.path()))), 2),
    ] {
        let samples = samples(journals);
        let alices = samples.keep("anna", TokenOrigin::ByHand, morning());
        for _ in 0..hands {
            samples.forget("anna");
            samples.keep("anna", TokenOrigin::ByHand, morning());
        }
        let bobs = samples.keep("anna", TokenOrigin::ByHand, morning());
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

const SIGN_IN: TokenOrigin<'_> = TokenOrigin::SignIn("anna");

/// The journals that there can be of anna's.
type Open = fn(&Path) -> (Journal, Record);
const OPEN: [(&str, Open); 2] = [
    ("anna.journal", |state| Journal::open(&Store::new(state), "anna", SIGN_IN, morning()).unwrap()),
    ("anna.backfill", |state| Journal::open_of_backfills(&Store::new(state), "anna", SIGN_IN, morning()).unwrap()),
];

/// Signs a person in as anna at that time; none: Oura does not say who it is.
fn sign_in(state: &Path, time: &str, person: Option<&str>) {
    let store = Store::new(state);
    let tokens = Tokens {
        access: "secret".into(),
        refresh: None,
        issued_at: at(time),
        expires_at: None,
        scopes: None,
        portal: Portal::New,
        signed_in_at: at(time),
        person: person.map(|id| Person::new(id, &store.persons()).unwrap()),
    };
    store.write("anna", &tokens).unwrap();
}

/// Has a score told of which nothing was told before.
fn tell(journal: &mut Journal, record: &mut Record, value: f64) {
    let now = morning() + minutes(20 * value as i64);
    let told = record.learn("daily_readiness", &[score("2026-11-22", value)], &[], around(), now);
    assert!(!told.is_empty(), "{value}");
    journal.add(&told, record);
}

/// What ends alice's sign-in.
type End = fn(&Path);

#[test]
fn a_journal_that_went_with_its_sign_in_is_not_written_again_by_whoever_still_follows_it() {
    let signed_out: End = |state| Store::new(state).remove("anna").unwrap();
    let replaced: End = |state| sign_in(state, "2026-11-22T06:00:00Z", Some("bob"));
    let by_somebody: End = |state| sign_in(state, "2026-11-22T06:00:00Z", None);
    for (name, open) in OPEN {
        for end in [signed_out, replaced, by_somebody] {
            let state = tempfile::tempdir().unwrap();
            let path = state.path().join("samples").join(name);
            sign_in(state.path(), "2026-11-20T06:00:00Z", Some("alice"));
            let (mut journal, mut record) = open(state.path());
            tell(&mut journal, &mut record, 71.0);
            assert!(fs::read_to_string(&path).unwrap().contains("71.0"));
            forget_journals(state.path(), "anna").unwrap();
            end(state.path());
            tell(&mut journal, &mut record, 72.0);
            journal.retry(&record);
            assert!(!path.exists(), "{name}: {:?}", fs::read_to_string(&path));
        }
    }
}

#[test]
fn what_was_written_again_before_the_next_person_came_is_not_theirs() {
    let replaced: End = |state| sign_in(state, "2026-11-22T06:00:00Z", Some("bob"));
    let by_somebody: End = |state| sign_in(state, "2026-11-22T06:00:00Z", None);
    let signed_out: End = |state| {
        Store::new(state).remove("anna").unwrap();
        sign_in(state, "2026-11-22T06:00:00Z", Some("bob"));
    };
    for (name, open) in OPEN {
        for end in [replaced, by_somebody, signed_out] {
            let state = tempfile::tempdir().unwrap();
            let path = state.path().join("samples").join(name);
            sign_in(state.path(), "2026-11-20T06:00:00Z", Some("alice"));
            let (mut journal, mut record) = open(state.path());
            let hers = journal.id().to_owned();
            forget_journals(state.path(), "anna").unwrap();
            tell(&mut journal, &mut record, 71.0);
            drop(journal);
            assert!(fs::read_to_string(&path).unwrap().contains("71.0"), "while she is signed in it is");
            end(state.path());
            let (journal, record) = open(state.path());
            assert_eq!(record.tellings(0..u64::MAX), [], "{name}");
            assert_ne!(journal.id(), hers);
            assert!(!fs::read_to_string(&path).unwrap().contains("71.0"));
        }
    }
}

#[test]
fn a_journal_stays_the_same_persons_however_late_oura_said_who_it_is() {
    let (first, again) = ("2026-11-20T06:00:00Z", "2026-11-22T06:00:00Z");
    for (name, open) in OPEN {
        for (before, is_running) in [(Some("alice"), false), (None, false), (None, true)] {
            let state = tempfile::tempdir().unwrap();
            sign_in(state.path(), first, before);
            let (mut journal, mut record) = open(state.path());
            tell(&mut journal, &mut record, 71.0);
            let id = journal.id().to_owned();
            if !is_running {
                drop(journal);
                sign_in(state.path(), first, Some("alice"));
                (journal, record) = open(state.path());
            }
            sign_in(state.path(), first, Some("alice"));
            if is_running {
                tell(&mut journal, &mut record, 72.0);
            }
            drop(journal);
            sign_in(state.path(), again, Some("alice"));
            let (journal, now) = open(state.path());
            assert_eq!(journal.id(), id, "{name} {before:?} {is_running}");
            assert_eq!(now.tellings(0..u64::MAX), record.tellings(0..u64::MAX));
        }
    }
}

/// The first line of the exporter's journal, which names it.
fn first_line(state: &Path) -> String {
    let text = fs::read_to_string(state.join("samples/anna.journal")).unwrap();
    text.lines().next().unwrap().to_owned()
}

#[test]
fn of_two_exporters_on_one_directory_one_keeps_the_journal_of_the_next_person() {
    // Who looks first; and whether the other one has removed what that one began, as two who look at once may.
    for (first, is_removed) in [(0, false), (1, false), (0, true)] {
        let state = tempfile::tempdir().unwrap();
        sign_in(state.path(), "2026-11-20T06:00:00Z", Some("alice"));
        let both = [(); 2].map(|()| samples(JournalIn::State(Some(Store::new(state.path())))));
        for samples in &both {
            samples.keep("anna", SIGN_IN, morning());
        }
        forget_journals(state.path(), "anna").unwrap();
        sign_in(state.path(), "2026-11-22T06:00:00Z", Some("bob"));
        let mut keys = Vec::new();
        for samples in [&both[first], &both[1 - first]] {
            samples.forget("anna");
            keys.push((samples, samples.keep("anna", SIGN_IN, morning())));
            if is_removed && keys.len() == 1 {
                forget_journals(state.path(), "anna").unwrap();
            }
        }
        let kept = first_line(state.path());
        for (minute, value) in [("01", 1.1), ("02", 1.2), ("03", 1.3)] {
            for (samples, key) in &keys {
                let rows = run(&[(&format!("2026-11-22T05:{minute}:00Z"), value)]);
                samples.learn_dense(key, kind("daily_activity").unwrap(), |take| take(rows), morning());
                assert_eq!(first_line(state.path()), kept, "{first} {is_removed} {minute}");
            }
        }
        let text = fs::read_to_string(state.path().join("samples/anna.journal")).unwrap();
        assert!([1.1, 1.2, 1.3].iter().all(|value| text.contains(&value.to_string())), "{text}");
    }
}

#[test]
fn a_token_by_hand_of_another_person_has_a_record_in_memory_where_the_one_before_stays() {
    for others in [0, 1, 2] {
        let state = tempfile::tempdir().unwrap();
        let samples = samples(JournalIn::State(Some(Store::new(state.path()))));
        samples.keep("anna", TokenOrigin::ByHand, morning());
        assert!(!samples.is_anothers("anna", "alice"), "it is hers from now on");
        let owner = fs::read_to_string(state.path().join("samples/anna.owner")).unwrap();
        // A file that another process has cannot be removed.
        let path = state.path().join("samples/anna.journal");
        let text = fs::read_to_string(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, &text).unwrap();
        let held = fs::File::open(&path).unwrap();
        held.lock().unwrap();
        for other in 0..=others {
            let id = format!("bob-{other}");
            assert!(samples.is_anothers("anna", &id));
            let key = samples.begin_again("anna", &id, morning());
            assert!(!samples.is_anothers("anna", &id), "theirs from now on");
            let rows = run(&[("2026-11-22T05:00:00Z", 1.5)]);
            samples.learn_dense(&key, kind("daily_activity").unwrap(), |take| take(rows), morning());
            let journal = samples.journal("anna").unwrap();
            assert_eq!(samples.count_since("anna", &journal, 0), 1);
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), text, "nothing of theirs is in her journal");
        assert_eq!(fs::read_to_string(state.path().join("samples/anna.owner")).unwrap(), owner, "which is hers");
    }
}

#[test]
fn what_a_process_that_was_killed_has_left_goes_with_the_journal_and_nobody_elses_does() {
    let looks: [fn(&Path); 3] = [
        |state| drop(Journal::open(&Store::new(state), "anna", TokenOrigin::ByHand, morning()).unwrap()),
        |state| rename_journals(state, "anna", "anne").unwrap(),
        |state| forget_journals(state, "anna").unwrap(),
    ];
    for look in looks {
        let state = tempfile::tempdir().unwrap();
        drop(Journal::open(&Store::new(state.path()), "anna", TokenOrigin::ByHand, morning()).unwrap());
        let left = |name: &str| state.path().join("samples").join(name);
        for name in [".anna.journal~new-Ab12Cd", ".anna-2.journal~new-Ab12Cd", ".ann.journal~new-Ab12Cd"] {
            fs::write(left(name), "half a journal").unwrap();
        }
        look(state.path());
        assert!(!left(".anna.journal~new-Ab12Cd").exists());
        assert!(left(".anna-2.journal~new-Ab12Cd").exists() && left(".ann.journal~new-Ab12Cd").exists());
    }
}
