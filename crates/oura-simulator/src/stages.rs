//! The stages of a sleep and how much the person moved, as the service's strings of digits.

use super::night::{NightPlan, Sleep};

/// How often the app's stage differs from the one in the middle of its five minutes.
const APP_DIFFERS: f64 = 0.03;
/// How often the older algorithm differs from the app.
const OLD_DIFFERS: f64 = 0.17;
/// Half minutes in a slot of five minutes.
const SLOT: usize = 10;

/// The stages in half minutes: 1 deep, 2 light, 3 REM, 4 awake. They add up to the durations to the second.
pub(super) fn half_minutes(sleep: &Sleep) -> String {
    let whole = stages(&sleep.whole);
    let skip = length(sleep.seconds_cut() / 30);
    whole.chars().skip(skip).take(length((sleep.in_bed() + 29) / 30)).collect()
}

/// What the app shows for each five minutes: nearly always the stage in their middle.
pub(super) fn of_the_app(sleep: &Sleep, half_minutes: &str) -> String {
    let digits: Vec<char> = half_minutes.chars().collect();
    let middle = |slot: &[char]| slot.get(SLOT / 2).or(slot.last()).copied().unwrap_or('4');
    differing(sleep, "app", APP_DIFFERS, digits.chunks(SLOT).map(middle))
}

/// What the older algorithm makes of each five minutes.
pub(super) fn of_the_old_algorithm(sleep: &Sleep, app: &str) -> String {
    differing(sleep, "old algorithm", OLD_DIFFERS, app.chars())
}

fn differing(sleep: &Sleep, name: &str, share: f64, digits: impl Iterator<Item = char>) -> String {
    let noise = sleep.noise.of(name);
    let first = sleep.seconds_cut() / 300;
    let other = |digit: char, noise: super::noise::Noise| match (digit, noise.chance(0.6)) {
        ('2', true) => '4',
        ('2', false) => '3',
        (_, true) => '2',
        ('1' | '4', false) => '3',
        (_, false) => '4',
    };
    let digits = (first..).zip(digits).map(|(slot, digit)| {
        let here = noise.at(slot);
        if here.chance(share) { other(digit, here.of("which")) } else { digit }
    });
    digits.collect()
}

/// How much the person moved in each half minute: 1 not, 2 restless, 3 tossing, 4 active.
pub(super) fn movement(sleep: &Sleep) -> String {
    let noise = sleep.noise.of("movement");
    let digit = |epoch: i64| match noise.at(epoch).unit() {
        ..0.82 => '1',
        ..0.95 => '2',
        ..0.99 => '3',
        _ => '4',
    };
    let first = sleep.seconds_cut() / 30;
    (first..=first + sleep.in_bed() / 30).map(digit).collect()
}

/// The stages of a whole stretch of sleep: cycles with ever less deep and more REM sleep.
fn stages(whole: &NightPlan) -> String {
    let epochs = |seconds: i64| seconds / 30;
    let total = whole.deep + whole.light + whole.rem;
    let cycles = (total / 5400).max(1);
    let all = ((whole.end - whole.start).num_seconds() + 29) / 30;
    let first_awake = epochs(whole.latency).min(all - epochs(total));
    let awake = all - epochs(total) - first_awake;
    let mut text = "4".repeat(length(first_awake));
    for cycle in 0..cycles {
        let early = (cycles - cycle) * 2 - 1;
        let part = |epochs: i64, weight: i64, weights: i64, before: i64| {
            epochs * (before + weight) / weights - epochs * before / weights
        };
        let (squares, late) = (cycles * cycles, cycle * 2 + 1);
        let deep = part(epochs(whole.deep), early, squares, squares - (cycles - cycle) * (cycles - cycle));
        let rem = part(epochs(whole.rem), late, squares, cycle * cycle);
        let light = part(epochs(whole.light), 1, cycles, cycle);
        for (digit, epochs) in [("2", light / 2), ("1", deep), ("2", light - light / 2), ("3", rem)] {
            text.push_str(&digit.repeat(length(epochs)));
        }
        text.push_str(&"4".repeat(length(part(awake, 1, cycles, cycle))));
    }
    text
}

fn length(epochs: i64) -> usize {
    usize::try_from(epochs).unwrap_or(0)
}
