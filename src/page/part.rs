//! A part of the page: the series of one account, encoded once and kept until something of them changes.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use prometheus::{
    Registry, TextEncoder,
    proto::{LabelPair, Metric, MetricFamily, MetricType},
};

use super::collector::Latest;
use crate::{
    by_account::ByAccount,
    observation::ACCOUNT_LABEL,
    state::{Posted, Snapshot},
};

/// What is said of a metric before its series.
pub(super) struct Head {
    /// The metric's name.
    pub(super) name: String,
    /// The lines of HELP and TYPE.
    pub(super) text: String,
}

/// Series as lines of text, family by family. Ten thousand of them are in memory, so what begins every line of an account,
/// the metric's name and the account's, is written once.
pub(super) struct Part {
    /// The families in the order of their names, each with where its lines end.
    families: Box<[(Arc<Head>, u32)]>,
    /// The lines; of one that begins like all of them, what comes after that.
    lines: Box<str>,
    /// What stands between the metric's name and the rest of a line that was cut.
    account: Box<str>,
    /// How long the lines are when they are read.
    len: usize,
}

impl Part {
    /// The lines of `families`, all of which are of `account`, if of any.
    fn new(account: Option<&str>, families: &[MetricFamily], heads: &mut Heads) -> Result<Self, prometheus::Error> {
        let (mut lines, mut ends) = (mem::take(&mut heads.lines), Vec::with_capacity(families.len()));
        lines.clear();
        let label = account.map_or_else(String::new, |name| format!("{{{ACCOUNT_LABEL}=\"{name}\""));
        let mut len = 0;
        for family in families {
            let before = lines.len();
            if account.is_some_and(|account| add_cut_lines(account, family, &mut lines)) {
                len += (family.name().len() + label.len()) * family.get_metric().len();
            } else {
                TextEncoder::new().encode_utf8(std::slice::from_ref(family), &mut lines)?;
                lines.drain(before..before + head_of(&lines[before..]).len());
            }
            len += lines.len() - before;
            let end = u32::try_from(lines.len()).map_err(|error| prometheus::Error::Msg(error.to_string()))?;
            ends.push((heads.of(family)?, end));
        }
        let part = Self { families: ends.into(), lines: lines.as_str().into(), account: label.into(), len };
        heads.lines = lines;
        Ok(part)
    }

    /// The head of the family at this place, and its lines as they are kept.
    pub(super) fn family(&self, place: usize) -> Option<(&Arc<Head>, &str)> {
        let (head, end) = self.families.get(place)?;
        let begin = place.checked_sub(1).map_or(0, |before| self.families[before].1);
        Some((head, &self.lines[begin as usize..*end as usize]))
    }

    /// How long its lines are when they are read.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Writes lines of a family of that name as they are read.
    pub(super) fn write(&self, name: &str, lines: &str, out: &mut String) {
        for line in lines.split_inclusive('\n') {
            if is_cut(line) {
                out.push_str(name);
                out.push_str(&self.account);
            }
            out.push_str(line);
        }
    }
}

/// Whether the beginning of a line was cut off: what is left goes on with another label, or ends the labels.
fn is_cut(line: &str) -> bool {
    line.starts_with([',', '}'])
}

/// Adds the lines of a family as the encoder writes them, without the metric's name and the first label, which is the
/// account's; `false` where that is not all that there is to it, and nothing is added. The encoder, which begins each family
/// with its head, takes half of the time that the first page of ten thousand accounts may take.
fn add_cut_lines(account: &str, family: &MetricFamily, lines: &mut String) -> bool {
    let value: fn(&Metric) -> f64 = match family.get_field_type() {
        MetricType::GAUGE => |metric| metric.get_gauge().get_value(),
        MetricType::COUNTER => |metric| metric.get_counter().get_value(),
        _ => return false,
    };
    let is_own = |pair: &LabelPair| pair.name() == ACCOUNT_LABEL && pair.value() == account;
    let is_as_it_is = |pair: &LabelPair| !pair.value().bytes().any(|byte| matches!(byte, b'\\' | b'\n' | b'"'));
    let has_plain_labels = |labels: &[LabelPair]| {
        labels.split_first().is_some_and(|(first, others)| is_own(first) && others.iter().all(is_as_it_is))
    };
    let is_plain = |metric: &Metric| metric.timestamp_ms() == 0 && has_plain_labels(metric.get_label());
    if !family.get_metric().iter().all(is_plain) {
        return false;
    }
    for metric in family.get_metric() {
        for pair in metric.get_label().iter().skip(1) {
            lines.extend([",", pair.name(), "=\"", pair.value(), "\""]);
        }
        writeln!(lines, "}} {}", value(metric)).expect("a string takes everything");
    }
    true
}

/// The lines of HELP and TYPE that a family's text begins with.
fn head_of(text: &str) -> &str {
    let len = text.split_inclusive('\n').take_while(|line| line.starts_with('#')).map(str::len).sum();
    &text[..len]
}

/// The heads of all families, of which all parts share one each.
#[derive(Default)]
pub(super) struct Heads {
    by_name: BTreeMap<String, Arc<Head>>,
    /// Where the lines of one part after the other are put together: a place for each of them would be made and left again.
    lines: String,
}

impl Heads {
    /// The head of `family`, which is encoded once: metrics of one name have one help and one type.
    fn of(&mut self, family: &MetricFamily) -> Result<Arc<Head>, prometheus::Error> {
        if let Some(head) = self.by_name.get(family.name()) {
            return Ok(Arc::clone(head));
        }
        let text = TextEncoder::new().encode_to_string(std::slice::from_ref(family))?;
        let head = Arc::new(Head { name: family.name().to_owned(), text: head_of(&text).to_owned() });
        self.by_name.insert(head.name.clone(), Arc::clone(&head));
        Ok(head)
    }
}

/// An account's part, and for how long it is true.
struct Made {
    part: Arc<Part>,
    /// Of which state it was made.
    number: u64,
    /// How often what is kept of the account besides had changed.
    changes: u64,
    at: DateTime<Utc>,
    /// When it changes because time goes by.
    until: DateTime<Utc>,
}

/// The parts of all accounts that were read.
pub(super) struct Parts {
    latest: Latest,
    encoder: Mutex<(Registry, Heads)>,
    made: Mutex<BTreeMap<Arc<str>, Made>>,
    stale_after: TimeDelta,
}

impl Parts {
    /// No parts yet; each will have the series of `others` besides those of the snapshot.
    pub(super) fn new(stale_after: TimeDelta, others: Vec<ByAccount>) -> Result<Self, prometheus::Error> {
        let latest = Latest::new(others)?;
        let registry = Registry::new();
        registry.register(Box::new(latest.clone()))?;
        Ok(Self { latest, encoder: Mutex::new((registry, Heads::default())), made: Mutex::default(), stale_after })
    }

    /// The part of an account at `now`: the one before, while it is true.
    pub(super) fn of(&self, posted: &Posted, now: DateTime<Utc>) -> Result<Arc<Part>, prometheus::Error> {
        let name = posted.state.name.as_str();
        let changes = self.latest.changes(name);
        let is_true = |made: &&Made| {
            (made.number, made.changes) == (posted.number, changes) && made.at <= now && now < made.until
        };
        if let Some(made) = self.made().get(name).filter(is_true) {
            return Ok(Arc::clone(&made.part));
        }
        let part = Arc::new(self.encode(posted, now)?);
        let until = posted.state.visible_until(now, self.stale_after);
        let made = Made { part: Arc::clone(&part), number: posted.number, changes, at: now, until };
        self.made().insert(name.into(), made);
        Ok(part)
    }

    fn encode(&self, posted: &Posted, now: DateTime<Utc>) -> Result<Part, prometheus::Error> {
        let mut encoder = self.encoder.lock().unwrap_or_else(PoisonError::into_inner);
        let (registry, heads) = &mut *encoder;
        self.latest.show(posted.state.visible(now, self.stale_after));
        Part::new(Some(&posted.state.name), &registry.gather(), heads)
    }

    /// The part that is no account's.
    pub(super) fn of_nobody(&self, registry: &Registry) -> Result<Part, prometheus::Error> {
        let families = registry.gather();
        let mut encoder = self.encoder.lock().unwrap_or_else(PoisonError::into_inner);
        Part::new(None, &families, &mut encoder.1)
    }

    /// The heads of all families that any part ever had, by name.
    pub(super) fn heads(&self) -> Vec<Arc<Head>> {
        let encoder = self.encoder.lock().unwrap_or_else(PoisonError::into_inner);
        encoder.1.by_name.values().cloned().collect()
    }

    /// Forgets the parts of accounts that are gone, where there are more parts than accounts.
    pub(super) fn forget_all_but(&self, snapshot: &Snapshot) {
        let mut made = self.made();
        if made.len() > snapshot.len() {
            made.retain(|name, _| snapshot.has(name));
        }
    }

    fn made(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Made>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use prometheus::{Histogram, HistogramOpts, core::Collector as _, proto::Counter, proto::Gauge};

    use super::*;

    fn series(labels: &[(&str, &str)], value: f64) -> Metric {
        let pair = |(name, value): &(&str, &str)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value((*value).to_owned());
            pair
        };
        let (mut gauge, mut counter) = (Gauge::default(), Counter::default());
        gauge.set_value(value);
        counter.set_value(value);
        let mut metric = Metric::from_label(labels.iter().map(pair).collect());
        metric.set_gauge(gauge);
        metric.set_counter(counter);
        metric
    }

    fn family(kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
        let mut family = MetricFamily::default();
        family.set_name("oura_things".to_owned());
        family.set_help("Things \\ of all\nkinds.".to_owned());
        family.set_field_type(kind);
        family.set_metric(metrics);
        family
    }

    /// The family as the part of anna's is read, and how many of its lines are kept cut.
    fn read(family: &MetricFamily) -> (String, usize) {
        let part = Part::new(Some("anna"), std::slice::from_ref(family), &mut Heads::default()).unwrap();
        let (head, lines) = part.family(0).unwrap();
        let mut text = String::new();
        part.write(&head.name, lines, &mut text);
        assert_eq!(part.len(), text.len());
        (format!("{}{text}", head.text), lines.lines().filter(|line| is_cut(line)).count())
    }

    #[test]
    fn what_is_kept_of_a_family_is_read_as_the_encoder_writes_it() {
        const ANNA: (&str, &str) = ("account", "anna");
        let values = [0.0, -0.0, 85.0, 36.6, 1e300, 5e-324, -7.25, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
        let mut late = series(&[ANNA], 1.0);
        late.set_timestamp_ms(1_764_000_000_000);
        let histogram = Histogram::with_opts(HistogramOpts::new("oura_things", "Things.")).unwrap();
        histogram.observe(0.3);
        let gauges = |labels: &[&[(&str, &str)]]| {
            family(MetricType::GAUGE, labels.iter().map(|labels| series(labels, 7.5)).collect())
        };
        let cases = [
            (family(MetricType::GAUGE, values.map(|value| series(&[ANNA], value)).into()), 10),
            (family(MetricType::COUNTER, values.map(|value| series(&[ANNA, ("a", "b")], value)).into()), 10),
            (gauges(&[&[ANNA, ("a", "{,}= ä"), ("b", "")], &[ANNA, ("a", "#"), ("b", "c")]]), 2),
            (gauges(&[&[ANNA, ("a", "says \"so\"")]]), 0),
            (gauges(&[&[ANNA, ("a", "x")], &[ANNA, ("a", "one\\two\nthree\n# HELP")]]), 0),
            (gauges(&[&[("account", "anna-2")], &[ANNA]]), 0),
            (gauges(&[&[("a", "anna")], &[]]), 0),
            (family(MetricType::GAUGE, vec![late]), 0),
            (histogram.collect().remove(0), 0),
        ];
        for (family, cut) in cases {
            let encoded = TextEncoder::new().encode_to_string(std::slice::from_ref(&family)).unwrap();
            assert_eq!(read(&family), (encoded, cut));
        }
    }
}
