//! Which program this is: its version, what it was built from, when, and with what.

use chrono::DateTime;

/// The package's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The revision this was built from, or `unknown`; build.rs says where it comes from.
pub const REVISION: &str = env!("REVISION");

/// What `--version` prints, in the form of Prometheus and its exporters.
#[must_use]
pub fn text() -> String {
    format!(
        "oura-exporter, version {VERSION} (revision: {REVISION})
  build date:       {}
  rustc version:    {}
  platform:         {}",
        date(env!("BUILT_AT")),
        env!("RUSTC_VERSION"),
        env!("PLATFORM"),
    )
}

/// Seconds as a date in UTC, as Prometheus writes it.
fn date(seconds: &str) -> String {
    let time = seconds.parse().ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    time.map_or_else(|| "unknown".to_owned(), |time| time.format("%Y%m%d-%H:%M:%S").to_string())
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn a_date_is_utc_and_one_that_no_calendar_has_is_not_known() {
        // What `date --utc --date=@1718783952` says, and the ends.
        for (seconds, words) in [
            ("1718783952", "20240619-07:59:12"),
            ("0", "19700101-00:00:00"),
            ("18446744073709551615", "unknown"),
            ("9223372036854775807", "unknown"),
        ] {
            assert_eq!(date(seconds), words, "{seconds}");
        }
    }
}
