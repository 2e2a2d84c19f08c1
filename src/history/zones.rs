//! Where the wearer was: their offset from UTC at any time, as the documents around it show it.

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveTime, Offset as _, TimeZone as _, Utc};

use crate::observation::Sighting;

/// The offsets that documents showed, by time.
#[derive(Clone, Debug, Default)]
pub(super) struct Zones(Vec<Sighting>);

impl Zones {
    pub(super) fn new(mut sightings: Vec<Sighting>) -> Self {
        sightings.sort_by_key(|sighting| sighting.at);
        Self(sightings)
    }

    /// The offset that was seen nearest to `at`; UTC where none was seen.
    pub(super) fn at(&self, at: DateTime<Utc>) -> FixedOffset {
        let nearest = self.0.iter().min_by_key(|sighting| (sighting.at - at).abs());
        nearest.map_or_else(|| Utc.fix(), |sighting| sighting.zone)
    }

    /// When `day` began for the wearer.
    pub(super) fn midnight(&self, day: NaiveDate) -> DateTime<Utc> {
        let local = day.and_time(NaiveTime::MIN);
        let begins = |zone: FixedOffset| zone.from_local_datetime(&local).single().map(|time| time.to_utc());
        let roughly = begins(self.at(local.and_utc())).unwrap_or_else(|| local.and_utc());
        begins(self.at(roughly)).unwrap_or(roughly)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str) -> Sighting {
        DateTime::parse_from_rfc3339(text).unwrap().into()
    }

    #[test]
    fn a_day_begins_by_the_clock_that_the_wearer_lived_by() {
        let zones = Zones::new(vec![
            seen("2026-10-24T07:00:00+03:00"),
            seen("2026-10-25T07:00:00+02:00"),
            seen("2026-11-04T07:30:00-05:00"),
            seen("2026-11-06T08:00:00+13:00"),
        ]);
        let begins = |day: &str| zones.midnight(day.parse().unwrap()).to_rfc3339();
        assert_eq!(begins("2026-10-24"), "2026-10-23T21:00:00+00:00");
        assert_eq!(begins("2026-10-26"), "2026-10-25T22:00:00+00:00", "the clock went back on the 25th");
        assert_eq!(begins("2026-11-04"), "2026-11-04T05:00:00+00:00");
        assert_eq!(begins("2026-11-06"), "2026-11-05T11:00:00+00:00", "beyond the date line");
        assert_eq!(Zones::default().midnight("2026-01-01".parse().unwrap()).to_rfc3339(), "2026-01-01T00:00:00+00:00");
    }
}
