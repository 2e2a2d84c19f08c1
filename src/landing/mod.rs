//! The landing page, for a look in the morning: the scores of everybody first, then the night, the figures, and the state
//! of each collection in words.

mod collections;
mod course;
mod night;
mod today;
mod wearer;

use std::fmt::Write as _;

use chrono::{DateTime, Utc};

use self::wearer::Wearer;
use crate::{
    html::{Escaped, NAVIGATION, STYLE},
    samples::Samples,
    state::AccountState,
};

/// The seconds after which a browser asks for the page again.
pub const REFRESH: &str = "60";
/// The query of a page that is not asked for again: whoever needs longer to read it can have it stand still.
pub const STILL: &str = "still";
/// So many accounts are shown on one page; of more there is a list.
pub const MOST_SHOWN: usize = 50;

/// The page as HTML, which loads nothing and runs nothing. Its links are relative, so that it may stand below any path.
/// `samples` is the record, where one is kept; `is_still` says that it will not be asked for again by itself.
pub fn page(accounts: &[AccountState], samples: Option<&Samples>, now: DateTime<Utc>, is_still: bool) -> String {
    let mut html = head();
    let wearers: Vec<_> = accounts.iter().map(|account| Wearer { account, samples, now }).collect();
    for wearer in &wearers {
        let _ = write!(
            html,
            "<section aria-label=\"Account {0}\"><h2>{0}</h2>{1}{2}</section>",
            Escaped(&wearer.account.name),
            collections::standing(wearer.account, now),
            today::scores(wearer)
        );
    }
    for wearer in &wearers {
        html.push_str(&details(wearer, wearers.len() > 1));
    }
    html + &footer(now, is_still)
}

/// The page where there are more accounts than can be shown: each by its name, which leads to a page of its own; those that
/// must sign in again are marked.
pub fn list<'a>(accounts: impl Iterator<Item = (&'a str, bool)>, now: DateTime<Utc>, is_still: bool) -> String {
    let mut html = head() + "<section aria-label=\"Accounts\"><h2>Accounts</h2><ul>";
    for (name, needs_sign_in) in accounts {
        let note = if needs_sign_in { ": must sign in again" } else { "" };
        let _ = write!(html, "<li><a href=\"./?account={0}\">{0}</a>{note}", Escaped(name));
    }
    html + "</ul></section>" + &footer(now, is_still)
}

fn head() -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Oura exporter</title>\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><style>{STYLE}</style></head><body>\
         <header><h1>Oura exporter</h1>{NAVIGATION}</header><main>"
    )
}

/// What comes below the scores; whose it is stands above it where there are several.
fn details(wearer: &Wearer, is_one_of_several: bool) -> String {
    let name = Escaped(&wearer.account.name);
    let heading = if is_one_of_several {
        format!("<h2>{name}</h2><p class=\"note\"><a href=\"metrics?account={name}\">The metrics of {name}</a></p>")
    } else {
        String::new()
    };
    format!(
        "<section aria-label=\"Night and day of {name}\">{heading}{}{}{}</section>",
        night::night(wearer),
        today::figures(wearer),
        collections::table(wearer.account, wearer.now)
    )
}

fn footer(now: DateTime<Utc>, is_still: bool) -> String {
    let news = if is_still {
        "It does not refresh itself; <a href=\"./\">let it do so every minute</a>.".to_owned()
    } else {
        format!("It refreshes itself every minute; <a href=\"?{STILL}\">stop that</a>.")
    };
    let (version, time) = (env!("CARGO_PKG_VERSION"), now.format("%Y-%m-%d %H:%M UTC"));
    format!("</main><footer>Version {version}, at {time}. {news}</footer></body></html>\n")
}
