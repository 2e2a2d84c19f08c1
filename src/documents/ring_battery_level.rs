//! `ring_battery_level`: how full the ring's battery is.

use serde::Deserialize;

use super::{
    Dated, Document, Pace, Query, Sampled,
    times::Time,
    values::{at, ratio, timestamp},
};
use crate::{
    metric::{Metric, SampleMetric, flag, help},
    observation::{CLOCK_TOLERANCE, Date, Evidence, Moment},
};

/// A reading of the battery.
#[derive(Debug, Deserialize)]
pub(super) struct RingBatteryLevel {
    timestamp: Time,
    level: Option<f64>,
    charging: Option<bool>,
    in_charger: Option<bool>,
}

/// How full, 0 to 1; none where it is beyond that.
fn full(level: Option<f64>) -> Option<f64> {
    ratio(level).filter(|ratio| (0.0..=1.0).contains(ratio))
}

impl Document for RingBatteryLevel {
    type View = Self;
    const NAME: &'static str = "ring_battery_level";
    const SCOPE: &'static str = "ring_configuration";
    const QUERY: Query = Query::LastSample;
    const PACE: Pace = Pace::Quarter;
    const KEEP_DAYS: Option<i64> = Some(2);
    const REACH_DAYS: i64 = 0;
    const SELECTS_FIELDS: bool = true;
    const METRICS: &'static [Metric<Self>] = &[
        help("How full the ring's battery is, 0 to 1, from ring_battery_level.level.")
            .page_only()
            .gauge("oura_ring_battery_ratio", |d| full(d.level)),
        help("When the battery was read, from ring_battery_level.timestamp.")
            .page_only()
            .gauge("oura_ring_battery_timestamp_seconds", |d| timestamp(Some(d.timestamp))),
        help("Whether the ring was charging then, 0 or 1, from ring_battery_level.charging.")
            .page_only()
            .gauge("oura_ring_charging", |d| flag(d.charging)),
        help("Whether the ring was in its charger then, 0 or 1, from ring_battery_level.in_charger.")
            .page_only()
            .gauge("oura_ring_in_charger", |d| flag(d.in_charger)),
    ];

    fn views(documents: Vec<Self>, moment: &Moment) -> Vec<Dated<Self>> {
        let latest = moment.now + CLOCK_TOLERANCE;
        let has_been = documents.into_iter().filter(|d| d.timestamp.to_utc() <= latest);
        has_been.map(|d| Dated { date: Date::Instant(d.timestamp.to_utc()), view: d }).collect()
    }

    fn evidence(&self) -> Evidence {
        Evidence { synced: Some(self.timestamp.to_utc()), ..Evidence::default() }
    }
}

impl Sampled for RingBatteryLevel {
    const SAMPLES: &'static [SampleMetric<Self>] =
        &[help("How full the ring's battery was, 0 to 1, at the sample's own time, from ring_battery_level.level.")
            .samples("oura_sample_ring_battery_ratio", &[], |d, _| (vec![], at(Some(d.timestamp), full(d.level))))];

    /// A row does not grow.
    fn due(&self, _: &Moment) -> Option<i32> {
        Some(0)
    }
}
