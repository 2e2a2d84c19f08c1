//! The days of a backfill, cut into months.

use chrono::{DateTime, Datelike as _, Months, NaiveDate, NaiveTime, Utc};

use crate::observation::DateRange;

/// The milliseconds in which samples with a time of their own lie that belong to `days`, by UTC.
pub(super) fn milliseconds(days: DateRange) -> std::ops::Range<i64> {
    let midnight = |day: NaiveDate| -> DateTime<Utc> { day.and_time(NaiveTime::MIN).and_utc() };
    let next = days.last.succ_opt().unwrap_or(days.last);
    midnight(days.first).timestamp_millis()..midnight(next).timestamp_millis()
}

/// The months of `days`, each as far as it belongs to them.
pub(super) fn chunks(days: DateRange) -> Vec<DateRange> {
    let mut chunks = Vec::new();
    let mut first = days.first;
    while first <= days.last {
        let next = first.with_day(1).and_then(|first| first.checked_add_months(Months::new(1)));
        let last = next.and_then(|next| next.pred_opt()).unwrap_or(days.last).min(days.last);
        chunks.push(DateRange { first, last });
        let Some(next) = last.succ_opt() else { break };
        first = next;
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_day_is_in_one_month() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        let range = |first, last| DateRange { first: day(first), last: day(last) };
        assert_eq!(
            chunks(range("2026-01-30", "2026-03-02")),
            [range("2026-01-30", "2026-01-31"), range("2026-02-01", "2026-02-28"), range("2026-03-01", "2026-03-02")]
        );
        assert_eq!(chunks(range("2026-02-05", "2026-02-05")), [range("2026-02-05", "2026-02-05")]);
        assert_eq!(chunks(range("2026-02-05", "2026-02-04")), []);
    }
}
