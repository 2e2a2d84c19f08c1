//! What a document says of something that began at some time: workouts, sessions, naps and tags.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::book::Moment;
use crate::record::expected::{local, seconds};

const JOULES: f64 = 4184.0;

/// When it began, which series it is, without its account, and the value.
type Event = (DateTime<Utc>, String, f64);

/// What a document of `collection` says.
pub(crate) fn events(collection: &str, document: &Value, moment: &Moment) -> Vec<Event> {
    match collection {
        "workout" => {
            let labels =
                labels(document, &[("activity", "activity"), ("intensity", "intensity"), ("source", "source")]);
            let energy = document["calories"].as_f64().map(|calories| calories * JOULES);
            of(
                document,
                "start_datetime",
                &labels,
                &[
                    ("workout_duration_seconds", seconds(document)),
                    ("workout_energy_joules", energy),
                    ("workout_distance_meters", document["distance"].as_f64()),
                ],
            )
        }
        "session" => {
            let labels = labels(document, &[("kind", "type"), ("mood", "mood")]);
            of(document, "start_datetime", &labels, &[("session_duration_seconds", seconds(document))])
        }
        "sleep" => {
            let is_nap = document["type"] == "sleep" || document["type"] == "late_nap";
            let has_ended = local(&document["bedtime_end"]).is_some_and(|end| end <= moment.now);
            let slept = document["total_sleep_duration"].as_f64().filter(|_| is_nap && has_ended);
            of(document, "bedtime_start", "", &[("nap_seconds", slept)])
        }
        "enhanced_tag" => {
            let tag = document["tag_type_code"].as_str().unwrap_or("text_only");
            of(document, "start_time", &format!("{{tag=\"{tag}\"}}"), &[("tag", Some(1.0))])
        }
        _ => vec![],
    }
}

fn of(document: &Value, start: &str, labels: &str, values: &[(&str, Option<f64>)]) -> Vec<Event> {
    let Some(start) = local(&document[start]) else { return vec![] };
    let there = values.iter().filter_map(|(name, value)| Some((name, (*value)?)));
    there.map(|(name, value)| (start.to_utc(), format!("oura_sample_{name}{labels}"), value)).collect()
}

/// Labels from fields; what a document does not say has none.
fn labels(document: &Value, fields: &[(&str, &str)]) -> String {
    let there = fields.iter().filter_map(|(label, field)| Some(format!("{label}=\"{}\"", document[*field].as_str()?)));
    let there: Vec<_> = there.collect();
    if there.is_empty() { String::new() } else { format!("{{{}}}", there.join(",")) }
}
