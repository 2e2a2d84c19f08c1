//! The landing page in a real browser: narrow and wide, light and dark, and as a screen reader meets it.

use std::{collections::BTreeMap, fs};

use crate::common::{
    Exporter, NOON, Plan,
    browser::Browser,
    day, eventually,
    needs::{axe, browser_is_there, there_are},
    proxy::Nginx,
    servers::free_address,
    simulator_at,
    truth::{day_of, documents, is_night, local},
    usual_collections,
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use chrono::TimeDelta;
use oura_exporter::simulator::{Fault, Scope, Simulator};
use serde_json::{Value, json};

const WIDTHS: [u32; 2] = [390, 1280];
/// How high a phone is that is so narrow.
const PHONE: u32 = 844;
const SCHEMES: [&str; 2] = ["light", "dark"];
/// What axe-core finds, as one line a finding.
const AXE: &str = "axe.run().then(found => found.violations.map(v => \
                   v.id + ': ' + v.nodes.map(n => n.target + ' ' + n.failureSummary).join('; ')))";

async fn open(exporter: &Exporter) -> Browser {
    let browser = Browser::open(&format!("{}/", exporter.url).parse().expect("an address")).await;
    let there = async || {
        (browser.evaluate("document.readyState + !!document.querySelector('main')").await == "completetrue")
            .then_some(())
    };
    eventually("the page is there", there).await;
    browser
}

/// Shows the page as wide as that, in that scheme.
async fn look(browser: &Browser, width: u32, scheme: &str) {
    let metrics = json!({ "width": width, "height": PHONE, "deviceScaleFactor": 1, "mobile": width < 500 });
    browser.order("Emulation.setDeviceMetricsOverride", metrics).await;
    let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
    browser.order("Emulation.setEmulatedMedia", features).await;
}

/// A picture of the whole page for whoever wants to look: into the directory that `OURA_PICTURES` names.
async fn picture(browser: &Browser, name: &str) {
    let Ok(directory) = std::env::var("OURA_PICTURES") else { return };
    let taken = browser.order("Page.captureScreenshot", json!({ "captureBeyondViewport": true })).await;
    let bytes = BASE64.decode(taken["data"].as_str().expect("a picture")).expect("base64");
    fs::write(format!("{directory}/{name}.png"), bytes).expect("a file");
}

async fn assert_accessible(name: &str, exporter: &Exporter, axe: &str) {
    let browser = open(exporter).await;
    browser.evaluate(&format!("{axe}; 0")).await;
    for (width, scheme) in WIDTHS.into_iter().flat_map(|width| SCHEMES.map(|scheme| (width, scheme))) {
        look(&browser, width, scheme).await;
        assert_eq!(browser.evaluate(AXE).await, json!([]), "{scheme} at {width} px");
        let overflows = browser.evaluate("document.documentElement.scrollWidth > window.innerWidth").await;
        assert_eq!(overflows, Value::Bool(false), "it must be scrolled sideways at {width} px");
        picture(&browser, &format!("{name}-{width}-{scheme}")).await;
    }
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    browser.close().await;
}

#[tokio::test]
async fn nobody_is_shut_out_whatever_the_state_of_things() {
    let test = "nobody_is_shut_out_whatever_the_state_of_things";
    let (true, Some(axe)) = (browser_is_there(test), axe(test)) else { return };
    let simulator = simulator_at(NOON).await;
    let exporter = Plan { people: &["alice", "bob"], ..Plan::default() }.ready(&simulator).await;
    assert_accessible("well", &exporter, &axe).await;
    exporter.stop().await;
    simulator.faults().set(Scope::collection("workout"), Fault::Status(500));
    simulator.faults().set(Scope::person("bob"), Fault::TokenDead);
    let exporter = Plan { people: &["alice", "bob"], ..Plan::default() }.ready(&simulator).await;
    assert_accessible("troubled", &exporter, &axe).await;
    exporter.stop().await;
}

#[tokio::test]
async fn the_page_tells_today_with_its_dates_and_loads_nothing() {
    let test = "the_page_tells_today_with_its_dates_and_loads_nothing";
    if !browser_is_there(test) {
        return;
    }
    let simulator = simulator_at(NOON).await;
    let exporter = Plan::default().ready(&simulator).await;
    let page = exporter.page().await;
    let browser = open(&exporter).await;
    let text = browser.evaluate("document.body.innerText").await;
    let text = text.as_str().expect("text");
    for (title, metric) in
        [("Readiness", "oura_readiness_score"), ("Sleep", "oura_sleep_score"), ("Activity", "oura_activity_score")]
    {
        let score = page.get(metric).expect("a score");
        let band = match score {
            85.0.. => "Optimal",
            70.0.. => "Good",
            _ => "Pay attention",
        };
        let card: Vec<_> =
            text.lines().skip_while(|line| *line != title).filter(|line| !line.is_empty()).take(4).collect();
        assert_eq!(card, [title, &score.to_string(), band, "today, 22 Nov"]);
    }
    let all = usual_collections();
    assert!(text.contains(&format!("Collections: {all} of {all} as they should be")), "{text}");
    let loaded = browser.evaluate("performance.getEntriesByType('resource').length").await;
    assert_eq!(loaded, json!(0));
    browser.close().await;
    exporter.stop().await;
}

/// What the drawings of the page are made of: dots and the comparison of each score, the stretches of the night, the points of
/// the heart rate, and the legend.
const DRAWN: &str = r"(() => {
  const all = (within, what, pick) => [...within.querySelectorAll(what)].map(pick);
  const number = (element, name) => +element.getAttribute(name);
  return {
    scores: all(document, '.scores li', card => ({
      dots: all(card, 'circle', dot => [dot.textContent, number(dot, 'cx'), number(dot, 'cy')]),
      comparison: card.lastElementChild.innerText,
    })),
    stretches: all(document, '.hypnogram rect', rect =>
      [rect.className.baseVal, number(rect, 'x'), number(rect, 'width'), number(rect, 'y'), rect.textContent]),
    pulse: all(document, '.hypnogram polyline', line =>
      line.getAttribute('points').split(' ').map(point => point.split(',').map(Number))),
    legend: all(document, '.legend li', item => item.innerText),
  };
})()";

/// The days that are drawn.
const DAYS: (&str, &str) = ("2026-11-09", "2026-11-22");

/// An exporter with a record of two weeks, and its page in a browser.
async fn drawn(simulator: &Simulator) -> (Exporter, Value) {
    let exporter = Plan::default().ready(simulator).await;
    let browser = open(&exporter).await;
    let whole = async || {
        browser.order("Page.reload", json!({})).await;
        let drawn = browser.evaluate(DRAWN).await;
        let dots = |score: &Value| score["dots"].as_array().is_some_and(|dots| dots.len() > 10);
        let has_scores = drawn["scores"].as_array().is_some_and(|scores| scores.len() == 3 && scores.iter().all(dots));
        (has_scores && drawn["pulse"][0].is_array()).then_some(drawn)
    };
    let drawn = eventually("two weeks are drawn", whole).await;
    look(&browser, 1000, "light").await;
    picture(&browser, "alice").await;
    browser.close().await;
    (exporter, drawn)
}

#[tokio::test]
async fn the_last_two_weeks_of_each_score_are_those_of_the_service() {
    if !browser_is_there("the_last_two_weeks_of_each_score_are_those_of_the_service") {
        return;
    }
    let simulator = simulator_at(NOON).await;
    let (exporter, drawn) = drawn(&simulator).await;
    for (place, collection) in ["daily_readiness", "daily_sleep", "daily_activity"].into_iter().enumerate() {
        let documents = documents(&simulator, "alice", collection, day(DAYS.0), day(DAYS.1)).await;
        let score = |document: &Value| Some((day_of(document), document["score"].as_f64()?));
        let scores: BTreeMap<_, _> = documents.iter().filter_map(score).collect();
        let drawn = &drawn["scores"][place];
        let dots = drawn["dots"].as_array().expect("dots");
        let titles: Vec<_> = scores.iter().map(|(day, score)| format!("{}: {score}", day.format("%-d %b"))).collect();
        assert_eq!(
            dots.iter().map(|dot| dot[0].as_str().expect("a title")).collect::<Vec<_>>(),
            titles,
            "{collection}"
        );
        assert!(scores.len() > 10 && scores.keys().next_back() == Some(&day(DAYS.1)), "{scores:?}");
        let at = |name: usize| dots.iter().map(move |dot| dot[name].as_f64().expect("a number"));
        for ((date, x), first) in scores.keys().zip(at(1)).zip([day(DAYS.0)].into_iter().cycle()) {
            let along = 4.0 + (*date - first).num_days() as f64 * 112.0 / 13.0;
            assert!((x - along).abs() < 0.1, "{collection} of {date} is at {x}");
        }
        assert_drawn_to_scale(&scores.values().copied().zip(at(2)).collect::<Vec<_>>());
        let mean = scores.values().sum::<f64>() / scores.len() as f64;
        let difference = (scores[&day(DAYS.1)] - mean).round();
        let words = match difference {
            1.0.. => format!("{difference} above {}-day mean", scores.len()),
            ..=-1.0 => format!("{} below {}-day mean", -difference, scores.len()),
            _ => format!("at the {}-day mean", scores.len()),
        };
        assert_eq!(drawn["comparison"], words, "{collection}");
    }
    exporter.stop().await;
}

/// Of these values and heights, more is higher, and as much higher as it is more. (Heights count from the top, and have one
/// decimal place.)
fn assert_drawn_to_scale(points: &[(f64, f64)]) {
    let by_value = |one: &&(f64, f64), other: &&(f64, f64)| one.0.total_cmp(&other.0);
    let (least, most) =
        (points.iter().min_by(by_value).expect("points"), points.iter().max_by(by_value).expect("points"));
    assert!(least.0 < most.0 && least.1 > most.1, "{points:?}");
    let scale = (least.1 - most.1) / (most.0 - least.0);
    for (value, y) in points {
        assert!((least.1 - (value - least.0) * scale - y).abs() < 0.11, "{value} at {y}: {points:?}");
    }
}

#[tokio::test]
async fn the_night_is_drawn_as_the_service_tells_it() {
    if !browser_is_there("the_night_is_drawn_as_the_service_tells_it") {
        return;
    }
    let simulator = simulator_at(NOON).await;
    let (exporter, drawn) = drawn(&simulator).await;
    let sleep = documents(&simulator, "alice", "sleep", day(DAYS.1), day(DAYS.1)).await;
    let night =
        sleep.iter().filter(|document| is_night(document)).max_by_key(|night| night["total_sleep_duration"].as_u64());
    let night = night.expect("a night");
    let start = local(&night["bedtime_start"]);
    let clock = |seconds: i64| (start + TimeDelta::seconds(seconds)).format("%H:%M").to_string();
    let mut wanted = Vec::new();
    let digits = night["sleep_phase_30_sec"].as_str().expect("stages").as_bytes();
    let (mut from, end) = (0, (local(&night["bedtime_end"]) - start).num_seconds());
    for run in digits.chunk_by(|one, next| one == next) {
        let (class, title, lane) = match run[0] {
            b'4' => ("awake", "Awake", 0),
            b'3' => ("rem", "REM", 25),
            b'2' => ("light", "Light", 50),
            _ => ("deep", "Deep", 75),
        };
        // The last slot may go on beyond the end of the night, where nothing is drawn.
        let length = (30 * i64::try_from(run.len()).expect("a number")).min(end - from);
        let words = format!("{title}, {} to {}", clock(from), clock(from + length));
        wanted.push(json!([class, from, length, lane, words]));
        from += length;
    }
    assert!(wanted.len() > 10, "{wanted:?}");
    assert_eq!(drawn["stretches"], Value::Array(wanted));
    let legend = drawn["legend"].as_array().expect("a legend");
    for (place, field) in
        ["awake_time", "rem_sleep_duration", "light_sleep_duration", "deep_sleep_duration"].into_iter().enumerate()
    {
        let minutes = (night[field].as_f64().expect("seconds") / 60.0).round() as u64;
        let words = format!("{} h {:02} min", minutes / 60, minutes % 60);
        assert!(legend[place].as_str().is_some_and(|item| item.ends_with(&words)), "{field}: {legend:?}");
    }
    assert_heart_rate(night, &drawn["pulse"]);
    exporter.stop().await;
}

/// The heart rate of `night` is what the lines are drawn of, which break where it has none.
fn assert_heart_rate(night: &Value, lines: &Value) {
    let rate = &night["heart_rate"];
    let begin = (local(&rate["timestamp"]) - local(&night["bedtime_start"])).num_seconds();
    let step = rate["interval"].as_f64().expect("seconds") as i64;
    let items = rate["items"].as_array().expect("rates");
    let measured = (0..).zip(items).filter_map(|(place, bpm)| Some((begin + place * step, bpm.as_f64()?)));
    let measured: Vec<_> = measured.filter(|(at, bpm)| *at >= 0 && *bpm > 0.0).collect();
    let runs: Vec<Vec<i64>> = measured
        .chunk_by(|one, next| next.0 - one.0 <= 600)
        .map(|run| run.iter().map(|(at, _)| *at).collect())
        .collect();
    let at = |place: usize, line: &Value| -> Vec<f64> {
        line.as_array().expect("points").iter().map(|point| point[place].as_f64().expect("a number")).collect()
    };
    let lines = lines.as_array().expect("lines");
    let drawn: Vec<Vec<i64>> = lines.iter().map(|line| at(0, line).into_iter().map(|x| x as i64).collect()).collect();
    assert_eq!(drawn, runs);
    let heights = lines.iter().flat_map(|line| at(1, line));
    assert_drawn_to_scale(&measured.iter().map(|(_, bpm)| *bpm).zip(heights).collect::<Vec<_>>());
}

#[tokio::test]
async fn on_a_phone_all_scores_are_seen_without_scrolling() {
    if !browser_is_there("on_a_phone_all_scores_are_seen_without_scrolling") {
        return;
    }
    let simulator = simulator_at(NOON).await;
    let exporter = Plan { people: &["alice", "bob"], ..Plan::default() }.ready(&simulator).await;
    let browser = open(&exporter).await;
    look(&browser, WIDTHS[0], "light").await;
    let ends = "[...document.querySelectorAll('.scores li')].map(card => card.getBoundingClientRect().bottom)";
    let ends = browser.evaluate(ends).await;
    let ends: Vec<_> = ends.as_array().expect("cards").iter().map(|end| end.as_f64().expect("pixels")).collect();
    assert!(ends.len() == 6 && ends.iter().all(|end| *end < f64::from(PHONE)), "{ends:?}");
    browser.close().await;
    exporter.stop().await;
}

#[tokio::test]
async fn without_a_record_the_page_says_so_in_place_of_drawings() {
    let simulator = simulator_at(NOON).await;
    let exporter = Plan::default().set("OURA_SAMPLES", "false").ready(&simulator).await;
    let (_, html) = exporter.get("/").await;
    assert!(html.contains("There is no record (OURA_SAMPLES=false)") && !html.contains("<svg"), "{html}");
    assert!(html.contains("<h3>Readiness</h3>") && html.contains("<figcaption><strong>Night</strong>"), "{html}");
    exporter.stop().await;
}

#[tokio::test]
async fn behind_a_proxy_every_link_leads_on_below_its_path() {
    let test = "behind_a_proxy_every_link_leads_on_below_its_path";
    if !browser_is_there(test) || !there_are(&["nginx"], test) {
        return;
    }
    let simulator = simulator_at(NOON).await;
    let exporter = Plan::default().set("OURA_WEB_EXTERNAL_URL", "http://lan.example/oura/").ready(&simulator).await;
    let address = free_address().await;
    // Below /oura/ it passes the path on, below /bare/ it takes it away.
    let exporter_is = exporter.address();
    let lines = format!(
        "proxy_set_header Host lan.example; location /oura {{ proxy_pass http://{exporter_is}; }} \
         location /bare/ {{ proxy_pass http://{exporter_is}/; }}"
    );
    let _nginx = Nginx::start(&address, &lines, "/bare/").await;
    for (begin, root) in [("/oura", "/oura/"), ("/oura/", "/oura/"), ("/bare/", "/bare/")] {
        let browser = Browser::open(&format!("http://{address}{begin}").parse().expect("an address")).await;
        let is_at = async |path: String, words: &str| {
            let there = format!(
                "document.readyState === 'complete' && location.pathname + location.search === '{path}' && \
                 document.body.innerText.includes('{words}')"
            );
            eventually(&path, async || (browser.evaluate(&there).await == true).then_some(())).await;
        };
        let press = async |link: &str| {
            browser.evaluate(&format!("document.querySelector('a[href=\"{link}\"]').click()")).await;
        };
        is_at(root.to_owned(), "Readiness").await;
        for (link, words) in [("metrics", "oura_readiness_score"), ("-/ready", "ready"), ("-/healthy", "healthy")] {
            press(link).await;
            is_at(format!("{root}{link}"), words).await;
            browser.evaluate("history.back()").await;
            is_at(root.to_owned(), "Readiness").await;
        }
        press("?still").await;
        is_at(format!("{root}?still"), "It does not refresh itself").await;
        press("./").await;
        is_at(root.to_owned(), "It refreshes itself").await;
        browser.close().await;
    }
    exporter.stop().await;
}
