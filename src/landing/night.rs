//! The last night drawn: its stages as they followed each other, and the heart rate over them.

use std::fmt::Write as _;

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    today::{dated, hours},
    wearer::Wearer,
};

const BEDTIME_START: &str = "oura_night_bedtime_start_timestamp_seconds";
const BEDTIME_END: &str = "oura_night_bedtime_end_timestamp_seconds";
const START_OFFSET: &str = "oura_night_bedtime_start_offset_seconds";
const END_OFFSET: &str = "oura_night_bedtime_end_offset_seconds";
const SETTLED: &str = "oura_night_settled";
const STAGE_SECONDS: &str = "oura_night_stage_seconds";
const STAGE: &str = "oura_sample_sleep_stage";
const HEART_RATE: &str = "oura_sample_night_heart_rate_bpm";

/// What is read from the page and from the record, for the test over the catalogue.
#[cfg(test)]
pub(super) const METRICS: &[&str] =
    &[BEDTIME_START, BEDTIME_END, START_OFFSET, END_OFFSET, SETTLED, STAGE_SECONDS, STAGE, HEART_RATE];

/// The stages from top to bottom: the sample's value, the label's value, and the title.
const STAGES: [(f64, &str, &str); 4] =
    [(4.0, "awake", "Awake"), (3.0, "rem", "REM"), (2.0, "light", "Light"), (1.0, "deep", "Deep")];
/// Stages begin at multiples of the finest slot after bedtime; others are of a bedtime that Oura has revised since.
const FINEST_SLOT: i64 = 30;
/// The coarsest slot of a stage, in seconds.
const COARSEST_SLOT: i64 = 300;
/// A line of heart rate breaks where none was measured for longer than two of its slots.
const LONGEST_GAP: TimeDelta = TimeDelta::minutes(10);
/// The drawing's height, and that of a stage's lane in it; its width is the seconds of the night.
const HEIGHT: f64 = 100.0;
const LANE: f64 = 25.0;
/// The room above and below the line of heart rate.
const MARGIN: f64 = 6.0;
/// The hours at which the axis has a time, in seconds.
const TICK: i64 = 2 * 3600;
const DAY: i64 = 24 * 3600;

/// A night: when it was, by the world's clock and by the wearer's, and what the record has of it.
struct Night {
    start: DateTime<Utc>,
    /// Its length in seconds.
    length: i64,
    /// The seconds from the day's beginning to its start, by the wearer's clock.
    offset: i64,
    stages: Vec<Stretch>,
    heart_rate: Vec<(DateTime<Utc>, f64)>,
}

/// A stage of sleep that lasted for some time, in seconds from the night's start.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stretch {
    stage: f64,
    from: i64,
    to: i64,
}

/// The night that the page shows; empty where it shows none.
pub(super) fn night(wearer: &Wearer) -> String {
    let Some((night, end_offset)) = Night::of(wearer) else { return String::new() };
    let day = wearer.find(BEDTIME_START, None).and_then(|found| found.day);
    let mut html = format!(
        "<figure class=\"night\"><figcaption><strong>Night</strong> {} to {}",
        night.clock(0),
        clock(end_offset)
    );
    if let Some(day) = day {
        let _ = write!(html, ", <span class=\"note\">{}</span>", dated(day, wearer.today()));
    }
    html.push_str("</figcaption>");
    if night.stages.is_empty() && night.heart_rate.is_empty() {
        html.push_str(wearer.without_a_course());
    } else {
        html.push_str(&night.svg(&clock(end_offset)));
    }
    html + &legend(wearer, &night) + "</figure>"
}

/// Whether the night may still grow, so that the record does not have its course yet.
pub(super) fn may_grow(wearer: &Wearer) -> bool {
    wearer.find(SETTLED, None).is_some_and(|found| found.value == 0.0)
}

impl Night {
    /// The night that is shown, and its end by the wearer's clock.
    fn of(wearer: &Wearer) -> Option<(Self, i64)> {
        let value = |metric| wearer.find(metric, None).map(|found| found.value);
        let start = DateTime::from_timestamp(value(BEDTIME_START)? as i64, 0)?;
        let end = DateTime::from_timestamp(value(BEDTIME_END)? as i64, 0)?;
        let length = (end - start).num_seconds();
        let stages = stretches(&wearer.stretch(STAGE, start, end), start, length);
        let heart_rate = wearer.stretch(HEART_RATE, start, end);
        let night = Self { start, length, offset: value(START_OFFSET)? as i64, stages, heart_rate };
        (length > 0).then_some((night, value(END_OFFSET)? as i64))
    }

    /// The time so many seconds after its start, by the wearer's clock.
    fn clock(&self, seconds: i64) -> String {
        clock(self.offset + seconds)
    }

    fn heart_rates(&self) -> (f64, f64) {
        let rates = || self.heart_rate.iter().map(|(_, bpm)| *bpm);
        (rates().fold(f64::INFINITY, f64::min), rates().fold(f64::NEG_INFINITY, f64::max))
    }

    /// The drawing. Its outer part is as wide as the page and keeps its texts readable; the inner one stretches.
    fn svg(&self, end: &str) -> String {
        let mut svg = format!(
            "<svg class=\"hypnogram\" height=\"172\" role=\"img\" aria-label=\"Stages of sleep from {} to {end}{}\">",
            self.clock(0),
            match self.heart_rate.is_empty() {
                true => String::new(),
                false => format!(
                    ", with the heart rate over them, {:.0} to {:.0} bpm",
                    self.heart_rates().0,
                    self.heart_rates().1
                ),
            }
        );
        let _ = write!(
            svg,
            "<svg width=\"100%\" height=\"150\" viewBox=\"0 0 {} {HEIGHT}\" preserveAspectRatio=\"none\">{}{}</svg>{}</svg>",
            self.length,
            self.stages.iter().map(|stretch| self.rect(stretch)).collect::<String>(),
            self.lines(),
            self.axis()
        );
        svg
    }

    fn rect(&self, stretch: &Stretch) -> String {
        let Some(lane) = STAGES.iter().position(|(value, ..)| *value == stretch.stage) else { return String::new() };
        let (_, class, title) = STAGES[lane];
        format!(
            "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{LANE}\"><title>{title}, {} to {}</title></rect>",
            stretch.from,
            lane as f64 * LANE,
            stretch.to - stretch.from,
            self.clock(stretch.from),
            self.clock(stretch.to)
        )
    }

    /// The heart rate, broken where none was measured.
    fn lines(&self) -> String {
        let (least, most) = self.heart_rates();
        let point = |(time, bpm): &(DateTime<Utc>, f64)| {
            let up = if most > least { (bpm - least) / (most - least) } else { 0.5 };
            let y = HEIGHT - MARGIN - up * (HEIGHT - 2.0 * MARGIN);
            format!("{},{y:.1} ", (*time - self.start).num_seconds())
        };
        let runs = self.heart_rate.chunk_by(|(one, _), (next, _)| *next - *one <= LONGEST_GAP);
        let line = |run: &[(DateTime<Utc>, f64)]| {
            let points: String = run.iter().map(point).collect();
            format!("<polyline points=\"{}\"/>", points.trim_end())
        };
        runs.map(line).collect()
    }

    /// The times below it.
    fn axis(&self) -> String {
        let first = (TICK - self.offset.rem_euclid(TICK)) % TICK;
        let ticks = (0..).map(|tick| first + tick * TICK).take_while(|at| *at < self.length);
        let tick = |at: i64| {
            let x = at as f64 / self.length as f64 * 100.0;
            // At the very edges half of the text would be cut off.
            let text = |x: f64| format!("<text x=\"{x:.2}%\" y=\"168\">{}</text>", self.clock(at));
            let text = if (5.0..=95.0).contains(&x) { text(x) } else { String::new() };
            format!("<line x1=\"{x:.2}%\" x2=\"{x:.2}%\" y1=\"0\" y2=\"153\"/>{text}")
        };
        ticks.map(tick).collect()
    }
}

/// The stages and how long each lasted in all, from the top of the drawing to its bottom, and what the line is.
fn legend(wearer: &Wearer, night: &Night) -> String {
    let stage = |(_, class, title): &(f64, &'static str, &str)| {
        let found = wearer.find(STAGE_SECONDS, Some(class))?;
        Some(format!("<li class=\"{class}\">{title} {}", hours(found.value)))
    };
    let mut items: String = STAGES.iter().filter_map(stage).collect();
    if !night.heart_rate.is_empty() {
        let (least, most) = night.heart_rates();
        let _ = write!(items, "<li class=\"pulse\">Heart rate {least:.0} to {most:.0} bpm");
    }
    if items.is_empty() { items } else { format!("<ul class=\"legend\">{items}</ul>") }
}

/// Stages that follow each other, of those digits that a night from `start` on has; the same one twice is one.
fn stretches(points: &[(DateTime<Utc>, f64)], start: DateTime<Utc>, length: i64) -> Vec<Stretch> {
    let since = |(time, stage): &(DateTime<Utc>, f64)| ((time.timestamp() - start.timestamp()), *stage);
    let points: Vec<_> = points.iter().map(since).filter(|(at, _)| at % FINEST_SLOT == 0).collect();
    let gaps = points.windows(2).map(|pair| pair[1].0 - pair[0].0);
    let slot = gaps.min().unwrap_or(COARSEST_SLOT).min(COARSEST_SLOT);
    let mut all: Vec<Stretch> = Vec::new();
    for (at, stage) in points {
        let to = (at + slot).min(length);
        match all.last_mut().filter(|last| last.stage == stage && last.to == at) {
            Some(last) => last.to = to,
            None => all.push(Stretch { stage, from: at, to }),
        }
    }
    all
}

/// Seconds of a day as a clock shows them.
fn clock(seconds: i64) -> String {
    let minutes = seconds.rem_euclid(DAY) / 60;
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_that_follow_each_other_are_one_and_a_gap_is_none() {
        let start = DateTime::UNIX_EPOCH;
        let points = |all: &[(i64, f64)]| -> Vec<_> {
            all.iter().map(|(at, stage)| (start + TimeDelta::seconds(*at), *stage)).collect()
        };
        let fine = points(&[(0, 4.0), (30, 2.0), (60, 2.0), (120, 2.0), (130, 1.0), (150, 1.0)]);
        let found: Vec<_> = stretches(&fine, start, 170).iter().map(|s| (s.stage, s.from, s.to)).collect();
        let wanted = [(4.0, 0, 30), (2.0, 30, 90), (2.0, 120, 150), (1.0, 150, 170)];
        assert_eq!(
            found, wanted,
            "the one at 130 is of a bedtime that was revised, and nothing lasts beyond the night"
        );
        let coarse = stretches(&points(&[(0, 2.0), (300, 3.0), (900, 3.0)]), start, 1200);
        assert_eq!(coarse.iter().map(|s| s.to - s.from).collect::<Vec<_>>(), [300, 300, 300]);
        assert_eq!(stretches(&[], start, 1200), []);
        assert_eq!(stretches(&points(&[(600, 3.0)]), start, 700), [Stretch { stage: 3.0, from: 600, to: 700 }]);
    }

    #[test]
    fn the_wearers_clock_goes_round() {
        assert_eq!([-1_140, 0, 26_000, 90_000].map(clock), ["23:41", "00:00", "07:13", "01:00"]);
    }
}
