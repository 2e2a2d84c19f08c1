//! `ring_configuration`: the ring that is worn now, among all that were ever paired.

use serde::Deserialize;

use super::{
    Dated, Document, Pace, Query,
    times::Time,
    values::{hint, states, timestamp, version_label},
};
use crate::{
    metric::{Metric, Row, help, label},
    observation::{Date, Moment, is_measured},
};

states! {
    /// The generation of the hardware.
    Hardware { Gen1 = "gen1", Gen2 = "gen2", Gen2m = "gen2m", Gen3 = "gen3", Gen4 = "gen4", Or5 = "or5" }
}

states! {
    /// The shape of the ring.
    Design {
        Heritage = "heritage",
        Balance = "balance",
        BalanceDiamond = "balance_diamond",
        Horizon = "horizon",
        Ceramic = "ceramic",
    }
}

states! {
    /// The color of the ring.
    Color {
        BrushedSilver = "brushed_silver",
        GlossyBlack = "glossy_black",
        GlossyGold = "glossy_gold",
        GlossyWhite = "glossy_white",
        Gucci = "gucci",
        MattGold = "matt_gold",
        Rose = "rose",
        Silver = "silver",
        StealthBlack = "stealth_black",
        Titanium = "titanium",
        TitaniumAndGold = "titanium_and_gold",
        Cloud = "cloud",
        Petal = "petal",
        Midnight = "midnight",
        Tide = "tide",
        DeepRose = "deep_rose",
    }
}

/// A ring.
#[derive(Debug, Deserialize)]
pub(super) struct RingConfiguration {
    hardware_type: Option<Hardware>,
    design: Option<Design>,
    color: Option<Color>,
    size: Option<f64>,
    firmware_version: Option<String>,
    /// Oura writes 1970 where it does not know, which is outside the years of a [`Time`], and so none.
    #[serde(default, deserialize_with = "hint")]
    set_up_at: Option<Time>,
}

impl RingConfiguration {
    fn info(&self) -> Row {
        let size = self.size.filter(|size| is_measured(*size));
        let labels = vec![
            self.hardware_type.map_or("", Hardware::word).into(),
            self.design.map_or("", Design::word).into(),
            self.color.map_or("", Color::word).into(),
            size.map_or_else(String::new, |size| size.to_string()).into(),
            self.firmware_version.as_deref().map_or_else(String::new, version_label).into(),
        ];
        (labels, 1.0)
    }
}

impl Document for RingConfiguration {
    type View = Self;
    const NAME: &'static str = "ring_configuration";
    const SCOPE: &'static str = "ring_configuration";
    const QUERY: Query = Query::All;
    const PACE: Pace = Pace::QuarterDay;
    const KEEP_DAYS: Option<i64> = None;
    const REACH_DAYS: i64 = 0;
    const SELECTS_FIELDS: bool = true;
    const METRICS: &'static [Metric<Self>] = &[
        help("The ring that was set up last, always 1, from ring_configuration.").page_only().rows(
            "oura_ring_info",
            &[
                label("hardware_type", Hardware::WORDS),
                label("design", Design::WORDS),
                label("color", Color::WORDS),
                label("size", &[]),
                label("firmware_version", &[]),
            ],
            |ring| vec![ring.info()],
        ),
        help("When that ring was set up, from ring_configuration.set_up_at.")
            .page_only()
            .gauge("oura_ring_set_up_timestamp_seconds", |ring| timestamp(ring.set_up_at)),
    ];

    fn views(documents: Vec<Self>, _: &Moment) -> Vec<Dated<Self>> {
        let newest = documents.into_iter().max_by_key(|ring| ring.set_up_at);
        newest.map(|ring| Dated { date: Date::Standing, view: ring }).into_iter().collect()
    }
}
