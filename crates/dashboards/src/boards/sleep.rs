//! The board of nights by day: how long, how well, how regularly, each beside what is usual for the wearer.

use super::{WEEKDAYS, statistics};
use crate::{
    board::{Board, Wearers, choice},
    expression::{Expression, day, day_by, day_with, period},
    model::{Dashboard, DrawStyle, LineStyle, Mapping, Panel, Property, ShowPoints, Stacking, Text, Variable},
    panel::{SCORE_COLORS, bars, cells, days, levels, trend},
};

/// The target of a night in hours, until the reader chooses another.
const TARGET: f64 = 8.0;
const WEEKEND: &[u8] = &[0, 6];
const WORKING: &[u8] = &[1, 2, 3, 4, 5];

/// Half of the board's width.
const HALF: (u32, u32) = (12, 9);

pub(super) fn board() -> Dashboard {
    let about = "Nights by day: how long, how well and how regularly, each beside what is usual for this wearer.";
    Board::new("oura-sleep", "Oura: Sleep", about, Wearers::Each)
        .variable(target())
        .variable(period())
        .row("nights", nights())
        .row("against what is usual", usual())
        .row("regularity", regularity())
        .row("in numbers", numbers())
        .build()
}

fn target() -> Variable {
    let of = [("8 h", "8"), ("7 h", "7"), ("7½ h", "7.5"), ("8½ h", "8.5"), ("9 h", "9")];
    choice("sleep_target", "Sleep target", "How much sleep a day should have, for the sleep debt.", &of)
}

fn total_sleep() -> Expression {
    day("night_total_sleep_seconds").per(3600.0)
}

fn hrv() -> Expression {
    day("night_average_hrv_seconds").linear(1000.0, 0.0)
}

fn stage(stage: &'static str) -> Expression {
    day_with("night_stage_seconds", "stage", stage).per(3600.0)
}

fn nights() -> Vec<Panel> {
    let stages = "Hours of the night in each stage, on each other; a bar stands on the day of waking up. From \
                  sleep.*_sleep_duration and awake_time.";
    let stages = bars("Stages per night", (24, 10), stages).unit("suffix:h", 1).sums(&["mean"]);
    let stages = stages.ask("deep", &stage("deep")).ask("light", &stage("light"));
    let stages = stages.ask("REM", &stage("rem")).ask("awake", &stage("awake"));
    let stages = stages.color("deep", "dark-blue").color("light", "light-blue");
    let contributors = format!(
        "Points that each contributor gives to the sleep score, a column a day: {SCORE_COLORS} From daily_sleep.contributors."
    );
    vec![
        stages.color("REM", "purple").color("awake", "orange"),
        cells("Sleep contributors", HALF, &contributors)
            .scores()
            .ask("{{contributor}}", &day_by("sleep_contributor_score", &["contributor"])),
        naps(),
    ]
}

fn naps() -> Panel {
    let about = "Hours slept in naps by day (bars), and restless periods of the night (points, right axis). From sleep \
                 records of type sleep or late_nap, and sleep.restless_periods.";
    let restless = vec![
        Property::DrawStyle(DrawStyle::Points),
        Property::ShowPoints(ShowPoints::Always),
        Property::AxisPlacement("right"),
        Property::Unit("none".into()),
        Property::Decimals(0),
    ];
    bars("Naps and restlessness", HALF, about)
        .unit("suffix:h", 1)
        .ask("naps", &day("day_nap_seconds").per(3600.0))
        .ask("restless periods", &day("night_restless_periods"))
        .defaults(|defaults| {
            if let Some(custom) = &mut defaults.custom {
                custom.stacking = Some(Stacking { mode: "none", group: "A" });
            }
        })
        .series("restless periods", restless)
        .color("naps", "purple")
}

fn usual() -> Vec<Panel> {
    let bpm = |title, about, metric| trend(title, HALF, about, &day(metric)).unit("suffix:bpm", 0);
    vec![
        trend("Sleep score", HALF, "From daily_sleep.score.", &day("sleep_score")).unit("none", 0),
        trend("Total sleep", HALF, "Hours slept in the night. From sleep.total_sleep_duration.", &total_sleep())
            .unit("suffix:h", 1)
            .ask("in bed", &day("night_time_in_bed_seconds").per(3600.0))
            .series("in bed", vec![Property::DrawStyle(DrawStyle::Points), Property::PointSize(4)])
            .color("in bed", "text"),
        trend("Heart rate variability", HALF, "RMSSD of the night on average. From sleep.average_hrv.", &hrv())
            .unit("suffix:ms", 0),
        bpm("Lowest heart rate", "Of the night. From sleep.lowest_heart_rate.", "night_lowest_heart_rate_bpm"),
        bpm("Average heart rate", "Of the night. From sleep.average_heart_rate.", "night_average_heart_rate_bpm"),
        trend(
            "Breathing",
            HALF,
            "Breaths per minute. From sleep.average_breath.",
            &day("night_average_breaths_per_minute"),
        )
        .unit("none", 1),
        trend(
            "Efficiency",
            HALF,
            "Share of the time in bed that was slept. From sleep.efficiency.",
            &day("night_efficiency_ratio"),
        )
        .unit("percentunit", 1)
        .range(0.5, 1.0),
        trend("Time to fall asleep", HALF, "Minutes. From sleep.latency.", &day("night_latency_seconds").per(60.0))
            .unit("suffix:min", 0),
    ]
}

/// Hours from the midnight at which the day of waking up begins, as 24 more: 23.5 is half past eleven.
fn clock(metric: &'static str) -> Expression {
    day(metric).per(3600.0).linear(1.0, 24.0)
}

/// The middle of the night, on the same clock.
fn mid_sleep() -> Expression {
    clock("night_bedtime_start_offset_seconds").plus(clock("night_bedtime_end_offset_seconds")).per(2.0)
}

fn on_the_clock(panel: Panel) -> Panel {
    // Half hours too: on a low panel the axis has marks at 22.5 and 27.5.
    let word = |(index, half): (u32, u32)| {
        let text = format!("{:02}:{:02}", half / 2 % 24, half % 2 * 30);
        ((f64::from(half) / 2.0).to_string(), Text { text, color: None, index })
    };
    let hours = Mapping::Value((0..).zip(24..=80).map(word).collect());
    panel.unit("none", 1).defaults(|defaults| defaults.mappings = vec![hours])
}

fn regularity() -> Vec<Panel> {
    let bedtimes = "When the wearer went to bed and got up, by the clock that the ring had then: hours, those above 24 are after \
                    midnight. From sleep.bedtime_start, bedtime_end and sleep_time.optimal_bedtime.";
    let best = |panel: Panel, legend: &str| {
        let dashed = LineStyle { fill: "dash", dash: [4, 4] };
        panel
            .color(legend, "green")
            .series(legend, vec![Property::LineStyle(dashed), Property::ShowPoints(ShowPoints::Never)])
    };
    let bedtimes = on_the_clock(days("Bedtime and waking", HALF, bedtimes))
        .ask("to bed", &clock("night_bedtime_start_offset_seconds"))
        .ask("mid-sleep", &mid_sleep())
        .ask("up", &clock("night_bedtime_end_offset_seconds"))
        .ask("best bedtime, from", &clock("bedtime_optimal_start_offset_seconds"))
        .ask("best bedtime, to", &clock("bedtime_optimal_end_offset_seconds"));
    let bedtimes = bedtimes.color("to bed", "blue").color("mid-sleep", "purple").color("up", "orange");
    let spread = "Standard deviation of the time of going to bed and of mid-sleep over 14 nights, in minutes: less is more \
                  regular. From sleep.bedtime_start and bedtime_end.";
    let minutes = |hours: Expression| hours.deviation(14, 5).linear(60.0, 0.0);
    let spread = days("Spread of bedtimes", HALF, spread)
        .unit("suffix:min", 0)
        .ask("to bed", &minutes(clock("night_bedtime_start_offset_seconds")))
        .ask("mid-sleep", &minutes(mid_sleep()));
    vec![best(best(bedtimes, "best bedtime, from"), "best bedtime, to"), spread, jetlag(), debt()]
}

fn jetlag() -> Panel {
    let about = "Social jetlag: by how much mid-sleep is later on the mornings of Saturday and Sunday than on others, on average \
                 over 28 days. Under half an hour is little. From sleep.bedtime_start and bedtime_end.";
    let of = |weekdays| mid_sleep().on(weekdays).mean(28);
    days("Social jetlag", HALF, about).unit("suffix:h", 2).ask("later at weekends", &of(WEEKEND).minus(of(WORKING)))
}

fn debt() -> Panel {
    let about = "What the days lack to the sleep target chosen above, naps counted: of each day (bars) and as the sum of 7 days \
                 (line); below 0 there was more. Days without a value count as none. From sleep.total_sleep_duration.";
    let short = day("day_total_sleep_seconds").per(3600.0).short_of("sleep_target", TARGET);
    days("Sleep debt", HALF, about)
        .unit("suffix:h", 1)
        .ask("day", &short)
        .ask("7 days", &short.sum(7))
        .series(
            "day",
            vec![
                Property::DrawStyle(DrawStyle::Bars),
                Property::FillOpacity(40),
                Property::ShowPoints(ShowPoints::Never),
            ],
        )
        .color("day", "blue")
        .color("7 days", "orange")
}

fn numbers() -> Vec<Panel> {
    let about = "Mean of 7, 30 and 365 days up to yesterday, and of the period chosen above beside the one before it and the one a \
                 year earlier; days without a value do not count. To bed: hours from the midnight before, 24.5 is half past midnight. From sleep and \
                 daily_sleep.";
    let of = [
        ("Sleep score", day("sleep_score")),
        ("Total sleep, h", total_sleep()),
        ("Deep sleep, h", stage("deep")),
        ("REM sleep, h", stage("rem")),
        ("Efficiency, %", day("night_efficiency_ratio").linear(100.0, 0.0)),
        ("HRV, ms", hrv()),
        ("Lowest heart rate, bpm", day("night_lowest_heart_rate_bpm")),
        ("To bed, h", clock("night_bedtime_start_offset_seconds")),
    ];
    let pattern = "Hours slept in the night that ends on each day of the week, on average over 84 days. From \
                   sleep.total_sleep_duration.";
    let pattern = WEEKDAYS.iter().fold(
        levels("Sleep by weekday", (8, 10), pattern)
            .unit("suffix:h", 1)
            .range(0.0, 10.0)
            .sized(14, 20)
            .colors("blue", &[]),
        |panel, (name, weekday)| panel.ask_now(name, &total_sleep().on(weekday).mean(84)),
    );
    vec![statistics("Sleep in numbers", (16, 10), about, &of), pattern]
}
