//! What a backfill costs: writing its text beside promtool's reading of it, encoding requests, and memory over the years;
//! and how much it is, beside what was foretold.

use std::{
    collections::BTreeMap,
    env,
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread::sleep,
    time::{Duration, Instant},
};

use chrono::{TimeDelta, Utc};
use oura_exporter::{
    remote_write::{Batch, body},
    samples::{Format, Lines, Points, Series, Text, count, help_of},
    simulator::{Settings, Simulator},
};

/// The years of data that the simulated people have.
const YEARS: u32 = 10;
/// How often the month is written and encoded; the fastest time counts.
const TIMES: usize = 5;
/// The most that ten years may take of memory, of what one year takes.
const MOST: f64 = 1.2;
/// How far what was foretold may be from what came, as a factor.
const FORETOLD_WITHIN: f64 = 1.5;
/// The most samples in a request.
const REQUEST: usize = 5_000;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let settings = Settings { years: YEARS, full_days: Some(0), application_limit: None, ..Settings::default() };
    let simulator = runtime.block_on(Simulator::start(settings)).expect("a simulator");
    let directory = tempfile::tempdir().expect("a directory");
    let month = month(&simulator, directory.path());
    let lines = lines(&fs::read_to_string(&month).expect("a file"));
    let text = written(&lines, directory.path());
    let read = read_by_promtool(&month, directory.path(), count(&lines));
    if let Some(read) = read {
        println!("ratio: we write {:.1} times as fast as promtool reads", text / read);
        assert!(text >= read, "we are the slower");
    }
    encoded(&lines);
    let (one, ten) = (peak(&simulator, directory.path(), 1), peak(&simulator, directory.path(), YEARS));
    println!("ratio: ten years take {:.2} of the memory of one", ten / one);
    assert!(ten <= one * MOST, "memory grows with the years");
}

/// The program as a backfill of so many days that end half a month ago; what it says goes into a file beside `output`.
fn backfill(simulator: &Simulator, days: i64, output: &Path) -> Child {
    let (first, last) = (Utc::now() - TimeDelta::days(days + 15), Utc::now() - TimeDelta::days(15));
    let wearer = simulator.people().swap_remove(0);
    let mut command = Command::new(env!("CARGO_BIN_EXE_oura-exporter"));
    let log = File::create(output.with_extension("log")).expect("a file");
    command.env_clear().env("OURA_API_URL", simulator.url()).env("OURA_ACCESS_TOKEN", wearer.token);
    command.env("OURA_STATE_DIR", output.with_extension("state")).stderr(log).arg("backfill");
    // What is measured is the work, not the wait for the budget or for Oura's limit.
    command.env("OURA_REQUEST_BUDGET", "1000000");
    command.args(["--from", &first.date_naive().to_string(), "--to", &last.date_naive().to_string(), "--output"]);
    command.arg(output).spawn().expect("the program starts")
}

/// The file of a whole month of all collections.
fn month(simulator: &Simulator, directory: &Path) -> PathBuf {
    let output = directory.join("month");
    let started = Instant::now();
    assert!(backfill(simulator, 62, &output).wait().expect("an end").success());
    println!("backfill of two months, with the simulator's work: {:.1} s", started.elapsed().as_secs_f64());
    let files = fs::read_dir(&output).expect("a directory").flatten().filter(|entry| entry.path().is_file());
    files.max_by_key(|entry| entry.metadata().map_or(0, |file| file.len())).expect("a file").path()
}

/// A file's lines as they were before they were written.
fn lines(text: &str) -> Lines {
    let mut samples: BTreeMap<&str, Points> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let mut parts = line.rsplitn(3, ' ');
        let (time, value) = (parts.next().expect("a time"), parts.next().expect("a value"));
        let time = (time.parse::<f64>().expect("seconds") * 1000.0).round() as i64;
        let series = parts.next().expect("a series");
        samples.entry(series).or_default().insert(time, value.parse().expect("a number"));
    }
    samples.into_iter().map(|(name, samples)| (Arc::new(series(name)), samples)).collect()
}

fn series(text: &str) -> Series {
    let (name, labels) = text.trim_end_matches('}').split_once('{').expect("labels");
    let label = |label: &str| {
        let (name, value) = label.split_once("=\"").expect("a label");
        (&*name.to_owned().leak(), value.trim_end_matches('"').to_owned().into())
    };
    Series { name: name.to_owned().leak(), labels: labels.split("\",").map(label).collect() }
}

/// The shortest time of some runs.
fn fastest(mut run: impl FnMut()) -> f64 {
    let time = |_| {
        let started = Instant::now();
        run();
        started.elapsed()
    };
    (0..TIMES).map(time).min().unwrap_or_default().as_secs_f64()
}

/// Lines a second written.
fn written(lines: &Lines, directory: &Path) -> f64 {
    let path = directory.join("written.om");
    let seconds = fastest(|| {
        let file = BufWriter::with_capacity(256 * 1024, File::create(&path).expect("a file"));
        let mut text = Text::new(file, Format::OpenMetrics);
        text.write(lines, help_of).expect("room");
        text.finish().expect("room").flush().expect("room");
    });
    let (lines, bytes) = (count(lines), fs::metadata(&path).expect("a file").len());
    let rate = lines as f64 / seconds;
    println!("written: {lines} lines, {:.1} MB in {seconds:.3} s: {rate:.0} lines/s", bytes as f64 / 1e6);
    rate
}

/// Lines a second that promtool makes blocks of; none where it is not installed.
fn read_by_promtool(file: &Path, directory: &Path, lines: usize) -> Option<f64> {
    let mut command = Command::new("promtool");
    command.args(["tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=1500h"]);
    command.arg(file).arg(directory.join("blocks")).stdout(Stdio::null()).stderr(Stdio::null());
    let started = Instant::now();
    let Ok(ended) = command.status() else {
        println!("promtool: not installed, so there is nothing to compare with");
        return None;
    };
    assert!(ended.success(), "promtool takes the file");
    let seconds = started.elapsed().as_secs_f64();
    let rate = lines as f64 / seconds;
    println!("promtool: {lines} lines in {seconds:.3} s: {rate:.0} lines/s");
    Some(rate)
}

/// The month in requests, in order of time.
fn requests(lines: &Lines) -> Vec<Batch> {
    let times = || lines.values().flat_map(|points| points.keys().copied());
    let (first, last) = (times().min().expect("some"), times().max().expect("some"));
    let stretch = (last - first) * REQUEST as i64 / count(lines) as i64;
    let cut = |from: i64| {
        let within =
            |points: &Points| points.range(from..from + stretch).map(|(time, value)| (*time, *value)).collect();
        let all = lines.iter().map(|(series, points)| (Arc::clone(series), within(points)));
        all.filter(|(_, points): &(_, Vec<_>)| !points.is_empty()).collect()
    };
    (first..last).step_by(usize::try_from(stretch).expect("some time")).map(cut).collect()
}

fn encoded(lines: &Lines) {
    let requests = requests(lines);
    let samples: usize = requests.iter().flatten().map(|(_, points)| points.len()).sum();
    let mut bytes = 0;
    let seconds = fastest(|| bytes = requests.iter().map(|batch| body(batch).len()).sum());
    let rate = samples as f64 / seconds;
    let each = bytes as f64 / samples as f64;
    println!("encoded: {samples} samples in {} requests, {each:.1} bytes each: {rate:.0} samples/s", requests.len());
}

/// The most memory that a backfill of so many years had, in MB.
fn peak(simulator: &Simulator, directory: &Path, years: u32) -> f64 {
    let output = directory.join(format!("{years}-years"));
    let started = Instant::now();
    let mut child = backfill(simulator, i64::from(years) * 365 - 30, &output);
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0.0;
    let ended = loop {
        peak = high_water(&status).unwrap_or(peak);
        if let Some(ended) = child.try_wait().expect("a state") {
            break ended;
        }
        sleep(Duration::from_millis(5));
    };
    assert!(ended.success(), "{years} years");
    let seconds = started.elapsed().as_secs_f64();
    let sizes = fs::read_dir(&output)
        .expect("a directory")
        .flatten()
        .map(|entry| entry.metadata().map_or(0, |file| file.len()));
    let (files, bytes) = sizes.fold((0, 0), |(files, bytes), size| (files + 1, bytes + size));
    println!("{years} years: peak {peak:.1} MB, {files} files of {:.0} MB, {seconds:.0} s", bytes as f64 / 1e6);
    assert_foretold(&fs::read_to_string(output.with_extension("log")).expect("a log"), bytes as f64 / 1e6);
    fs::remove_dir_all(&output).expect("a directory");
    peak
}

/// What the program said beforehand of how many megabytes it will be is what came.
fn assert_foretold(log: &str, megabytes: f64) {
    let words =
        log.lines().find_map(|line| line.split_once(" samples, ")?.1.strip_suffix(" MB as text")).expect("a word");
    let foretold: f64 = words.parse().expect("a number");
    println!("foretold: {foretold} MB, {:.2} of what came", foretold / megabytes);
    assert!(
        (megabytes / FORETOLD_WITHIN..megabytes * FORETOLD_WITHIN).contains(&foretold),
        "{foretold} of {megabytes}"
    );
}

fn high_water(status: &str) -> Option<f64> {
    let text = fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<f64>().ok()? / 1024.0)
}
