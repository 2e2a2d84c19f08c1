//! Who wears a ring in the simulator: their bodies, habits, rings and journeys.

use std::sync::LazyLock;

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
    /// Their journeys of every year.
    pub(super) journeys: &'static [Journey],
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

/// A journey that is made every year.
#[derive(Debug)]
pub(super) struct Journey {
    pub(super) to: Zone,
    /// When it begins: month and day.
    pub(super) leaves: (u32, u32),
    /// How many days it lasts.
    pub(super) days: i64,
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
pub(super) static PEOPLE: [Person; 2] = [
    Person {
        name: "alice",
        email: "alice@example.com",
        sex: "female",
        age: 38,
        weight_kilograms: 63.4,
        height_metres: 1.69,
        home: Zone::Helsinki,
        journeys: &[Journey { to: Zone::Tokyo, leaves: (4, 4), days: 9 }],
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
        journeys: &[Journey { to: Zone::Auckland, leaves: (11, 3), days: 12 }],
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

/// Somebody who flies twice a year, each time while the clocks at home or there are changed; only there if asked for.
/// In New York from 5 to 14 March, in Tokyo from 27 October to 6 November.
pub(super) static TRAVELLER: Person = Person {
    name: "carol",
    email: "carol@example.com",
    sex: "female",
    age: 29,
    weight_kilograms: 58.1,
    height_metres: 1.64,
    home: Zone::LosAngeles,
    journeys: &[
        Journey { to: Zone::NewYork, leaves: (3, 5), days: 10 },
        Journey { to: Zone::Tokyo, leaves: (10, 27), days: 11 },
    ],
    bedtime_minutes: -20.0,
    in_bed_minutes: 475.0,
    lowest_pulse: 54.0,
    hrv_milliseconds: 61.0,
    breaths_per_minute: 15.4,
    vo2_max: 41.0,
    drive: 1.0,
    sports: &["running", "yoga", "swimming"],
    rings: &[Ring {
        hardware_type: "or5",
        design: None,
        color: "rose",
        firmware_version: "5.1.2",
        size: 7,
        set_up_at: Some("2026-01-15T02:11:40Z"),
    }],
};

/// As many people as a number has room for, beside the others; nobody of them travels. What they are called is never given
/// back: it is made once in a program.
pub(super) static CROWD: LazyLock<Vec<Person>> = LazyLock::new(|| (0..200).map(one_of_many).collect());

fn one_of_many(number: u8) -> Person {
    const HOMES: [Zone; 4] = [Zone::Helsinki, Zone::NewYork, Zone::LosAngeles, Zone::Tokyo];
    let named = |end: &str| -> &'static str { Box::leak(format!("wearer{number:03}{end}").into_boxed_str()) };
    // From three hours before midnight to one after it, no two neighbours alike.
    let bedtime = f64::from(u16::from(number) * 37 % 240) - 180.0;
    Person {
        name: named(""),
        email: named("@example.com"),
        home: HOMES[usize::from(number) % HOMES.len()],
        journeys: &[],
        bedtime_minutes: bedtime,
        ..PEOPLE[usize::from(number / 4) % PEOPLE.len()]
    }
}
