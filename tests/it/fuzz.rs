//! Answers that Oura never sent: whatever documents and token replies say, reading them never panics.
//!
//! `OURA_FUZZ_SECONDS=600 cargo test --test it fuzz:: -- --nocapture` goes on for ten minutes; `OURA_TEST_SEED` repeats a run.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    env,
    panic::{self, AssertUnwindSafe},
    sync::Arc,
    time::{Duration, Instant},
};

use crate::common::{NOON, moment, simulator_at};
use chrono::{DateTime, FixedOffset, NaiveDate, TimeDelta, Utc};
use fastrand::Rng;
use oura_exporter::{
    auth::{self, TokenSource, Tokens},
    clock::Clock,
    documents::{KINDS, Kind},
    observation::{DateRange, Evidence, Known, SeenOffset},
    oura::{Client, ClientOptions, Transport},
    poll::Account,
    samples::Record,
    status::ApiStats,
};
use serde_json::{Value, json, value::RawValue};

/// What a value is replaced by, as JSON.
const NASTY: &[&str] = &[
    "null",
    "true",
    "[]",
    "{}",
    "\"\"",
    "0",
    "-0",
    "-0.0",
    "-1",
    "1e308",
    "-1e308",
    "5e-324",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551616",
    "0.1e-300",
    "\"NaN\"",
    "\"Infinity\"",
    "\"-inf\"",
    "\"null\"",
    "\"-262143-01-01T00:00:00Z\"",
    "\"+262142-12-31T23:59:59Z\"",
    "\"+262142-12-31T23:59:59.999999999+23:59\"",
    "\"-262143-01-01T00:00:00-23:59\"",
    "\"0000-01-01T00:00:00Z\"",
    "\"9999-12-31T23:59:60+14:00\"",
    "\"1970-01-01T00:00:00Z\"",
    "\"2026-02-30T00:00:00Z\"",
    "\"2026-11-22T23:59:60Z\"",
    "\"2026-11-22T12:00:00+23:59\"",
    "\"2026-11-22T12:00:00-23:59\"",
    "\"-262143-01-01\"",
    "\"+262142-12-31\"",
    "\"9999-12-31\"",
    "\"0001-01-01\"",
    "\"2026-11-22\"",
    "\"2026-11-23\"",
    "\"long_sleep\"",
    "\"deleted\"",
    "\"\\u202e\\u2066moc.elpmaxe@anna\\u0000\\ud83d\\ude34\"",
    "\"e\\u0301\\ufeff\\u200f\\n\\r\\t\\\"\\\\\"",
    "[null,null,null]",
    "[1e308,1e308,-1e308]",
    "{\"interval\":0,\"items\":[1,2,null],\"timestamp\":\"2026-11-22T00:00:00Z\"}",
    "{\"interval\":1e308,\"items\":[1,2,3],\"timestamp\":\"2026-11-22T00:00:00Z\"}",
    "{\"interval\":-1e18,\"items\":[1,2,3],\"timestamp\":\"-262143-01-01T00:00:00Z\"}",
    "{\"interval\":300,\"items\":[1,2,3],\"timestamp\":\"+262142-12-31T23:59:59Z\"}",
];
/// What is too long to be written out.
const LONG: &[fn() -> String] = &[
    || "7".repeat(300),
    || format!("-0.{}1", "0".repeat(400)),
    || format!("\"{}\"", "1234".repeat(5_000)),
    || format!("\"{}\"", "a".repeat(300_000)),
    || format!("[{}1]", "1,".repeat(2_000)),
    || format!("{}{}", "[".repeat(100), "]".repeat(100)),
    || format!("{}{}", "[".repeat(50_000), "]".repeat(50_000)),
    || format!("{}1{}", "{\"a\":".repeat(200), "}".repeat(200)),
];

/// The end of the inputs that this run makes.
struct Budget {
    end: Instant,
    seed: u64,
}

/// Inputs that are tried however slow the machine is.
const LEAST: u64 = 40;

impl Budget {
    fn from_environment(what: &str) -> Self {
        let number = |name| env::var(name).ok().and_then(|text: String| text.parse::<u64>().ok());
        let seed = number("OURA_TEST_SEED").unwrap_or_else(|| fastrand::u64(..));
        eprintln!("{what}: OURA_TEST_SEED={seed}");
        Self { end: Instant::now() + Duration::from_secs(number("OURA_FUZZ_SECONDS").unwrap_or(3)), seed }
    }

    /// The randomness of each input, which depends on its number alone.
    fn rounds(&self) -> impl Iterator<Item = Rng> {
        let going = move |round: &u64| *round < LEAST || Instant::now() < self.end;
        (0..).take_while(going).map(move |round| Rng::with_seed(self.seed.wrapping_add(round)))
    }
}

thread_local! {
    static IS_TRIED: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// The panics so far: the first input for each place in the code.
#[derive(Default)]
struct Panics(BTreeMap<String, String>);

impl Panics {
    /// Keeps panics of what is tried off the terminal, and takes note of where they are.
    fn watched() -> Self {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if IS_TRIED.get() {
                let place = info.location().map_or_else(String::new, ToString::to_string);
                let text = info.payload().downcast_ref::<String>().cloned();
                let words = text.or(info.payload().downcast_ref::<&str>().map(|words| (*words).to_owned()));
                PLACE.with_borrow_mut(|known| *known = format!("{place}: {}", words.unwrap_or_default()));
            } else {
                usual(info);
            }
        }));
        Self::default()
    }

    /// Tries `target` on an input.
    fn attempt(&mut self, target: impl FnOnce(), input: impl FnOnce() -> String) {
        IS_TRIED.set(true);
        let ended = panic::catch_unwind(AssertUnwindSafe(target));
        IS_TRIED.set(false);
        if ended.is_err() {
            let place = PLACE.with_borrow(Clone::clone);
            self.0.entry(place).or_insert_with(input);
        }
    }

    fn assert_none(&self) {
        let panics: Vec<_> = self.0.iter().map(|(place, input)| format!("{place}\n  {input}")).collect();
        assert!(panics.is_empty(), "{} places panic:\n{}", panics.len(), panics.join("\n"));
    }
}

/// A value that no document should have.
fn nasty(rng: &mut Rng) -> String {
    if rng.u8(..) < 3 { LONG[rng.usize(..LONG.len())]() } else { NASTY[rng.usize(..NASTY.len())].to_owned() }
}

/// A word of a document with a few letters or digits changed: a date next to it, or none at all.
fn bent(text: &str, rng: &mut Rng) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    for _ in 0..rng.usize(1..4).min(letters.len()) {
        let place = rng.usize(..letters.len());
        match rng.u8(..4) {
            0 => letters[place] = char::from(rng.u8(b'0'..=b'9')),
            1 => letters[place] = ['-', '+', ':', 'Z', 'T', ' ', '\u{202e}', 'é'][rng.usize(..8)],
            2 => drop(letters.remove(place)),
            _ => letters.insert(place, letters[place]),
        }
        if letters.is_empty() {
            break;
        }
    }
    letters.into_iter().collect()
}

/// Changes something below `value`; raw JSON goes to `raw` and leaves its number.
fn change(value: &mut Value, raw: &mut Vec<String>, rng: &mut Rng) {
    let deeper = rng.u8(..8) > 0;
    match value {
        Value::Object(fields) if deeper && !fields.is_empty() => {
            let name = fields.keys().nth(rng.usize(..fields.len())).cloned().unwrap_or_default();
            if rng.u8(..12) == 0 {
                fields.remove(&name);
            } else if let Some(field) = fields.get_mut(&name) {
                change(field, raw, rng);
            }
        }
        Value::Array(items) if deeper && !items.is_empty() => {
            let place = rng.usize(..items.len());
            if rng.u8(..12) == 0 {
                items.truncate(place);
            } else {
                change(&mut items[place], raw, rng);
            }
        }
        Value::String(text) if rng.bool() => *text = bent(text, rng),
        Value::Number(number) if rng.bool() => {
            let factor = [-1.0, 0.0, 0.5, 1e3, 1e9, 1e300][rng.usize(..6)];
            *value = json!(number.as_f64().unwrap_or_default() * factor);
        }
        _ => {
            raw.push(nasty(rng));
            *value = Value::String(format!("@raw {}@", raw.len() - 1));
        }
    }
}

/// A document as text, with some changes, and sometimes with a field twice.
fn mutant(document: &Value, rng: &mut Rng) -> String {
    let (mut value, mut raw) = (document.clone(), vec![]);
    for _ in 0..rng.usize(..6) {
        change(&mut value, &mut raw, rng);
    }
    let mut text = value.to_string();
    for (number, json) in raw.iter().enumerate() {
        text = text.replacen(&format!("\"@raw {number}@\""), json, 1);
    }
    if let Some(name) = document.as_object().and_then(|fields| fields.keys().nth(rng.usize(..fields.len().max(1))))
        && rng.u8(..10) == 0
        && text.starts_with("{\"")
    {
        text = format!("{{\"{name}\":{},{}", nasty(rng), &text[1..]);
    }
    if rng.u8(..40) == 0 { nasty(rng) } else { text }
}

/// Some documents of an answer.
fn answer(corpus: &[Value], rng: &mut Rng) -> Vec<Box<RawValue>> {
    let documents = (0..rng.usize(1..4)).map(|_| mutant(&corpus[rng.usize(..corpus.len())], rng));
    documents.filter_map(|text| RawValue::from_string(text).ok()).collect()
}

/// Now, for somebody somewhere, of whom this or that is known.
fn now(rng: &mut Rng) -> (Known, DateTime<Utc>) {
    let zone = [0, 7_200, -43_200, 50_400, 86_399, -86_399][rng.usize(..6)];
    let now = moment(NOON) + TimeDelta::hours(rng.i64(-20_000..200_000));
    let now = if rng.bool() { moment(NOON) } else { now };
    let mut known = Known::default();
    let zone = FixedOffset::east_opt(zone).expect("a zone");
    let synced = rng.bool().then(|| now - TimeDelta::hours(rng.i64(0..48)));
    let scored = rng.bool().then(|| now.date_naive() - TimeDelta::days(rng.i64(0..4)));
    known.add(&Evidence { zone: Some(SeenOffset { at: now, zone }), synced, scored }, now);
    (known, now)
}

/// Everything that is done with an answer.
fn read(kind: &'static Kind, documents: &[Box<RawValue>], (known, now): &(Known, DateTime<Utc>)) {
    let today = known.moment(*now).today();
    let days = DateRange { first: today - TimeDelta::days(30), last: today };
    let reading = kind.read(documents, known, *now, Some(days));
    assert!(reading.unreadable.count <= documents.len());
    let moment = reading.known.moment(*now);
    let due = documents.iter().filter(|document| kind.due(document, &moment).is_some()).count();
    assert!(due <= documents.len());
    let mut record = Record::new("anna", *now);
    record.learn(kind.name, &reading.days, &reading.events, days, *now);
    record.learn_dense(kind.name, |take| kind.samples(documents, &moment, take), *now);
}

/// Real documents of each kind, some weeks of them.
async fn corpora() -> Vec<(&'static Kind, Vec<Value>)> {
    let simulator = simulator_at(NOON).await;
    let stats = ApiStats::new().expect("good names");
    let transport = Transport::new(&simulator.url(), false, ClientOptions::default(), Clock::system(), stats);
    let token = TokenSource::Fixed(simulator.people()[0].token.clone().into());
    let client = Arc::new(Client::new(transport.expect("a transport").into(), token));
    let account = Account { name: "alice".to_owned(), client };
    let now = moment(NOON);
    let days = |back| DateRange { first: now.date_naive() - TimeDelta::days(back), last: now.date_naive() };
    let mut corpora = vec![];
    for kind in KINDS {
        let back = if kind.sample_definitions().is_empty() { 60 } else { 2 };
        let documents = account.ask_past(kind, days(back), now).await.expect("an answer");
        let documents: Vec<Value> = documents
            .iter()
            .rev()
            .take(200)
            .map(|document| serde_json::from_str(document.get()).expect("JSON"))
            .collect();
        assert!(!documents.is_empty(), "{}", kind.name);
        corpora.push((kind, documents));
    }
    corpora
}

#[tokio::test]
async fn no_document_of_any_kind_panics() {
    let corpora = corpora().await;
    let budget = Budget::from_environment("documents");
    let mut panics = Panics::watched();
    let mut count = 0_u64;
    for mut rng in budget.rounds() {
        count += 1;
        for (kind, corpus) in &corpora {
            let (documents, moment) = (answer(corpus, &mut rng), now(&mut rng));
            panics.attempt(
                || read(kind, &documents, &moment),
                || {
                    let texts: Vec<String> =
                        documents.iter().map(|text| text.get().chars().take(1_500).collect()).collect();
                    format!("{}, seed {}, {moment:?}: {texts:?}", kind.name, budget.seed)
                },
            );
        }
    }
    eprintln!("{count} answers for each of {} kinds", corpora.len());
    panics.assert_none();
}

/// What either portal answers, and what RFC 6749 knows.
fn replies() -> Vec<Value> {
    vec![
        json!({"access_token": "ABC", "token_type": "Bearer", "expires_in": 86400, "refresh_token": "DEF", "scope": "daily"}),
        json!({"access_token": "ABC", "expires_in": "86400", "refresh_token": null, "scope": ["extapi:daily", "extapi:tag"]}),
        json!({"access_token": "ABC"}),
        json!({"error": "invalid_grant", "error_description": "The refresh token is spent. _0XABCDEF"}),
        json!({"title": "Unauthorized", "status": 401, "detail": "no such client", "type": "about:blank"}),
    ]
}

/// The bytes of a reply, sometimes cut or with a byte changed.
fn reply(replies: &[Value], rng: &mut Rng) -> Vec<u8> {
    let mut body = mutant(&replies[rng.usize(..replies.len())], rng).into_bytes();
    if rng.u8(..6) == 0 {
        body.truncate(rng.usize(..=body.len()));
    }
    if rng.u8(..6) == 0 && !body.is_empty() {
        let place = rng.usize(..body.len());
        body[place] = rng.u8(..);
    }
    body
}

/// Everything that is done with a token reply.
fn renew(body: &[u8], now: DateTime<Utc>, before: Option<&Tokens>) {
    if let Ok(tokens) = auth::read_reply(body, now, before) {
        for now in [now, now + TimeDelta::days(1), DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
            let _ = (tokens.is_due(now), tokens.has_expired(now));
        }
        let _ = tokens.grant();
    }
}

#[test]
fn no_token_reply_panics() {
    let budget = Budget::from_environment("token replies");
    let (mut panics, replies, now) = (Panics::watched(), replies(), moment(NOON));
    let before = auth::read_reply(replies[0].to_string().as_bytes(), now, None).expect("a pair");
    let mut count = 0_u64;
    for mut rng in budget.rounds() {
        count += 1;
        let body = reply(&replies, &mut rng);
        let before = rng.bool().then_some(&before);
        panics.attempt(
            || renew(&body, now, before),
            || {
                let text: String = String::from_utf8_lossy(&body).chars().take(1_500).collect();
                format!("token reply, seed {}: {text}", budget.seed)
            },
        );
    }
    eprintln!("{count} token replies");
    panics.assert_none();
}

#[test]
fn days_at_the_ends_of_the_calendar_are_among_the_inputs() {
    // Otherwise the runs above would prove little.
    assert!(NASTY.contains(&format!("\"{}\"", NaiveDate::MAX).as_str()));
    let dated = |text: &&&str| serde_json::from_str::<DateTime<FixedOffset>>(text).is_ok();
    assert!(NASTY.iter().filter(dated).count() >= 6);
}
