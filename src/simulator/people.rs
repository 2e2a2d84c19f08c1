//! Who wears a ring in the simulator: their bodies, habits, rings and journeys.

use super::zone::Zone;

/// What is particular about a person.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) name: &'static str,
    pub(super) email: &'static str,
    pub(super) sex: &'static str,
    pub(super) age: i64,
    pub(super) weight_kilograms: f64,
    pub(super) height_metres: f64,
    pub(super) home: Zone,
    pub(super) abroad: Zone,
    /// When the yearly journey begins: month and day.
    pub(super) leaves: (u32, u32),
    /// How many days it lasts.
    pub(super) away_days: i64,
    /// Minutes from midnight to lights out on an ordinary evening; negative: before midnight.
    pub(super) bedtime_minutes: f64,
    pub(super) in_bed_minutes: f64,
    /// Beats a minute at the lowest point of an ordinary night.
    pub(super) lowest_pulse: f64,
    pub(super) hrv_milliseconds: f64,
    pub(super) breaths_per_minute: f64,
    pub(super) vo2_max: f64,
    /// How much more than average this person moves.
    pub(super) drive: f64,
    /// What they do for sport.
    pub(super) sports: &'static [&'static str],
    /// Every ring they ever paired, oldest first.
    pub(super) rings: &'static [Ring],
}

/// One ring as the service describes it.
#[derive(Debug)]
pub(super) struct Ring {
    pub(super) hardware_type: &'static str,
    pub(super) design: Option<&'static str>,
    pub(super) color: &'static str,
    pub(super) firmware_version: &'static str,
    pub(super) size: i64,
    pub(super) set_up_at: Option<&'static str>,
}

/// All of them. Their journeys have fixed dates: alice is in Tokyo from 4 to 12 April, bob in Auckland from 3 to
/// 14 November.
pub(super) const PEOPLE: [Person; 2] = [
    Person {
        name: "alice",
        email: "alice@example.com",
        sex: "female",
        age: 38,
        weight_kilograms: 63.4,
        height_metres: 1.69,
        home: Zone::Helsinki,
        abroad: Zone::Tokyo,
        leaves: (4, 4),
        away_days: 9,
        bedtime_minutes: -50.0,
        in_bed_minutes: 492.0,
        lowest_pulse: 52.0,
        hrv_milliseconds: 54.0,
        breaths_per_minute: 14.9,
        vo2_max: 43.0,
        drive: 1.1,
        sports: &["running", "cycling", "yoga", "walking", "cross_country_skiing"],
        rings: &[
            Ring {
                hardware_type: "gen3",
                design: Some("heritage"),
                color: "stealth_black",
                firmware_version: "2.9.32",
                size: 8,
                set_up_at: Some("1970-01-01T00:00:00Z"),
            },
            Ring {
                hardware_type: "gen4",
                design: None,
                color: "brushed_silver",
                firmware_version: "4.3.10",
                size: 8,
                set_up_at: Some("2024-11-18T16:21:07Z"),
            },
        ],
    },
    Person {
        name: "bob",
        email: "bob@example.com",
        sex: "male",
        age: 46,
        weight_kilograms: 88.2,
        height_metres: 1.83,
        home: Zone::NewYork,
        abroad: Zone::Auckland,
        leaves: (11, 3),
        away_days: 12,
        bedtime_minutes: 20.0,
        in_bed_minutes: 462.0,
        lowest_pulse: 57.0,
        hrv_milliseconds: 37.0,
        breaths_per_minute: 16.2,
        vo2_max: 37.0,
        drive: 0.85,
        sports: &["walking", "strength_training", "swimming", "walking", "rowing"],
        rings: &[
            Ring {
                hardware_type: "gen3",
                design: Some("horizon"),
                color: "matt_gold",
                firmware_version: "3.1.4",
                size: 11,
                set_up_at: None,
            },
            Ring {
                hardware_type: "or5",
                design: Some("ceramic"),
                color: "deep_rose",
                firmware_version: "5.0.12",
                size: 11,
                set_up_at: Some("2026-06-02T23:40:51Z"),
            },
        ],
    },
];
