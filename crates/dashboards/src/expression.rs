//! The idioms in which panels ask, each in one function that gives PromQL and its meaning.

use crate::{
    board::choice,
    exporters::{EARLY, OFFSET, learnt_last, up_to_date},
    meaning::{Meaning, Operator, Statistic},
    model::Variable,
    units::Unit,
};

/// A query, and what it means.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    form: Form,
    /// What each cell must show.
    pub meaning: Meaning,
}

/// How PromQL says it.
#[derive(Clone, Debug, PartialEq)]
enum Form {
    /// Text that is the same wherever it stands.
    Fixed(String),
    /// Of a day: the function is given the offset by which the record is read.
    Day(DayForm),
}

/// A value of each day, as it is asked at the midnight that ends the day.
#[derive(Clone, Debug, PartialEq)]
enum DayForm {
    /// An instant vector at that midnight.
    Plain(String),
    /// The function with its first arguments, the vector of a day, and the number of days.
    Over(String, Box<DayForm>, u32, u32),
    /// The same so many days later.
    Later(Box<DayForm>, i64),
    /// Two of them, joined.
    Two(Box<DayForm>, Operator, Box<DayForm>),
    /// Text before and after one.
    Around(String, Box<DayForm>, String),
    /// On these days of the week only.
    On(Box<DayForm>, &'static [u8]),
    /// The mean of the period that the reader chose, and where that lies.
    Period(Box<DayForm>, Period),
    /// The first that there is.
    Either(Vec<DayForm>),
}

impl DayForm {
    /// PromQL for this, as it stands `later` days after the midnight at which it is asked.
    fn at(&self, later: i64) -> String {
        self.asked(When::AtMidnight, later)
    }

    fn asked(&self, when: When, later: i64) -> String {
        match self {
            Self::Plain(template) => template.replace(OFFSET, &offset(later)).replace(EARLY, &early(later)),
            Self::Over(function, of, days, at_least) => {
                let argument =
                    format!("({})[{}:1d]{}", of.at(0), when.window(&(days - 1).to_string()), when.offset(later));
                let result = format!("{function}{argument})");
                match at_least {
                    0 | 1 => result,
                    least => format!("({result} and count_over_time({argument}) >= {least})"),
                }
            }
            Self::Later(of, days) => of.asked(when, later + days),
            Self::Two(first, operator, second) => {
                format!("({} {operator} {})", first.asked(when, later), second.asked(when, later))
            }
            Self::Around(before, of, after) => format!("{before}{}{after}", of.asked(when, later)),
            Self::On(of, weekdays) => {
                let day = format!("day_of_week(vector(time() + {}))", later * 86_400 - 1);
                let days: Vec<_> = weekdays.iter().map(|weekday| format!("{day} == {weekday}")).collect();
                format!("({} and on () ({}))", of.asked(when, later), days.join(" or "))
            }
            Self::Period(of, period) => {
                let (of, window) = (of.at(0), When::AtAnyMoment.window("${period}"));
                format!("avg_over_time(({of})[{window}:1d] offset {})", period.offset())
            }
            Self::Either(all) => {
                let all: Vec<_> = all.iter().map(|each| each.asked(when, later)).collect();
                format!("({})", all.join(" or "))
            }
        }
    }
}

/// When a query is asked. Prometheus 2 counts both ends of a window, Prometheus 3 and VictoriaMetrics the later one only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// At midnights of UTC, as panels ask: a window that is a millisecond shorter than its days has one midnight for each.
    AtMidnight,
    /// At any moment, such as the last millisecond of a day, with which Grafana's "today" ends: the window is as long as its
    /// days and ends a millisecond earlier, so at 00:00 it is about the day that ends then.
    AtAnyMoment,
}

impl When {
    /// A window of a day more than this.
    fn window(self, days: &str) -> String {
        let days = if days == "0" { String::new() } else { format!("{days}d") };
        match self {
            Self::AtMidnight => format!("{days}23h59m59s999ms"),
            Self::AtAnyMoment => format!("{days}24h"),
        }
    }

    /// How far into the future the window ends.
    fn offset(self, later: i64) -> String {
        match (self, later) {
            (Self::AtMidnight, _) => offset(later),
            (Self::AtAnyMoment, ..=0) => format!(" offset {}d1ms", -later).replace(" 0d", " "),
            (Self::AtAnyMoment, 1) => " offset -23h59m59s999ms".to_owned(),
            (Self::AtAnyMoment, _) => format!(" offset -{}d23h59m59s999ms", later - 1),
        }
    }
}

/// Which period is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Period {
    /// The one that ended yesterday.
    Last,
    /// The one before.
    Before,
    /// The one that ended a year before that.
    YearAgo,
}

impl Period {
    /// The variable is a day less than the period, which is what a window needs.
    const fn offset(self) -> &'static str {
        match self {
            Self::Last => "1ms",
            Self::Before => "${period}d24h1ms",
            Self::YearAgo => "365d1ms",
        }
    }

    const fn days_back(self) -> i64 {
        match self {
            Self::Last => 1,
            Self::Before => PERIOD_AT_FIRST as i64 + 1,
            Self::YearAgo => 366,
        }
    }
}

/// How many days a period has until the reader chooses another.
const PERIOD_AT_FIRST: u32 = 30;

/// The variable by which the reader chooses a period.
pub fn period() -> Variable {
    let about = "How long the periods are that are compared.";
    let of = [("30 days", "29"), ("7 days", "6"), ("90 days", "89"), ("a year", "364")];
    choice("period", "Compared", about, &of)
}

/// From the midnight that ends a day to 00:05:59.999 of it. A selector without a window looks back five minutes, to where the samples of
/// the day begin; those that were learnt within 208 days are in it.
fn early(later: i64) -> String {
    match later {
        ..=-1 => format!(" offset {}d23h54m1ms", -later),
        0 => " offset 23h54m1ms".to_owned(),
        1 => " offset -5m59s999ms".to_owned(),
        _ => format!(" offset -{}d5m59s999ms", later - 1),
    }
}

/// An offset into the future is negative.
fn offset(later: i64) -> String {
    match later {
        0 => String::new(),
        later => format!(" offset {}d", -later),
    }
}

/// The day's value of `oura_sample_METRIC`, one result a wearer.
pub fn day(metric: &'static str) -> Expression {
    day_of(metric, &[], &[])
}

/// The day's value of each series, told apart by these labels.
pub fn day_by(metric: &'static str, by: &[&'static str]) -> Expression {
    day_of(metric, &[], by)
}

/// The day's value of the series with this label.
pub fn day_with(metric: &'static str, label: &'static str, value: &'static str) -> Expression {
    day_of(metric, &[(label, value)], &[])
}

fn day_of(metric: &'static str, matching: &[(&'static str, &'static str)], by: &[&'static str]) -> Expression {
    let plain = up_to_date(metric, matching, by);
    let meaning = Meaning::Day { metric, matching: matching.to_vec(), by: by.to_vec() };
    Expression { form: Form::Day(DayForm::Plain(plain)), meaning }
}

/// The value of the day in UTC that holds any moment, as whichever exporter knows it that learnt it last; too slow for years of days.
pub(crate) fn day_learnt_last(
    metric: &'static str,
    matching: &[(&'static str, &'static str)],
    by: &[&'static str],
) -> Expression {
    let form = DayForm::Plain(learnt_last(metric, matching, by));
    let meaning = Meaning::Day { metric, matching: matching.to_vec(), by: by.to_vec() };
    Expression { form: Form::Day(form), meaning }
}

/// The sum of the day's values over all labels but the wearer: of all kinds of workouts, say.
pub fn day_sum(metric: &'static str, label: &'static str) -> Expression {
    let plain = format!("sum by (account) ({})", up_to_date(metric, &[], &[label]));
    Expression { form: Form::Day(DayForm::Plain(plain)), meaning: Meaning::SumOfParts { metric } }
}

/// The number of the state that holds on the day, from 1 on.
pub fn day_state(metric: &'static str, label: &'static str, states: &'static [&'static str]) -> Expression {
    let state = |(place, state): (usize, &&'static str)| {
        let holds = format!("{} == 1", up_to_date(metric, &[(label, state)], &[]));
        DayForm::Plain(format!("{} * ({holds})", place + 1))
    };
    let all = states.iter().enumerate().map(state).collect();
    Expression { form: Form::Day(DayForm::Either(all)), meaning: Meaning::State { metric, label, states } }
}

/// A row for each of these, named in the label `of`; for single values.
pub fn rows(rows: &[(&'static str, Expression)]) -> Expression {
    let named =
        |(name, of): &(&str, Expression)| format!(r#"label_replace({}, "of", "{name}", "", "")"#, of.promql_now());
    let text: Vec<_> = rows.iter().map(named).collect();
    let rows = rows.iter().map(|(name, of)| (*name, of.meaning.clone())).collect();
    Expression { form: Form::Fixed(text.join(" or ")), meaning: Meaning::Rows { label: "of", rows } }
}

/// The value of a day as many days later as the variable `lag` says.
pub fn outcome_by_lag(metric: &'static str) -> Expression {
    let promql = format!(
        r#"last_over_time((max by (account) (last_over_time(oura_sample_{metric}{{account=~"$account"}}[1d] offset $lag)))[{}:1d] offset -1d)"#,
        When::AtMidnight.window("0")
    );
    let of = Box::new(Meaning::Day { metric, matching: vec![], by: vec![] });
    Expression { form: Form::Fixed(promql), meaning: Meaning::Later { of, days: 1 } }
}

/// PromQL with what it means.
pub(crate) fn with_meaning(promql: String, meaning: Meaning) -> Expression {
    Expression { form: Form::Fixed(promql), meaning }
}

/// Anything that is not of a day, and why.
pub fn other(promql: impl Into<String>, reason: &'static str) -> Expression {
    Expression { form: Form::Fixed(promql.into()), meaning: Meaning::Other(reason) }
}

/// How many values of the days before make what is usual for a wearer.
const USUAL_DAYS: u32 = 30;
/// With fewer of them nothing is called usual.
const USUAL_AT_LEAST: u32 = 7;

impl Expression {
    /// The query as a panel asks it whose points stand at the beginning of their days.
    pub fn promql(&self) -> String {
        match &self.form {
            Form::Fixed(text) => text.clone(),
            Form::Day(form) => form.at(1),
        }
    }

    /// The query for a single value at any moment, of the day in UTC that holds the moment.
    pub fn promql_now(&self) -> String {
        match &self.form {
            Form::Fixed(text) => text.clone(),
            Form::Day(form) => now(form),
        }
    }

    /// The query as it stands at the midnight that ends the day: for what is put around it.
    fn promql_at_midnight(&self) -> String {
        match &self.form {
            Form::Fixed(text) => text.clone(),
            Form::Day(form) => form.at(0),
        }
    }

    /// The day's value at every point of the day in UTC, wherever the points stand: for a board in the reader's zone, where the
    /// points of a step of one day would not stand at midnights of UTC.
    pub fn through_the_day(&self) -> Self {
        let text =
            format!("last_over_time(({})[{}:1d] offset -1d)", self.promql_at_midnight(), When::AtMidnight.window("0"));
        Self { form: Form::Fixed(text), meaning: Meaning::ThroughTheDay(Box::new(self.meaning.clone())) }
    }

    /// The same with the number converted.
    pub fn linear(self, factor: f64, plus: f64) -> Self {
        let times = if factor == 1.0 { String::new() } else { format!(" * {factor}") };
        let plus_text = if plus == 0.0 { String::new() } else { format!(" + {plus}") };
        let meaning = Meaning::Linear { of: Box::new(self.meaning), factor, plus };
        let form = around(self.form, "(".to_owned(), format!("{times}{plus_text})"));
        Self { form, meaning }
    }

    /// In a unit of which one is so many of the metric's: hours of seconds are `per(3600.0)`.
    pub fn per(self, unit: f64) -> Self {
        let meaning = Meaning::Linear { of: Box::new(self.meaning), factor: 1.0 / unit, plus: 0.0 };
        let form = around(self.form, "(".to_owned(), format!(" / {unit})"));
        Self { form, meaning }
    }

    /// In the unit that the reader chose.
    pub fn in_unit(self, unit: Unit) -> Self {
        let meaning = Meaning::Linear { of: Box::new(self.meaning), factor: unit.factor_at_first(), plus: 0.0 };
        let form = around(self.form, "(".to_owned(), format!(" {})", unit.conversion()));
        Self { form, meaning }
    }

    /// What is missing to a variable of the dashboard, which is this at first.
    pub fn short_of(self, variable: &str, at_first: f64) -> Self {
        let meaning = Meaning::Linear { of: Box::new(self.meaning), factor: -1.0, plus: at_first };
        let form = around(self.form, format!("(${variable} - "), ")".to_owned());
        Self { form, meaning }
    }

    /// On these days of the week only, 0 being Sunday.
    pub fn on(self, weekdays: &'static [u8]) -> Self {
        let meaning = Meaning::On { of: Box::new(self.meaning), weekdays };
        let form = match self.form {
            Form::Day(form) => Form::Day(DayForm::On(Box::new(form), weekdays)),
            fixed @ Form::Fixed(_) => fixed,
        };
        Self { form, meaning }
    }

    /// The mean of the period that ended yesterday, of the one before, and of the one a year earlier.
    pub fn in_periods(self) -> [Self; 3] {
        [Period::Last, Period::Before, Period::YearAgo].map(|period| {
            let of = Box::new(self.meaning.clone());
            let over = Meaning::Over { of, days: PERIOD_AT_FIRST, statistic: Statistic::Mean, at_least: 1 };
            let meaning = Meaning::Later { of: Box::new(over), days: -period.days_back() };
            let form = match self.form.clone() {
                Form::Day(form) => Form::Day(DayForm::Period(Box::new(form), period)),
                fixed @ Form::Fixed(_) => fixed,
            };
            Self { form, meaning }
        })
    }

    /// What that is so many days later.
    pub fn later(self, days: i64) -> Self {
        let meaning = Meaning::Later { of: Box::new(self.meaning), days };
        let form = match self.form {
            Form::Day(form) => Form::Day(DayForm::Later(Box::new(form), days)),
            fixed @ Form::Fixed(_) => fixed,
        };
        Self { form, meaning }
    }

    fn over(self, function: impl Into<String>, statistic: Statistic, days: u32, at_least: u32) -> Self {
        let meaning = Meaning::Over { of: Box::new(self.meaning), days, statistic, at_least };
        let form = match self.form {
            Form::Day(form) => Form::Day(DayForm::Over(function.into(), Box::new(form), days, at_least)),
            fixed @ Form::Fixed(_) => fixed,
        };
        Self { form, meaning }
    }

    /// The mean of the last so many days that have a value, the day's own among them.
    pub fn mean(self, days: u32) -> Self {
        self.over("avg_over_time(", Statistic::Mean, days, 1)
    }

    /// The sum of the last so many days.
    pub fn sum(self, days: u32) -> Self {
        self.over("sum_over_time(", Statistic::Sum, days, 1)
    }

    /// How many of the last so many days have a value.
    pub fn count(self, days: u32) -> Self {
        self.over("count_over_time(", Statistic::Count, days, 1)
    }

    /// The standard deviation over the last so many days, of at least as many values.
    pub fn deviation(self, days: u32, at_least: u32) -> Self {
        self.over("stddev_over_time(", Statistic::Deviation, days, at_least)
    }

    /// The lowest of the last so many days.
    pub fn lowest(self, days: u32) -> Self {
        self.over("min_over_time(", Statistic::Lowest, days, 1)
    }

    /// The highest of the last so many days.
    pub fn highest(self, days: u32) -> Self {
        self.over("max_over_time(", Statistic::Highest, days, 1)
    }

    /// What is usual for the wearer: the mean of the 30 days before the day.
    pub fn usual(self) -> Self {
        self.over("avg_over_time(", Statistic::Mean, USUAL_DAYS, USUAL_AT_LEAST).later(-1)
    }

    /// How much the wearer usually differs from that.
    pub fn usual_deviation(self) -> Self {
        self.deviation(USUAL_DAYS, USUAL_AT_LEAST).later(-1)
    }

    /// The quantile of the 30 days before the day.
    pub fn usual_quantile(self, quantile: f64) -> Self {
        let function = format!("quantile_over_time({quantile}, ");
        self.over(function, Statistic::Quantile(quantile), USUAL_DAYS, USUAL_AT_LEAST).later(-1)
    }

    /// The difference to what is usual for the wearer.
    pub fn against_usual(self) -> Self {
        self.clone().minus(self.usual())
    }

    /// The difference to what is usual, in the wearer's own standard deviations.
    pub fn in_deviations(self) -> Self {
        self.clone().against_usual().divided_by(self.usual_deviation())
    }

    /// The difference of two.
    pub fn minus(self, other: Self) -> Self {
        self.two(Operator::Minus, other)
    }

    /// The sum of two.
    pub fn plus(self, other: Self) -> Self {
        self.two(Operator::Plus, other)
    }

    /// The ratio of two.
    pub fn divided_by(self, other: Self) -> Self {
        self.two(Operator::By, other)
    }

    fn two(self, operator: Operator, other: Self) -> Self {
        let meaning = Meaning::Two { first: Box::new(self.meaning), operator, second: Box::new(other.meaning) };
        let form = match (self.form, other.form) {
            (Form::Day(first), Form::Day(second)) => {
                Form::Day(DayForm::Two(Box::new(first), operator, Box::new(second)))
            }
            (first, second) => Form::Fixed(format!("({} {operator} {})", text(&first), text(&second))),
        };
        Self { form, meaning }
    }
}

fn text(form: &Form) -> String {
    match form {
        Form::Fixed(text) => text.clone(),
        Form::Day(form) => form.at(1),
    }
}

fn around(form: Form, before: String, after: String) -> Form {
    match form {
        Form::Fixed(text) => Form::Fixed(format!("{before}{text}{after}")),
        Form::Day(form) => Form::Day(DayForm::Around(before, Box::new(form), after)),
    }
}

/// At any moment of a day: the value at the midnight that ends it. What is made of several days finds that midnight itself.
fn now(form: &DayForm) -> String {
    let any = |form: &DayForm| form.asked(When::AtAnyMoment, 1);
    match form {
        DayForm::Over(..) | DayForm::Period(..) => any(form),
        DayForm::Later(of, _) if matches!(**of, DayForm::Over(..)) => any(form),
        DayForm::Two(first, operator, second) => format!("({} {operator} {})", now(first), now(second)),
        DayForm::Around(before, of, after) => format!("{before}{}{after}", now(of)),
        other => any(&DayForm::Over("last_over_time(".to_owned(), Box::new(other.clone()), 1, 0)),
    }
}
