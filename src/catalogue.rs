//! Every metric there is, in one list, and METRICS.md made of it.

use std::fmt::Write as _;

use crate::{
    auth::TOKEN_STORE,
    documents::KINDS,
    metric::{Definition, Metric, SelfMetric},
    page::{ACCOUNT_METRICS, EXPORTER_METRICS},
    problem::{Reason, TokenOrigin},
    remote_write::LIVE,
    samples::RECORD,
    status::OWN,
    webhooks::WEBHOOKS,
};
pub use crate::{
    documents::{Entry, of_the_samples, of_the_wearer},
    observation::ACCOUNT_LABEL,
    page::of_the_page,
};

/// METRICS.md.
pub fn markdown() -> String {
    let mut text = String::from(
        "# Metrics\n\nGenerated from the source by the `UPDATE_DOCS` line in CONTRIBUTING.md; do not edit by hand.\n\n\
         All are gauges unless they end in `_total` or say histogram. Every series about a wearer has the label \
         `account`. What a document does not say has no series. State sets have one series per state, 1 for the one \
         that holds; a state newer than this build shows as `unknown`.\n",
    );
    for kind in KINDS {
        let age = kind.keep_days.map_or_else(String::new, |days| format!(" Shown while at most {days} days old."));
        let _ = write!(text, "\n## {}\n\nScope `{}`.{age}\n", kind.name, kind.scope);
        table(&mut text, &kind.definitions());
    }
    text.push_str(
        "\n## The record\n\nEvery document at its own time, revisions too: on `/metrics/samples`, by live remote write and from `backfill`, alike.\n\n\
         A day's sample stands at 00:01 UTC of the document's day, plus a millisecond for each minute that went by until the exporter \
         learnt the value. A revision is a later sample of the same day: the last one is what Oura finally says, and the milliseconds say \
         when it was known. Events stand at their beginning in the same way, dense samples at their own second. Queries:\n\n\
         - each day, drawn at its beginning, with steps of 1d and UTC as the dashboard's zone: \
         `last_over_time(oura_sample_readiness_score[1d] offset -1d)`\n\
         - a mean of days: `avg_over_time(last_over_time(oura_sample_readiness_score[1d])[30d:1d])`\n\
         - a sum of days: `sum_over_time(last_over_time(oura_sample_activity_steps[1d])[7d:1d])`\n\n\
         So each day counts once, however often it was revised; `sum_over_time(oura_sample_activity_steps[7d])` would count revisions twice. \
         Evaluated at exactly 00:00:00 UTC, Prometheus 2 counts one day more in a mean or sum.\n",
    );
    table(&mut text, &of_the_samples().into_iter().map(|entry| entry.definition).collect::<Vec<_>>());
    text.push_str("\n## Can the page be trusted\n");
    table(&mut text, &ACCOUNT_METRICS.iter().map(Metric::definition).collect::<Vec<_>>());
    text.push_str("\n## The exporter\n");
    table(&mut text, &EXPORTER_METRICS.iter().map(Metric::definition).collect::<Vec<_>>());
    OWN.iter().for_each(|own| one_own(&mut text, own));
    LIVE.iter().chain(WEBHOOKS).chain(TOKEN_STORE).chain(RECORD).for_each(|own| one_own(&mut text, own));
    let reasons: Vec<_> = Reason::ALL.iter().map(|reason| reason.label()).collect();
    let _ = write!(
        text,
        "| `process_*` | | The exporter's process: CPU, memory, file descriptors, start time (Linux). |\n\n\
         `reason` is one of: {}. `oura_remote_write_*` are there only with `OURA_REMOTE_WRITE_URL`, \
         `oura_webhook_*` only with `OURA_WEBHOOK_URL`, `oura_token_store_up` only with `OURA_TOKEN_STORE`.\n",
        reasons.join(", ")
    );
    text
}

/// Why a collection fails, what each reason means and what to do about it, as a table in Markdown.
pub fn reasons_markdown() -> String {
    let mut text = "| reason | what it means | what to do |\n| --- | --- | --- |\n".to_owned();
    for reason in Reason::ALL {
        let (signed_in, by_hand) = (reason.advice(TokenOrigin::SignIn("NAME")), reason.advice(TokenOrigin::ByHand));
        let advice = if signed_in == by_hand {
            signed_in
        } else {
            format!("signed in: {signed_in}. With `OURA_ACCESS_TOKEN`: {by_hand}")
        };
        let _ = writeln!(text, "| `{}` | {} | {advice} |", reason.label(), reason.meaning());
    }
    text
}

fn one_own(text: &mut String, own: &SelfMetric) {
    let labels: Vec<_> = own.labels.iter().map(|label| format!("`{label}`")).collect();
    let _ = writeln!(text, "| `{}` | {} | {} |", own.name, labels.join(", "), own.help);
}

fn table(text: &mut String, definitions: &[Definition]) {
    text.push_str("\n| metric | labels | meaning |\n| --- | --- | --- |\n");
    for definition in definitions {
        let labels: Vec<_> = definition.labels.iter().map(|(name, values)| one_label(name, values)).collect();
        let set = if definition.is_state_set { " State set." } else { "" };
        let _ = writeln!(text, "| `{}` | {} | {}{set} |", definition.name, labels.join("; "), definition.help);
    }
}

fn one_label(name: &str, values: &[&str]) -> String {
    if values.is_empty() { format!("`{name}`") } else { format!("`{name}`: {}", values.join(", ")) }
}
