//! Windows, pages and fields, each with the trap that the service has there.

use serde_json::{Value, json};

use super::{Bench, NOON};

#[tokio::test]
async fn a_bare_end_date_is_its_midnight() {
    let bench = Bench::at(NOON).await;
    let days = async |path: &str| bench.each("alice", path, "day").await;
    let two = ["2026-08-17", "2026-08-18"];
    for collection in ["daily_sleep", "daily_readiness", "daily_stress", "daily_spo2", "daily_resilience", "sleep_time"]
    {
        assert_eq!(days(&format!("{collection}?start_date=2026-08-17&end_date=2026-08-18")).await, two, "{collection}");
    }
    assert_eq!(days("daily_activity?start_date=2026-08-17&end_date=2026-08-18").await, two[..1]);
    assert_eq!(days("daily_activity?start_date=2026-08-17&end_date=2026-08-18T23:59:59").await, two);
    let nights = bench.data("alice", "sleep?start_date=2026-08-17&end_date=2026-08-18").await;
    let nights: Vec<_> =
        nights.iter().filter(|night| night["type"] == "long_sleep").map(|night| &night["day"]).collect();
    assert_eq!(nights, ["2026-08-18"], "the night that began on the evening of the 17th");
    for collection in ["session", "tag", "enhanced_tag", "workout", "daily_activity"] {
        let data = bench.data("alice", &format!("{collection}?start_date=2026-08-18&end_date=2026-08-18")).await;
        assert_eq!(data, Vec::<Value>::new(), "{collection}");
    }
}

#[tokio::test]
async fn workouts_are_filtered_in_utc_and_carry_the_local_day() {
    let bench = Bench::at("2026-11-12T09:00:00Z").await;
    let workouts = bench.data("bob", "workout?start_date=2026-11-09&end_date=2026-11-12").await;
    assert!(!workouts.is_empty());
    let ahead = workouts.iter().filter(|workout| {
        let start = chrono::DateTime::parse_from_rfc3339(workout["start_datetime"].as_str().unwrap()).unwrap();
        start.to_utc().date_naive().to_string() != workout["day"].as_str().unwrap()
    });
    assert!(ahead.count() > 0, "in Auckland the day is ahead of UTC: {workouts:?}");
}

#[tokio::test]
async fn without_parameters_yesterday_and_today_come() {
    let bench = Bench::at(NOON).await;
    assert_eq!(bench.each("bob", "daily_sleep", "day").await, ["2026-08-18", "2026-08-19"]);
    assert_eq!(bench.each("bob", "daily_sleep?latest=true&next_token=", "day").await.len(), 2, "latest is ignored");
    assert_eq!(bench.each("bob", "daily_sleep?end_date=2026-08-10", "day").await, ["2026-08-09", "2026-08-10"]);
}

#[tokio::test]
async fn parameters_that_make_no_sense_are_refused_as_the_service_does() {
    let bench = Bench::at(NOON).await;
    let status = async |path: &str| bench.get("alice", path).await.0;
    assert_eq!(status("daily_sleep?start_date=2026-08-19&end_date=2026-08-18").await, 400);
    assert_eq!(status("heartrate?start_datetime=2026-07-01T00:00:00Z").await, 400, "more than 30 days");
    assert_eq!(status("heartrate?latest=perhaps").await, 422);
    assert_eq!(bench.data("alice", "daily_sleep?start_date=1&end_date=2").await, Vec::<Value>::new());
    let (status, body) = bench.get("alice", "daily_sleep?start_date=2026-08-19T00:00:00+03:00").await;
    assert_eq!((status, &body["detail"][0]["loc"]), (422, &json!(["query", "start_date"])), "a bare plus is a space");
}

#[tokio::test]
async fn a_time_series_comes_in_pages_of_a_thousand_oldest_first() {
    let bench = Bench::at(NOON).await;
    let window = "start_datetime=2026-08-16T00:00:00Z&end_datetime=2026-08-19T00:00:00%2B00:00";
    let (_, first) = bench.get("alice", &format!("heartrate?{window}")).await;
    let mut rows = first["data"].as_array().unwrap().clone();
    let mut next = first["next_token"].clone();
    for page in 0.. {
        let Some(token) = next.as_str() else { break };
        let parameters = if page % 2 == 0 { String::new() } else { format!("{window}&") };
        let (_, body) = bench.get("alice", &format!("heartrate?{parameters}next_token={token}")).await;
        rows.extend(body["data"].as_array().unwrap().clone());
        next = body["next_token"].clone();
    }
    let a_day = rows.len() / 3;
    assert!((950..1400).contains(&a_day), "{a_day} rows a day");
    let times: Vec<&str> = rows.iter().map(|row| row["timestamp"].as_str().unwrap()).collect();
    assert!(times.is_sorted());
    let mut fewer = Vec::new();
    for day in 16..19 {
        let window = format!("start_datetime=2026-08-{day}T00:00:00Z&end_datetime=2026-08-{day}T12:00:00Z");
        let other = format!("start_datetime=2026-08-{day}T12:00:00Z&end_datetime=2026-08-{}T00:00:00Z", day + 1);
        fewer.extend(bench.data("alice", &format!("heartrate?{window}")).await);
        fewer.extend(bench.data("alice", &format!("heartrate?{other}")).await);
    }
    assert_eq!(rows.len(), fewer.len(), "pages neither lose nor repeat rows");
}

#[tokio::test]
async fn a_time_series_knows_only_its_own_parameters() {
    let bench = Bench::at(NOON).await;
    let last_day = bench.data("bob", "ring_battery_level").await;
    assert!((44..50).contains(&last_day.len()), "{}", last_day.len());
    assert_eq!(bench.data("bob", "ring_battery_level?start_date=2026-08-01&end_date=2026-08-02").await, last_day);
    let latest = bench.data("bob", "ring_battery_level?latest=true").await;
    assert_eq!(latest.len(), 1);
    assert_eq!(latest[0]["timestamp"], last_day.last().unwrap()["timestamp"]);
    let chosen = bench.data("bob", "heartrate?fields=bpm,timestamp&latest=1").await;
    assert_eq!(chosen[0].as_object().unwrap().keys().collect::<Vec<_>>(), ["bpm", "timestamp"]);
}

#[tokio::test]
async fn fields_choose_until_one_is_unknown() {
    let bench = Bench::at(NOON).await;
    let keys = async |path: &str| {
        let data = bench.data("alice", path).await;
        data[0].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(keys("daily_activity?fields=steps,score").await, ["day", "id", "score", "steps"]);
    assert!(keys("daily_activity?fields=steps,stepz").await.len() > 20);
    assert!(keys("daily_resilience?fields=level").await.len() == 4, "this route does not choose");
}

#[tokio::test]
async fn a_document_is_found_by_its_identifier() {
    let bench = Bench::at(NOON).await;
    for collection in super::super::COLLECTIONS {
        let path = collection.name;
        if matches!(collection.kind, super::super::Kind::Dates | super::super::Kind::List) {
            let listed = bench.data("bob", &format!("{path}?start_date=2026-06-01&end_date=2026-08-19")).await;
            let document = listed.last().unwrap_or_else(|| panic!("{path} is empty"));
            let id = document["id"].as_str().unwrap();
            assert_eq!(bench.get("bob", &format!("{path}/{id}")).await, (200, document.clone()));
            let missing = (404, json!({ "detail": "Document not found." }));
            assert_eq!(bench.get("alice", &format!("{path}/{id}")).await, missing, "not hers");
        }
    }
}
