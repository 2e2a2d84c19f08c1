//! A year of three people's lives with late days and revisions, as the record of an exporter has it, and what is true of it.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use oura_exporter::{
    clock::{Clock, ManualClock},
    simulator::{Settings, Simulator},
};

use super::{tell, truth::parsed};
use crate::{
    backfill::{DAILY, is_dense},
    common::{backfill::Run, samples::Samples, servers::import},
    record::{
        answers::{is_daily, plain},
        expected::{COLLECTIONS, values},
        history::{Days, in_the_end},
    },
};

/// Two who fly once a year, and one who flies twice, each time while clocks are changed.
pub(crate) const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];
/// The first day: both clock changes of Europe and of America lie within a year from here.
const FIRST: &str = "2025-10-15";
/// The days from one time that the exporter looks to the next; it looks at as many days back and one more.
const LOOKS_EVERY: i64 = 6;
/// After so many days nothing of a day changes any more.
const SETTLED: TimeDelta = TimeDelta::days(15);
/// The days in one file: each block reads its file again.
const DAYS_A_FILE: i64 = 60;

/// Minutes after an exporter's look at most until one looks that lags behind it.
const LAG: i64 = 90;

/// Who tells: instances of an exporter.
#[derive(Clone, Copy)]
pub(crate) struct Tellers {
    pub(crate) instance: &'static str,
    /// One that does not look any more when nothing changes any more, and so misses what was revised late.
    pub(crate) lagging: Option<&'static str>,
}

/// One exporter.
const ALONE: Tellers = Tellers { instance: "localhost:10058", lagging: None };

/// What stores are to be filled with, and the truth.
pub(crate) struct Year {
    pub(crate) days: Vec<NaiveDate>,
    /// All that was ever told.
    pub(crate) samples: Samples,
    /// What Oura finally says of each day of each person.
    pub(crate) truth: BTreeMap<&'static str, Days>,
    /// What Oura said once and does not say in the end, which stays in the record: by person and day, a series and its value.
    pub(crate) taken_back: Vec<(&'static str, NaiveDate, String, f64)>,
    pub(crate) simulator: Simulator,
}

impl Year {
    /// Lives through `count` days.
    pub(crate) async fn of(count: usize) -> Self {
        Self::told_by(ALONE, count).await
    }

    /// Lives through `count` days, of which these tell.
    pub(crate) async fn told_by(tellers: Tellers, count: usize) -> Self {
        let first: NaiveDate = FIRST.parse().expect("a day");
        let days: Vec<_> = first.iter_days().take(count).collect();
        let (clock, hand) = Clock::driven_from(first.and_time(NaiveTime::MIN).and_utc());
        let settings =
            Settings { clock: clock.clone().into(), full_days: Some(0), has_traveller: true, ..Settings::default() };
        let simulator = Simulator::start(settings).await.expect("a free port");
        let samples = looked_at(&simulator, tellers, (&clock, &hand), &days).await;
        let end = clock.now();
        let truth = PEOPLE.map(|person| (person, in_the_end(&simulator, end, person, &days))).into();
        let mut year = Self { days, samples, truth, taken_back: vec![], simulator };
        year.keep_what_was_taken_back();
        year
    }

    /// Adds to the truth what Oura took back: the distance of a day to whose walks one without a distance came, say.
    fn keep_what_was_taken_back(&mut self) {
        let mut kept = BTreeMap::<(&str, NaiveDate, String), (i64, f64)>::new();
        for (series, time, value) in self.samples.all() {
            let (name, labels) = parsed(series);
            let day = DateTime::from_timestamp_millis(time).expect("a time").date_naive();
            let person = PEOPLE.into_iter().find(|person| labels["account"] == *person).expect("one of them");
            let is_lacking =
                |days: &Days, series: &str| days.get(&day).is_some_and(|values| !values.contains_key(series));
            let series = plain(name, &labels);
            if is_daily(name) && is_lacking(&self.truth[person], &series) {
                let newest = kept.entry((person, day, series)).or_insert((time, value));
                *newest = if newest.0 > time { *newest } else { (time, value) };
            }
        }
        tell(&format!("values that were taken back and stay in the record: {}", kept.len()));
        for ((person, day, series), (_, value)) in kept {
            let said = self.was_said(person, day, &series, value);
            assert!(said, "{person} {day} {series}: {value} is in the record, and no document ever said it");
            let days = self.truth.get_mut(person).expect("one of them");
            days.entry(day).or_default().insert(series.clone(), value);
            self.taken_back.push((person, day, series, value));
        }
    }

    /// Whether some state of a day's documents said that.
    fn was_said(&self, person: &str, day: NaiveDate, series: &str, value: f64) -> bool {
        COLLECTIONS.iter().any(|name| {
            let versions = self.simulator.versions(person, name, day);
            let mut said = versions.iter().map(|version| values(name, day, &version.documents));
            said.any(|said| said.get(series) == Some(&value))
        })
    }

    /// Fills the database of a Prometheus that does not run.
    pub(crate) fn write_blocks(&self, directory: &Path) {
        for (number, days) in self.days.chunks(DAYS_A_FILE.unsigned_abs() as usize).enumerate() {
            let [from, until] = [days[0], days[days.len() - 1] + TimeDelta::days(1)]
                .map(|day| day.and_time(NaiveTime::MIN).and_utc().timestamp_millis());
            let mut text = String::new();
            for (series, time, value) in self.samples.all().filter(|(_, time, _)| (from..until).contains(time)) {
                let _ = writeln!(text, "{series} {value} {}.{:03}", time / 1000, time % 1000);
            }
            let file = directory.join(format!("{number}.om"));
            fs::write(&file, text + "# EOF\n").expect("a file");
            import(&file, &directory.join("data"));
        }
    }

    /// The lines that VictoriaMetrics imports.
    pub(crate) fn lines(&self) -> String {
        let mut text = String::new();
        for (series, time, value) in self.samples.all() {
            let _ = writeln!(text, "{series} {value} {time}");
        }
        text
    }
}

/// What exporters told that looked every few days at the days before; the first looked once at all of them when nothing changed any
/// more.
async fn looked_at(
    simulator: &Simulator,
    tellers: Tellers,
    (clock, hand): (&Clock, &ManualClock),
    days: &[NaiveDate],
) -> Samples {
    let (first, last) = (days[0], days[days.len() - 1]);
    let mut random = fastrand::Rng::with_seed(12);
    let mut told = Samples::default();
    for day in days.iter().copied().step_by(LOOKS_EVERY.unsigned_abs() as usize) {
        let look = day.and_time(NaiveTime::MIN).and_utc() + TimeDelta::minutes(random.i64(1..1440));
        let of = ((day - TimeDelta::days(LOOKS_EVERY)).max(first), day);
        hand.advance(look - clock.now());
        told = told.join(&told_at(simulator, tellers.instance, clock, of).await);
        if let Some(lagging) = tellers.lagging {
            hand.advance(TimeDelta::minutes(random.i64(1..LAG)));
            told = told.join(&told_at(simulator, lagging, clock, of).await);
        }
    }
    let end: DateTime<Utc> = last.and_time(NaiveTime::MIN).and_utc() + SETTLED;
    hand.advance(end - clock.now());
    told.join(&told_at(simulator, tellers.instance, clock, (first, last)).await)
}

async fn told_at(simulator: &Simulator, instance: &str, clock: &Clock, days: (NaiveDate, NaiveDate)) -> Samples {
    let mut told = Samples::default();
    for person in PEOPLE {
        let directory = tempfile::tempdir().expect("a directory");
        let run = Run { person, collections: DAILY, days, clock: Clock::still_at(clock.now()), state: None };
        run.into_files_for(instance, simulator, directory.path()).await;
        // Not what has a second of its own: it would be told again at the same moment, which no backfill does that knows what
        // it told before.
        told = told.join(&Samples::of_run(directory.path()).only(|series, _| !is_dense(series)));
    }
    simulator.forget_requests();
    told
}
