//! The directory of the files: what a second run leaves of the first, and who may read them.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    process::Stdio,
};

use chrono::{Datelike as _, Months, NaiveDate};
use oura_exporter::simulator::{Fault, Scope};
use serde_json::Value;
use tokio::process::Command;

use super::{assert_same, stores::follow, today};
use crate::{
    common::{
        backfill::reported,
        needs::{left_out, there_are},
        samples::{Samples, files},
        scene::mode,
    },
    receiving::Place,
};

type Days = (NaiveDate, NaiveDate);

/// So many months ago, on that day.
fn ago(months: u32, day: u32) -> NaiveDate {
    let first = today().with_day(1).expect("a day") - Months::new(months);
    first.with_day(day).expect("a day")
}

async fn place() -> Place {
    let mut place = Place::new().await;
    place.collections = "daily_readiness";
    place
}

async fn run(place: &Place, days: Days, directory: &Path) -> String {
    let output = directory.to_str().expect("a path");
    let said = place.ended(&mut place.backfill("state", days, &["--output", output])).await;
    assert_eq!(said.code, Some(0), "{}", said.log);
    said.log
}

fn names(directory: &Path) -> BTreeSet<String> {
    files(directory).iter().map(|path| path.file_name().expect("a name").to_string_lossy().into_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_run_leaves_no_file_of_the_first() {
    let place = place().await;
    let first = (ago(4, 1), ago(2, 20));
    let seconds = [
        ("the same", first),
        ("shorter at the end", (ago(4, 1), ago(3, 10))),
        ("shorter at the beginning", (ago(3, 1), ago(2, 20))),
        ("in the middle", (ago(3, 5), ago(3, 25))),
        ("longer", (ago(5, 10), ago(1, 10))),
        ("overlapping before", (ago(5, 3), ago(4, 10))),
        ("overlapping after", (ago(2, 10), ago(1, 15))),
        ("from the middle of its first month", (ago(4, 15), ago(3, 10))),
        ("before it", (ago(6, 2), ago(5, 25))),
        ("after it", (ago(1, 3), ago(1, 20))),
    ];
    for (what, second) in seconds {
        let (directory, alone) = (place.path(what), place.path("alone"));
        run(&place, first, &directory).await;
        let own = [".oura-notes", "oura-notes.om", "oura-2026.om", "notes.txt"].map(|name| directory.join(name));
        own.iter().for_each(|path| fs::write(path, "somebody's own").expect("a file"));
        let log = run(&place, second, &directory).await;
        assert!(log.contains("3 files of an earlier run are removed"), "{what}: {log}");
        own.iter().for_each(|path| fs::remove_file(path).expect("what is somebody's own is left alone"));
        run(&place, second, &alone).await;
        assert_eq!(names(&directory), names(&alone), "{what}");
        assert_same(&Samples::of_run(&directory), &Samples::of_run(&alone), what);
        fs::remove_dir_all(&alone).expect("a directory");
    }
}

#[tokio::test]
async fn a_second_run_that_comes_to_nothing_costs_no_file_of_the_first() {
    let place = place().await;
    let (directory, days) = (place.path("files"), (ago(4, 1), ago(3, 10)));
    run(&place, days, &directory).await;
    let before = names(&directory);
    let output = directory.to_str().expect("a path");
    place.simulator.faults().set(Scope::all(), Fault::TokenDead);
    for days in [days, (ago(3, 1), ago(3, 10)), (ago(2, 1), ago(2, 10))] {
        let said = place.ended(&mut place.backfill("state", days, &["--output", output])).await;
        assert_eq!(said.code, Some(1), "{}", said.log);
        assert_eq!(names(&directory), before);
    }
    place.simulator.faults().clear();
    run(&place, (ago(3, 1), ago(3, 10)), &directory).await;
    assert_eq!(names(&directory).len(), 1, "which was not a part of the first");
}

#[tokio::test]
async fn where_oura_has_nothing_there_is_no_file_and_none_of_another_run() {
    let place = place().await;
    let (directory, days) = (place.path("files"), (ago(4, 1), ago(4, 20)));
    run(&place, days, &directory).await;
    let nobody = NaiveDate::from_ymd_opt(2016, 5, 1).expect("a day");
    let log = run(&place, (nobody, nobody), &directory).await;
    assert!(log.contains("Oura has no data for these days") && !log.contains("promtool"), "{log}");
    assert_eq!(names(&directory), BTreeSet::new());
}

fn output_of(program: &str, arguments: &[&str]) -> String {
    let output = std::process::Command::new(program).args(arguments).output().expect("it runs");
    assert!(output.status.success(), "{program} {arguments:?}");
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}

/// A group that this process may give files to, by its name and number: any one for root, else its own.
fn group(is_root: bool) -> (String, u32) {
    let name = if is_root { "daemon".to_owned() } else { output_of("id", &["-gn"]) };
    let line = output_of("getent", &["group", &name]);
    (name, line.split(':').nth(2).and_then(|number| number.parse().ok()).expect("a number"))
}

fn owner_group(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").gid()
}

/// A run into `directory` for that group.
async fn for_group(place: &Place, directory: &Path, group: &str) -> crate::receiving::Said {
    let output = directory.to_str().expect("a path");
    let days = (ago(4, 1), ago(3, 10));
    place.ended(&mut place.backfill("state", days, &["--output", output, "--group", group])).await
}

#[tokio::test]
async fn a_group_may_read_the_files_and_enter_the_directory_and_nobody_else() {
    let (place, is_root) = (place().await, output_of("id", &["-u"]) == "0");
    let (name, number) = group(is_root);
    for group in [name.clone(), number.to_string()] {
        let directory = place.path(&group);
        let said = for_group(&place, &directory, &group).await;
        assert_eq!(said.code, Some(0), "{}", said.log);
        assert_eq!((mode(&directory), owner_group(&directory)), (0o750, number));
        assert_eq!(files(&directory).len(), 2);
        for file in files(&directory) {
            assert_eq!((mode(&file), owner_group(&file)), (0o640, number), "{}", file.display());
        }
    }
}

#[tokio::test]
async fn a_directory_with_other_things_is_not_taken_from_those_who_use_it() {
    let (place, (name, number)) = (place().await, group(output_of("id", &["-u"]) == "0"));
    for (bits, is_closed) in [(0o755, false), (0o700, true)] {
        let shared = place.path(&format!("{bits:o}"));
        fs::create_dir(&shared).expect("a directory");
        fs::write(shared.join("notes.txt"), "somebody's own").expect("a file");
        open(&shared, bits);
        let before = (mode(&shared), owner_group(&shared));
        let said = for_group(&place, &shared, &name).await;
        assert_eq!(said.code, Some(0), "{}", said.log);
        assert_eq!((mode(&shared), owner_group(&shared)), before);
        assert_eq!(said.log.contains("give the group access to it"), is_closed, "{}", said.log);
        let own = files(&shared).into_iter().filter(|file| file.extension().is_some_and(|end| end == "om"));
        let own: Vec<_> = own.map(|file| (mode(&file), owner_group(&file))).collect();
        assert_eq!(own, [(0o640, number); 2]);
    }
}

fn open(path: &Path, bits: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(bits)).expect("a mode");
}

#[tokio::test]
async fn without_a_group_only_the_owner_reads_the_files() {
    let place = place().await;
    let directory = place.path("files");
    run(&place, (ago(4, 1), ago(3, 10)), &directory).await;
    assert!(files(&directory).iter().all(|file| mode(file) == 0o600));
}

#[tokio::test]
async fn a_group_that_is_none_is_refused_in_words_before_anything_is_written() {
    let place = place().await;
    for group in ["no-such-group", "", "daemon:x", "-1", "4294967295", "root,daemon"] {
        let directory = place.path("none");
        let said = for_group(&place, &directory, group).await;
        assert_eq!(said.code, Some(2), "{group}: {}", said.log);
        let words = if group == "-1" { "unexpected argument" } else { "no such group; write the one" };
        assert!(said.log.contains(words), "{group}: {}", said.log);
        assert!(!directory.exists(), "{group}");
    }
    if output_of("id", &["-u"]) != "0" {
        let said = for_group(&place, &place.path("foreign"), "root").await;
        assert!(said.code == Some(1) && said.log.contains("--group: cannot give"), "{}", said.log);
    }
}

/// How many samples the blocks of a database have.
fn samples(data: &Path) -> f64 {
    let about = files(data).into_iter().filter_map(|block| fs::read(block.join("meta.json")).ok());
    let about = about.map(|about| serde_json::from_slice::<Value>(&about).expect("JSON"));
    about.map(|about| about["stats"]["numSamples"].as_f64().expect("a number")).sum()
}

/// Runs a command as a user of that group, who owns nothing.
fn as_member(group: u32, program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", &format!("--regid={group}"), "--clear-groups", "--", program]);
    command
}

#[tokio::test]
async fn a_member_of_the_group_brings_the_files_in_by_the_printed_commands_and_no_other_user_can() {
    const NAME: &str = "a_member_of_the_group_brings_the_files_in_by_the_printed_commands_and_no_other_user_can";
    if !there_are(&["promtool"], NAME) {
        return;
    }
    if output_of("id", &["-u"]) != "0" {
        left_out(NAME, "needs to be root, to become somebody else");
        return;
    }
    let (place, (name, number)) = (place().await, group(true));
    let world = tempfile::tempdir().expect("a directory");
    open(world.path(), 0o755);
    let (directory, data) = (world.path().join("history"), world.path().join("data"));
    let said = for_group(&place, &directory, &name).await;
    fs::create_dir(&data).expect("a directory");
    open(&data, 0o777);
    let commands: Vec<_> = said.log.lines().skip_while(|line| !line.starts_with("(for file in ")).take(3).collect();
    let commands = commands.join("\n").replace(" DATA ", &format!(" '{}' ", data.display()));
    for (group, is_in) in [(number, true), (65534, false)] {
        let mut shell = as_member(group, "sh");
        let ended = shell.args(["-e", "-c", &commands]).stdout(Stdio::null()).output().await.expect("it runs");
        assert_eq!(ended.status.success(), is_in, "{}", String::from_utf8_lossy(&ended.stderr));
    }
    assert_eq!(samples(&data), reported(&said.log), "all of it is in");
    // Nothing but the last of the advice is left to be done.
    let remove = said.log.lines().find_map(|line| line.strip_prefix("And finally, as the user you are now: ")).expect(
        "a \
            command",
    );
    let removed = Command::new("sh").args(["-c", remove]).status().await.expect("a shell");
    assert!(removed.success() && names(&directory).is_empty(), "{:?}", names(&directory));
}

#[tokio::test]
async fn the_printed_commands_bring_in_whatever_the_directory_is_called() {
    if !there_are(&["promtool"], "the_printed_commands_bring_in_whatever_the_directory_is_called") {
        return;
    }
    let place = place().await;
    for name in ["Anna's past", "a \"b\" $HOME `id`", "-n", "two  blanks\u{e4}"] {
        let directory = place.path(name);
        let log = run(&place, (ago(4, 1), ago(3, 10)), &directory).await;
        let data = tempfile::tempdir().expect("a directory");
        follow(&log, data.path()).await;
        assert_eq!(names(&directory), BTreeSet::new(), "{name}: each is removed once it is in");
        assert_eq!(samples(data.path()), reported(&log), "{name}");
    }
}
