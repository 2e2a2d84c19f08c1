//! The kinds of documents that Oura has, one file a kind, and the one list that names them all.

mod daily_activity;
mod daily_cardiovascular_age;
mod daily_readiness;
mod daily_resilience;
mod daily_sleep;
mod daily_spo2;
mod daily_stress;
mod enhanced_tag;
mod entries;
mod heartrate;
mod kind;
mod night;
mod personal_info;
mod record;
mod rest_mode_period;
mod ring_battery_level;
mod ring_configuration;
mod session;
mod sleep;
mod sleep_time;
mod tag;
mod times;
mod values;
mod vo2_max;
mod words;
mod workout;

pub use entries::{Entry, of_the_samples, of_the_wearer};
pub use kind::{Dated, Document, Kind, MOST_DOCUMENTS, Pace, Query, Reading, Shown, Unreadable};
pub use record::{DayFacts, Sampled, twin_definition};
pub(crate) use times::Time;

#[cfg(feature = "demo")]
use crate::simulator::{Example, ExampleError};

/// Every kind of document, in the order in which they are asked for.
pub static KINDS: &[Kind] = &[
    // These two come first: they tell the wearer's clock and how far the ring has synced, by which others are judged.
    Kind::of::<daily_activity::DailyActivity>().with_samples::<daily_activity::ActivitySamples>(),
    Kind::of::<heartrate::HeartRate>().with_samples::<heartrate::HeartRate>(),
    Kind::of::<daily_readiness::DailyReadiness>(),
    // Which day has a sleep score decides what a day without a long sleep means.
    Kind::of::<daily_sleep::DailySleep>(),
    Kind::of::<sleep::Sleep>().with_samples::<night::NightSamples>(),
    Kind::of::<daily_stress::DailyStress>(),
    Kind::of::<daily_resilience::DailyResilience>(),
    Kind::of::<daily_spo2::DailySpo2>(),
    Kind::of::<daily_cardiovascular_age::DailyCardiovascularAge>(),
    Kind::of::<vo2_max::Vo2Max>(),
    Kind::of::<sleep_time::SleepTime>(),
    Kind::of::<workout::Workout>(),
    Kind::of::<session::Session>().with_samples::<session::SessionSamples>(),
    Kind::of::<enhanced_tag::EnhancedTag>(),
    Kind::of::<tag::Tag>(),
    Kind::of::<rest_mode_period::RestModePeriod>(),
    Kind::of::<ring_battery_level::RingBatteryLevel>().with_samples::<ring_battery_level::RingBatteryLevel>(),
    Kind::of::<ring_configuration::RingConfiguration>(),
    Kind::of::<personal_info::PersonalInfo>(),
];

/// The kinds that the simulator has no model of, as it makes documents of them all the same.
///
/// # Errors
/// Where it can make none, which the tests over the list rule out.
#[cfg(feature = "demo")]
pub fn examples() -> Result<Vec<Example>, ExampleError> {
    let example = |kind: &Kind| Some(Example::new(kind.name, kind.scope, kind.example?));
    KINDS.iter().filter_map(example).collect()
}

/// The kind of that name, as Oura spells it.
pub fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}
