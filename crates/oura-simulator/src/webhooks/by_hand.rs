//! Events that somebody sends over HTTP: one in each line, and the list of all that were sent.

use hyper::Method;
use serde_json::{Value, json};

use super::{DATA_TYPES, EVENT_TYPES, Event};
use crate::{cloud::Cloud, replies::Reply};

/// Answers at the route of events.
pub(crate) async fn answer(cloud: &Cloud, method: &Method, body: &str) -> Reply {
    match *method {
        Method::GET => {
            let sent = cloud.webhooks.sent();
            Reply::json(200, &sent.iter().map(|(event, status)| shown(event, &json!(status))).collect())
        }
        Method::POST => {
            let lines = body.lines().map(str::trim).filter(|line| !line.is_empty());
            match lines.map(|line| read(cloud, line)).collect::<Result<Vec<_>, _>>() {
                Ok(events) => Reply::json(200, &all(cloud, &events).await),
                Err(mistake) => Reply::detail(400, &mistake),
            }
        }
        _ => Reply::method_not_allowed("GET, POST"),
    }
}

async fn all(cloud: &Cloud, events: &[Event]) -> Value {
    let mut answers = Vec::new();
    for event in events {
        let answer = match cloud.webhooks.send(event).await {
            Ok(Some(status)) => json!(status),
            Ok(None) => json!("nobody has subscribed to it"),
            Err(error) => json!(error.to_string()),
        };
        answers.push(shown(event, &answer));
    }
    answers.into()
}

fn shown(event: &Event, answer: &Value) -> Value {
    json!({
        "event_type": event.event_type, "data_type": event.data_type, "object_id": event.object_id,
        "event_time": event.event_time, "answer": answer,
    })
}

/// The event that a line names: of the newest document, unless an identifier says which.
fn read(cloud: &Cloud, line: &str) -> Result<Event, String> {
    let mistake =
        |cause: String| format!("{line}: {cause}; write PERSON/DATA_TYPE:EVENT, as in alice/daily_sleep:update");
    let (person, rest) = line.split_once('/').ok_or_else(|| mistake("it names no person".to_owned()))?;
    let (data_type, rest) = rest.split_once(':').ok_or_else(|| mistake("it names no event".to_owned()))?;
    let (event_type, id) = rest.split_once('=').map_or((rest, None), |(event_type, id)| (event_type, Some(id)));
    if cloud.user_id(person).is_none() {
        return Err(mistake(format!("nobody is called {person:?}")));
    }
    if !DATA_TYPES.contains(&data_type) {
        return Err(mistake(format!("{data_type:?} has no events, but {} have", DATA_TYPES.join(", "))));
    }
    if !EVENT_TYPES.contains(&event_type) {
        return Err(mistake(format!("{event_type:?} is none of {}", EVENT_TYPES.join(", "))));
    }
    let id = id.map(str::to_owned).or_else(|| cloud.newest(person, data_type));
    let id = id.ok_or_else(|| mistake("there is no such document; add =ID".to_owned()))?;
    Ok(cloud.event(person, event_type, data_type, &id))
}
