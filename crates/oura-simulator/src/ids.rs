//! Identifiers of documents: they look random, but tell the simulator which document is meant.

use super::noise::mix;

/// What an identifier stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// Which kind of document.
    pub(super) kind: u8,
    /// Whose, as an index of the people.
    pub(super) person: u8,
    /// Which of that day's documents.
    pub(super) index: u16,
    /// Days from the beginning of our era.
    pub(super) day: i32,
}

const ROUNDS: [u64; 4] = [0x51, 0x83, 0xd7, 0x2b];

/// The identifier of `key` under `seed`, in the form of a UUID.
pub(super) fn id(key: Key, seed: u64) -> String {
    let low = (u32::from(key.kind) << 24) | (u32::from(key.person) << 16) | u32::from(key.index);
    let (high, low) = ROUNDS
        .iter()
        .fold((key.day.cast_unsigned(), low), |(left, right), &round| (right, left ^ scatter(right, round, seed)));
    let mixed = (u64::from(high) << 32) | u64::from(low);
    let check = mix(mixed ^ seed);
    format!("{high:08x}-{:04x}-{:04x}-{:04x}-{:012x}", low >> 16, low & 0xffff, check >> 48, check & 0xffff_ffff_ffff)
}

/// What `text` stands for, if it is an identifier that `seed` gave.
pub(super) fn key(text: &str, seed: u64) -> Option<Key> {
    let digits: String = text.split('-').collect();
    let left = u32::from_str_radix(digits.get(..8)?, 16).ok()?;
    let right = u32::from_str_radix(digits.get(8..16)?, 16).ok()?;
    let (day, low) =
        ROUNDS.iter().rev().fold((left, right), |(left, right), &round| (right ^ scatter(left, round, seed), left));
    let [kind, person, high, low] = low.to_be_bytes();
    let key = Key { kind, person, index: u16::from_be_bytes([high, low]), day: day.cast_signed() };
    (id(key, seed) == text).then_some(key)
}

fn scatter(half: u32, round: u64, seed: u64) -> u32 {
    (mix((u64::from(half) << 8 | round) ^ seed.rotate_left(17)) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_leads_back_to_its_document() {
        let meant = Key { kind: 7, person: 1, index: 5, day: 739_000 };
        assert_eq!(key(&id(meant, 1), 1), Some(meant));
        assert_eq!(key(&id(meant, 1), 2), None, "another seed's");
        assert_eq!(key("no-such-id", 1), None);
    }
}
