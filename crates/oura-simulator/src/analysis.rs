//! What the service makes of the sleep of a day, as far as it has heard: of the night, again and again; of each nap.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::{
    night::{Sleep, main_night, sleeps},
    person_timeline::{Life, View, shifted},
    syncs::{NightSync, in_the_night, night_sync},
};

/// What the service has of a night.
#[derive(Clone, Copy, Debug)]
pub(super) enum Night {
    /// That it has begun, as of this moment.
    Running(Sleep, DateTime<Utc>),
    /// A sleep that the service takes for over.
    Found(Sleep, Look),
}

/// How the service came to what it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// A sync in the night; the sleep goes on.
    Cut,
    /// The ring alone, after the night.
    Background,
    /// The app.
    Opened,
    /// The person put the times in bed right.
    Edited,
}

/// When the service learns of a night, and when it is put right.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// Earliest that the night as a whole is known.
    found: DateTime<Utc>,
    /// Earliest that the person corrects it, if they do.
    edited: Option<DateTime<Utc>>,
}

/// The share of nights that come days late.
const LATE: f64 = 0.04;
/// The share of nights that the person corrects.
const EDITED: f64 = 0.05;
/// The share of long sleeps of which nothing but the times is known.
const BLANK: f64 = 0.017;

/// The night before `day` as the service has it, if it has any of it.
pub(super) fn night(view: &View, day: NaiveDate) -> Option<Night> {
    let life = &view.life;
    let night = main_night(life, day)?;
    let plan = plan(life, &night);
    if plan.edited.is_some_and(|edited| view.opened >= edited) {
        return Some(Night::Found(edited(&night), Look::Edited));
    }
    if view.opened >= plan.found {
        return Some(Night::Found(night, Look::Opened));
    }
    if is_found_in_background(life, day) && view.synced >= plan.found {
        return Some(Night::Found(night.at_first_look(), Look::Background));
    }
    let last = in_the_night(life, &night).into_iter().rfind(|at| *at <= view.synced)?;
    Some(match night_sync(life, day) {
        NightSync::Cut => Night::Found(night.cut(night.start, last - TimeDelta::minutes(1)), Look::Cut),
        _ => Night::Running(night, last),
    })
}

/// The sleep that the scores of `day` are made of, once the service judges it.
pub(super) fn judged(view: &View, day: NaiveDate) -> Option<Sleep> {
    let Some(Night::Found(sleep, look)) = night(view, day) else { return None };
    let is_judged = look != Look::Cut || view.life.chance("judged too early", day).chance(0.5);
    (is_judged && !is_blank(&view.life, &sleep)).then_some(sleep)
}

/// Whether the service says nothing of this sleep but when it was.
pub(super) fn is_blank(life: &Life, sleep: &Sleep) -> bool {
    sleep.kind == "long_sleep" && sleep.noise.of("nothing").chance(BLANK) && !life.is_shown(sleep.day)
}

/// Whether the service looks at the night before `day` when the ring syncs in the background.
pub(super) fn is_found_in_background(life: &Life, day: NaiveDate) -> bool {
    life.is_shown(day) || life.chance("in background", day).chance(0.5)
}

/// When a sleep beside the night is known, and then for what; none: not yet.
pub(super) fn nap_kind(view: &View, nap: &Sleep) -> Option<&'static str> {
    let confirmed = view.opened >= confirmed_at(nap);
    let is_over = view.synced >= nap.end;
    match (nap.kind, nap.noise.of("manner").unit()) {
        (kind, _) if view.life.is_shown(nap.day) || kind == "long_sleep" => is_over.then_some(kind),
        ("deleted", _) if !confirmed => is_over.then_some("sleep"),
        ("sleep" | "late_nap", 0.45..0.75) if !confirmed => is_over.then_some("rest"),
        ("sleep" | "late_nap", 0.75..) if !confirmed => None,
        (kind, _) => is_over.then_some(kind),
    }
}

/// How many seconds of `day` were slept beside the night and count for its score, as far as is known.
pub(super) fn napped(view: &View, day: NaiveDate) -> i64 {
    let sleeps = sleeps(&view.life, day);
    let naps = sleeps.iter().skip(1).filter(|nap| nap.total() >= 900);
    let counting = naps.filter(|nap| nap_kind(view, nap).is_some_and(|kind| !matches!(kind, "rest" | "deleted")));
    counting.map(Sleep::total).sum()
}

/// After which moments the service may have something else to say of the sleep of `day`.
pub(super) fn moments(life: &Life, day: NaiveDate) -> Vec<DateTime<Utc>> {
    let sleeps = sleeps(life, day);
    let Some(night) = sleeps.first() else { return Vec::new() };
    let plan = plan(life, night);
    let naps = sleeps.iter().skip(1).flat_map(|nap| [nap.end, confirmed_at(nap)]);
    in_the_night(life, night).into_iter().chain([plan.found]).chain(plan.edited).chain(naps).collect()
}

fn plan(life: &Life, night: &Sleep) -> Plan {
    let noise = life.chance("late night", night.day);
    let is_late = noise.chance(LATE) && !life.is_shown(night.day);
    let found = if is_late { life.at(shifted(night.day, noise.of("days").whole(1, 4)), 420.0) } else { night.end };
    let edits = night.noise.of("edited");
    let is_edited = edits.chance(EDITED) && night.kind == "long_sleep" && !life.is_shown(night.day);
    let after = TimeDelta::minutes(edits.of("after").whole(150, 1800));
    Plan { found, edited: is_edited.then_some(found + after) }
}

/// The night with the times that the person gave: up to half an hour less, at one end.
fn edited(night: &Sleep) -> Sleep {
    let noise = night.noise.of("edited").of("how");
    let by = TimeDelta::minutes(noise.whole(2, 6) * 5);
    if noise.of("which end").chance(0.5) {
        night.cut(night.start + by, night.end)
    } else {
        night.cut(night.start, night.end - by)
    }
}

/// Earliest that the person says what a nap was.
fn confirmed_at(nap: &Sleep) -> DateTime<Utc> {
    nap.end + TimeDelta::minutes(nap.noise.of("confirmed").whole(60, 540))
}
