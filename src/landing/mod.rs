//! The landing page: each account's today, the state of each collection in words, and links.

mod today;

use std::fmt::{self, Write as _};

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    latest::{AccountState, CollectionState, Mark},
    problem::Reason,
};

pub(crate) const STYLE: &str = include_str!("style.css");

/// The page as HTML; it loads nothing and runs nothing.
pub fn page(accounts: &[AccountState], now: DateTime<Utc>) -> String {
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Oura exporter</title>\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><style>{STYLE}</style></head><body>\
         <header><h1>Oura exporter</h1><nav aria-label=\"Pages\"><ul><li><a href=\"/metrics\">Metrics</a>\
         <li><a href=\"sign-in\">People</a>\
         <li><a href=\"/-/ready\">Ready</a><li><a href=\"/-/healthy\">Healthy</a></ul></nav></header><main>"
    );
    for account in accounts {
        let _ = write!(
            html,
            "<section aria-label=\"Account {0}\"><h2>{0}</h2>{1}{2}{3}</section>",
            Escaped(&account.name),
            paragraph(account, now),
            today::cards(account, now),
            collections(account, now)
        );
    }
    let version = env!("CARGO_PKG_VERSION");
    let time = now.format("%Y-%m-%d %H:%M UTC");
    let _ = writeln!(
        html,
        "</main><footer>Version {version}, at {time}. Load the page anew for news.</footer></body></html>"
    );
    html
}

fn paragraph(account: &AccountState, now: DateTime<Utc>) -> String {
    let limited = account.rate_limited_until.filter(|until| *until > now);
    let is_bad = account.collections.iter().any(|collection| collection.mark() == Mark::Bad);
    let (class, words) = match (account.authorized, limited) {
        (None, _) if !is_bad => ("", "Oura has not answered yet.".to_owned()),
        (Some(false), _) => ("bad", format!("A person must sign in again; {}.", account.advice(Reason::Token))),
        (_, Some(until)) => {
            ("bad", format!("Oura asks for no requests until {}.", until.format("%Y-%m-%d %H:%M:%S UTC")))
        }
        _ => {
            let (is_well, words) = account.summary();
            (if is_well { "quiet" } else { "bad" }, words)
        }
    };
    format!("<p class=\"{class}\">{}</p>", Escaped(&words))
}

/// The collections as a table, which is open when something is wrong.
fn collections(account: &AccountState, now: DateTime<Utc>) -> String {
    let count = |mark| account.collections.iter().filter(|collection| collection.mark() == mark).count();
    let open = if count(Mark::Bad) > 0 { " open" } else { "" };
    let not_granted = match count(Mark::NotGranted) {
        0 => String::new(),
        not_granted => format!(", {not_granted} not granted"),
    };
    let mut html = format!(
        "<details{open}><summary>Collections: {} of {} as they should be{not_granted}</summary><div class=\"scroll\" \
         tabindex=\"0\" role=\"region\" aria-label=\"Collections of {}\"><table><thead><tr><th scope=\"col\">Collection\
         <th scope=\"col\">Shows<th scope=\"col\">State</thead><tbody>",
        count(Mark::Well),
        account.collections.len(),
        Escaped(&account.name)
    );
    for collection in &account.collections {
        html.push_str(&row(account, collection, now));
    }
    html + "</tbody></table></div></details>"
}

fn row(account: &AccountState, collection: &CollectionState, now: DateTime<Utc>) -> String {
    format!(
        "<tr><td>{}<td>{}<td class=\"{}\">{}",
        collection.kind.name,
        shows(account, collection),
        if collection.mark() == Mark::Bad { "bad" } else { "" },
        Escaped(&state(account, collection, now))
    )
}

fn shows(account: &AccountState, collection: &CollectionState) -> String {
    match collection.shown.as_ref().filter(|shown| !shown.observations.is_empty()) {
        None => "nothing".to_owned(),
        Some(shown) => {
            shown.date.day(account.zone()).map_or_else(|| "what holds now".to_owned(), |day| day.to_string())
        }
    }
}

fn state(account: &AccountState, collection: &CollectionState, now: DateTime<Utc>) -> String {
    let read =
        collection.last_success.map_or_else(|| "never read".to_owned(), |time| format!("read {}", ago(now - time)));
    match account.remark(collection) {
        Some(remark) => format!("{remark} ({read})"),
        None if collection.up.is_none() => "being asked for the first time".to_owned(),
        None if collection.shown.is_none() => format!("{read}; Oura has no document of late"),
        None => read,
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
