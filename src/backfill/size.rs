//! How much a backfill will write, about, before anything is known of the wearer.

use crate::{documents::Kind, samples::Target};

/// How long a line of the files is without what the user chose, in bytes.
const BYTES: usize = 71;

/// How many samples a day of a collection has: a heart rate every few minutes and every few seconds in workouts, a MET a
/// minute, a stage and a movement each half minute of a night; and one for each value of the day.
pub(super) fn usual_samples(kind: &Kind) -> u64 {
    let dense = match kind.name {
        "heartrate" => 1_080,
        "daily_activity" => 1_700,
        "sleep" => 2_050,
        "ring_battery_level" => 48,
        "session" => 40,
        _ => 0,
    };
    let of_the_day = kind.definitions().into_iter().filter(|definition| definition.is_recorded);
    // Of parts of a sum, most days have none or one.
    let series = of_the_day.map(|definition| match definition.labels.first() {
        Some((_, parts)) if !definition.is_tally => parts.len() as u64,
        _ => 1,
    });
    dense + series.sum::<u64>()
}

/// How long a line is with the labels of this account.
pub(super) fn usual_bytes(account: &str, target: &Target) -> u64 {
    (BYTES + account.len() + target.job.len() + target.instance.len()) as u64
}
