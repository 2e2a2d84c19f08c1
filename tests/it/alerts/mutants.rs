//! Every change of a rule that its tests must notice: each number up and down, each comparison turned round, each window and
//! wait shorter and longer, each word of a label's choice and each clause left out.

use std::{collections::BTreeSet, ops::Range};

/// What the names of changed rules end with, before a number.
const MARK: &str = "_mutant";
/// Numbers that are units and no thresholds.
const UNITS: [&str; 3] = ["60", "3600", "86400"];
const TURNED: [(&str, &str); 6] = [("==", "!="), (">=", "<"), ("<=", ">"), ("!=", "=="), (">", "<"), ("<", ">")];
const CLAUSES: [&str; 3] = ["and ", "unless ", "or"];

/// A changed rule, with those that it is nothing without.
pub(super) struct Mutant {
    /// The alert or the recorded series.
    pub(super) rule: String,
    /// The change in words.
    pub(super) what: String,
    /// What is recorded or told in `text`.
    names: Vec<String>,
    /// The rules.
    text: String,
}

impl Mutant {
    /// Its rules under names of their own.
    pub(super) fn rules(&self, number: usize) -> String {
        self.renamed(&self.text, number)
    }

    /// Whether a text speaks of it.
    pub(super) fn is_in(&self, text: &str) -> bool {
        self.names.iter().any(|name| places(text, name).next().is_some())
    }

    /// A text about the rules, under the names of the changed ones.
    pub(super) fn renamed(&self, text: &str, number: usize) -> String {
        let mut text = text.to_owned();
        for name in &self.names {
            let places: Vec<_> = places(&text, name).collect();
            for at in places.into_iter().rev() {
                text.insert_str(at + name.len(), &format!("{MARK}{number}"));
            }
        }
        text
    }
}

/// Where a text has that name, and not a longer one.
fn places<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = usize> + 'a {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    text.match_indices(name)
        .map(|(at, _)| at)
        .filter(move |at| !text[..*at].ends_with(is_part) && !text[at + name.len()..].starts_with(is_part))
}

/// Which mutants a text names by their marks.
pub(super) fn named_in(text: &str) -> BTreeSet<usize> {
    let number = |(at, _)| text[at + MARK.len()..].split(|c: char| !c.is_ascii_digit()).next()?.parse().ok();
    text.match_indices(MARK).filter_map(number).collect()
}

/// All changed rules of a file. An alert is changed with what is recorded for it, right before it; where nothing but series is
/// recorded, a rule is copied with those that follow from it.
pub(super) fn of(file: &str) -> Vec<Mutant> {
    let rules = rules(file);
    let has_alerts = rules.iter().any(|rule| rule.is_alert());
    let mut mutants = vec![];
    let mut left = &rules[..];
    while let Some(first) = left.first() {
        let is_last = |rule: &Rule| rule.is_alert() || !has_alerts;
        let length = 1 + left.iter().position(is_last).expect("an alert");
        let (own, rest) = left.split_at(length);
        let follow = rest.iter().filter(|rule| !has_alerts && places(rule.text, first.name).next().is_some());
        mutants.extend(of_rules(own, &follow.collect::<Vec<_>>()));
        left = rest;
    }
    mutants
}

/// A rule in a file.
struct Rule<'a> {
    name: &'a str,
    text: &'a str,
}

impl Rule<'_> {
    fn is_alert(&self) -> bool {
        self.text.starts_with("      - alert: ")
    }
}

fn rules(file: &str) -> Vec<Rule<'_>> {
    let starts = file.match_indices("      - alert: ").chain(file.match_indices("      - record: "));
    let starts: BTreeSet<_> = starts.map(|(start, _)| start).collect();
    let ends = starts.iter().copied().skip(1).chain([file.len()]);
    let rule = |(start, end): (&usize, usize)| {
        let text = &file[*start..end];
        let text = text.find("\n  - name:").map_or(text, |end| &text[..=end]);
        let name = text.lines().next().and_then(|line| line.split_once(": ")).expect("a name").1;
        Rule { name, text }
    };
    starts.iter().zip(ends).map(rule).collect()
}

/// The changes of the rules `own`, each with the rest of them and what follows.
fn of_rules(own: &[Rule<'_>], follow: &[&Rule<'_>]) -> Vec<Mutant> {
    let names = || own.iter().chain(follow.iter().copied()).map(|rule| rule.name.to_owned()).collect();
    let after: String = follow.iter().map(|rule| rule.text).collect();
    let rule = own.last().expect("a rule").name;
    let mut mutants = vec![];
    for (place, changed) in own.iter().enumerate() {
        let [before, rest] =
            [&own[..place], &own[place + 1..]].map(|rules| rules.iter().map(|rule| rule.text).collect::<String>());
        for (range, by) in of_rule(changed.text) {
            let (head, tail) = (&changed.text[..range.start], &changed.text[range.end..]);
            mutants.push(Mutant {
                rule: rule.to_owned(),
                what: format!("{by:?} instead of {:?} in {}", &changed.text[range.clone()], changed.name),
                names: names(),
                text: format!("{before}{head}{by}{tail}{rest}{after}"),
            });
        }
    }
    mutants
}

fn of_rule(rule: &str) -> Vec<(Range<usize>, String)> {
    let at = rule.find("expr: |\n").expect("an expression") + "expr: |\n".len();
    let lines = rule[at..].split_inclusive('\n').take_while(|line| line.starts_with("          ") || line.len() == 1);
    let expression = at..at + lines.map(str::len).sum::<usize>();
    let mut changes = of_expression(&rule[expression.clone()]);
    for (range, _) in &mut changes {
        *range = range.start + expression.start..range.end + expression.start;
    }
    changes.extend(["for: ", "keep_firing_for: "].into_iter().flat_map(|key| of_wait(rule, key)));
    changes
}

/// A wait, a third and three times as long.
fn of_wait(rule: &str, key: &str) -> Vec<(Range<usize>, String)> {
    let Some(found) = rule.find(&format!("\n        {key}")) else { return vec![] };
    let start = found + 9 + key.len();
    let end = start + rule[start..].find('\n').expect("a line");
    let (number, unit) = rule[start..end].split_at(end - start - 1);
    let minutes = number.parse::<u32>().expect("a number")
        * unit.replace('m', "1").replace('h', "60").replace('d', "1440").parse::<u32>().expect("a unit");
    [minutes / 3, minutes * 3].map(|minutes| (start..end, format!("{minutes}m"))).to_vec()
}

fn of_expression(text: &str) -> Vec<(Range<usize>, String)> {
    let is_bounded = text.contains("offset -");
    let mut changes = clauses(text);
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let first = rest.chars().next().expect("a character");
        let length = match first {
            '"' => 2 + rest[1..].find('"').expect("the end of a text"),
            '{' => {
                let length = 1 + rest.find('}').expect("the end of a choice");
                changes.extend(
                    choices(&rest[..length]).into_iter().map(|(range, by)| (range.start + at..range.end + at, by)),
                );
                length
            }
            'a'..='z' | 'A'..='Z' | '_' => word(rest),
            '0'..='9' => {
                let length = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
                let unit = rest[length..].chars().next().filter(char::is_ascii_alphabetic);
                let end = at + length + usize::from(unit.is_some());
                let (number, before) = (&rest[..length], &text[..at]);
                let around = (before, &text[end..]);
                let others = unit.map_or_else(|| numbers(number), |unit| durations(number, unit, around, is_bounded));
                changes.extend(others.into_iter().map(|by| (at..end, by)));
                end - at
            }
            _ => {
                let turned = TURNED.iter().find(|(from, _)| rest.starts_with(from));
                changes.extend(turned.map(|(from, to)| (at..at + from.len(), (*to).to_owned())));
                turned.map_or(first.len_utf8(), |(from, _)| from.len())
            }
        };
        at += length;
    }
    changes
}

fn word(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':').unwrap_or(text.len())
}

/// A number a little smaller and larger: by its last place, or as much as rules notice that look every five minutes.
fn numbers(number: &str) -> Vec<String> {
    let value: f64 = number.parse().expect("a number");
    let places = number.split_once('.').map_or(0, |(_, places)| places.len());
    let step = if value >= 600.0 {
        value / 2.0
    } else if value >= 80.0 {
        6.0
    } else {
        0.1_f64.powi(places as i32)
    };
    let others = [value - step, value + step].into_iter().filter(|other| *other >= 0.0);
    if UNITS.contains(&number) { vec![] } else { others.map(|other| format!("{other:.places$}")).collect() }
}

/// A window a little shorter and longer, and an offset that is next to none or twice as long. The steps of a window, and windows
/// whose days are chosen one by one, have nothing to be longer for; how far one looks ahead is enough or is not.
fn durations(number: &str, unit: char, (before, after): (&str, &str), is_bounded: bool) -> Vec<String> {
    let value: u32 = number.parse().expect("a number");
    match (number, unit) {
        _ if before.ends_with(':') => vec![],
        _ if before.ends_with("offset -") => vec!["1s".to_owned()],
        _ if before.ends_with("offset ") => vec![format!("{}{unit}", 2 * value)],
        ("1", 'd') => vec!["6h".to_owned(), "2d".to_owned()],
        _ if after.starts_with("] offset -") => vec!["1s".to_owned()],
        _ => {
            let longer = (!is_bounded).then(|| format!("{}{unit}", value + 1));
            [format!("{}{unit}", value - 1)].into_iter().chain(longer).collect()
        }
    }
}

/// The words of a label's choice, each left out; the only one replaced.
fn choices(selector: &str) -> Vec<(Range<usize>, String)> {
    let mut changes = vec![];
    let quotes: Vec<_> = selector.match_indices('"').map(|(at, _)| at).collect();
    for pair in quotes.chunks_exact(2) {
        let range = pair[0] + 1..pair[1];
        let (head, body, tail) = match selector[range.clone()].split_once('(') {
            Some((head, rest)) => (format!("{head}("), rest.trim_end_matches(')'), ")"),
            None => (String::new(), &selector[range.clone()], ""),
        };
        let words: Vec<_> = body.split('|').collect();
        for left_out in 0..words.len() {
            let rest: Vec<_> =
                words.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, word)| *word).collect();
            let rest = if rest.is_empty() { "none".to_owned() } else { rest.join("|") };
            changes.push((range.clone(), format!("{head}{rest}{tail}")));
        }
    }
    changes
}

/// Each clause left out with its operator; of alternatives each one.
fn clauses(text: &str) -> Vec<(Range<usize>, String)> {
    let mut changes = vec![];
    for (at, operator) in CLAUSES.iter().flat_map(|operator| text.match_indices(operator)) {
        let is_word = text[..at].ends_with([' ', '\n']) && text[at + operator.len()..].starts_with([' ', '\n', 'o']);
        if !is_word {
            continue;
        }
        let after = at + operator.len();
        let until = if operator == "or" { &["or"][..] } else { &["and", "unless", "or"] };
        let end = after + operand(&text[after..], until);
        changes.push((at..end, if end == text.len() { "\n" } else { "\n          " }.to_owned()));
        if operator == "or" {
            let matching = text[after..].strip_prefix(" on (").and_then(|rest| rest.find(')'));
            changes.push((before(&text[..at])..matching.map_or(after, |length| after + 6 + length), String::new()));
        }
    }
    changes
}

/// How long the operand at the beginning of `text` is.
fn operand(text: &str, until: &[&str]) -> usize {
    let mut depth = 0_i32;
    for (at, c) in text.char_indices() {
        match c {
            '(' | '{' | '[' => depth += 1,
            ')' | '}' | ']' => depth -= 1,
            _ => {}
        }
        let rest = &text[at..];
        let is_operator = text[..at].ends_with([' ', '\n']) && until.contains(&&rest[..word(rest)]);
        if depth < 0 || (depth == 0 && at > 0 && is_operator) {
            return at;
        }
    }
    text.len()
}

/// Where the alternative begins that ends with `text`.
fn before(text: &str) -> usize {
    let mut depth = 0_i32;
    for (at, c) in text.char_indices().rev() {
        match c {
            ')' | '}' | ']' => depth += 1,
            '(' | '{' | '[' => depth -= 1,
            _ => {}
        }
        let is_or = text[at..].starts_with("or\n") && text[..at].ends_with(' ');
        if depth < 0 || (depth == 0 && is_or) {
            return at + if depth < 0 { 1 } else { 2 };
        }
    }
    0
}
