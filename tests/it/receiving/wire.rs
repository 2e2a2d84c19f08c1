//! A remote-write request as a receiver reads it, and the rules that it may break.

use std::collections::BTreeSet;

use hyper::{
    HeaderMap,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use prost::Message as _;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// What a request may take on its way, in milliseconds.
const ON_THE_WAY: i64 = 120_000;

#[derive(Clone, PartialEq, prost::Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

/// A request: series, named as OpenMetrics names them, with their samples as they were sent.
pub(crate) struct Parsed {
    series: Vec<(String, Vec<(i64, f64)>)>,
    improper: Vec<String>,
}

/// Reads a request; what is not snappy of protobuf is no request at all.
pub(crate) fn parse(headers: &HeaderMap, body: &[u8]) -> Parsed {
    let plain = snap::raw::Decoder::new().decompress_vec(body).expect("snappy");
    let message = WriteRequest::decode(&*plain).expect("a WriteRequest");
    let expected = [
        (CONTENT_ENCODING.as_str(), "snappy"),
        (CONTENT_TYPE.as_str(), "application/x-protobuf"),
        ("x-prometheus-remote-write-version", "0.1.0"),
    ];
    let wrong = expected.into_iter().filter(|(name, value)| headers.get(*name).is_none_or(|had| had != value));
    let mut improper: Vec<_> = wrong.map(|(name, value)| format!("header {name} is not {value}")).collect();
    improper.extend(message.timeseries.iter().flat_map(|series| improper_labels(&series.labels)));
    let points = |series: &TimeSeries| series.samples.iter().map(|sample| (sample.timestamp, sample.value)).collect();
    let series = message.timeseries.iter().map(|series| (named(&series.labels), points(series))).collect();
    Parsed { series, improper }
}

fn improper_labels(labels: &[Label]) -> Vec<String> {
    let mut improper = Vec::new();
    if !labels.is_sorted_by(|one, next| one.name < next.name) {
        improper.push(format!("labels are not in order: {labels:?}"));
    }
    for name in ["__name__", "account", "instance", "job"] {
        if !labels.iter().any(|label| label.name == name && !label.value.is_empty()) {
            improper.push(format!("no {name}: {labels:?}"));
        }
    }
    improper
}

/// The series as OpenMetrics writes it.
fn named(labels: &[Label]) -> String {
    let quoted = |value: &str| value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
    let (name, others): (Vec<_>, Vec<_>) = labels.iter().partition(|label| label.name == "__name__");
    let others: Vec<_> = others.iter().map(|label| format!("{}=\"{}\"", label.name, quoted(&label.value))).collect();
    format!("{}{{{}}}", name.first().map_or("", |label| &label.value), others.join(","))
}

impl Parsed {
    pub(crate) fn samples(&self) -> impl Iterator<Item = (&str, i64, f64)> {
        self.series
            .iter()
            .flat_map(|(series, points)| points.iter().map(|(time, value)| (series.as_str(), *time, *value)))
    }

    /// What a sender may not do, seen at `now`.
    pub(crate) fn violations(&self, now: i64) -> Vec<String> {
        let mut violations = self.improper.clone();
        for (series, points) in &self.series {
            if points.is_empty() || !points.is_sorted_by(|one, next| one.0 < next.0) {
                violations.push(format!("{series}: samples are missing or not in order"));
            }
        }
        let names: BTreeSet<_> = self.series.iter().map(|(series, _)| series).collect();
        if names.len() != self.series.len() {
            violations.push("a series twice in a request".to_owned());
        }
        let times = || self.samples().map(|(_, time, _)| time);
        let (Some(first), Some(last)) = (times().min(), times().max()) else {
            violations.push("a request of nothing".to_owned());
            return violations;
        };
        violations.extend(improper_ages(first, last, now).map(|what| format!("{what}: {first} to {last} at {now}")));
        violations
    }
}

/// A request is of one day of UTC, either of the last hour or older, and nothing in it is to come.
fn improper_ages(first: i64, last: i64, now: i64) -> impl Iterator<Item = &'static str> {
    let hour_ago = now - HOUR;
    let improper = [
        (first.div_euclid(DAY) != last.div_euclid(DAY), "a request of two days"),
        (first < hour_ago - ON_THE_WAY && last > hour_ago + ON_THE_WAY, "old and young samples in one request"),
        (last > now, "a sample of the future"),
    ];
    improper.into_iter().filter(|(is_improper, _)| *is_improper).map(|(_, what)| what)
}

/// Which samples were sent, and how many in all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) times: BTreeSet<i64>,
    pub(crate) samples: usize,
}

impl Sent {
    pub(crate) fn note(&mut self, parsed: &Parsed) {
        self.samples += parsed.samples().count();
        self.times.extend(parsed.samples().map(|(_, time, _)| time));
    }
}
