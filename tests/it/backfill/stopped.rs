//! A backfill that is stopped, or meets a full disk: whole files, and words by which nothing gets lost.

use std::{
    fs,
    path::Path,
    process::{Output, Stdio},
};

use chrono::NaiveDate;
use oura_exporter::{
    clock::Clock,
    simulator::{Fault, Scope},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    process::{Child, Command},
};

use super::assert_same;
use crate::{
    common::{
        eventually,
        needs::{own_disks_are_there, there_are},
        samples::{Samples, files},
        signal,
    },
    receiving::{Place, days_ago},
};

/// Bob's place, whose day begins hours after that of UTC.
async fn place() -> Place {
    let mut place = Place::of("bob", Clock::system()).await;
    place.collections = "daily_readiness,sleep";
    place
}

fn into(directory: &Path) -> [&str; 2] {
    ["--output", directory.to_str().expect("a path")]
}

/// The day with which the program says that one is to go on.
fn day_to_go_on(log: &str) -> NaiveDate {
    let (_, rest) = log.split_once("continue with --from ").unwrap_or_else(|| panic!("it does not say how: {log}"));
    rest[..10].parse().expect("a day")
}

/// Every file is whole, and beside them there is nothing but the note of where to go on.
fn assert_whole(directory: &Path, at_least: usize) {
    let names = names(directory);
    let (notes, files): (Vec<_>, Vec<_>) =
        names.iter().partition(|name| name.starts_with(".oura-exporter-backfill-from-"));
    assert!(notes.len() <= 1 && files.len() >= at_least && files.iter().all(|name| name.ends_with(".om")), "{names:?}");
    of_files(directory);
}

fn names(directory: &Path) -> Vec<String> {
    files(directory).iter().map(|path| path.file_name().expect("a name").to_string_lossy().into_owned()).collect()
}

/// How many files promtool would be given.
fn of_om(directory: &Path) -> usize {
    names(directory).iter().filter(|name| name.ends_with(".om")).count()
}

/// What is in them.
fn of_files(directory: &Path) -> Samples {
    let all = files(directory).into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "om"));
    all.fold(Samples::default(), |all, path| all.join(&Samples::of_file(&path)))
}

/// Going on as the log says, into the same directory, gives all that an undisturbed run gives.
async fn assert_can_go_on(place: &Place, directory: &Path, log: &str, days: (NaiveDate, NaiveDate), all: &Samples) {
    let from = day_to_go_on(log);
    assert!(from >= days.0, "not before what was asked for: {log}");
    let said = place.ended(&mut place.backfill("state", (from, days.1), &into(directory))).await;
    assert_eq!(said.code, Some(0), "{}", said.log);
    assert_same(&Samples::of_files(directory), all, "stopped, and gone on");
    assert!(names(directory).iter().all(|name| !name.starts_with('.')), "{:?}", names(directory));
}

/// What a run says that comes to a bad end, as it is disturbed each time that a month is done: the first, the second.
async fn disturbed(place: &Place, running: &mut Child, disturb: impl AsyncFn(usize)) -> String {
    let mut lines = BufReader::new(running.stderr.take().expect("a pipe")).lines();
    let (mut log, mut done) = (String::new(), 0);
    while let Some(line) = lines.next_line().await.expect("a log") {
        if line.contains(": done;") {
            done += 1;
            disturb(done).await;
        }
        log += &line;
    }
    assert_eq!(running.wait().await.expect("an end").code(), Some(1), "{log}");
    place.simulator.faults().clear();
    log
}

/// Has a run stop that cannot come to its end by itself.
async fn stop(place: &Place, name: &str, pid: &str) {
    place.simulator.faults().set(Scope::all(), Fault::Hang);
    signal(name, pid).await;
}

/// Has a run fail: a dead token is not asked again.
fn fail(place: &Place) {
    place.simulator.faults().set(Scope::all(), Fault::TokenDead);
}

#[tokio::test]
async fn stopped_by_ctrl_c_or_by_the_system_it_leaves_whole_files_and_says_how_to_go_on() {
    let (place, days) = (place().await, days_ago(100, 10));
    let all = place.undisturbed(days, &[]).await;
    for name in ["INT", "TERM"] {
        let directory = place.path(name);
        let mut command = place.backfill("state", days, &into(&directory));
        let mut running = command.stderr(Stdio::piped()).spawn().expect("it starts");
        let pid = running.id().expect("it runs").to_string();
        let stop = async |done| {
            if done == 2 {
                stop(&place, name, &pid).await;
            }
        };
        let log = disturbed(&place, &mut running, stop).await;
        assert!(log.contains("stopped; ") && log.contains("files are complete"), "{log}");
        assert_whole(&directory, 2);
        assert_can_go_on(&place, &directory, &log, days, &all).await;
    }
}

/// Runs the program on a disk of that size, and keeps what it wrote there.
const ON_A_DISK: &str =
    r#"mount -t tmpfs -o size="$SIZE" tmpfs "$0" && { "$@"; code=$?; cp -r "$0/." "$KEEP"; exit $code; }"#;

#[tokio::test]
async fn on_a_full_disk_the_files_before_are_whole_and_one_can_go_on() {
    if !own_disks_are_there("on_a_full_disk_the_files_before_are_whole_and_one_can_go_on") {
        return;
    }
    let (place, days) = (place().await, days_ago(100, 10));
    let all = place.undisturbed(days, &[]).await;
    let whole = place.path("whole");
    assert_eq!(place.ended(&mut place.backfill("state", days, &into(&whole))).await.code, Some(0));
    let sizes: Vec<_> = files(&whole).iter().map(|path| fs::metadata(path).expect("a file").len()).collect();
    let (disk, keep) = (place.path("disk"), place.path("keep"));
    for directory in [&disk, &keep] {
        fs::create_dir(directory).expect("a directory");
    }
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", ON_A_DISK]).arg(&disk).arg(env!("CARGO_BIN_EXE_oura-exporter"));
    place.equip(&mut command, "state");
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("KEEP", &keep);
    command.env("SIZE", (sizes[0] + sizes[1] + sizes[2] / 2).to_string());
    command.arg("backfill").args(crate::receiving::arguments(days)).args(into(&disk));
    let said = place.ended(&mut command).await;
    assert!(said.code == Some(1) && said.log.contains("No space left on device"), "{}", said.log);
    assert_whole(&keep, 2);
    assert_eq!(of_om(&keep), 2, "the third has no place");
    assert_can_go_on(&place, &keep, &said.log, days, &all).await;
}

#[tokio::test]
async fn where_oura_stays_away_it_says_how_to_go_on_and_the_files_are_whole() {
    let (place, days) = (place().await, days_ago(70, 10));
    let all = place.undisturbed(days, &[]).await;
    let directory = place.path("files");
    let mut command = place.backfill("state", days, &into(&directory));
    let mut running = command.stderr(Stdio::piped()).spawn().expect("it starts");
    let log = disturbed(&place, &mut running, async |_| fail(&place)).await;
    assert_whole(&directory, 1);
    assert_can_go_on(&place, &directory, &log, days, &all).await;
}

#[tokio::test]
async fn on_a_terminal_it_draws_a_bar_and_elsewhere_lines() {
    let (place, days) = (place().await, days_ago(40, 20));
    let directory = place.path("files");
    let said = place.ended(&mut place.backfill("state", days, &into(&directory))).await;
    assert!(said.out.is_empty() && said.log.contains(": done; "), "{}", said.log);
    assert!(!said.log.contains(['\u{1b}', '\r', '█', '░']), "plain lines: {}", said.log);
    assert!(said.log.contains("promtool tsdb create-blocks-from openmetrics"), "what to do next: {}", said.log);
    if !there_are(&["script"], "on_a_terminal_it_draws_a_bar_and_elsewhere_lines") {
        return;
    }
    let program = env!("CARGO_BIN_EXE_oura-exporter");
    let arguments = [crate::receiving::arguments(days).to_vec(), into(&directory).map(str::to_owned).to_vec()].concat();
    let mut command = Command::new("script");
    place.equip(&mut command, "state");
    let quoted: Vec<_> = arguments.iter().map(|argument| format!("'{argument}'")).collect();
    command.args(["-qec", &format!("'{program}' backfill {}", quoted.join(" ")), "/dev/null"]);
    command.env("PATH", "/usr/bin:/bin").env("SHELL", "/bin/sh").env("TERM", "xterm");
    let Output { status, stdout, .. } = command.output().await.expect("script starts");
    let drawn = String::from_utf8_lossy(&stdout);
    assert!(status.success() && drawn.contains('█') && drawn.contains(" days, "), "{drawn}");
    assert!(!drawn.contains(": done; "), "either a bar or lines: {drawn}");
}

/// What comes on standard output of a run that is disturbed once its first month is done, and all that it says.
async fn printed(place: &Place, days: (NaiveDate, NaiveDate), disturb: impl AsyncFn(&str)) -> (Samples, String) {
    let mut command = place.backfill("state", days, &["--output", "-"]);
    let mut running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let (mut out, pid) = (running.stdout.take().expect("a pipe"), running.id().expect("it runs").to_string());
    let reading = tokio::spawn(async move {
        let mut text = String::new();
        out.read_to_string(&mut text).await.expect("text");
        text
    });
    let log = disturbed(place, &mut running, async |_| disturb(&pid).await).await;
    (Samples::of_text(&reading.await.expect("no panic")), log)
}

#[tokio::test]
async fn standard_output_has_data_only_and_ends_whole_when_it_is_stopped() {
    let (place, days) = (place().await, days_ago(70, 10));
    let all = place.undisturbed(days, &[]).await;
    let (stopped, log) = printed(&place, days, async |pid: &str| stop(&place, "TERM", pid).await).await;
    let rest = place.undisturbed((day_to_go_on(&log), days.1), &[]).await;
    assert_same(&stopped.join(&rest), &all, "stopped, and printed in two parts");
    let (failed, log) = printed(&place, days, async |_: &str| fail(&place)).await;
    let rest = place.undisturbed((day_to_go_on(&log), days.1), &[]).await;
    assert_same(&failed.join(&rest), &all, "failed, and printed in two parts");
}

#[tokio::test]
async fn what_a_killed_run_leaves_beside_the_files_is_cleared_away_by_the_next() {
    let (place, days) = (place().await, days_ago(40, 20));
    let directory = place.path("files");
    let mut command = place.backfill("state", days, &into(&directory));
    let mut running = command.stderr(Stdio::null()).spawn().expect("it starts");
    let begun = async || fs::read_dir(&directory).ok()?.next().map(drop);
    eventually("a file is begun", begun).await;
    running.kill().await.expect("a kill");
    fs::write(directory.join(".oura-exporter-backfill-left.part"), "half a li").expect("a file");
    let own = place.path("files").join(".oura-notes");
    fs::write(&own, "somebody's own").expect("a file");
    let said = place.ended(&mut place.backfill("state", days, &into(&directory))).await;
    assert_eq!(said.code, Some(0), "{}", said.log);
    fs::remove_file(&own).expect("what is somebody's own is left alone");
    assert_whole(&directory, 1);
    assert_same(&Samples::of_files(&directory), &place.undisturbed(days, &[]).await, "killed, and run again");
}
