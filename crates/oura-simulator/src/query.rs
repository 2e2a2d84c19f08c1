//! Reading a request's parameters, as lenient and as strict as the service is.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use serde_json::json;

use super::replies::Reply;

/// The parameters of a request, decoded, in their order.
pub(super) type Parameters = [(String, String)];

/// One end of a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Bound {
    /// A date or time without an offset.
    Clock(NaiveDateTime),
    /// A moment.
    Moment(DateTime<Utc>),
}

impl Bound {
    /// The bound with a bare time taken as UTC.
    pub(super) fn as_utc(self) -> DateTime<Utc> {
        match self {
            Self::Clock(time) => time.and_utc(),
            Self::Moment(moment) => moment,
        }
    }
}

/// The parameters in the query part of an address, or of a form.
pub(super) fn parameters(query: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

/// A text that is encoded as in a form; a plus is a space.
pub(super) fn plain(text: &str) -> String {
    // As a name without a value: where the text has & or =, its first part is what such a client meant.
    form_urlencoded::parse(text.as_bytes()).next().map(|(text, _)| text.into_owned()).unwrap_or_default()
}

/// The value of `name`; an empty one counts as not given.
pub(super) fn value<'a>(parameters: &'a Parameters, name: &str) -> Option<&'a str> {
    parameters
        .iter()
        .rev()
        .find(|(other, _)| other == name)
        .map(|(_, value)| value.as_str())
        .filter(|value| !value.is_empty())
}

/// The date or time in the parameter `name`.
pub(super) fn bound(parameters: &Parameters, name: &str) -> Result<Option<Bound>, Reply> {
    let Some(text) = value(parameters, name) else { return Ok(None) };
    parse(text).map(Some).ok_or_else(|| {
        let reason = "invalid character in year";
        Reply::json(
            422,
            &json!({ "detail": [{
                "type": "datetime_from_date_parsing",
                "loc": ["query", name],
                "msg": format!("Input should be a valid datetime or date, {reason}"),
                "input": text,
                "ctx": { "error": reason },
            }] }),
        )
    })
}

/// The yes or no in the parameter `name`; no if it is not given.
pub(super) fn flag(parameters: &Parameters, name: &str) -> Result<bool, Reply> {
    let text = value(parameters, name).unwrap_or("false");
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" | "t" | "y" => Ok(true),
        "false" | "0" | "no" | "off" | "f" | "n" => Ok(false),
        _ => Err(Reply::json(
            422,
            &json!({ "detail": [{
                "type": "bool_parsing",
                "loc": ["query", name],
                "msg": "Input should be a valid boolean, unable to interpret input",
                "input": text,
            }] }),
        )),
    }
}

fn parse(text: &str) -> Option<Bound> {
    if let Ok(number) = text.parse::<i64>() {
        let is_milliseconds = number.abs() > 20_000_000_000;
        let seconds = if is_milliseconds { number / 1000 } else { number };
        return DateTime::from_timestamp(seconds, 0).map(Bound::Moment);
    }
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return Some(Bound::Clock(date.and_time(NaiveTime::MIN)));
    }
    let text = text.replacen(' ', "T", usize::from(text.as_bytes().get(10) == Some(&b' ')));
    let with_offset = ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M%#z"];
    let bare = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"];
    if text.chars().any(|character| character.is_whitespace()) {
        return None;
    }
    let moment = with_offset.iter().find_map(|format| DateTime::parse_from_str(&text, format).ok());
    let clock = || bare.iter().find_map(|format| NaiveDateTime::parse_from_str(&text, format).ok());
    moment.map(|moment| Bound::Moment(moment.to_utc())).or_else(|| clock().map(Bound::Clock))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_needs_its_plus_escaped() {
        let read = |query: &str| bound(&parameters(query), "end_date").map_err(|reply| reply.status);
        let moment = "2026-08-01T20:59:59Z".parse().unwrap();
        assert_eq!(read("end_date=2026-08-01T23:59:59%2B03:00"), Ok(Some(Bound::Moment(moment))));
        assert_eq!(read("end_date=2026-08-01T20:59:59Z"), Ok(Some(Bound::Moment(moment))));
        assert_eq!(read("end_date=2026-08-01T23:59:59+03:00"), Err(422));
        assert_eq!(read("end_date=1"), Ok(Some(Bound::Moment(DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(1)))));
        assert_eq!(read("end_date=yesterday"), Err(422));
        assert_eq!(read("end_date="), Ok(None));
    }
}
