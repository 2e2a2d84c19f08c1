//! Faults as people write them: `sleep:status=503*3`.

use std::{fmt, str::FromStr, time::Duration};

use crate::{
    collections,
    faults::{Fault, Scope},
    people::{PEOPLE, TRAVELLER},
};

/// A fault and what it is for, written `[PERSON/]COLLECTION:FAULT[*TIMES]` or `FAULT[*TIMES]`; `*` stands for everybody
/// and for every collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Whose and which requests it is for.
    pub scope: Scope,
    /// What happens to them.
    pub fault: Fault,
}

/// Why a text is no [`Rule`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Nobody of this name wears a ring.
    #[error("{0:?} is nobody here; write alice, bob, carol or *")]
    Person(String),
    /// There is no such collection.
    #[error("{0:?} is not a collection; write one of {1} or *")]
    Collection(String, String),
    /// There is no such fault.
    #[error("{0:?} is not a fault; write one of {1}")]
    Fault(String, String),
    /// What follows the equals sign cannot be read.
    #[error("{fault}={value:?}: {wanted}")]
    Value {
        /// The fault.
        fault: String,
        /// What was written.
        value: String,
        /// What is wanted.
        wanted: &'static str,
    },
    /// What follows the asterisk is no number.
    #[error("*{0:?} is not a number of requests; write for instance *3")]
    Times(String),
}

/// The faults that have no value.
const PLAIN: &[(&str, Fault)] = &[
    ("token-dead", Fault::TokenDead),
    ("scope-missing", Fault::ScopeMissing),
    ("membership-lapsed", Fault::MembershipLapsed),
    ("html", Fault::Html),
    ("cut-json", Fault::CutJson),
    ("cut-gzip", Fault::CutGzip),
    ("empty-list", Fault::EmptyList),
    ("hang", Fault::Hang),
    ("repeat-token", Fault::RepeatToken),
    ("endless-pages", Fault::EndlessPages),
    ("drop", Fault::Drop),
];
/// The faults that have one, with an example.
const VALUED: &[&str] = &["status=503", "rate-limited=60", "application-limited=60", "delay=20"];

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let (place, what) = text.split_once(':').unwrap_or(("*", text));
        Ok(Self { scope: scope(place)?, fault: fault(what)? })
    }
}

fn scope(place: &str) -> Result<Scope, RuleError> {
    let (person, collection) = place.split_once('/').unwrap_or(("*", place));
    let named = |name: &str| (name != "*").then(|| name.to_owned());
    let is_known = PEOPLE.iter().chain([&TRAVELLER]).any(|wearer| wearer.name == person);
    if person != "*" && !is_known {
        return Err(RuleError::Person(person.to_owned()));
    }
    if collection != "*" && collections::named(collection).is_none() {
        let all: Vec<_> = collections::COLLECTIONS.iter().map(|collection| collection.name).collect();
        return Err(RuleError::Collection(collection.to_owned(), all.join(", ")));
    }
    Ok(Scope { person: named(person), collection: named(collection) })
}

fn fault(text: &str) -> Result<Fault, RuleError> {
    if let Some((what, times)) = text.split_once('*') {
        let times = times.parse().map_err(|_| RuleError::Times(times.to_owned()))?;
        return Ok(Fault::Times(times, Box::new(fault(what)?)));
    }
    if let Some((_, fault)) = PLAIN.iter().find(|(name, _)| *name == text) {
        return Ok(fault.clone());
    }
    let unknown = || {
        let all = PLAIN.iter().map(|(name, _)| *name).chain(VALUED.iter().copied());
        RuleError::Fault(text.to_owned(), all.collect::<Vec<_>>().join(", "))
    };
    let (name, value) = text.split_once('=').ok_or_else(unknown)?;
    let wrong = |wanted| RuleError::Value { fault: name.to_owned(), value: value.to_owned(), wanted };
    let seconds = || value.parse::<u64>().map_err(|_| wrong("write whole seconds"));
    match name {
        "status" => {
            let status = value.parse().ok().filter(|status| (200..600).contains(status));
            status.map(Fault::Status).ok_or_else(|| wrong("write a status from 200 to 599"))
        }
        "rate-limited" => Ok(Fault::RateLimited { retry_after_seconds: seconds()? }),
        "application-limited" => Ok(Fault::ApplicationLimited { retry_after_seconds: seconds()? }),
        "delay" => Ok(Fault::Delay(Duration::from_secs(seconds()?))),
        _ => Err(unknown()),
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |name: &Option<String>| name.clone().unwrap_or_else(|| "*".to_owned());
        write!(f, "{}/{}:", named(&self.scope.person), named(&self.scope.collection))?;
        write_fault(&self.fault, f)
    }
}

fn write_fault(fault: &Fault, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match fault {
        Fault::Status(status) => write!(f, "status={status}"),
        Fault::RateLimited { retry_after_seconds } => write!(f, "rate-limited={retry_after_seconds}"),
        Fault::ApplicationLimited { retry_after_seconds } => write!(f, "application-limited={retry_after_seconds}"),
        Fault::Delay(delay) => write!(f, "delay={}", delay.as_secs()),
        Fault::Times(times, fault) => {
            write_fault(fault, f)?;
            write!(f, "*{times}")
        }
        plain => PLAIN.iter().find(|(_, other)| other == plain).map_or(Ok(()), |(name, _)| f.write_str(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        for text in [
            "*/*:html",
            "*/sleep:status=503*3",
            "alice/*:hang",
            "bob/vO2_max:rate-limited=60",
            "*/*:application-limited=9",
            "*/*:delay=20",
        ] {
            assert_eq!(text.parse::<Rule>().unwrap().to_string(), text);
        }
        assert_eq!("drop".parse::<Rule>().unwrap().to_string(), "*/*:drop");
        for (name, fault) in PLAIN {
            let rule = name.parse::<Rule>().unwrap();
            assert_eq!((&rule.fault, rule.to_string()), (fault, format!("*/*:{name}")));
        }
    }

    #[test]
    fn a_mistake_is_named_with_what_would_be_right() {
        for (text, named) in [
            ("sleap:hang", "\"sleap\" is not a collection; write one of daily_activity"),
            ("dora/sleep:hang", "\"dora\" is nobody here"),
            ("hangs", "\"hangs\" is not a fault; write one of token-dead"),
            ("status=99", "status=\"99\": write a status"),
            ("status", "\"status\" is not a fault"),
            ("delay=soon", "delay=\"soon\": write whole seconds"),
            ("hang*often", "*\"often\" is not a number of requests"),
            ("", "\"\" is not a fault"),
        ] {
            let error = text.parse::<Rule>().unwrap_err().to_string();
            assert!(error.starts_with(named), "{text}: {error}");
        }
    }
}
