//! A pair of tokens with what is known of it, and how it is written to a file.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{
    account,
    person::Person,
    source::{Grant, is_same},
};

/// The version of the file that this build writes; it reads no newer one.
const VERSION: u32 = 1;
/// The least and the most by which a token is renewed before it expires; between them, a tenth of its life.
const EARLIEST: TimeDelta = TimeDelta::days(3);
const LATEST: TimeDelta = TimeDelta::minutes(2);

/// Whether a token can be sent in a header: what is not printable cannot.
pub(super) fn is_sendable(token: &str) -> bool {
    !token.is_empty() && token.chars().all(|c| c.is_ascii_graphic())
}

/// Where the OAuth application was registered: that decides which token URL knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Portal {
    /// cloud.ouraring.com/oauth/applications
    Legacy,
    /// developer.ouraring.com
    New,
}

/// A pair of tokens; `Debug` shows neither.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// Opens the API.
    pub access: SecretString,
    /// Buys the next pair, once.
    pub refresh: Option<SecretString>,
    /// When Oura issued the pair.
    pub issued_at: DateTime<Utc>,
    /// When the access token ends; none if Oura did not say.
    pub expires_at: Option<DateTime<Utc>>,
    /// What the wearer granted, without prefixes; none if Oura never said.
    pub scopes: Option<Vec<String>>,
    /// Which portal's token URL gave it.
    pub portal: Portal,
    /// When the person signed in.
    pub signed_in_at: DateTime<Utc>,
    /// Whose ring it is; none if Oura did not say.
    pub person: Option<Person>,
}

/// Whose sign-in it is, as far as is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedIn {
    pub(super) at: DateTime<Utc>,
    pub(super) person: Option<Person>,
}

impl SignedIn {
    /// Whether it is, or may be, another person's than the one before: another sign-in, and nobody knows that it is the same
    /// person's.
    pub fn may_be_anothers(&self, before: &Self) -> bool {
        let is_known = self.person.is_some() && self.person == before.person;
        self.at != before.at && !is_known
    }

    /// When it was.
    pub const fn at(&self) -> DateTime<Utc> {
        self.at
    }

    /// Whose it is; none if Oura did not say.
    pub const fn person(&self) -> Option<&Person> {
        self.person.as_ref()
    }
}

impl Tokens {
    /// Whether it is time to renew the access token, well before it ends.
    pub fn is_due(&self, now: DateTime<Utc>) -> bool {
        self.expires_at.is_some_and(|end| {
            let life = end - self.issued_at;
            now >= end - (life / 10).clamp(LATEST.min(life / 2), EARLIEST)
        })
    }

    /// Whether the access token has ended.
    pub fn has_expired(&self, now: DateTime<Utc>) -> bool {
        self.expires_at.is_some_and(|end| now >= end)
    }

    /// What the sign-in that it comes from granted.
    pub fn grant(&self) -> Grant {
        Grant { signed_in_at: self.signed_in_at, scopes: self.scopes.clone() }
    }

    /// Whether they are, or may be, another person's than those before.
    pub fn may_be_anothers(&self, before: &SignedIn) -> bool {
        self.signed_in().may_be_anothers(before)
    }

    /// Who signed in, and when.
    pub fn signed_in(&self) -> SignedIn {
        SignedIn { at: self.signed_in_at, person: self.person.clone() }
    }

    /// Whether both are the same pair.
    pub fn is_same(&self, other: &Self) -> bool {
        is_same(&self.access, &other.access)
    }

    /// Tells whether two files hold one refresh token, without keeping it.
    pub(super) fn fingerprint(&self) -> Option<Fingerprint> {
        self.refresh.as_ref().map(|token| Sha256::digest(token.expose_secret()).into())
    }

    /// The text of the account's file.
    pub(super) fn to_json(&self, account: &str) -> Result<String, serde_json::Error> {
        let file = File {
            version: VERSION,
            account,
            access_token: self.access.expose_secret(),
            refresh_token: self.refresh.as_ref().map(ExposeSecret::expose_secret),
            issued_at: self.issued_at,
            expires_at: self.expires_at,
            scopes: self.scopes.as_deref(),
            portal: self.portal,
            signed_in_at: self.signed_in_at,
            person: self.person.as_ref().map(Person::to_string),
        };
        serde_json::to_string_pretty(&file).map(|text| text + "\n")
    }

    /// Reads a file's text: whose it says it is, and the pair.
    pub(super) fn from_json(text: &str) -> Result<(String, Self), Unfit> {
        let value: Value = serde_json::from_str(text).map_err(|_| Unfit::Damaged)?;
        if value.get("access_token").is_none() && value.get("version").is_none() {
            return Err(Unfit::NoTokens);
        }
        let Version { version } = Version::deserialize(&value).map_err(|_| Unfit::Damaged)?;
        if version > VERSION {
            return Err(Unfit::Newer(version));
        }
        let file = OwnedFile::deserialize(value).map_err(|_| Unfit::Damaged)?;
        if !is_sendable(&file.access_token) {
            return Err(Unfit::Damaged);
        }
        let tokens = Self {
            access: file.access_token.into(),
            refresh: file.refresh_token.filter(|token| !token.trim().is_empty()).map(SecretString::from),
            issued_at: file.issued_at,
            expires_at: file.expires_at,
            scopes: file.scopes,
            portal: file.portal,
            signed_in_at: file.signed_in_at,
            person: file.person.and_then(|person| person.parse().ok()),
        };
        Ok((file.account, tokens))
    }
}

/// A hash of a refresh token.
pub(super) type Fingerprint = [u8; 32];

/// Why a file's text is no pair of tokens of its account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It is no whole token file.
    Damaged,
    /// It is whole, and something else.
    NoTokens,
    /// A newer build wrote it, with this version.
    Newer(u32),
    /// It says that it is another account's: that name, if it is one.
    OtherAccount(Option<String>),
}

impl Unfit {
    /// It says that it is the account's of that name, which the file's name does not.
    pub(super) fn of_other_account(name: String) -> Self {
        Self::OtherAccount(Some(name).filter(|name| account::is_name(name)))
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged => f.write_str("it is cut short or damaged; sign in again, or restore it from a backup"),
            Self::NoTokens => f.write_str("it holds no tokens; move it elsewhere, and sign in again"),
            Self::Newer(version) => {
                write!(f, "a newer oura-exporter wrote it (version {version}); use that one, or sign in again")
            }
            Self::OtherAccount(name) => {
                let whose =
                    name.as_ref().map_or_else(|| "another account".to_owned(), |name| format!("account {name}"));
                write!(f, "it holds the sign-in of {whose}, and a refresh token works once; sign in again")
            }
        }
    }
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[derive(Serialize)]
struct File<'a> {
    version: u32,
    account: &'a str,
    access_token: &'a str,
    refresh_token: Option<&'a str>,
    issued_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    scopes: Option<&'a [String]>,
    portal: Portal,
    signed_in_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    person: Option<String>,
}

#[derive(Deserialize)]
struct OwnedFile {
    account: String,
    access_token: String,
    refresh_token: Option<String>,
    issued_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    scopes: Option<Vec<String>>,
    portal: Portal,
    signed_in_at: DateTime<Utc>,
    person: Option<String>,
}
