//! A person's life as it concerns a ring: when each day begins, journeys, illness, bad weeks, forgotten rings.

use chrono::{DateTime, Datelike, Days, FixedOffset, NaiveDate, TimeDelta, Utc, Weekday};

use super::{
    Settings,
    ids::{self, Key},
    noise::Noise,
    people::{Journey, Person},
    syncs::{Sync, syncs},
    zone::Zone,
};

/// A person's life, from which everything about any day follows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    pub(super) person: &'static Person,
    pub(super) noise: Noise,
    /// The day on which the simulator was started; around it nothing is missing, so that a demo is full.
    pub(super) anchor: NaiveDate,
    /// The first day after it on which life goes on as it really does; none: never.
    real_from: Option<NaiveDate>,
    /// The first day of which anything is known.
    pub(super) first: NaiveDate,
    /// Which of all people it is.
    pub(super) number: u8,
    seed: u64,
}

/// A life as the service sees it at some moment: what the phone has not brought yet is not known.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    pub(super) life: Life,
    pub(super) now: DateTime<Utc>,
    /// The last time that the ring's data came.
    pub(super) synced: DateTime<Utc>,
    /// The last time that the app was opened beside the ring.
    pub(super) opened: DateTime<Utc>,
    /// The last time that the phone said anything.
    pub(super) heard: DateTime<Utc>,
}

/// One of the equal stretches of days that all time is cut into, and where in it the event begins that it has once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    /// How many days ago the event began; negative: it comes yet.
    pub(super) days_into: i64,
    /// The stretch's own noise.
    pub(super) noise: Noise,
}

/// How long a bad week's rhythm is: there is always one in the last six weeks.
const BAD_WEEK_EVERY: i64 = 42;
/// In each such stretch of days there is one illness.
const ILLNESS_EVERY: i64 = 120;
/// How many days back the phone's last word is looked for.
const SILENT_DAYS: i64 = 30;
/// How far the temperature rises on the days of an illness, in degrees Celsius.
const FEVER: [f64; 5] = [0.52, 1.46, 1.21, 0.83, 0.41];
/// In each such stretch of days the ring is once left on the charger for two days.
const FORGOTTEN_EVERY: i64 = 75;

impl Life {
    /// The life of the person with this number, with history before `start` as `settings` have it.
    pub(super) fn new(number: u8, person: &'static Person, start: DateTime<Utc>, settings: &Settings) -> Self {
        let Settings { seed, years, full_days, .. } = *settings;
        let anchor = start.with_timezone(&person.home.offset(start)).date_naive();
        let first = anchor.checked_sub_days(Days::new(u64::from(years) * 365)).unwrap_or(anchor);
        let real_from = full_days.map(|days| match days {
            0 => NaiveDate::MIN,
            days => shifted(anchor, days.into()),
        });
        Self { person, noise: Noise::new(seed).of(person.name), anchor, real_from, first, number, seed }
    }

    /// The noise called `what` on `day`.
    pub(super) fn chance(&self, what: &str, day: NaiveDate) -> Noise {
        self.noise.of(what).at(day.num_days_from_ce().into())
    }

    /// The identifier of a document of `day`.
    pub(super) fn id(&self, kind: u8, day: NaiveDate, index: u16) -> String {
        ids::id(Key { kind, person: self.number, index, day: day.num_days_from_ce() }, self.seed)
    }

    /// The day of the document with this identifier, if it is one of this person and kind.
    pub(super) fn day_of(&self, kind: u8, id: &str) -> Option<NaiveDate> {
        let key = ids::key(id, self.seed).filter(|key| key.kind == kind && key.person == self.number)?;
        NaiveDate::from_num_days_from_ce_opt(key.day)
    }

    /// How many days the journey of this time of the year has lasted on `day`: 0 on its first, nothing when at home.
    pub(super) fn days_away(&self, day: NaiveDate) -> Option<i64> {
        self.journey(day).map(|(_, days)| days)
    }

    fn journey(&self, day: NaiveDate) -> Option<(&'static Journey, i64)> {
        self.person.journeys.iter().find_map(|journey| {
            let (month, first) = journey.leaves;
            let days = (day - NaiveDate::from_ymd_opt(day.year(), month, first)?).num_days();
            (0..journey.days).contains(&days).then_some((journey, days))
        })
    }

    /// The zone that the person's day begins in.
    pub(super) fn zone(&self, day: NaiveDate) -> Zone {
        self.journey(day).map_or(self.person.home, |(journey, _)| journey.to)
    }

    /// When `day` begins for the person.
    pub(super) fn midnight(&self, day: NaiveDate) -> DateTime<Utc> {
        self.zone(day).midnight(day)
    }

    /// The moment so many minutes into `day`.
    pub(super) fn at(&self, day: NaiveDate, minutes: f64) -> DateTime<Utc> {
        self.midnight(day) + TimeDelta::seconds((minutes * 60.0).round() as i64)
    }

    /// `moment` as the person's clock shows it.
    pub(super) fn local(&self, moment: DateTime<Utc>) -> DateTime<FixedOffset> {
        let is_there = |zone: Zone| {
            let there = moment.with_timezone(&zone.offset(moment)).date_naive();
            let mut days = [-1, 0, 1].into_iter().map(|shift| shifted(there, shift));
            days.any(|day| {
                let is_away = self.journey(day).is_some_and(|(journey, _)| journey.to == zone);
                is_away && (self.midnight(day)..self.midnight(shifted(day, 1))).contains(&moment)
            })
        };
        let abroad = self.person.journeys.iter().map(|journey| journey.to).find(|zone| is_there(*zone));
        moment.with_timezone(&abroad.unwrap_or(self.person.home).offset(moment))
    }

    /// The day that the person is in at `moment`.
    pub(super) fn day(&self, moment: DateTime<Utc>) -> NaiveDate {
        let day = self.local(moment).date_naive();
        if moment < self.midnight(day) { shifted(day, -1) } else { day }
    }

    /// Whether `day` is one on which the demo must have everything.
    pub(super) fn is_shown(&self, day: NaiveDate) -> bool {
        day >= shifted(self.anchor, -3) && self.real_from.is_none_or(|real| day < real)
    }

    /// How far the temperature is raised by illness, in degrees; nothing when well.
    pub(super) fn fever(&self, day: NaiveDate) -> Option<f64> {
        FEVER.get(usize::try_from(self.days_into("illness", day, ILLNESS_EVERY)).ok()?).copied()
    }

    /// Whether an illness begins on `day`.
    pub(super) fn falls_ill(&self, day: NaiveDate) -> bool {
        self.days_into("illness", day, ILLNESS_EVERY) == 0
    }

    /// How many days ago the stretch's event called `what` began; negative: it comes yet.
    fn days_into(&self, what: &str, day: NaiveDate, every: i64) -> i64 {
        self.stretch(what, day, every).days_into
    }

    /// The stretch of `every` days that `day` is in, for the event called `what`.
    pub(super) fn stretch(&self, what: &str, day: NaiveDate, every: i64) -> Stretch {
        let number = i64::from(day.num_days_from_ce());
        let noise = self.noise.of(what).at(number.div_euclid(every));
        Stretch { days_into: number.rem_euclid(every) - noise.whole(4, every - 14), noise }
    }

    /// How bad the week is, from 0 (an ordinary one) to 1.
    pub(super) fn strain(&self, day: NaiveDate) -> f64 {
        let phase = self.noise.of("bad week").whole(0, BAD_WEEK_EVERY - 1);
        match (i64::from(day.num_days_from_ce()) + phase).rem_euclid(BAD_WEEK_EVERY) {
            into @ 0..7 => [0.5, 0.8, 1.0, 1.0, 0.9, 0.7, 0.4][into as usize],
            _ => 0.0,
        }
    }

    /// How much the clock of the body lags after a flight, from 0 to 1.
    pub(super) fn jet_lag(&self, day: NaiveDate) -> f64 {
        let home_again = (1..4).find(|&back| {
            let before = self.journey(shifted(day, -back));
            self.days_away(day).is_none() && before.is_some_and(|(journey, days)| days == journey.days - 1)
        });
        self.days_away(day).or(home_again).map_or(0.0, |days| (1.0 - days as f64 * 0.25).max(0.0))
    }

    /// Whether the ring lies on the charger all day, the night before included.
    pub(super) fn is_forgotten(&self, day: NaiveDate) -> bool {
        !self.is_shown(day) && (0..2).contains(&self.days_into("forgotten", day, FORGOTTEN_EVERY))
    }

    /// From -1 in the middle of January to 1 in the middle of July.
    pub(super) fn season(&self, day: NaiveDate) -> f64 {
        -((f64::from(day.ordinal()) - 15.0) / 365.25 * std::f64::consts::TAU).cos()
    }

    /// Whether nobody has to get up on `day`.
    pub(super) fn is_free(&self, day: NaiveDate) -> bool {
        matches!(day.weekday(), Weekday::Sat | Weekday::Sun)
    }
}

impl View {
    /// What the service knows of `life` at `now`.
    pub(super) fn at(life: Life, now: DateTime<Utc>) -> Self {
        Self::after(life, now, |day| syncs(&life, day))
    }

    /// The same, where the syncs of each day are at hand.
    pub(super) fn after(life: Life, now: DateTime<Utc>, mut syncs: impl FnMut(NaiveDate) -> Vec<Sync>) -> Self {
        let never = DateTime::UNIX_EPOCH;
        let mut view = Self { life, now, synced: never, opened: never, heard: never };
        let today = life.day(now);
        for back in -1..SILENT_DAYS {
            for sync in syncs(shifted(today, -back)).into_iter().filter(|sync| sync.at <= now) {
                view.heard = view.heard.max(sync.at);
                view.synced = if sync.has_ring() { view.synced.max(sync.at) } else { view.synced };
                view.opened = if sync.is_opened() { view.opened.max(sync.at) } else { view.opened };
            }
            if view.opened != never {
                break;
            }
        }
        view
    }

    /// The person's day now.
    pub(super) fn today(&self) -> NaiveDate {
        self.life.day(self.now)
    }
}

/// The day so many days after `day`; at the end of the calendar, `day` itself.
pub(super) fn shifted(day: NaiveDate, days: i64) -> NaiveDate {
    day.checked_add_signed(TimeDelta::days(days)).unwrap_or(day)
}

/// A moment as the service writes local time.
pub(super) fn written(moment: DateTime<FixedOffset>) -> String {
    moment.format("%Y-%m-%dT%H:%M:%S%:z").to_string()
}
