//! A record's first hours, whatever the time of day at which it begins: the wearer's day goes on into UTC's next date.

use chrono::TimeDelta;

use super::{assert_same, by_hand::ByHand, parse, scene::Scene};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_has_all_of_its_first_hours_whenever_it_begins() {
    let begins = ["2026-11-20T01:59:00Z", "2026-11-20T00:30:00Z", "2026-11-20T02:00:00Z", "2026-11-20T23:10:00Z"];
    for (begin, person) in begins.into_iter().flat_map(|begin| [(begin, "alice"), (begin, "bob")]) {
        let mut scene = Scene::from(person, begin.parse().expect("a time")).await;
        let mut exporter = ByHand::start(scene.variables(), "127.0.0.1:9", scene.clock.clone());
        for _ in 0..4 {
            exporter.look().await;
            scene.looked();
            scene.advance(TimeDelta::hours(3));
        }
        let page = exporter.get("/metrics/samples").await;
        assert_same(&parse(&page), &scene.book.told, &format!("{person} from {begin} on"));
    }
}
