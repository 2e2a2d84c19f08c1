//! What history costs: writing its text beside promtool's reading of it, encoding requests, and memory over the years.

use std::{
    collections::BTreeMap,
    env,
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use chrono::{TimeDelta, Utc};
use oura_exporter::{
    catalogue,
    history::{Batch, Format, Lines, Points, Series, Shown, Text, body},
    simulator::{Settings, Simulator},
};

/// The years of data that the simulated people have.
const YEARS: u32 = 10;
/// How often the month is written and encoded; the fastest time counts.
const TIMES: usize = 5;
/// How often values are written where only memory counts: the files of ten years stay small.
const SELDOM: [&str; 2] = ["--every", "1h"];
/// The most that ten years may take of memory, of what one year takes.
const MOST: f64 = 1.2;
/// The most samples in a request.
const REQUEST: usize = 5_000;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let settings = Settings { years: YEARS, ..Settings::default() };
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

/// The program as a backfill of so many days that end half a month ago.
fn backfill(simulator: &Simulator, days: i64, output: &Path, more: &[&str]) -> Child {
    let (first, last) = (Utc::now() - TimeDelta::days(days + 15), Utc::now() - TimeDelta::days(15));
    let wearer = simulator.people().swap_remove(0);
    let mut command = Command::new(env!("CARGO_BIN_EXE_oura-exporter"));
    command.env_clear().env("OURA_API_URL", simulator.url()).env("OURA_ACCESS_TOKEN", wearer.token);
    command.env("OURA_STATE_DIR", output.join("state")).stderr(Stdio::null()).arg("backfill").args(more);
    command.args(["--from", &first.date_naive().to_string(), "--to", &last.date_naive().to_string(), "--output"]);
    command.arg(output).spawn().expect("the program starts")
}

/// The file of a whole month of all collections.
fn month(simulator: &Simulator, directory: &Path) -> PathBuf {
    let output = directory.join("month");
    let started = Instant::now();
    assert!(backfill(simulator, 62, &output, &[]).wait().expect("an end").success());
    println!("backfill of two months, with the simulator's work: {:.1} s", started.elapsed().as_secs_f64());
    let files = fs::read_dir(&output).expect("a directory").flatten().filter(|entry| entry.path().is_file());
    files.max_by_key(|entry| entry.metadata().map_or(0, |file| file.len())).expect("a file").path()
}

/// A file's lines as they were before they were written: held values as such, samples as such.
fn lines(text: &str) -> Lines {
    let mut samples: BTreeMap<&str, BTreeMap<i64, f64>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let mut parts = line.rsplitn(3, ' ');
        let (time, value) = (parts.next().expect("a time"), parts.next().expect("a value"));
        let time = (time.parse::<f64>().expect("seconds") * 1000.0).round() as i64;
        let series = parts.next().expect("a series");
        samples.entry(series).or_default().insert(time, value.parse().expect("a number"));
    }
    samples.into_iter().map(|(name, samples)| (series(name), points(name, samples))).collect()
}

fn series(text: &str) -> Series {
    let (name, labels) = text.trim_end_matches('}').split_once('{').expect("labels");
    let label = |label: &str| {
        let (name, value) = label.split_once("=\"").expect("a label");
        (&*name.to_owned().leak(), value.trim_end_matches('"').to_owned().into())
    };
    Series { name: name.to_owned().leak(), labels: labels.split("\",").map(label).collect() }
}

fn points(name: &str, samples: BTreeMap<i64, f64>) -> Points {
    if name.starts_with("oura_sample_") {
        return Points::Samples(samples);
    }
    let step = 300_000;
    let mut shown: Vec<Shown> = Vec::new();
    for (time, value) in samples {
        match shown.last_mut() {
            Some(last) if last.until == time && last.value.to_bits() == value.to_bits() => last.until += step,
            _ => shown.push(Shown { first: time, until: time + step, step, value }),
        }
    }
    Points::Shown(shown)
}

fn count(lines: &Lines) -> usize {
    lines.values().map(|points| points.iter().count()).sum()
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
        text.write(lines, catalogue::help_of).expect("room");
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
    let times = || lines.values().flat_map(|points| points.iter().map(|(time, _)| time));
    let (first, last) = (times().min().expect("some"), times().max().expect("some"));
    let stretch = (last - first) * REQUEST as i64 / count(lines) as i64;
    let cut = |from: i64| {
        let points = |points: &Points| points.between(from, from + stretch).collect::<Vec<_>>();
        let all = lines.iter().map(|(series, all)| (series.clone(), points(all)));
        all.filter(|(_, points)| !points.is_empty()).collect()
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
    let mut child = backfill(simulator, i64::from(years) * 365 - 30, &output, &SELDOM);
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
    let files = fs::read_dir(&output).expect("a directory").count();
    println!("{years} years, {}: peak {peak:.1} MB, {files} files, {seconds:.0} s", SELDOM.join(" "));
    fs::remove_dir_all(&output).expect("a directory");
    peak
}

fn high_water(status: &str) -> Option<f64> {
    let text = fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<f64>().ok()? / 1024.0)
}
