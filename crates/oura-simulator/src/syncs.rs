//! When a person's phone talks to the service: in the morning, through the day, in the night, or not for days.
//!
//! All that the service knows, it knows from such moments, so a document changes at one of them or not at all.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::{
    events::tagged,
    night::{Sleep, main_night},
    noise::Noise,
    person_timeline::{Life, shifted},
    schedule::workouts,
};

/// A moment at which the phone talks to the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sync {
    pub(super) at: DateTime<Utc>,
    pub(super) kind: SyncKind,
}

/// What such a moment brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SyncKind {
    /// The ring's data, while nobody looks.
    Background,
    /// The app was opened beside the ring: its data, what the person entered, and a new look at the night.
    Opened,
    /// The app was opened without the ring: only what the person entered.
    Noted,
}

/// What the phone does in the night before a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NightSync {
    /// Nothing.
    None,
    /// It syncs in the background, and the record that comes of it has no end yet.
    Running,
    /// It syncs in the background, and the service takes the night for over.
    Cut,
}

/// How the phone is used on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habit {
    /// As the demo needs it: every few minutes.
    Shown,
    Often,
    MorningAndEvening,
    /// The phone is off, or somewhere else.
    Away,
}

/// In each such stretch of days the phone is once away for some days.
const AWAY_EVERY: i64 = 40;
/// When a person without a night gets up, in minutes after midnight.
const UP: f64 = 450.0;
/// When the phone of somebody asleep may sync, in minutes after midnight.
const IN_THE_NIGHT: f64 = 160.0;
/// When it may sync once more.
const LATER_IN_THE_NIGHT: f64 = 245.0;
/// How long the app waits to be opened on the mornings of a demo.
const SHOWN_OPENED_AFTER: f64 = 38.0;
/// For how many days one looks for a sync at most.
const LONGEST_SILENCE_DAYS: i64 = 30;

/// The days from getting up to going to bed.
struct Waking {
    up: DateTime<Utc>,
    down: DateTime<Utc>,
}

impl Sync {
    /// Whether the ring's data came.
    pub(super) fn has_ring(&self) -> bool {
        self.kind != SyncKind::Noted
    }

    /// Whether the app looked at the ring's data anew.
    pub(super) fn is_opened(&self) -> bool {
        self.kind == SyncKind::Opened
    }
}

/// The syncs of `day`, in order: from falling asleep before it to falling asleep after it.
pub(super) fn syncs(life: &Life, day: NaiveDate) -> Vec<Sync> {
    let (habit, noise) = (habit(life, day), life.chance("syncs", day));
    if habit == Habit::Away {
        return Vec::new();
    }
    let night = main_night(life, day);
    let waking = waking(life, day, night.as_ref());
    let mut syncs = Vec::new();
    let mut add = |kind, at| {
        if (waking.up..waking.down).contains(&at) {
            syncs.push(Sync { at, kind });
        }
    };
    add(SyncKind::Opened, opened_at(life, day, waking.up));
    if habit != Habit::MorningAndEvening {
        in_background(habit, noise, &waking).for_each(|(kind, at)| add(kind, at));
    }
    if habit == Habit::MorningAndEvening || noise.of("evening").chance(0.6) {
        add(SyncKind::Opened, waking.down - minutes(noise.of("before bed").between(12.0, 110.0)));
    }
    noted(life, day).into_iter().for_each(|at| add(SyncKind::Noted, at));
    let asleep = night.iter().flat_map(|night| in_the_night(life, night));
    syncs.extend(asleep.map(|at| Sync { at, kind: SyncKind::Background }));
    syncs.sort_by_key(|sync| sync.at);
    syncs
}

/// The first sync of that sort at or after `from`.
pub(super) fn first(life: &Life, from: DateTime<Utc>, is_meant: impl Fn(&Sync) -> bool) -> Option<Sync> {
    let day = life.day(from);
    let days = (-1..LONGEST_SILENCE_DAYS).map(|shift| shifted(day, shift));
    days.flat_map(|day| syncs(life, day)).find(|sync| sync.at >= from && is_meant(sync))
}

/// When the app is first opened on `day`, if it is; what the service thinks over, it says then.
pub(super) fn morning(life: &Life, day: NaiveDate) -> Option<DateTime<Utc>> {
    let waking = waking(life, day, main_night(life, day).as_ref());
    let at = opened_at(life, day, waking.up);
    (habit(life, day) != Habit::Away && at < waking.down).then_some(at)
}

/// What the phone does in the night before `day`.
pub(super) fn night_sync(life: &Life, day: NaiveDate) -> NightSync {
    match life.chance("night sync", day).unit() {
        _ if life.is_shown(day) => NightSync::Running,
        _ if habit(life, day) == Habit::Away => NightSync::None,
        ..0.12 => NightSync::Cut,
        ..0.18 => NightSync::Running,
        _ => NightSync::None,
    }
}

/// When the phone syncs during that night.
pub(super) fn in_the_night(life: &Life, night: &Sleep) -> Vec<DateTime<Utc>> {
    let noise = life.chance("in the night", night.day);
    let begins = (night.start + TimeDelta::minutes(30)).max(life.at(night.day, 5.0));
    let mut moments = match night_sync(life, night.day) {
        NightSync::None => Vec::new(),
        NightSync::Running if life.is_shown(night.day) => {
            let last = (night.end - begins).num_minutes() / 30;
            (0..=last).map(|half| begins + minutes(30.0 * half as f64 + noise.at(half).between(0.0, 12.0))).collect()
        }
        NightSync::Running => vec![begins + minutes(noise.between(0.0, 50.0))],
        NightSync::Cut => {
            let later = noise.of("twice").chance(0.3).then_some(LATER_IN_THE_NIGHT);
            let both = [IN_THE_NIGHT].into_iter().chain(later);
            both.map(|minute| life.at(night.day, minute + noise.of("at").between(0.0, 9.0))).collect()
        }
    };
    moments.retain(|at| *at >= begins && *at < night.end);
    moments
}

fn habit(life: &Life, day: NaiveDate) -> Habit {
    if life.is_shown(day) {
        return Habit::Shown;
    }
    let stretch = life.stretch("phone away", day, AWAY_EVERY);
    if (0..stretch.noise.of("long").whole(1, 4)).contains(&stretch.days_into) {
        return Habit::Away;
    }
    match life.chance("phone", day).unit() {
        ..0.77 => Habit::Often,
        ..0.97 => Habit::MorningAndEvening,
        _ => Habit::Away,
    }
}

fn waking(life: &Life, day: NaiveDate, night: Option<&Sleep>) -> Waking {
    let next = shifted(day, 1);
    let down = main_night(life, next).map_or_else(|| life.midnight(next), |night| night.start);
    Waking { up: night.map_or_else(|| life.at(day, UP), |night| night.end).min(down), down }
}

/// When the app is first opened after getting up.
fn opened_at(life: &Life, day: NaiveDate, up: DateTime<Utc>) -> DateTime<Utc> {
    let real = life.chance("opened", day).between(4.0, 60.0);
    up + minutes(if life.is_shown(day) { SHOWN_OPENED_AFTER } else { real })
}

/// The syncs in the background of a waking day; now and then somebody looks.
fn in_background(habit: Habit, noise: Noise, waking: &Waking) -> impl Iterator<Item = (SyncKind, DateTime<Utc>)> {
    let (shortest, longest, opened) = if habit == Habit::Shown { (5.0, 10.0, 0.12) } else { (15.0, 60.0, 0.06) };
    let (mut at, down) = (waking.up, waking.down);
    (0..).map_while(move |number| {
        let here = noise.at(number);
        at += minutes(here.between(shortest, longest));
        let is_early = number < 8 && habit == Habit::Shown;
        let is_opened = here.of("opened").chance(opened) && !is_early;
        (at < down).then_some((if is_opened { SyncKind::Opened } else { SyncKind::Background }, at))
    })
}

/// When the person opens the app to enter something.
fn noted(life: &Life, day: NaiveDate) -> Vec<DateTime<Utc>> {
    let entered = workouts(life, day).into_iter().filter(|workout| workout.is_entered());
    entered.map(|workout| workout.end + TimeDelta::minutes(5)).chain(tagged(life, day)).collect()
}

fn minutes(minutes: f64) -> TimeDelta {
    TimeDelta::seconds((minutes * 60.0).round() as i64)
}
