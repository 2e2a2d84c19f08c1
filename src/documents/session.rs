//! `session`: breathing, meditation and other moments, the newest and all of the newest day that has one.

use serde::Deserialize;

use super::{
    Dated, Document, Pace, Query, Sampled,
    kind::each_day,
    times::{Day, Time},
    values::{
        EvenlySpaced, MILLISECONDS_PER_SECOND, at, count, has_been, heart_rate, hint, seconds, states, timestamp,
    },
};
use crate::{
    metric::{Metric, Row, SampleMetric, Samples, help, label},
    observation::{Evidence, Moment},
};

states! {
    /// What was done.
    Type {
        Breathing = "breathing",
        Meditation = "meditation",
        Nap = "nap",
        Relaxation = "relaxation",
        Rest = "rest",
        BodyStatus = "body_status",
    }
}

states! {
    /// How the wearer felt after it.
    Mood { Bad = "bad", Worse = "worse", Same = "same", Good = "good", Great = "great" }
}

/// A session.
#[derive(Debug, Deserialize)]
pub(super) struct Session {
    day: Day,
    #[serde(rename = "type")]
    kind: Option<Type>,
    mood: Option<Mood>,
    start_datetime: Option<Time>,
    end_datetime: Option<Time>,
}

impl Session {
    fn kind(&self) -> &'static str {
        self.kind.map_or("", Type::word)
    }

    fn info(&self) -> Row {
        (vec![self.kind().into(), self.mood.map_or("", Mood::word).into()], 1.0)
    }

    fn seconds(&self) -> Option<f64> {
        seconds(self.start_datetime, self.end_datetime)
    }
}

/// The sessions of one day, in the order in which they began.
pub(super) struct SessionDay(Vec<Session>);

impl SessionDay {
    fn of(mut sessions: Vec<Session>) -> Self {
        sessions.sort_by_key(|session| session.start_datetime);
        Self(sessions)
    }

    fn newest(&self, value: impl Fn(&Session) -> Option<f64>) -> Option<f64> {
        self.0.last().and_then(value)
    }
}

impl Document for Session {
    type View = SessionDay;
    const NAME: &'static str = "session";
    const SCOPE: &'static str = "session";
    const QUERY: Query = Query::Newest { within: 30 };
    const PACE: Pace = Pace::HalfHour;
    const KEEP_DAYS: Option<i64> = Some(30);
    const REACH_DAYS: i64 = 0;
    const SELECTS_FIELDS: bool = true;
    const METRICS: &'static [Metric<SessionDay>] = &[
        help("What the newest session was, always 1, from session.type and mood.").page_only().rows(
            "oura_session_last_info",
            &[label("kind", Type::WORDS), label("mood", Mood::WORDS)],
            |d| d.0.last().map(Session::info).into_iter().collect(),
        ),
        help("When the newest session began, from session.start_datetime.")
            .page_only()
            .gauge("oura_session_last_start_timestamp_seconds", |d| d.newest(|s| timestamp(s.start_datetime))),
        help("When the newest session ended, from session.end_datetime.")
            .page_only()
            .gauge("oura_session_last_end_timestamp_seconds", |d| d.newest(|s| timestamp(s.end_datetime))),
        help("How long the newest session took, from session.start_datetime and end_datetime.")
            .page_only()
            .gauge("oura_session_last_duration_seconds", |d| d.newest(Session::seconds)),
        help("Sessions of the day, from session.type.").rows("oura_day_sessions", &[label("kind", Type::WORDS)], |d| {
            count(d.0.iter().map(|session| session.kind().to_owned()))
        }),
    ];

    const EVENTS: &'static [SampleMetric<Self>] =
        &[help("How long a session took, at its beginning, from session.start_datetime and end_datetime.").samples(
            "oura_sample_session_duration_seconds",
            &[label("kind", Type::WORDS), label("mood", Mood::WORDS)],
            |s, _| (s.info().0, at(s.start_datetime, s.seconds())),
        )];

    fn evidence(&self) -> Evidence {
        Evidence::of_zone(self.end_datetime)
    }

    fn views(documents: Vec<Self>, moment: &Moment) -> Vec<Dated<SessionDay>> {
        let has_begun = documents.into_iter().filter(|d| has_been(d.start_datetime, moment)).collect();
        each_day(has_begun, |d| d.day, |_, sessions| Some(SessionDay::of(sessions)))
    }
}

/// The part of a session that has a value every few seconds.
#[derive(Debug, Deserialize)]
pub(super) struct SessionSamples {
    #[serde(default, deserialize_with = "hint")]
    heart_rate: Option<EvenlySpaced>,
    #[serde(default, deserialize_with = "hint")]
    heart_rate_variability: Option<EvenlySpaced>,
    #[serde(default, deserialize_with = "hint")]
    motion_count: Option<EvenlySpaced>,
}

fn samples(series: Option<&EvenlySpaced>, unit: fn(f64) -> Option<f64>) -> Samples {
    (vec![], series.map_or(vec![], |series| series.samples(unit)))
}

impl Sampled for SessionSamples {
    const SAMPLES: &'static [SampleMetric<Self>] = &[
        help("Heart rate in a session, from session.heart_rate.").samples(
            "oura_sample_session_heart_rate_bpm",
            &[],
            |d, _| samples(d.heart_rate.as_ref(), |bpm| heart_rate(Some(bpm))),
        ),
        help("Heart rate variability (RMSSD) in a session, from session.heart_rate_variability.").samples(
            "oura_sample_session_hrv_seconds",
            &[],
            |d, _| samples(d.heart_rate_variability.as_ref(), |hrv| Some(hrv / MILLISECONDS_PER_SECOND)),
        ),
        help("Movements counted in a session, from session.motion_count.").samples(
            "oura_sample_session_motion",
            &[],
            |d, _| samples(d.motion_count.as_ref(), Some),
        ),
    ];

    /// A session is over when there is a document of it.
    fn due(&self, _: &Moment) -> Option<i32> {
        Some(0)
    }
}
