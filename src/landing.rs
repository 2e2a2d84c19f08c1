//! The landing page: links, and the state of each account and collection in words.

use std::fmt::{self, Write as _};

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    latest::{AccountState, CollectionState},
    problem::Reason,
};

pub(crate) const STYLE: &str = "\
    :root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}\
    body{max-width:60rem;margin:2rem auto;padding:0 1rem}\
    table{border-collapse:collapse;width:100%}\
    th,td{text-align:left;padding:.3rem .6rem .3rem 0;border-bottom:1px solid #8884;vertical-align:top}\
    .bad{color:light-dark(#b00020,#ff8a80)}\
    .scroll{overflow-x:auto}";

/// The page as HTML.
pub fn page(accounts: &[AccountState], now: DateTime<Utc>) -> String {
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Oura exporter</title>\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><style>{STYLE}</style></head><body>\
         <h1>Oura exporter</h1><p>Version {}. <a href=\"/metrics\">Metrics</a> · <a href=\"/-/ready\">Ready</a> · \
         <a href=\"/-/healthy\">Healthy</a></p>",
        env!("CARGO_PKG_VERSION")
    );
    for account in accounts {
        let _ = write!(html, "<h2>{}</h2>{}", Escaped(&account.name), paragraph(account, now));
        html.push_str("<div class=\"scroll\"><table><thead><tr><th>Collection<th>Shows<th>State</thead><tbody>");
        for collection in &account.collections {
            html.push_str(&row(account, collection, now));
        }
        html.push_str("</tbody></table></div>");
    }
    html.push_str("</body></html>\n");
    html
}

fn paragraph(account: &AccountState, now: DateTime<Utc>) -> String {
    let limited = account.rate_limited_until.filter(|until| *until > now);
    let (class, words) = match (account.authorized, limited) {
        (None, _) => ("", "Oura has not answered yet.".to_owned()),
        (Some(false), _) => ("bad", format!("A person must sign in again; {}.", account.advice(Reason::Token))),
        (_, Some(until)) => ("bad", format!("Oura asks for no requests until {}.", until.format("%H:%M:%S UTC"))),
        _ if account.is_up() => ("", "All is well.".to_owned()),
        _ => ("bad", "Some collections cannot be read.".to_owned()),
    };
    format!("<p class=\"{class}\">{}</p>", Escaped(&words))
}

fn row(account: &AccountState, collection: &CollectionState, now: DateTime<Utc>) -> String {
    let class = if collection.problem.is_some() || !collection.unreadable.is_empty() { "bad" } else { "" };
    format!(
        "<tr><td>{}<td>{}<td class=\"{class}\">{}",
        collection.kind.name,
        shows(account, collection),
        Escaped(&state(account, collection, now))
    )
}

fn shows(account: &AccountState, collection: &CollectionState) -> String {
    match &collection.shown {
        None => "nothing".to_owned(),
        Some(shown) => shown.date.day(account.zone).map_or_else(|| "what holds now".to_owned(), |day| day.to_string()),
    }
}

fn state(account: &AccountState, collection: &CollectionState, now: DateTime<Utc>) -> String {
    let read =
        collection.last_success.map_or_else(|| "never read".to_owned(), |time| format!("read {}", ago(now - time)));
    match (&collection.problem, collection.unreadable.first()) {
        (Some(problem), _) => format!("{}; {} ({read})", problem.what, account.advice(problem.reason)),
        (None, Some(document)) => {
            let count = collection.unreadable.len();
            format!("{read}; {count} of its documents cannot be read, the first fails at `{}`", document.field)
        }
        (None, None) if collection.up.is_none() => "being asked for the first time".to_owned(),
        (None, None) if collection.shown.is_none() => format!("{read}; Oura has no document of late"),
        (None, None) => read,
    }
}

fn ago(age: TimeDelta) -> String {
    match age.num_minutes() {
        ..1 => "just now".to_owned(),
        minutes @ 1..120 => format!("{minutes} min ago"),
        minutes => format!("{} h ago", minutes / 60),
    }
}

/// A text as it may stand in HTML.
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}
