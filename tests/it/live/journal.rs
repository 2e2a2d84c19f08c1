//! Journals that are cut short, damaged, too new, out of reach or full: the page goes on, with one warning, and nothing is
//! lost but the knowledge of what was told.

use std::{
    collections::BTreeSet,
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::Stdio,
};

use chrono::{DateTime, TimeDelta, Utc};
use oura_exporter::{
    clock::{Clock, ManualClock},
    simulator::Recorded,
};
use rustix::process::geteuid;
use tokio::process::Command;

use crate::{
    common::{Program, eventually, needs::own_disks_are_there},
    receiving::{Place, receiver::Receiver},
};

/// Documents with days, and rows with times of their own.
const SOME: &str = "daily_readiness,heartrate";

/// A service whose time stands still, for the exporter a few hours ago.
async fn place() -> (Place, ManualClock) {
    place_of(TimeDelta::hours(8)).await
}

/// The same, so long ago.
async fn place_of(ago: TimeDelta) -> (Place, ManualClock) {
    let now = DateTime::from_timestamp(Utc::now().timestamp(), 0).expect("a time");
    let (clock, hand) = Clock::driven_from(now - ago);
    let mut place = Place::of("alice", clock).await;
    place.collections = SOME;
    (place, hand)
}

fn journal(place: &Place) -> PathBuf {
    place.path("state").join("samples/alice.journal")
}

/// All samples that a program serves, whenever it learnt them.
async fn samples(program: &Program) -> BTreeSet<String> {
    program.ready().await;
    let page = program.get("/metrics/samples?learnt=14d").await.expect("a page");
    page.lines().filter(|line| line.starts_with("oura_sample_")).map(str::to_owned).collect()
}

/// The same without the milliseconds of days, which say when they were learnt, and without rows of before `from`.
fn undated(samples: &BTreeSet<String>, from: DateTime<Utc>) -> BTreeSet<String> {
    let without = |line: &String| {
        let (sample, time) = line.rsplit_once(' ').expect("a time");
        if line.starts_with("oura_sample_readiness") {
            return Some(format!("{sample} {}", &time[..time.len() - 7]));
        }
        (time.parse::<i64>().expect("a time") >= from.timestamp_millis()).then(|| line.clone())
    };
    samples.iter().filter_map(without).collect()
}

/// What it warned of, but for the interval and the budget that tests have.
fn warnings(log: &str) -> Vec<&str> {
    let is_of_tests =
        |line: &&str| ["OURA_POLL_INTERVAL", "OURA_REQUEST_BUDGET"].iter().any(|name| line.contains(name));
    log.lines().filter(|line| line.contains(" WARN ") && !is_of_tests(line)).collect()
}

/// Runs the program until it has asked for everything; its samples and warnings.
async fn run(command: &mut Command) -> (BTreeSet<String>, String) {
    let program = Program::start(command).await;
    let samples = samples(&program).await;
    let page = program.get("/metrics").await.expect("a page");
    assert!(page.contains("oura_up{account=\"alice\"} 1"), "{page}");
    let (code, log) = program.terminate().await;
    assert_eq!(code, Some(0), "{log}");
    (samples, log)
}

#[tokio::test]
async fn a_good_journal_is_private_and_knows_what_was_told() {
    let (place, _hand) = place().await;
    let (first, log) = run(&mut place.program("state")).await;
    assert!(first.len() > 1_000 && warnings(&log).is_empty(), "{} samples: {log}", first.len());
    let path = journal(&place);
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().expect("a directory"))), (0o600, 0o700));
    let before = fs::read(&path).expect("a journal");
    let (again, log) = run(&mut place.program("state")).await;
    assert_eq!(again, first, "nothing is told anew, and what was told is served as before: {log}");
    assert!(warnings(&log).is_empty(), "{log}");
    assert_eq!(fs::read(&path).expect("a journal"), before, "and nothing is noted anew");
}

/// A way to spoil a journal, and what is said of it.
type Spoil = (&'static str, fn(&Path, &[u8]), &'static str);

const SPOILT: &[Spoil] = &[
    ("cut short", |path, text| fs::write(path, &text[..text.len() - 60]).expect("it is written"), "cut short"),
    ("cut short at its first line", |path, text| fs::write(path, &text[..30]).expect("it is written"), "damaged"),
    (
        "cut short between lines",
        |path, text| {
            let end = text[..text.len() - 1].iter().rposition(|byte| *byte == b'\n').expect("lines") + 1;
            fs::write(path, &text[..end]).expect("it is written");
        },
        "",
    ),
    (
        "a line of another kind",
        |path, text| fs::write(path, [text, b"{\"number\":1}\n"].concat()).expect("it is written"),
        "damaged in part",
    ),
    (
        "a newer version",
        |path, text| {
            let text = String::from_utf8(text.to_owned()).expect("UTF-8");
            fs::write(path, text.replacen("\"version\":1", "\"version\":2", 1)).expect("it is written");
        },
        "another version wrote it",
    ),
    ("no journal at all", |path, _| fs::write(path, b"\x00\xff\xfe nothing\n").expect("it is written"), "damaged"),
    ("0 bytes", |path, _| fs::write(path, b"").expect("it is written"), "is empty"),
];

#[tokio::test]
async fn a_spoilt_journal_is_set_aside_with_one_warning_and_what_it_does_not_say_is_told_again() {
    let (place, _hand) = place().await;
    let (first, _) = run(&mut place.program("state")).await;
    let (path, good) = (journal(&place), fs::read(journal(&place)).expect("a journal"));
    for (how, spoil, words) in SPOILT {
        spoil(&path, &good);
        let spoilt = fs::read(&path).expect("a journal");
        let (again, log) = run(&mut place.program("state")).await;
        // A record that begins again goes back so far from then on, which is a little later than at first.
        let begun = Utc::now() - TimeDelta::hours(48);
        let [told, told_first] = [&again, &first].map(|samples| undated(samples, begun));
        assert!(told.len() > 1_000, "{how}: {} samples", told.len());
        assert_eq!(told, told_first, "{how}: nothing is lost, and nothing there twice");
        let (warned, aside) = (warnings(&log), fs::read(path.with_extension("journal.damaged")).ok());
        if words.is_empty() {
            assert!(warned.is_empty() && aside.is_none(), "{how}: {log}");
        } else {
            assert!(warned.len() == 1 && warned[0].contains(words), "{how}, one warning: {log}");
            assert!(warned[0].contains("alice.journal.damaged"), "{how}, where it is: {log}");
            assert_eq!(aside.as_ref(), Some(&spoilt), "{how}: it is set aside as it was");
            fs::remove_file(path.with_extension("journal.damaged")).expect("it was there");
        }
        let (at_last, log) = run(&mut place.program("state")).await;
        assert_eq!(at_last, again, "{how}: the new journal is as good as any: {log}");
        assert!(warnings(&log).is_empty(), "{how}: {log}");
    }
}

/// Lets nobody but another user read it: of a process that is the administrator's, as one that is only there for itself
/// sees it.
fn forbid(path: &Path) -> bool {
    let is_root = geteuid().is_root();
    if is_root {
        chown(path, Some(1), Some(1)).expect("the administrator may");
    } else {
        fs::set_permissions(path, Permissions::from_mode(0o000)).expect("it is ours");
    }
    is_root
}

/// The program, behind these words.
fn behind(place: &Place, words: &[&str]) -> Command {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).arg(env!("CARGO_BIN_EXE_oura-exporter"));
    place.equip(&mut command, "state");
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// What cannot be a journal is told once, however often it is asked, and the page goes on from memory.
async fn goes_on_from_memory(place: &Place, hand: &ManualClock, mut command: Command, words: &str, advice: &str) {
    let program = Program::start(command.env("OURA_POLL_INTERVAL", "1s")).await;
    let first = samples(&program).await;
    assert!(first.len() > 1_000, "{words}: {} samples", first.len());
    hand.advance(TimeDelta::hours(2));
    let more = async || Some(samples(&program).await).filter(|samples| samples.len() > first.len());
    eventually("what is new", more).await;
    // What is new of one collection may come before what is new of the other.
    asked_again(place).await;
    let more = samples(&program).await;
    assert!(first.is_subset(&more), "{words}: what was told stays");
    asked_again(place).await;
    assert_eq!(samples(&program).await, more, "{words}: nothing is told twice");
    let (_, log) = program.terminate().await;
    let warned = warnings(&log);
    assert!(warned.len() == 1 && warned[0].contains("kept in memory only"), "{words}, one warning: {log}");
    assert!(warned[0].contains(words) && warned[0].contains(advice), "{words}, and {advice}: {log}");
}

/// Waits until everything was asked for three times more.
async fn asked_again(place: &Place) {
    place.simulator.forget_requests();
    let is_often = |requests: &[Recorded], collection: &&str| {
        requests.iter().filter(|request| request.path.ends_with(collection)).count() >= 3
    };
    let often = async || {
        let requests = place.simulator.requests();
        SOME.split(',').all(|collection| is_often(&requests, &collection)).then_some(())
    };
    eventually("more polls", often).await;
}

#[tokio::test]
async fn a_journal_that_may_not_be_read_stays_as_it_is() {
    if !own_disks_are_there("a_journal_that_may_not_be_read_stays_as_it_is") {
        return;
    }
    let (place, hand) = place().await;
    run(&mut place.program("state")).await;
    let before = fs::read(journal(&place)).expect("a journal");
    let command = if forbid(&journal(&place)) { behind(&place, &["unshare", "-r"]) } else { place.program("state") };
    goes_on_from_memory(&place, &hand, command, "alice.journal: Permission denied", "read and write it").await;
    if geteuid().is_root() {
        assert_eq!(fs::read(journal(&place)).expect("a journal"), before);
    }
}

#[tokio::test]
async fn a_directory_in_its_place_or_a_file_in_that_of_its_directory_stays_as_it_is() {
    let (place, hand) = place().await;
    fs::create_dir_all(journal(&place)).expect("a directory");
    goes_on_from_memory(
        &place,
        &hand,
        place.program("state"),
        "alice.journal: Is a directory",
        "move what is there elsewhere",
    )
    .await;
    assert!(journal(&place).is_dir());
    fs::remove_dir_all(place.path("state/samples")).expect("it is there");
    fs::write(place.path("state/samples"), "not a directory").expect("a file");
    goes_on_from_memory(
        &place,
        &hand,
        place.program("state"),
        "state/samples: File exists",
        "move what is there elsewhere",
    )
    .await;
}

#[tokio::test]
async fn without_a_state_directory_it_says_so_once() {
    let (place, hand) = place().await;
    let mut command = place.program("state");
    command.env_remove("OURA_STATE_DIR");
    goes_on_from_memory(&place, &hand, command, "there is no state directory", "OURA_STATE_DIR").await;
}

#[tokio::test]
async fn what_another_process_has_is_left_to_it() {
    let (place, hand) = place().await;
    let first = Program::start(&mut place.program("state")).await;
    let told = samples(&first).await;
    let before = fs::read(journal(&place)).expect("a journal");
    let words = "alice.journal: another process has it";
    goes_on_from_memory(&place, &hand, place.program("state"), words, "end that process").await;
    assert_eq!(fs::read(journal(&place)).expect("a journal"), before);
    assert_eq!(samples(&first).await, told);
    let (_, log) = first.terminate().await;
    assert!(warnings(&log).is_empty(), "{log}");
}

/// A program whose state is on a disk of its own, where it is mounted for the program, and where for us.
struct OnADisk {
    program: Program,
    seen: PathBuf,
}

impl OnADisk {
    /// With what there is in the state directory; full from the start, if it is to be.
    async fn start(place: &Place, is_full: bool) -> Self {
        Self::start_with(place, is_full, None).await
    }

    /// The same, which sends to `receiver`.
    async fn start_with(place: &Place, is_full: bool, receiver: Option<&Receiver>) -> Self {
        let state = place.path("state");
        fs::create_dir_all(&state).expect("a place to mount");
        let fill = if is_full { "head -c 9M /dev/zero > \"$0/filling\" 2>/dev/null;" } else { "" };
        let script = format!(
            "cp -r \"$0\" \"$0.kept\" && mount -t tmpfs -o size=4m,mode=700 tmpfs \"$0\" && \
             cp -r \"$0.kept/.\" \"$0/\"; {fill} exec \"$@\""
        );
        let mut command = behind(place, &["unshare", "-rm", "sh", "-c", &script, state.to_str().expect("UTF-8")]);
        command.envs(receiver.map(|receiver| ("OURA_REMOTE_WRITE_URL", receiver.url())));
        let program = Program::start(command.env("OURA_POLL_INTERVAL", "1s").stdout(Stdio::null())).await;
        let process = Path::new("/proc").join(program.child.id().expect("it runs").to_string()).join("root");
        let seen = process.join(state.strip_prefix("/").expect("absolute"));
        fs::remove_dir_all(place.path("state.kept")).expect("a copy");
        Self { program, seen }
    }

    fn fill(&self) {
        let mut filling = fs::File::create(self.seen.join("filling")).expect("a file");
        while std::io::Write::write_all(&mut filling, &[0; 512]).is_ok() {}
    }

    fn make_room(&self) {
        fs::remove_file(self.seen.join("filling")).expect("it is there");
    }

    /// Has something be new, and waits for it; all samples then.
    async fn news(&self, hand: &ManualClock) -> BTreeSet<String> {
        self.news_of(hand, TimeDelta::hours(2), 1).await
    }

    /// Has so much be new that it does not fit into what is left of the journal's last page, at any hour of the day.
    async fn much_news(&self, place: &Place, hand: &ManualClock) -> BTreeSet<String> {
        self.news_of(hand, TimeDelta::hours(40), 400).await;
        asked_again(place).await;
        samples(&self.program).await
    }

    async fn news_of(&self, hand: &ManualClock, time: TimeDelta, least: usize) -> BTreeSet<String> {
        let before = samples(&self.program).await.len();
        hand.advance(time);
        let more = async || Some(samples(&self.program).await).filter(|samples| samples.len() >= before + least);
        eventually("what is new", more).await
    }
}

#[tokio::test]
async fn on_a_disk_that_fills_up_and_is_emptied_again_nothing_is_forgotten() {
    if !own_disks_are_there("on_a_disk_that_fills_up_and_is_emptied_again_nothing_is_forgotten") {
        return;
    }
    let (place, hand) = place_of(TimeDelta::hours(44)).await;
    let disk = OnADisk::start(&place, false).await;
    samples(&disk.program).await;
    disk.fill();
    let full = disk.much_news(&place, &hand).await;
    asked_again(&place).await;
    assert_eq!(samples(&disk.program).await, full, "nothing is told twice");
    disk.make_room();
    // Without anything new.
    let lines = || fs::read_to_string(disk.seen.join("samples/alice.journal")).expect("a journal").lines().count();
    let before = lines();
    eventually("it is written", async || (lines() > before).then_some(())).await;
    disk.news(&hand).await;
    asked_again(&place).await;
    let all = samples(&disk.program).await;
    assert!(full.is_subset(&all));
    let kept = fs::read(disk.seen.join("samples/alice.journal")).expect("a journal");
    let (_, log) = disk.program.terminate().await;
    assert!(log.contains("alice.journal can be written again"), "{log}");
    let warned = warnings(&log);
    assert!(warned.len() == 1 && warned[0].contains("No space left"), "one warning: {log}");
    fs::create_dir_all(place.path("state/samples")).expect("a directory");
    fs::write(journal(&place), kept).expect("it is written");
    let (again, log) = run(&mut place.program("state")).await;
    assert_eq!(again, all, "what was told while the disk was full is known as well: {log}");
}

#[tokio::test]
async fn on_a_disk_that_is_full_from_the_start_a_journal_that_is_there_is_read() {
    if !own_disks_are_there("on_a_disk_that_is_full_from_the_start_a_journal_that_is_there_is_read") {
        return;
    }
    let (place, hand) = place_of(TimeDelta::hours(44)).await;
    let (first, _) = run(&mut place.program("state")).await;
    let disk = OnADisk::start(&place, true).await;
    assert_eq!(samples(&disk.program).await, first, "nothing is told anew");
    disk.much_news(&place, &hand).await;
    let (_, log) = disk.program.terminate().await;
    let warned = warnings(&log);
    assert!(warned.len() == 1 && warned[0].contains("No space left"), "one warning: {log}");
}

#[tokio::test]
async fn on_a_full_disk_what_can_be_read_of_a_damaged_journal_counts_and_it_is_set_aside_when_there_is_room() {
    const NAME: &str =
        "on_a_full_disk_what_can_be_read_of_a_damaged_journal_counts_and_it_is_set_aside_when_there_is_room";
    if !own_disks_are_there(NAME) {
        return;
    }
    let (place, _hand) = place().await;
    let (first, _) = run(&mut place.program("state")).await;
    let good = fs::read(journal(&place)).expect("a journal");
    for older in [None, Some("an older one, whole")] {
        let spoilt = [&good[..], b"{\"number\":1}\n"].concat();
        fs::create_dir_all(place.path("state/samples")).expect("a directory");
        fs::write(journal(&place), &spoilt).expect("it is written");
        if let Some(older) = older {
            fs::write(journal(&place).with_extension("journal.damaged"), older).expect("it is written");
        }
        let disk = OnADisk::start(&place, true).await;
        assert_eq!(samples(&disk.program).await, first, "nothing is told anew");
        let aside = || fs::read(disk.seen.join("samples/alice.journal.damaged")).ok();
        assert_eq!(aside(), older.map(|older| older.as_bytes().to_owned()), "nothing but the older one");
        disk.make_room();
        eventually("it is set aside", async || aside().filter(|aside| *aside == spoilt)).await;
        let (_, log) = disk.program.terminate().await;
        let warned = warnings(&log);
        assert!(warned.len() == 1 && warned[0].contains("cannot be set aside"), "one warning: {log}");
        assert!(log.contains("alice.journal can be written again"), "{log}");
    }
}

#[tokio::test]
async fn on_a_full_disk_it_is_said_once_that_how_far_was_sent_cannot_be_written_and_once_that_it_can_be() {
    const NAME: &str = "on_a_full_disk_it_is_said_once_that_how_far_was_sent_cannot_be_written_and_once_that_it_can_be";
    if !own_disks_are_there(NAME) {
        return;
    }
    let (place, hand) = place().await;
    let receiver = Receiver::start().await;
    let disk = OnADisk::start_with(&place, false, Some(&receiver)).await;
    let sent = async |all: BTreeSet<String>| {
        let sent = async || (receiver.kept().samples.len() >= all.len()).then_some(());
        eventually("all is sent", sent).await;
    };
    sent(samples(&disk.program).await).await;
    disk.fill();
    for _ in 0..2 {
        sent(disk.news(&hand).await).await;
    }
    disk.make_room();
    sent(disk.news(&hand).await).await;
    let progress = async || {
        let mut files = fs::read_dir(disk.seen.join("progress")).expect("a directory").flatten();
        files.find(|file| fs::read_to_string(file.path()).is_ok_and(|text| text.contains("alice")))
    };
    eventually("it is written", progress).await;
    let (_, log) = disk.program.terminate().await;
    for words in ["samples may be sent twice", "progress is stored again"] {
        assert_eq!(log.matches(words).count(), 1, "{words}: {log}");
    }
}
