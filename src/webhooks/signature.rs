//! Whether an event is Oura's: HMAC-SHA256 over the timestamp and the body's bytes, compared in constant time.

use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

/// The header with the time of a delivery: milliseconds in practice, seconds in the specification.
pub(super) const TIMESTAMP: &str = "x-oura-timestamp";
/// The header with the signature, in hex of either case.
pub(super) const SIGNATURE: &str = "x-oura-signature";
/// How old a delivery may be. Oura repeats one for about an hour, and nobody knows whether it is signed again each time;
/// whatever is told twice is told by the event itself.
const OLDEST: TimeDelta = TimeDelta::minutes(90);
/// How far ahead Oura's clock may be, or ours behind.
const AHEAD: TimeDelta = TimeDelta::minutes(5);
/// From this number on a time is in milliseconds: in seconds it would be in the year 5138.
const MILLISECONDS_FROM: i64 = 100_000_000_000;

/// Why a delivery is not taken for Oura's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unproven {
    /// It has no signature, or a wrong one.
    Forged,
    /// It is truly signed, and for another time.
    Late,
}

/// Judges a delivery by its headers and the bytes of its body.
pub(super) fn judge(
    secret: &SecretString,
    [timestamp, signature]: [&str; 2],
    body: &[u8],
    now: DateTime<Utc>,
) -> Result<(), Unproven> {
    let signature = bytes(signature).ok_or(Unproven::Forged)?;
    let mut mac = mac(secret).ok_or(Unproven::Forged)?;
    mac.update(timestamp.as_bytes());
    mac.update(body);
    mac.verify_slice(&signature).map_err(|_| Unproven::Forged)?;
    let at = moment(timestamp).ok_or(Unproven::Late)?;
    let age = now.signed_duration_since(at);
    if (-AHEAD..=OLDEST).contains(&age) { Ok(()) } else { Err(Unproven::Late) }
}

/// Whether `given` is the secret, found out in a time that tells nothing of it.
pub(super) fn is_secret(secret: &SecretString, given: &str) -> bool {
    let (Some(mut own), Some(mut other)) = (mac(secret), mac(secret)) else { return false };
    own.update(secret.expose_secret().as_bytes());
    other.update(given.as_bytes());
    own.verify_slice(&other.finalize().into_bytes()).is_ok()
}

fn mac(secret: &SecretString) -> Option<Hmac<Sha256>> {
    Hmac::new_from_slice(secret.expose_secret().as_bytes()).ok()
}

/// When a delivery was made.
fn moment(timestamp: &str) -> Option<DateTime<Utc>> {
    let number: i64 = timestamp.parse().ok()?;
    if number < MILLISECONDS_FROM {
        DateTime::from_timestamp(number, 0)
    } else {
        DateTime::from_timestamp_millis(number)
    }
}

/// The bytes of a text in hex.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.trim().chars().map(|c| c.to_digit(16)).collect::<Option<Vec<_>>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    let byte = |[high, low]: &[u32; 2]| u8::try_from(high << 4 | low).ok();
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with another program: `printf '%s' "$TIMESTAMP$BODY" | openssl dgst -sha256 -hmac client-secret`.
    const BODY: &[u8] = br#"{"event_type":"create","data_type":"sleep"}"#;
    const BY_SECONDS: &str = "3AD3B3C3FCAA87532D96533BE8CEDFDF3EAD7AEFE4B036BEE11C1ED717D39AEC";
    const BY_MILLISECONDS: &str = "B59D07F590343310CDAA258ABF47A3DFFEECD0A59A00ABAC90F6448780DE2A74";
    const NOW: &str = "2026-11-22T12:00:00Z";

    fn judged(timestamp: &str, signature: &str, body: &[u8], now: &str) -> Result<(), Unproven> {
        judge(&"client-secret".to_owned().into(), [timestamp, signature], body, now.parse().unwrap())
    }

    #[test]
    fn what_openssl_signs_is_true_in_seconds_and_milliseconds_and_in_either_case() {
        let lower = BY_SECONDS.to_ascii_lowercase();
        for (timestamp, signature) in
            [("1795348800", BY_SECONDS), ("1795348800", &*lower), ("1795348800123", BY_MILLISECONDS)]
        {
            assert_eq!(judged(timestamp, signature, BODY, NOW), Ok(()), "{timestamp}");
        }
    }

    #[test]
    fn whatever_is_changed_is_forged() {
        let cut = &BY_SECONDS[..62];
        let long = format!("{BY_SECONDS}00");
        for (timestamp, signature, body) in [
            ("1795348801", BY_SECONDS, BODY),
            ("1795348800", BY_MILLISECONDS, BODY),
            ("1795348800", BY_SECONDS, &BODY[1..]),
            ("1795348800", cut, BODY),
            ("1795348800", &long, BODY),
            ("1795348800", "", BODY),
            ("", BY_SECONDS, BODY),
            ("1795348800", "not hex, but as long as sixty-four characters are, more or less!", BODY),
            ("1795348800", &BY_SECONDS[1..], BODY),
        ] {
            assert_eq!(judged(timestamp, signature, body, NOW), Err(Unproven::Forged), "{timestamp} {signature}");
        }
    }

    #[test]
    fn a_delivery_is_good_for_ninety_minutes_and_five_ahead() {
        for (now, result) in [
            ("2026-11-22T13:30:00Z", Ok(())),
            ("2026-11-22T13:30:01Z", Err(Unproven::Late)),
            ("2026-11-22T11:55:00Z", Ok(())),
            ("2026-11-22T11:54:59Z", Err(Unproven::Late)),
        ] {
            assert_eq!(judged("1795348800", BY_SECONDS, BODY, now), result, "{now}");
        }
    }

    #[test]
    fn a_secret_is_told_from_whatever_is_not_it() {
        let secret = "a-secret".to_owned().into();
        assert!(is_secret(&secret, "a-secret"));
        for other in ["", "a-secre", "a-secret ", "A-SECRET"] {
            assert!(!is_secret(&secret, other), "{other:?}");
        }
    }
}
