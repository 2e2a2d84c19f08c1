//! `ring_battery_level`: how full the ring's battery is.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{Dated, Document, Pace, Query, Sampled, values::ratio};
use crate::{
    metric::{Metric, SampleMetric, flag, help},
    observation::{Date, Evidence, Moment},
};

/// A reading of the battery.
#[derive(Debug, Deserialize)]
pub(super) struct RingBatteryLevel {
    timestamp: DateTime<Utc>,
    level: Option<f64>,
    charging: Option<bool>,
    in_charger: Option<bool>,
}

impl Document for RingBatteryLevel {
    type View = Self;
    const NAME: &'static str = "ring_battery_level";
    const SCOPE: &'static str = "ring_configuration";
    const QUERY: Query = Query::LastSample;
    const PACE: Pace = Pace::Quarter;
    const METRICS: &'static [Metric<Self>] = &[
        help("How full the ring's battery is, 0 to 1, from ring_battery_level.level.")
            .page_only()
            .gauge("oura_ring_battery_ratio", |d| ratio(d.level)),
        help("When the battery was read, from ring_battery_level.timestamp.")
            .page_only()
            .gauge("oura_ring_battery_timestamp_seconds", |d| Some(d.timestamp.timestamp() as f64)),
        help("Whether the ring was charging then, 0 or 1, from ring_battery_level.charging.")
            .page_only()
            .gauge("oura_ring_charging", |d| flag(d.charging)),
        help("Whether the ring was in its charger then, 0 or 1, from ring_battery_level.in_charger.")
            .page_only()
            .gauge("oura_ring_in_charger", |d| flag(d.in_charger)),
    ];

    fn views(documents: Vec<Self>, _: &Moment) -> Vec<Dated<Self>> {
        documents.into_iter().map(|d| Dated { date: Date::Instant(d.timestamp), view: d }).collect()
    }

    fn evidence(&self) -> Evidence {
        Evidence { synced: Some(self.timestamp), ..Evidence::default() }
    }
}

impl Sampled for RingBatteryLevel {
    const SAMPLES: &'static [SampleMetric<Self>] =
        &[help("How full the ring's battery was, 0 to 1, at the sample's own time, from ring_battery_level.level.")
            .samples("oura_sample_ring_battery_ratio", &[], |d, _| {
                (vec![], ratio(d.level).map(|level| (d.timestamp, level)).into_iter().collect())
            })];
}
