//! What documents may look like, and what the page then says: nulls, sentinels, days, nights and rings.

use crate::common::{NOON, Page, Plan, day_seconds, simulator_at};
use oura_exporter::{
    auth::TokenSource,
    clock::Clock,
    oura::{Client, ClientOptions, Transport},
    simulator::{Scope, Simulator},
    status::ApiStats,
};
use serde_json::{Value, json};

const TODAY: &str = "2026-11-22";
const YESTERDAY: &str = "2026-11-21";

/// The page that alice gets when her documents of `collection` are changed so.
async fn page_with(collection: &str, edit: impl Fn(&mut Vec<Value>) + Send + Sync + 'static) -> Page {
    let simulator = simulator_at(NOON).await;
    simulator.faults().edit(Scope::collection(collection), edit);
    page_of(&simulator).await
}

async fn page_of(simulator: &Simulator) -> Page {
    Plan::default().ready(simulator).await.page().await
}

fn of_day<'a>(documents: &'a mut [Value], day: &str) -> &'a mut Value {
    documents.iter_mut().find(|document| document["day"] == day).expect("a document of that day")
}

#[tokio::test]
async fn null_on_the_newest_day_has_no_series_and_is_not_filled_from_the_day_before() {
    let page = page_with("daily_readiness", |documents| of_day(documents, TODAY)["score"] = Value::Null).await;
    assert_eq!(page.get("oura_readiness_score"), None);
    assert_eq!(page.starting_with("oura_readiness_contributor_score{").len(), 9, "the rest of the document counts");
    assert_eq!(page.day("daily_readiness"), day_seconds(TODAY));
    assert_eq!(page.is_up("daily_readiness"), Some(1.0));
}

#[tokio::test]
async fn null_on_an_old_day_changes_nothing() {
    let plain = page_with("daily_readiness", |_| {}).await;
    let page = page_with("daily_readiness", |documents| of_day(documents, YESTERDAY)["score"] = Value::Null).await;
    assert!(page.get("oura_readiness_score").is_some());
    assert_eq!(page.get("oura_readiness_score"), plain.get("oura_readiness_score"));
}

#[tokio::test]
async fn null_where_an_object_should_be_has_no_parts() {
    let page = page_with("daily_sleep", |documents| of_day(documents, TODAY)["contributors"] = Value::Null).await;
    assert!(page.get("oura_sleep_score").is_some());
    assert_eq!(page.starting_with("oura_sleep_contributor_score"), Vec::<&str>::new());
    let page = page_with("daily_spo2", |documents| {
        documents.iter_mut().for_each(|document| document["spo2_percentage"] = Value::Null);
    });
    assert_eq!(page.await.get("oura_spo2_average_ratio"), None);
}

#[tokio::test]
async fn a_missing_key_is_like_null() {
    let page = page_with("daily_readiness", |documents| {
        let document = of_day(documents, TODAY).as_object_mut().expect("an object");
        document.remove("temperature_deviation");
        document.remove("contributors");
    });
    let page = page.await;
    assert_eq!(page.get("oura_readiness_temperature_deviation_celsius"), None);
    assert_eq!(page.starting_with("oura_readiness_contributor_score"), Vec::<&str>::new());
    assert!(page.get("oura_readiness_score").is_some());
}

#[tokio::test]
async fn an_unknown_state_shows_as_unknown_and_the_rest_counts() {
    let page = page_with("daily_resilience", |documents| {
        documents.iter_mut().for_each(|document| document["level"] = json!("legendary"));
    });
    let page = page.await;
    assert_eq!(page.get(r#"oura_resilience_level{level="unknown"}"#), Some(1.0));
    assert_eq!(page.get(r#"oura_resilience_level{level="solid"}"#), Some(0.0));
    assert_eq!(page.starting_with("oura_resilience_contributor_score{").len(), 3);
    assert_eq!(page.is_up("daily_resilience"), Some(1.0));
    assert!(!page.text.contains("legendary"));
}

#[tokio::test]
async fn a_state_that_is_null_has_no_series() {
    let page = page_with("daily_stress", |documents| {
        documents.iter_mut().for_each(|document| document["day_summary"] = Value::Null);
    });
    let page = page.await;
    assert_eq!(page.starting_with("oura_stress_day_state"), Vec::<&str>::new());
    assert!(page.get("oura_stress_high_seconds").is_some());
}

#[tokio::test]
async fn zero_is_a_value_and_a_sentinel_is_none() {
    let page = page_with("sleep", |documents| {
        for document in documents.iter_mut().filter(|document| document["type"] == "long_sleep") {
            document["latency"] = json!(0);
            document["deep_sleep_duration"] = json!(0);
            document["lowest_heart_rate"] = json!(255);
        }
    });
    let page = page.await;
    assert_eq!(page.get("oura_night_latency_seconds"), Some(0.0));
    assert_eq!(page.get(r#"oura_night_stage_seconds{stage="deep"}"#), Some(0.0));
    assert_eq!(page.get("oura_night_lowest_heart_rate_bpm"), None);
    let page = page_with("daily_spo2", |documents| {
        documents.iter_mut().for_each(|document| document["spo2_percentage"] = json!({"average": 0.0}));
    });
    assert_eq!(page.await.get("oura_spo2_average_ratio"), None);
    let page = page_with("daily_readiness", |documents| {
        of_day(documents, TODAY)["temperature_trend_deviation"] = json!(0.0);
    });
    assert_eq!(page.await.get("oura_readiness_temperature_trend_deviation_celsius"), Some(0.0));
}

#[tokio::test]
async fn a_float_where_the_specification_says_integer_is_a_number() {
    let page = page_with("vO2_max", |documents| {
        documents.iter_mut().for_each(|document| document["vo2_max"] = json!(42.5));
    });
    assert_eq!(page.await.get("oura_vo2_max"), Some(42.5));
}

#[tokio::test]
async fn an_empty_list_is_a_good_answer_without_values() {
    let page = page_with("daily_readiness", Vec::clear).await;
    assert_eq!(page.starting_with("oura_readiness"), Vec::<&str>::new());
    assert_eq!(page.is_up("daily_readiness"), Some(1.0));
    assert_eq!(page.day("daily_readiness"), None);
    assert_eq!(page.get("oura_up"), Some(1.0));
}

#[tokio::test]
async fn only_yesterdays_document_is_shown_with_its_day() {
    let page = page_with("daily_readiness", |documents| documents.retain(|document| document["day"] != TODAY)).await;
    assert!(page.get("oura_readiness_score").is_some());
    assert_eq!(page.day("daily_readiness"), day_seconds(YESTERDAY));
}

#[tokio::test]
async fn no_document_for_days_leaves_the_page() {
    let keep_until = |last: &'static str| {
        move |documents: &mut Vec<Value>| documents.retain(|document| document["day"].as_str() <= Some(last))
    };
    let page = page_with("daily_readiness", keep_until("2026-11-20")).await;
    assert!(page.get("oura_readiness_score").is_some(), "two days old is shown, with its day");
    assert_eq!(page.day("daily_readiness"), day_seconds("2026-11-20"));
    let page = page_with("daily_readiness", keep_until("2026-11-19")).await;
    assert_eq!(page.starting_with("oura_readiness"), Vec::<&str>::new());
    assert_eq!(page.day("daily_readiness"), None);
    assert_eq!(page.is_up("daily_readiness"), Some(1.0), "the collection works, it has nothing to show");
}

#[tokio::test]
async fn a_day_that_cannot_be_yet_is_not_shown() {
    let page = page_with("daily_readiness", |documents| {
        let mut document = of_day(documents, TODAY).clone();
        document["day"] = json!("2026-11-25");
        document["score"] = json!(1);
        document["timestamp"] = json!("2026-11-22T00:00:00+00:00");
        documents.push(document);
    });
    assert_eq!(page.await.day("daily_readiness"), day_seconds(TODAY));
}

#[tokio::test]
async fn one_unreadable_document_is_counted_and_the_others_are_shown() {
    let page =
        page_with("daily_readiness", |documents| of_day(documents, TODAY)["score"] = json!({"points": 80})).await;
    assert_eq!(page.day("daily_readiness"), day_seconds(YESTERDAY));
    assert!(page.errors("daily_readiness", "document") >= 1.0);
    assert_eq!(page.is_up("daily_readiness"), Some(1.0));
}

#[tokio::test]
async fn documents_of_which_none_can_be_read_are_a_failure() {
    let page = page_with("daily_readiness", |documents| {
        documents.iter_mut().for_each(|document| document["score"] = json!("high"));
    });
    let page = page.await;
    assert_eq!(page.is_up("daily_readiness"), Some(0.0));
    assert_eq!(page.get("oura_up"), Some(0.0));
    assert_eq!(page.is_up("daily_sleep"), Some(1.0));
}

fn period(kind: &str, start: &str, end: Value, asleep: u32) -> Value {
    json!({
        "id": format!("{kind}-{start}"), "day": TODAY, "type": kind, "bedtime_start": start, "bedtime_end": end,
        "total_sleep_duration": asleep, "time_in_bed": asleep + 600, "period": 0, "low_battery_alert": false,
    })
}

#[tokio::test]
async fn the_night_is_the_longest_finished_long_sleep_and_naps_stand_apart() {
    let page = page_with("sleep", |documents| {
        documents.retain(|document| document["day"] != TODAY);
        documents.extend([
            period("sleep", "2026-11-21T20:00:00+02:00", json!("2026-11-21T20:30:00+02:00"), 1_500),
            period("long_sleep", "2026-11-21T23:00:00+02:00", json!("2026-11-22T02:10:00+02:00"), 11_000),
            period("long_sleep", "2026-11-22T03:00:00+02:00", json!("2026-11-22T09:00:00+02:00"), 20_000),
            period("rest", "2026-11-22T10:00:00+02:00", json!("2026-11-22T11:00:00+02:00"), 3_000),
            period("deleted", "2026-11-22T11:00:00+02:00", json!("2026-11-22T12:00:00+02:00"), 3_500),
            period("late_nap", "2026-11-22T12:10:00+02:00", json!("2026-11-22T12:40:00+02:00"), 1_200),
            period("dream_like", "2026-11-22T12:50:00+02:00", json!("2026-11-22T12:55:00+02:00"), 250),
            period("long_sleep", "2026-11-22T13:00:00+02:00", Value::Null, 30_000),
        ]);
    });
    let page = page.await;
    assert_eq!(page.get("oura_night_total_sleep_seconds"), Some(20_000.0));
    assert_eq!(page.get("oura_night_bedtime_end_timestamp_seconds"), Some(1_795_330_800.0));
    assert_eq!(page.get("oura_day_naps"), Some(2.0));
    assert_eq!(page.get("oura_day_nap_seconds"), Some(2_700.0));
    assert_eq!(page.get("oura_day_total_sleep_seconds"), Some(33_700.0));
    assert_eq!(page.is_up("sleep"), Some(1.0), "the record in progress fails nothing");
}

#[tokio::test]
async fn a_day_without_naps_has_none_of_them_and_no_minus() {
    let page = page_with("sleep", |documents| documents.retain(|document| document["type"] == "long_sleep")).await;
    assert_eq!(page.get("oura_day_naps"), Some(0.0));
    assert!(page.text.contains("\noura_day_nap_seconds{account=\"alice\"} 0\n"), "{}", page.text);
}

#[tokio::test]
async fn a_nap_alone_does_not_replace_last_night() {
    let simulator = simulator_at(NOON).await;
    for collection in ["sleep", "daily_sleep"] {
        let without = |documents: &mut Vec<Value>| documents.retain(|document| document["day"] != TODAY);
        simulator.faults().edit(Scope::collection(collection), without);
    }
    simulator.faults().edit(Scope::collection("sleep"), |documents| {
        documents.push(period("sleep", "2026-11-22T12:00:00+02:00", json!("2026-11-22T12:30:00+02:00"), 1_500));
    });
    let page = page_of(&simulator).await;
    assert_eq!(page.day("sleep"), day_seconds(YESTERDAY));
    assert!(page.get("oura_night_total_sleep_seconds").is_some_and(|seconds| seconds > 10_000.0));
}

#[tokio::test]
async fn a_day_that_is_over_without_a_night_shows_its_naps_only() {
    let page = page_with("sleep", |documents| {
        documents.retain(|document| document["day"] != TODAY && document["day"] != YESTERDAY);
        let mut nap = period("sleep", "2026-11-21T12:00:00+02:00", json!("2026-11-21T12:30:00+02:00"), 1_500);
        nap["day"] = json!(YESTERDAY);
        documents.push(nap);
    });
    let page = page.await;
    assert_eq!(page.day("sleep"), day_seconds(YESTERDAY));
    assert_eq!(page.starting_with("oura_night"), Vec::<&str>::new());
    assert_eq!(page.get("oura_day_total_sleep_seconds"), Some(1_500.0));
}

#[tokio::test]
async fn todays_activity_is_found_although_the_end_date_excludes_it() {
    let page = page_with("daily_activity", |_| {}).await;
    assert_eq!(page.day("daily_activity"), day_seconds(TODAY));
    assert_eq!(page.day("sleep"), day_seconds(TODAY), "the night that began yesterday evening is found by its day");
}

#[tokio::test]
async fn a_wearer_ahead_of_utc_sees_their_own_today() {
    // In November bob is in Auckland, where it is 09:00 of the 9th while UTC has the 8th.
    let now = "2026-11-08T20:00:00Z";
    let simulator = simulator_at(now).await;
    let page = Plan { people: &["bob"], ..Plan::default() }.at(now).ready(&simulator).await.page().await;
    let day = |collection: &str| {
        page.get(&format!(r#"oura_document_day_timestamp_seconds{{account="bob",collection="{collection}"}}"#))
    };
    for collection in ["daily_readiness", "daily_sleep", "sleep", "daily_activity", "heartrate"] {
        assert_eq!(day(collection), day_seconds("2026-11-09"), "{collection}");
    }
}

#[tokio::test]
async fn of_two_rings_the_one_set_up_last_is_worn() {
    let page = page_with("ring_configuration", |documents| {
        *documents = vec![
            json!({"id": "a", "hardware_type": "gen3", "size": 11, "set_up_at": "1970-01-01T00:00:00Z"}),
            json!({"id": "b", "hardware_type": "or5", "color": "deep_rose", "size": 9, "firmware_version": "3.1.0",
                   "set_up_at": "2026-03-01T10:00:00Z"}),
            json!({"id": "c", "hardware_type": "gen4", "set_up_at": null}),
        ];
    });
    let page = page.await;
    let ring = r#"oura_ring_info{account="alice",hardware_type="or5",design="",color="deep_rose",size="9",firmware_version="3.1.0"}"#;
    assert_eq!(page.starting_with("oura_ring_info"), [ring]);
    assert_eq!(page.get("oura_ring_set_up_timestamp_seconds"), Some(1_772_359_200.0));
}

#[tokio::test]
async fn a_ring_of_1970_has_no_date_of_set_up() {
    let page = page_with("ring_configuration", |documents| {
        *documents = vec![json!({"id": "a", "hardware_type": "gen3", "set_up_at": "1970-01-01T00:00:00Z"})];
    });
    let page = page.await;
    assert_eq!(page.starting_with("oura_ring_info").len(), 1);
    assert_eq!(page.get("oura_ring_set_up_timestamp_seconds"), None);
}

#[tokio::test]
async fn units_are_base_units() {
    let page = page_with("workout", |documents| {
        *documents = vec![json!({
            "id": "w", "day": TODAY, "activity": "walking", "intensity": "easy", "source": "confirmed",
            "calories": 21.967, "distance": 1250.5, "label": "with Anna",
            "start_datetime": "2026-11-22T09:00:00+02:00", "end_datetime": "2026-11-22T07:30:00+00:00",
        })];
    });
    let page = page.await;
    assert_eq!(page.get("oura_workout_last_energy_joules"), Some(21.967 * 4184.0));
    assert_eq!(page.get("oura_workout_last_duration_seconds"), Some(1_800.0));
    assert_eq!(page.get("oura_workout_last_distance_meters"), Some(1_250.5));
    assert_eq!(page.get(r#"oura_day_workouts{activity="walking"}"#), Some(1.0));
    assert!(!page.text.contains("Anna"), "what the wearer typed is private");
    let info = r#"oura_workout_last_info{activity="walking",intensity="easy",source="confirmed"}"#;
    assert_eq!(page.get(info), Some(1.0));
}

#[tokio::test]
async fn rest_mode_without_an_end_is_on_and_without_periods_off() {
    let page = page_with("rest_mode_period", |documents| {
        *documents = vec![json!({"id": "r", "start_day": "2026-11-20", "end_day": null, "episodes": []})];
    });
    assert_eq!(page.await.get("oura_rest_mode"), Some(1.0));
    assert_eq!(page_with("rest_mode_period", Vec::clear).await.get("oura_rest_mode"), Some(0.0));
}

#[tokio::test]
async fn the_newest_heart_rate_is_found_behind_pages_that_begin_with_the_oldest() {
    let simulator = simulator_at(NOON).await;
    let page = page_of(&simulator).await;
    let newest = page.get("oura_heart_rate_timestamp_seconds").expect("a heart rate");
    let now = crate::common::moment(NOON).timestamp() as f64;
    assert!(now - newest < 3_600.0, "{} s old", now - newest);
    let pages = simulator.requests().iter().filter(|request| request.path.ends_with("/heartrate")).count();
    assert!(pages >= 3, "the newest, then the day in pages of 1,000: {pages}");
    let (low, mean, high) = (
        page.get("oura_heart_rate_day_minimum_bpm").expect("a minimum"),
        page.get("oura_heart_rate_day_average_bpm").expect("an average"),
        page.get("oura_heart_rate_day_maximum_bpm").expect("a maximum"),
    );
    assert!(low < mean && mean < high, "{low} {mean} {high}");
}

#[tokio::test]
async fn a_value_leaves_the_page_at_the_wearers_midnight_without_any_news() {
    // Two seconds before midnight in Helsinki; nobody asks Oura again for five minutes.
    let now = "2026-11-22T21:59:57Z";
    let simulator = simulator_at(now).await;
    simulator.faults().edit(Scope::collection("daily_readiness"), |documents| {
        documents.retain(|document| document["day"].as_str() <= Some("2026-11-20"));
    });
    let exporter = Plan::default().at(now).ready(&simulator).await;
    exporter.page_where("it is gone", |page| page.get("oura_readiness_score").is_none()).await;
    let asked = simulator.requests().iter().filter(|request| request.path.ends_with("/daily_readiness")).count();
    assert_eq!(asked, 1);
    exporter.stop().await;
}

#[tokio::test]
async fn rare_documents_stay_for_thirty_days() {
    for (last, shown) in [("2026-10-23", true), ("2026-10-22", false)] {
        let page = page_with("vO2_max", move |documents| {
            let mut document = documents.last().expect("some document").clone();
            document["day"] = json!(last);
            document["timestamp"] = json!(format!("{last}T00:00:00+00:00"));
            *documents = vec![document];
        });
        assert_eq!(page.await.get("oura_vo2_max").is_some(), shown, "{last}");
    }
}

#[tokio::test]
async fn a_document_is_found_by_its_id() {
    let simulator = simulator_at(NOON).await;
    let stats = ApiStats::new().expect("good names");
    let transport = Transport::new(&simulator.url(), false, ClientOptions::default(), Clock::system(), stats);
    let token = TokenSource::Fixed(simulator.people()[0].token.clone().into());
    let client = Client::new(transport.expect("a transport").into(), token);
    let window = [("start_date", "2026-11-20".to_owned()), ("end_date", "2026-11-22".to_owned())];
    let documents = client.documents("daily_sleep", &window).await.expect("documents");
    let listed: Value = serde_json::from_str(documents[0].get()).expect("JSON");
    let found = client.document("daily_sleep", listed["id"].as_str().expect("an id")).await.expect("an answer");
    assert_eq!(serde_json::from_str::<Value>(found.expect("the document").get()).expect("JSON"), listed);
    assert!(client.document("daily_sleep", "none").await.expect("an answer").is_none());
}
