//! Where the next page of a time series begins, and the opaque token that says so.

use chrono::{DateTime, Utc};
use serde_json::Value;

/// Where a page begins and the series ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) from: DateTime<Utc>,
    /// How many rows from there on earlier pages had already.
    pub(super) skip: usize,
    pub(super) until: DateTime<Utc>,
}

/// Makes a token's text look like nothing.
const XOR_MASK: u8 = 0xa7;

impl Cursor {
    /// Where the page after `page` begins.
    pub(super) fn after(&self, page: &[Value], time: impl Fn(&Value) -> Option<DateTime<Utc>>) -> Self {
        match page.last().and_then(&time) {
            Some(last) if last > self.from => {
                let skip = page.iter().rev().take_while(|row| time(row) == Some(last)).count();
                Self { from: last, skip, ..*self }
            }
            _ => Self { skip: self.skip + page.len(), ..*self },
        }
    }

    /// The token for the collection with this number.
    pub(super) fn write(&self, collection: u8) -> String {
        let (from, until) = (self.from.timestamp_millis(), self.until.timestamp_millis());
        let text = format!("{collection}|{from}|{}|{until}", self.skip);
        text.bytes().map(|byte| format!("{:02x}", byte ^ XOR_MASK)).collect()
    }

    /// What `token` says, if it was written for the collection with this number.
    pub(super) fn read(token: &str, collection: u8) -> Option<Self> {
        let pairs = (0..token.len()).step_by(2).map(|place| token.get(place..place + 2));
        let text: Option<String> =
            pairs.map(|pair| Some(char::from(u8::from_str_radix(pair?, 16).ok()? ^ XOR_MASK))).collect();
        let text = text?;
        let mut parts = text.split('|').map(|part| part.parse::<i64>().ok());
        let mut part = || parts.next().flatten();
        part().filter(|&number| number == i64::from(collection))?;
        let from = DateTime::from_timestamp_millis(part()?)?;
        let skip = usize::try_from(part()?).ok()?;
        Some(Self { from, skip, until: DateTime::from_timestamp_millis(part()?)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_the_same_moment_may_be_on_two_pages() {
        let time = |row: &Value| row.as_str()?.parse().ok();
        let [early, late] = ["2026-08-01T00:00:00Z", "2026-08-01T00:05:00Z"];
        let cursor = Cursor { from: early.parse().unwrap(), skip: 0, until: late.parse().unwrap() };
        let after = cursor.after(&[early.into(), late.into(), late.into()], time);
        assert_eq!(after, Cursor { from: late.parse().unwrap(), skip: 2, ..cursor });
        assert_eq!(after.after(&[late.into()], time).skip, 3);
    }

    #[test]
    fn a_token_says_where_it_goes_on_and_for_what() {
        let from = "2026-08-01T00:00:00Z".parse().unwrap();
        let cursor = Cursor { from, skip: 2, until: "2026-08-02T00:00:00Z".parse().unwrap() };
        let token = cursor.write(16);
        assert_eq!(Cursor::read(&token, 16), Some(cursor));
        assert_eq!(Cursor::read(&token, 17), None, "another collection's");
        assert_eq!(Cursor::read("again", 16), None);
    }
}
