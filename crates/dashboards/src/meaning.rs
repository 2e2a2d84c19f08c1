//! What an expression means, as data: whoever has the documents can compute what a cell must show.

use std::fmt;

/// What a cell shows that is drawn at 00:00 UTC of a day, or for a single value the day in UTC that holds its moment; variables
/// of the dashboard are at what they are when it opens.
#[derive(Clone, Debug, PartialEq)]
pub enum Meaning {
    /// The day's value of a series of the record, of the final document. Nothing if the document does not say it.
    Day {
        /// The metric without `oura_sample_`.
        metric: &'static str,
        /// Labels that the series must have.
        matching: Vec<(&'static str, &'static str)>,
        /// Labels that tell the results apart, besides `account`; of several exporters one that is up to date.
        by: Vec<&'static str>,
    },
    /// The sum over a label of the day's values.
    SumOfParts {
        /// The metric without `oura_sample_`.
        metric: &'static str,
    },
    /// What that is of the day that many days later; negative: earlier.
    Later {
        /// What is looked at.
        of: Box<Meaning>,
        /// By how many days.
        days: i64,
    },
    /// A statistic of the values of so many days, the last of which is the day itself. Days without a value do not count.
    Over {
        /// What each day gives.
        of: Box<Meaning>,
        /// The last so many days.
        days: u32,
        /// What is made of them.
        statistic: Statistic,
        /// With fewer values than this there is no result.
        at_least: u32,
    },
    /// Two results of the same labels; nothing if one is missing.
    Two {
        /// The first.
        first: Box<Meaning>,
        /// What is done with them.
        operator: Operator,
        /// The second.
        second: Box<Meaning>,
    },
    /// A result times a factor, plus a summand.
    Linear {
        /// What is converted.
        of: Box<Meaning>,
        /// By what it is multiplied.
        factor: f64,
        /// What is added after that.
        plus: f64,
    },
    /// What that is, on these days of the week only (0: Sunday).
    On {
        /// What is looked at.
        of: Box<Meaning>,
        /// The days of the week.
        weekdays: &'static [u8],
    },
    /// A result for each name, which stands in this label.
    Rows {
        /// The label.
        label: &'static str,
        /// Each name and what it has.
        rows: Vec<(&'static str, Meaning)>,
    },
    /// The number of the state that holds, from 1 on.
    State {
        /// The metric without `oura_sample_`.
        metric: &'static str,
        /// The label that names the state.
        label: &'static str,
        /// The states in their order.
        states: &'static [&'static str],
    },
    /// The same at every point from 00:00 to 24:00 UTC of the day.
    ThroughTheDay(Box<Meaning>),
    /// What habits do to an outcome, by the label `tag`: the tags of a day, `workout`, `nap`, and `to bed late`, which is of the
    /// evening before the night: bedtime after 00:00. Habit days are the 365 before today, outcomes of the day after each.
    Effect {
        /// The outcome, without `oura_sample_`.
        metric: &'static str,
        /// By which its values are multiplied.
        factor: f64,
        /// What is told of it.
        column: EffectColumn,
    },
    /// Pearson's r of the first of a day with the second of the next, over the 365 days before today that have both; 10 at least.
    Correlation {
        /// The metric of the day, without `oura_sample_`.
        first: &'static str,
        /// That of the next day.
        second: &'static str,
    },
    /// What that is of the day of the collection's newest document, which is the wearer's today or the two days before it.
    Newest {
        /// What is looked at.
        of: Box<Meaning>,
        /// The collection.
        collection: &'static str,
    },
    /// The day of the collection's newest document: ten times its age in days, plus its day of the week (0: Sunday).
    DayOfNewest {
        /// The collection.
        collection: &'static str,
    },
    /// What samples with a time of their own say of the moment, in the night that ends the range: from its going to bed to its getting
    /// up, and nothing at other times.
    InTheNight {
        /// The metric without `oura_sample_`.
        metric: &'static str,
        /// By which its values are multiplied.
        factor: f64,
    },
    /// The mean of all samples in the step that ends at the moment.
    MeanOfStep {
        /// The metric without `oura_sample_`.
        metric: &'static str,
    },
    /// Neither a day's value nor a moment's, and why.
    Other(&'static str),
}

/// What is told of a habit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EffectColumn {
    /// How many days with it have an outcome.
    DaysWith,
    /// How many days without it have one.
    DaysWithout,
    /// The mean of the outcomes with it.
    MeanWith,
    /// The mean of those without.
    MeanWithout,
    /// The first without the second.
    Difference,
    /// Half the width of the interval that holds the true difference in 95 of 100 cases.
    Interval,
    /// Welch's t.
    T,
    /// 0: too few days, 1: may be chance, 2: likely real.
    Judgement,
}

/// What is made of the values of several days.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Statistic {
    /// Their mean.
    Mean,
    /// Their sum.
    Sum,
    /// How many there are.
    Count,
    /// The lowest.
    Lowest,
    /// The highest.
    Highest,
    /// The standard deviation of the population.
    Deviation,
    /// The quantile, interpolated linearly between the nearest ranks as Prometheus does.
    Quantile(f64),
}

/// What is done with two results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// The first and the second.
    Plus,
    /// The first without the second.
    Minus,
    /// The first by the second.
    By,
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plus => "+",
            Self::Minus => "-",
            Self::By => "/",
        })
    }
}
