//! An account's collections: a sentence for each problem, and the table of all of them.

use std::{collections::BTreeSet, fmt::Write as _};

use chrono::{DateTime, TimeDelta, Utc};

use crate::html::Escaped;
use crate::{
    problem::Reason,
    state::{AccountState, CollectionState, Mark},
};

/// So many collections are named in a sentence about several; the table has them all.
const MOST_NAMED: usize = 4;

/// How the account stands, in a sentence, and one more for each problem of its collections.
pub(super) fn standing(account: &AccountState, now: DateTime<Utc>) -> String {
    let limited = account.rate_limited_until.filter(|until| *until > now);
    let is_bad = account.collections.iter().any(|collection| collection.mark() == Mark::Bad);
    let (class, words, tells_all) = match (account.authorized, limited) {
        (None, _) if !is_bad => ("", "Oura has not answered yet.".to_owned(), true),
        (Some(false), _) => {
            ("bad", format!("A person must sign in again; {}.", Reason::Token.advice(account.access())), true)
        }
        (_, Some(until)) => {
            ("bad", format!("Oura has asked for a pause until {}.", until.format("%Y-%m-%d %H:%M:%S UTC")), false)
        }
        _ => {
            let (is_well, words) = account.summary();
            (if is_well { "quiet" } else { "bad" }, words, is_well)
        }
    };
    let paragraph = format!("<p class=\"{class}\">{}</p>", Escaped(&words));
    if tells_all { paragraph } else { paragraph + &problems(account) }
}

/// A sentence for each problem: what is wrong with which collections, and what to do about it.
fn problems(account: &AccountState) -> String {
    let bad: Vec<_> = account.collections.iter().filter(|collection| collection.mark() == Mark::Bad).collect();
    let remarks: BTreeSet<_> = bad.iter().filter_map(|collection| account.remark(collection)).collect();
    let sentence = |remark: String| {
        let has_it = |collection: &&&CollectionState| account.remark(collection).as_ref() == Some(&remark);
        let names: Vec<_> = bad.iter().filter(has_it).map(|collection| collection.kind.name).collect();
        format!("<li><strong>{}</strong>: {}.", named(&names, account.collections.len()), Escaped(&remark))
    };
    let sentences: String = remarks.into_iter().map(sentence).collect();
    if sentences.is_empty() { sentences } else { format!("<ul class=\"bad problems\">{sentences}</ul>") }
}

/// Collections in a sentence.
fn named(names: &[&str], all: usize) -> String {
    match names.len() {
        len if len == all && len > 1 => "every collection".to_owned(),
        len if len > MOST_NAMED + 1 => {
            format!("{} and {} others", names[..MOST_NAMED].join(", "), len - MOST_NAMED)
        }
        _ => names.join(", "),
    }
}

/// The collections as a table, for whoever opens it.
pub(super) fn table(account: &AccountState, now: DateTime<Utc>) -> String {
    let count = |mark| account.collections.iter().filter(|collection| collection.mark() == mark).count();
    let not_granted = match count(Mark::NotGranted) {
        0 => String::new(),
        not_granted => format!(", {not_granted} not granted"),
    };
    let mut html = format!(
        "<details><summary>Collections: {} of {} as they should be{not_granted}</summary><div class=\"scroll\" \
         tabindex=\"0\" role=\"region\" aria-label=\"Collections of {}\"><table><thead><tr><th scope=\"col\">Collection\
         <th scope=\"col\">Shows<th scope=\"col\">State</thead><tbody>",
        count(Mark::Well),
        account.collections.len(),
        Escaped(&account.name)
    );
    for collection in &account.collections {
        let _ = write!(
            html,
            "<tr><td>{}<td>{}<td class=\"{}\">{}",
            collection.kind.name,
            shows(account, collection),
            if collection.mark() == Mark::Bad { "bad" } else { "" },
            Escaped(&state(account, collection, now))
        );
    }
    html + "</tbody></table></div></details>"
}

fn shows(account: &AccountState, collection: &CollectionState) -> String {
    match collection.shown.as_ref().filter(|shown| !shown.observations.is_empty()) {
        None => "nothing".to_owned(),
        Some(shown) => shown.date.day(account.zone()).map_or_else(|| "current".to_owned(), |day| day.to_string()),
    }
}

fn state(account: &AccountState, collection: &CollectionState, now: DateTime<Utc>) -> String {
    let read =
        collection.last_success.map_or_else(|| "never read".to_owned(), |time| format!("read {}", ago(now - time)));
    match account.remark(collection) {
        Some(remark) => format!("{remark} ({read})"),
        None if collection.up.is_none() => "being read for the first time".to_owned(),
        None if collection.shown.is_none() => format!("{read}; Oura has no recent document"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_names_a_few_collections_and_counts_the_others() {
        assert_eq!(named(&["workout"], 18), "workout");
        assert_eq!(named(&["a", "b", "c", "d", "e"], 18), "a, b, c, d, e");
        assert_eq!(named(&["a", "b", "c", "d", "e", "f"], 18), "a, b, c, d and 2 others");
        assert_eq!(named(&["a", "b"], 2), "every collection");
        assert_eq!(named(&["a"], 1), "a");
    }
}
