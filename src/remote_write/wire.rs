//! Prometheus' remote-write 1.0 messages, and a request's body made of them.

use prost::Message as _;

use super::Batch;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    pub(super) timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    pub(super) labels: Vec<WireLabel>,
    #[prost(message, repeated, tag = "2")]
    pub(super) samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct WireLabel {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) value: String,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct Sample {
    #[prost(double, tag = "1")]
    pub(super) value: f64,
    /// Milliseconds since 1970.
    #[prost(int64, tag = "2")]
    pub(super) timestamp: i64,
}

/// The body of the request that holds `batch`, compressed.
pub fn body(batch: &Batch) -> Vec<u8> {
    let message = WriteRequest { timeseries: batch.iter().map(one).collect() };
    let compressed = snap::raw::Encoder::new().compress_vec(&message.encode_to_vec());
    compressed.expect("a batch is far below the four gigabytes that snappy can take")
}

/// The labels must be in order; `__name__` comes before all that begin with a letter.
fn one((series, points): &(std::sync::Arc<super::Series>, Vec<(i64, f64)>)) -> TimeSeries {
    let name = [("__name__", series.name)].into_iter();
    let labels = name.chain(series.labels.iter().map(|(name, value)| (*name, value.as_ref())));
    let labels = labels.map(|(name, value)| WireLabel { name: name.to_owned(), value: value.to_owned() });
    let samples = points.iter().map(|(timestamp, value)| Sample { value: *value, timestamp: *timestamp });
    TimeSeries { labels: labels.collect(), samples: samples.collect() }
}
