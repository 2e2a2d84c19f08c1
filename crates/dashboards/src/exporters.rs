//! Whose value counts where several exporters read one account: never simply the higher.

/// Where the offset to a day goes in a template that is asked at the midnight that ends it.
pub(crate) const OFFSET: &str = "{offset}";
/// Where the offset to a day's first minutes goes.
pub(crate) const EARLY: &str = "{early}";

/// When exporters read something.
fn read(collection: &str) -> String {
    format!(r#"oura_collection_last_success_timestamp_seconds{{account=~"$account", collection="{collection}"}}"#)
}

/// A series of the record, and labels as they stand in a list.
fn series(metric: &str, matching: &[(&str, &str)], by: &[&str]) -> (String, String) {
    let matching: String = matching.iter().map(|(label, value)| format!(r#", {label}="{value}""#)).collect();
    let by = by.iter().map(|label| format!(", {label}")).collect();
    (format!(r#"oura_sample_{metric}{{account=~"$account"{matching}}}"#), by)
}

/// The day's value, which is its last sample, as those exporters know it that are up to date at the end of the range: they are there, and
/// have read sleep at most two hours before the one that read it last. What no such exporter knows of a day any other tells, as one
/// that was moved to another machine does of the time before.
pub(crate) fn up_to_date(metric: &str, matching: &[(&str, &str)], by: &[&str]) -> String {
    let (series, by) = series(metric, matching, by);
    let value = format!("last_over_time({series}[1d]{OFFSET})");
    // Not `end()`: within a window of days VictoriaMetrics takes it for the end of that.
    let read = format!("{} @ ${{__to:date:seconds}}", read("sleep"));
    let up_to_date = format!("{read} > on (account) group_left () max by (account) ({read}) - 7200");
    format!("max by (account{by}) ({value} and on (account, job, instance) ({up_to_date}) or on (account{by}) {value})")
}

/// The day's value as that exporter knows it which learnt it last, as the milliseconds of the sample's time tell. What was learnt after
/// 208 days or more has no time here and is not left out. `timestamp()` makes it twenty times as slow as other queries of days: it is for
/// single values.
pub(crate) fn learnt_last(metric: &str, matching: &[(&str, &str)], by: &[&str]) -> String {
    let (series, by) = series(metric, matching, by);
    let learnt = format!("timestamp({series}{EARLY})");
    let older = format!("{learnt} < on (account{by}) group_left () max by (account{by}) ({learnt})");
    format!("max by (account{by}) (last_over_time({series}[1d]{OFFSET}) unless ({older}))")
}

/// What the page says by the exporter that read the collection last.
pub(crate) fn on_the_page(metric: &str, collection: &str, labels: &str, matching: &str) -> String {
    let read = read(collection);
    let newest = format!("{read} == on (account) group_left () max by (account) ({read})");
    let series = format!(r#"oura_{metric}{{account=~"$account"{matching}}}"#);
    format!("max by (account{labels}) ({series} and on (account, job, instance) ({newest}))")
}
