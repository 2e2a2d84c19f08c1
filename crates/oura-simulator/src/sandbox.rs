//! The sandbox: constant documents made up for whatever is asked, without regard to any rule of the real routes.

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{
    collections::{Collection, Kind, Stamp},
    person_timeline::{View, shifted},
    query::{Bound, Parameters, bound},
    replies::Reply,
};

/// What the scores of odd and even days are.
const SCORES: [i32; 2] = [73, 80];
/// For how many days at most documents are made up.
const MOST_DAYS: i64 = 400;

/// The documents that the sandbox makes up for `parameters`.
pub(super) fn list(view: &View, collection: &Collection, parameters: &Parameters) -> Result<Value, Reply> {
    let data = match collection.kind {
        Kind::Single => return Err(Reply::detail(404, "Not Found")),
        Kind::Series => rows(view, collection),
        Kind::List => collection.documents(view, view.today()),
        Kind::Dates => documents(view, collection, parameters)?,
    };
    Ok(json!({ "data": data, "next_token": null }))
}

/// The document that the sandbox makes up for an identifier of its own.
pub(super) fn document(view: &View, collection: &Collection, id: &str) -> Result<Value, Reply> {
    let parts = id.strip_prefix(collection.name).and_then(|rest| rest.strip_prefix("-1-"));
    let day = parts.and_then(|day| NaiveDate::parse_from_str(day, "%Y-%m-%d").ok());
    let made = day
        .filter(|_| collection.kind == Kind::Dates)
        .and_then(|day| made_up(collection, newest(view, collection)?, day, day));
    made.ok_or_else(|| Reply::detail(404, "Document not found."))
}

/// One document for each day of the window but the last.
fn documents(view: &View, collection: &Collection, parameters: &Parameters) -> Result<Vec<Value>, Reply> {
    let today = Bound::Clock(view.today().and_time(NaiveTime::MIN));
    let end = bound(parameters, "end_date")?.unwrap_or(today).as_utc();
    let start = bound(parameters, "start_date")?
        .map_or_else(|| end.checked_sub_days(Days::new(1)).unwrap_or(end), Bound::as_utc);
    let days = (end - start).num_days().clamp(0, MOST_DAYS);
    let (first, model) = (start.date_naive(), newest(view, collection));
    let made = |day: i64| made_up(collection, model.clone()?, first, shifted(first, day));
    Ok((0..days).filter_map(made).collect())
}

/// A document of `day` after `model`, with one of two scores.
fn made_up(collection: &Collection, mut model: Value, first: NaiveDate, day: NaiveDate) -> Option<Value> {
    let model_day: NaiveDate = model["day"].as_str().or(model["start_day"].as_str())?.parse().ok()?;
    move_days(&mut model, (day - model_day).num_days());
    let place = (day - first).num_days().rem_euclid(2) as usize;
    model["id"] = json!(format!("{}-1-{}-{}-{}", collection.name, day.year(), day.month(), day.day()));
    if model.get("score").is_some() {
        model["score"] = json!(SCORES[place]);
    }
    Some(model)
}

/// The newest document of the last weeks that is a day old.
fn newest(view: &View, collection: &Collection) -> Option<Value> {
    (1..200).find_map(|back| collection.documents(view, shifted(view.today(), -back)).into_iter().next())
}

/// Moves every date and time in `value` by so many days.
pub(super) fn move_days(value: &mut Value, days: i64) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| move_days(item, days)),
        Value::Object(members) => members.values_mut().for_each(|member| move_days(member, days)),
        Value::String(text) => {
            let day = text.get(..10).and_then(|day| day.parse::<NaiveDate>().ok());
            let rest = text.get(10..).unwrap_or_default();
            if let Some(day) = day {
                *text = format!("{}{rest}", shifted(day, days));
            }
        }
        _ => {}
    }
}

/// Two rows, whatever was asked.
fn rows(view: &View, collection: &Collection) -> Vec<Value> {
    let field = if let Stamp::Utc(field) = collection.stamp { field } else { "timestamp" };
    let row = |at: DateTime<Utc>, bpm: i64| {
        let mut row = json!({ "timestamp_unix": at.timestamp_millis() });
        row[field] = json!(at.format("%Y-%m-%dT%H:%M:%SZ").to_string());
        if collection.name == "heartrate" {
            row["bpm"] = json!(bpm);
            row["source"] = json!("awake");
        } else {
            row["level"] = json!(bpm);
        }
        row
    };
    vec![row(view.now - TimeDelta::hours(1), 73), row(view.now, 80)]
}
