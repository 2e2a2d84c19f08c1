//! What the wearer's documents say, read from the service itself: what files and stores must answer.

use chrono::{DateTime, FixedOffset, NaiveDate, TimeDelta};
use oura_exporter::{simulator::Simulator, tls};
use serde_json::Value;

/// A time as the service writes it.
pub(crate) fn local(value: &Value) -> DateTime<FixedOffset> {
    DateTime::parse_from_rfc3339(value.as_str().expect("a text")).expect("a time")
}

/// Whether it is a night that is over.
pub(crate) fn is_night(document: &Value) -> bool {
    document["type"] == "long_sleep" && document["bedtime_end"].is_string()
}

/// The day that a document counts for.
pub(crate) fn day_of(document: &Value) -> NaiveDate {
    document["day"].as_str().and_then(|day| day.parse().ok()).expect("a day")
}

/// All documents of a collection of the days from `first` to `last`, as the service gives them.
pub(crate) async fn documents(
    simulator: &Simulator,
    person: &str,
    collection: &str,
    first: NaiveDate,
    last: NaiveDate,
) -> Vec<Value> {
    let margin = TimeDelta::days(3);
    let window = [("start_date", (first - margin).to_string()), ("end_date", (last + margin).to_string())];
    let mut all = ask(simulator, person, collection, &window).await;
    all.retain(|document| (first..=last).contains(&day_of(document)));
    all
}

/// All that the service answers to a request and to those for the pages after it.
pub(crate) async fn ask(
    simulator: &Simulator,
    person: &str,
    collection: &str,
    window: &[(&str, String)],
) -> Vec<Value> {
    tls::choose_provider();
    let http = reqwest::Client::builder().user_agent("a test").no_proxy().build().expect("a client");
    let wearer = simulator.people().into_iter().find(|wearer| wearer.name == person).expect("a wearer");
    let url = format!("{}/v2/usercollection/{collection}", simulator.url());
    let (mut all, mut token) = (Vec::new(), None);
    loop {
        let next = token.iter().map(|token: &String| ("next_token", token.clone()));
        let query: Vec<_> = window.iter().cloned().chain(next).collect();
        let answer = http.get(&url).query(&query).bearer_auth(&wearer.token).send().await.expect("an answer");
        let mut answer: Value = answer.json().await.expect("JSON");
        all.append(answer["data"].as_array_mut().expect("documents"));
        token = answer["next_token"].as_str().map(str::to_owned);
        if token.is_none() {
            return all;
        }
    }
}
