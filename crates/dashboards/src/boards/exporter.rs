//! The board of the exporter itself: whether it polls, what fails, what is revised and how late, sign-in, remote write.

use crate::{
    board::{Board, Wearers},
    expression::{Expression, other},
    model::{Dashboard, Panel},
    panel::{levels, lines, numbers, states},
};

const OF_EXPORTER: &str = "about the exporter, not a day";
const QUARTER: (u32, u32) = (6, 5);
const HALF: (u32, u32) = (12, 8);
/// Grafana's id of a unit: the first number of two words is its unit.
const PER_HOUR: &str = "suffix:per h";
const OK: &[(i64, &str, Option<&'static str>)] = &[(0, "failed", Some("red")), (1, "ok", Some("green"))];

pub(super) fn board() -> Dashboard {
    let about = "Whether the exporter polls, what fails and why, what Oura revises and how late, the sign-in, remote write, and what matters for many accounts.";
    Board::new("oura-exporter", "Oura: Exporter", about, Wearers::Together)
        .in_readers_time()
        .opens("now-24h")
        .row("Polls and collections", polls())
        .row("The record", record())
        .row("Oura's API and the sign-in", api())
        .row("Remote write", remote_write())
        .row("Many accounts", many())
        .row("The process", process())
        .build()
}

fn of(promql: &str) -> Expression {
    other(promql.replace("WEARERS", r#"account=~"$account""#), OF_EXPORTER)
}

/// 1: well, 0: not, -1: an exporter that was there in the last 30 days is not any more.
pub(super) fn answers() -> Expression {
    let up = "min by (account) (oura_up{WEARERS})";
    let known = "max by (account) (last_over_time(oura_up{WEARERS}[30d]))";
    of(&format!("{up} or on (account) ({known} * 0 - 1)"))
}

fn with_legend(panel: Panel) -> Panel {
    panel.sums(&["lastNotNull", "max"])
}

fn polls() -> Vec<Panel> {
    let complete: &[_] =
        &[(-1, "no exporter answers", Some("red")), (0, "incomplete", Some("red")), (1, "complete", Some("green"))];
    let accepted: &[_] = &[(0, "sign in again", Some("red")), (1, "accepted", Some("green"))];
    let failing = "sum by (account) (min by (account, collection) (oura_collection_up{WEARERS}) == bool 0 unless \
                   min by (account, collection) (oura_collection_permitted{WEARERS}) == 0)";
    let forbidden = "sum by (account) (min by (account, collection) (oura_collection_permitted{WEARERS}) == bool 0)";
    let on_background = |panel: Panel| panel.options(|options| options.color_mode = Some("background"));
    vec![
        on_background(numbers("Last poll", QUARTER, "Whether the last poll got every collection that the account may read. None answers: no exporter has told of the account, which one did in the last 30 days. From oura_up."))
            .words(complete)
            .ask_now("{{account}}", &answers()),
        on_background(numbers("Sign-in", QUARTER, "Whether Oura accepts the account's token. If not, a person must sign in again: oura-exporter login. From oura_account_authorized."))
            .words(accepted)
            .ask_now("{{account}}", &of("min by (account) (oura_account_authorized{WEARERS})")),
        numbers("Collections failing", QUARTER, "Collections whose last attempt failed, without those that the account may not read; 0 is good. From oura_collection_up and oura_collection_permitted.")
            .colors("green", &[(1.0, "red")])
            .ask_now("{{account}}", &of(failing)),
        numbers("Collections not permitted", QUARTER, "Collections that the account may not read: the scope was not granted at the sign-in, or the membership is missing. Nothing is broken, but their panels stay empty. From oura_collection_permitted.")
            .colors("green", &[(1.0, "orange")])
            .ask_now("{{account}}", &of(forbidden)),
        states("Collections", (12, 16), "Whether the last attempt at each collection succeeded, over time. From oura_collection_up.")
            .every("1m")
            .words(OK)
            .options(|options| options.show_value = Some("never"))
            .ask("{{account}}: {{collection}}", &of("min by (account, collection) (oura_collection_up{WEARERS})")),
        levels("Since the last success", (12, 16), "Time since each collection was last read, h:mm:ss; most are due every 5 to 30 minutes. From oura_collection_last_success_timestamp_seconds.")
            .sized(12, 16)
            .colors("green", &[(7_200.0, "orange"), (43_200.0, "red")])
            .defaults(|defaults| (defaults.unit, defaults.min) = ("dthms".into(), Some(0.0)))
            .ask_now("{{account}}: {{collection}}", &of("time() - max by (account, collection) (oura_collection_last_success_timestamp_seconds{WEARERS})")),
    ]
}

fn record() -> Vec<Panel> {
    let age = "By how many days the shown document of each collection is older than the wearer's today, by their own clock. \
               Collections of rare documents may well be old. From oura_document_age_days.";
    let revised = "Documents whose samples were told again because Oura changed them, by day and collection. From \
                   oura_sample_revisions_total.";
    let lag = "From the newest sample's own time to when it was learnt: how far the record is behind. From oura_sample_lag_seconds.";
    let read = "When each account's collections were last read, the oldest of them: a look-back that fails shows here as a line that \
                rises. From oura_collection_last_success_timestamp_seconds.";
    let unread = "max by (account) (time() - max by (account, collection) (oura_collection_last_success_timestamp_seconds{WEARERS}))";
    let ages: Vec<_> = [(-1, "tomorrow"), (0, "today"), (1, "yesterday")].map(|(age, word)| (age, word, None)).into();
    vec![
        levels("Age of the data", (12, 16), age)
            .unit("suffix:days", 0)
            .range(0.0, 14.0)
            .sized(12, 16)
            .colors("green", &[(2.0, "orange"), (3.0, "red")])
            .words(&ages)
            .ask_now(
                "{{account}}: {{collection}}",
                &of("min by (account, collection) (oura_document_age_days{WEARERS})"),
            ),
        with_legend(lines("Revisions", (12, 16), revised).unit("none", 0)).every("15m").ask(
            "{{account}}: {{collection}}",
            &of("sum by (account, collection) (increase(oura_sample_revisions_total{WEARERS}[1d]))"),
        ),
        with_legend(lines("Behind", HALF, lag).defaults(|defaults| defaults.unit = "s".into()))
            .every("15m")
            .ask("{{account}}: {{collection}}", &of("min by (account, collection) (oura_sample_lag_seconds{WEARERS})")),
        lines("Longest without a read", HALF, read)
            .every("5m")
            .defaults(|defaults| (defaults.unit, defaults.min) = ("s".into(), Some(0.0)))
            .ask("{{account}}", &of(unread)),
    ]
}

fn api() -> Vec<Panel> {
    let per_hour = |title, size, about| lines(title, size, about).unit(PER_HOUR, 1).every("15m");
    let quantile = |quantile: &str| {
        let bucket = "sum by (le) (rate(oura_api_request_duration_seconds_bucket[$__rate_interval]))";
        of(&format!("histogram_quantile({quantile}, {bucket})"))
    };
    let days_left = "(max by (account) (oura_token_expiry_timestamp_seconds{WEARERS}) - time()) / 86400";
    vec![
        with_legend(per_hour("Errors by collection and reason", (24, 8), "Failures per hour; none is good. docs/troubleshooting.md says what to do about each reason. Empty: no failure since the exporter began. From oura_api_errors_total."))
            .ask("{{account}}: {{collection}}, {{reason}}", &of("sum by (account, collection, reason) (rate(oura_api_errors_total{WEARERS}[$__rate_interval])) * 3600")),
        per_hour("API requests by code", HALF, "Requests to Oura per hour by HTTP status; none: no answer came. From oura_api_requests_total.")
            .ask("{{code}}", &of("sum by (code) (rate(oura_api_requests_total[$__rate_interval])) * 3600")),
        with_legend(per_hour("API requests by collection", HALF, "Requests to Oura per hour by collection. From oura_api_requests_total."))
            .ask("{{collection}}", &of("sum by (collection) (rate(oura_api_requests_total[$__rate_interval])) * 3600")),
        lines("Duration of requests", HALF, "Time from a request to the last byte of its answer: the half, 90 and 99 of 100 requests were at most that slow. From oura_api_request_duration_seconds.")
            .every("15m")
            .defaults(|defaults| (defaults.unit, defaults.min) = ("s".into(), Some(0.0)))
            .ask("half", &quantile("0.5"))
            .ask("90 of 100", &quantile("0.9"))
            .ask("99 of 100", &quantile("0.99")),
        lines("Rate limit", HALF, "For how much longer Oura asked for no requests, after a 429. Empty: Oura never did since the exporter began. From oura_api_rate_limited_until_timestamp_seconds.")
            .every("1m")
            .defaults(|defaults| (defaults.unit, defaults.min) = ("s".into(), Some(0.0)))
            .ask("pause", &of("max(clamp_min(oura_api_rate_limited_until_timestamp_seconds - time(), 0))")),
        lines("Token holds for", (24, 8), "Days until the access token ends; it is renewed long before, so a line that comes near 0 means trouble. Empty: the token has no known end (a token from the environment, the demo). From oura_token_expiry_timestamp_seconds.")
            .unit("suffix:days", 1)
            .every("15m")
            .ask("{{account}}", &of(days_left)),
    ]
}

fn remote_write() -> Vec<Panel> {
    let only = |about: &str, from: &str| format!("{about} Only where OURA_REMOTE_WRITE_URL is set. From {from}.");
    let number = |title, about: &str, metric: &str| numbers(title, QUARTER, &only(about, metric)).unit("none", 0);
    let hourly = "sum(rate(METRIC[$__rate_interval])) * 3600";
    let last = "max by (instance) (oura_remote_write_last_success_timestamp_seconds) * 1000";
    vec![
        number("Last write", "Whether the last attempt to send samples succeeded.", "oura_remote_write_up")
            .words(OK)
            .options(|options| options.color_mode = Some("background"))
            .ask_now("{{instance}}", &of("min by (instance) (oura_remote_write_up)")),
        number(
            "Last successful write",
            "When samples were last taken by the receiver.",
            "oura_remote_write_last_success_timestamp_seconds",
        )
        .defaults(|defaults| (defaults.unit, defaults.decimals) = ("dateTimeFromNow".into(), None))
        .ask_now("{{instance}}", &of(last)),
        number("Waiting samples", "Samples that wait to be sent; near 0 is good.", "oura_remote_write_pending_samples")
            .ask_now("{{instance}}", &of("max by (instance) (oura_remote_write_pending_samples)")),
        number(
            "Refused samples",
            "Samples that the receiver refused for good since the exporter began; 0 is good.",
            "oura_remote_write_refused_samples_total",
        )
        .colors("green", &[(1.0, "orange")])
        .ask_now("{{instance}}", &of("sum by (instance) (oura_remote_write_refused_samples_total)")),
        lines(
            "Samples written",
            (24, 8),
            &only(
                "Samples per hour that the receiver took, and that it refused for good.",
                "oura_remote_write_samples_total and oura_remote_write_refused_samples_total",
            ),
        )
        .unit(PER_HOUR, 0)
        .every("15m")
        .ask("taken", &of(&hourly.replace("METRIC", "oura_remote_write_samples_total")))
        .ask("refused", &of(&hourly.replace("METRIC", "oura_remote_write_refused_samples_total")))
        .color("taken", "green")
        .color("refused", "red"),
    ]
}

fn many() -> Vec<Panel> {
    let only = |about: &str, variable: &str, from: &str| format!("{about} Only where {variable} is set. From {from}.");
    let webhooks = |about: &str, from: &str| only(about, "OURA_WEBHOOK_URL", from);
    let silent = "max by (account) (oura_webhook_silent{WEARERS})";
    vec![
        lines("Need for requests", HALF, "What all accounts of each exporter need of its request budget; above 100 % everything is read so many times less often. From oura_api_budget_ratio.")
            .every("1m")
            .defaults(|defaults| (defaults.unit, defaults.min) = ("percentunit".into(), Some(0.0)))
            .ask("{{instance}}", &of("max by (instance) (oura_api_budget_ratio)")),
        lines("Shards", HALF, &only("How many shards answer, and how many there are to be.", "OURA_SHARD", "oura_exporter_shards"))
            .unit("none", 0)
            .every("1m")
            .defaults(|defaults| defaults.min = Some(0.0))
            .ask("there", &of("count(count by (shard) (oura_exporter_shards))"))
            .ask("to be", &of("max(oura_exporter_shards)")),
        numbers("Webhooks", HALF, &webhooks("Subscriptions by state: active is good, missing could not be made, foreign belongs to another program.", "oura_webhook_subscriptions"))
            .unit("none", 0)
            .ask_now("{{state}}", &of("max by (state) (oura_webhook_subscriptions)")),
        lines("Accounts without events", HALF, &webhooks("The share of the chosen accounts of which Oura has told nothing for longer than usual; they are polled as without webhooks.", "oura_webhook_silent"))
            .every("5m")
            .defaults(|defaults| (defaults.unit, defaults.min, defaults.max) = ("percentunit".into(), Some(0.0), Some(1.0)))
            .ask("silent", &of(&format!("avg({silent})"))),
        with_legend(lines("Events", (24, 8), &webhooks("What came to the callback per hour, by result; docs/scale.md says what each means.", "oura_webhook_events_total")).unit(PER_HOUR, 1).every("15m"))
            .ask("{{result}}", &of("sum by (result) (rate(oura_webhook_events_total[$__rate_interval])) * 3600")),
    ]
}

fn process() -> Vec<Panel> {
    let here = "and on (job, instance) oura_exporter_build_info";
    let started = format!("(process_start_time_seconds {here}) * 1000");
    let files = format!("(process_open_fds {here}) / on (job, instance) process_max_fds");
    let third = (8, 5);
    vec![
        numbers("Version", third, "Version and revision of each exporter. From oura_exporter_build_info.")
            .options(|options| options.text_mode = Some("name"))
            .sized(14, 12)
            .ask_now("{{version}} ({{revision}}) at {{instance}}", &of("max by (instance, version, revision) (oura_exporter_build_info)")),
        numbers("Running since", third, "When each exporter was started. From process_start_time_seconds (Linux).")
            .defaults(|defaults| defaults.unit = "dateTimeFromNow".into())
            .sized(14, 20)
            .ask_now("{{instance}}", &of(&started)),
        numbers("Open files", third, "Open files as a share of the limit; far below 100 % is good. From process_open_fds and process_max_fds (Linux).")
            .unit("percentunit", 1)
            .colors("green", &[(0.5, "orange"), (0.8, "red")])
            .sized(14, 20)
            .ask_now("{{instance}}", &of(&files)),
        lines("Memory", HALF, "Resident memory of each exporter. From process_resident_memory_bytes (Linux).")
            .every("1m")
            .defaults(|defaults| (defaults.unit, defaults.min) = ("bytes".into(), Some(0.0)))
            .ask("{{instance}}", &of(&format!("process_resident_memory_bytes {here}"))),
        lines("CPU", HALF, "Share of one core that each exporter uses. From process_cpu_seconds_total (Linux).")
            .every("1m")
            .defaults(|defaults| (defaults.unit, defaults.min) = ("percentunit".into(), Some(0.0)))
            .ask("{{instance}}", &of(&format!("rate(process_cpu_seconds_total[$__rate_interval]) {here}"))),
    ]
}
