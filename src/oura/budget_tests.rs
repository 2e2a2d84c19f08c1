//! The budget by itself: how many pass when, who comes first, and that whoever goes away holds nobody up.

use std::{sync::Arc, thread, time::Duration};

use chrono::Utc;
use futures_util::{FutureExt as _, future::join_all};
use tokio::{sync::mpsc, task::yield_now, time::Instant};

use super::{
    ClientOptions, Transport,
    budget::{Budget, MOST_UNDER_WAY, Pause, Rank, Stretch},
};
use crate::{clock::Clock, status::ApiStats, tls};

const MINUTE: Duration = Duration::from_secs(60);

fn budget(most: u32) -> Arc<Budget> {
    Arc::new(Budget::new(most, Clock::system(), ApiStats::new().unwrap()))
}

/// When each of so many requests passes that want to at once, in seconds.
async fn passes(budget: &Budget, count: usize) -> Vec<f64> {
    let start = Instant::now();
    join_all((0..count).map(|_| async {
        budget.take(Rank::Due(start)).await.unwrap();
        start.elapsed().as_secs_f64()
    }))
    .await
}

#[tokio::test(start_paused = true)]
async fn in_no_five_minutes_there_are_more_than_the_budget_and_little_waits_before_a_household_is_read() {
    // Each budget with how many requests come at once.
    for (most, burst) in [(4000, 100), (1200, 30), (5000, 125), (100, 30), (10, 5), (2, 1), (1_000_000, 25_000)] {
        let count = most.min(9000) as usize * 2 + burst;
        let times = passes(&budget(most), count).await;
        assert_eq!(times.iter().filter(|time| **time == 0.0).count(), burst, "{most} at once");
        for (first, begin) in times.iter().enumerate() {
            // Whoever comes so many after it comes five minutes later.
            let beyond = times.get(first + most as usize);
            assert!(beyond.is_none_or(|time| *time >= begin + 300.0), "{most}: more than that from {begin} on");
        }
        if most <= 9000 {
            let last = times.last().unwrap();
            assert!(*last < 660.0 * f64::from(most) / f64::from(most - burst as u32), "{most}: {last} s, all of them");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_was_due_first_comes_first_and_what_is_under_way_before_all() {
    let (budget, start) = (budget(100), Instant::now());
    passes(&budget, 30).await;
    let (told, mut order) = mpsc::unbounded_channel();
    for (rank, name) in [
        (Rank::Due(start + 9 * MINUTE), "ninth"),
        (Rank::Due(start + 2 * MINUTE), "second"),
        (Rank::Due(start + MINUTE), "first"),
        (Rank::Due(start + 2 * MINUTE), "second too"),
        (Rank::UnderWay, "under way"),
    ] {
        let (budget, told) = (Arc::clone(&budget), told.clone());
        tokio::spawn(async move {
            budget.take(rank).await.unwrap();
            told.send(name).unwrap();
        });
        yield_now().await;
    }
    drop(told);
    for expected in ["under way", "first", "second", "second too", "ninth"] {
        assert_eq!(order.recv().await, Some(expected));
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_leaves_the_queue_holds_nobody_up() {
    let (budget, start) = (budget(100), Instant::now());
    passes(&budget, 30).await;
    let gone: Vec<_> = (0..50)
        .map(|_| {
            let budget = Arc::clone(&budget);
            tokio::spawn(async move { budget.take(Rank::Due(start)).await })
        })
        .collect();
    let last = tokio::spawn({
        let budget = Arc::clone(&budget);
        async move { budget.take(Rank::Due(start + MINUTE)).await }
    });
    yield_now().await;
    gone.iter().for_each(tokio::task::JoinHandle::abort);
    last.await.unwrap().unwrap();
    // One of the fifty may have passed before; the others take nothing.
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn of_a_large_budget_only_so_many_turns_are_under_way_and_what_ends_makes_room_for_whoever_was_due_first() {
    let (budget, start) = (budget(1_000_000), Instant::now());
    for _ in 0..MOST_UNDER_WAY {
        budget.begin(start).now_or_never().unwrap().unwrap();
    }
    let (told, mut order) = mpsc::unbounded_channel();
    for (due, name) in [(2, "second"), (1, "first"), (3, "gone"), (4, "last")] {
        let (budget, told) = (Arc::clone(&budget), told.clone());
        let begins = tokio::spawn(async move {
            budget.begin(start + due * MINUTE).await.unwrap();
            told.send(name).unwrap();
        });
        yield_now().await;
        if name == "gone" {
            begins.abort();
        }
    }
    drop(told);
    tokio::time::sleep(MINUTE).await;
    assert!(order.try_recv().is_err(), "all places are taken");
    assert!(budget.take(Rank::UnderWay).now_or_never().unwrap().is_ok(), "what is under way goes on");
    for expected in ["first", "second", "last"] {
        budget.end();
        assert_eq!(order.recv().await, Some(expected));
        assert!(order.try_recv().is_err(), "one place was free");
    }
}

#[test]
fn however_many_begin_at_once_no_more_turns_are_under_way_than_may_be() {
    // As many threads as a small machine has, and as a large one.
    for threads in [2, 4, 16] {
        let (budget, start) = (budget(1_000_000), Instant::now());
        let begun: usize = thread::scope(|scope| {
            let begin = || (0..1_000).filter(|_| matches!(budget.begin(start).now_or_never(), Some(Ok(())))).count();
            let all: Vec<_> = (0..threads).map(|_| scope.spawn(begin)).collect();
            all.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert!(begun > 0 && begun <= MOST_UNDER_WAY, "{threads} threads: {begun}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_the_usual_budget_all_may_hang_and_none_waits_for_a_place() {
    let (budget, start) = (budget(4000), Instant::now());
    let (begun, mut all) = mpsc::unbounded_channel();
    // As when nothing is answered: three requests of half a minute each, and little between them.
    for _ in 0..9000 {
        let (budget, begun) = (Arc::clone(&budget), begun.clone());
        tokio::spawn(async move {
            budget.begin(start).await.unwrap();
            begun.send(1_i32).unwrap();
            for _ in 0..2 {
                tokio::time::sleep(MINUTE / 2).await;
                budget.take(Rank::UnderWay).await.unwrap();
            }
            tokio::time::sleep(MINUTE / 2).await;
            begun.send(-1).unwrap();
            budget.end();
        });
    }
    drop(begun);
    let (mut now, mut most) = (0, 0);
    while let Some(change) = all.recv().await {
        now += change;
        most = most.max(now);
    }
    assert!(most > 300 && most < MOST_UNDER_WAY as i32, "{most} at a time");
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_all_until_its_end_and_then_they_go_on_one_by_one() {
    let (budget, start) = (budget(4000), Instant::now());
    let pause = |seconds: i64| Pause {
        opens: start + Duration::from_secs(seconds.unsigned_abs()),
        until: Utc::now() + chrono::TimeDelta::seconds(seconds),
    };
    budget.pause(pause(120));
    assert_eq!(budget.pause(pause(30)).opens, pause(120).opens, "a shorter one changes nothing");
    assert!(budget.take(Rank::UnderWay).now_or_never().unwrap().is_err(), "what is under way is told");
    let times = passes(&budget, 200).await;
    assert_eq!(times[0], 120.0);
    let in_a_second = times.iter().filter(|time| **time < 121.0).count();
    assert!(in_a_second <= 14, "{in_a_second} in the first second after it");
    assert!(budget.take(Rank::UnderWay).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_waits_under_way_is_told_of_a_pause_that_begins_meanwhile() {
    let budget = budget(10);
    passes(&budget, 5).await;
    let waiting = tokio::spawn({
        let budget = Arc::clone(&budget);
        async move { budget.take(Rank::UnderWay).await }
    });
    yield_now().await;
    let hour = Duration::from_secs(3600);
    budget.pause(Pause { opens: Instant::now() + hour, until: Utc::now() });
    let begun = Instant::now();
    assert!(waiting.await.unwrap().is_err());
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[test]
fn intervals_are_stretched_so_that_all_fit_and_nobody_is_starved() {
    assert_eq!(Stretch::of(0.0, 0.0, 3900.0), Stretch::NONE);
    assert_eq!(Stretch::of(1000.0, 2900.0, 3900.0), Stretch::NONE, "just enough");
    assert_eq!(Stretch::of(900.0, 6000.0, 3900.0), Stretch { fresh: 1.0, usual: 2.0 }, "mornings stay as they are");
    assert_eq!(Stretch::of(0.0, 7800.0, 3900.0), Stretch { fresh: 1.0, usual: 2.0 });
    assert_eq!(Stretch::of(7800.0, 0.0, 3900.0), Stretch { fresh: 2.0, usual: 1.0 });
    for (fresh, usual) in [(10.0, 1e6), (1e6, 10.0), (3000.0, 3000.0), (1e6, 1e6), (3900.0, 1.0), (1e-6, 1e9)] {
        let stretch = Stretch::of(fresh, usual, 3900.0);
        let asked = fresh / stretch.fresh + usual / stretch.usual;
        assert!(asked <= 3900.0 * 1.000_001 && asked > 3900.0 * 0.99, "{fresh} and {usual}: {asked}");
        assert!(stretch.fresh >= 1.0 && stretch.usual >= 1.0 && stretch.usual.is_finite(), "{stretch:?}");
        let even = (fresh + usual) / 3900.0;
        assert!(stretch.fresh <= even * 1.000_001, "{fresh} and {usual}: the fresh gain, {stretch:?}");
    }
}

#[tokio::test]
async fn needs_come_and_go_with_their_accounts() {
    let budget = budget(4000);
    let (mut one, mut other) = (budget.need(), budget.need());
    one.set(0.0, 3900.0);
    assert_eq!(other.stretch(), Stretch::NONE);
    other.set(100.0, 3700.0);
    assert!((one.stretch().usual - 7600.0 / 3800.0).abs() < 0.001, "{:?}", one.stretch());
    one.set(0.0, 0.1);
    assert_eq!(other.stretch(), Stretch::NONE);
    one.set(0.0, 1e6);
    assert!(other.stretch().usual > 200.0);
    drop(one);
    assert_eq!(other.stretch(), Stretch::NONE, "its account is gone");
}

#[tokio::test(start_paused = true)]
async fn requests_for_tokens_count_where_the_api_is_and_nowhere_else() {
    tls::choose_provider();
    for (url, counts) in [
        ("http://127.0.0.1:1/oauth/token", true),
        ("http://127.0.0.1:2/oauth/token", false),
        ("http://localhost:1/oauth/token", false),
        ("oauth/token", false),
    ] {
        let (options, stats) = (ClientOptions::default(), ApiStats::new().unwrap());
        let transport = Transport::new("http://127.0.0.1:1/", false, options, Clock::system(), stats);
        let transport = Arc::new(transport.unwrap().within(4000));
        let count = transport.counter();
        (0..100).for_each(|_| count(url));
        let times = passes(&transport.budget, 1).await;
        assert_eq!(times[0] > 0.0, counts, "{url}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_pays_for_itself_goes_before_all_that_merely_begins_and_waits_for_room_and_pauses() {
    const URL: &str = "http://127.0.0.1:1";
    tls::choose_provider();
    // How many accounts begin meanwhile, and how long Oura wants nothing to be asked.
    for (backlog, seconds) in [(0, 0), (500, 0), (2_000, 0), (500, 120)] {
        let stats = ApiStats::new().unwrap();
        let transport = Transport::new(URL, false, ClientOptions::default(), Clock::system(), stats).unwrap();
        let transport = Arc::new(transport.within(100));
        let pay = transport.payer();
        tokio::time::sleep(MINUTE / 60).await;
        let room = passes(&transport.budget, 30).await;
        assert_eq!(room.last(), Some(&0.0));
        let all: Vec<_> = (0..backlog)
            .map(|_| {
                let (budget, due) = (Arc::clone(&transport.budget), Instant::now());
                tokio::spawn(async move { budget.take(Rank::Due(due)).await })
            })
            .collect();
        yield_now().await;
        let opens = Instant::now() + Duration::from_secs(seconds);
        transport.budget.pause(Pause { opens, until: Utc::now() });
        for _ in 0..3 {
            pay(URL).await;
            assert!(Instant::now() >= opens, "the pause is over");
        }
        let waited = opens.elapsed();
        let one_by_one = Duration::from_secs(8)..Duration::from_secs(20);
        assert!(one_by_one.contains(&waited), "{backlog} begin, paused for {seconds} s: {waited:?}");
        all.iter().for_each(tokio::task::JoinHandle::abort);
    }
}
