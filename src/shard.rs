//! Which of several exporters shows an account: its shard, by rendezvous hashing of the account's name.
//!
//! Each shard has a weight for each name, and the highest takes it (Thaler and Ravishankar, "Using name-based mappings to
//! increase hit rates", IEEE/ACM Transactions on Networking 6 (1), 1998). A shard that is added takes only what it weighs
//! highest for, so that nothing moves between the others. The weights are the outputs of SplitMix64 (Steele, Lea and Flood,
//! "Fast splittable pseudorandom number generators", OOPSLA 2014) seeded with the name's SHA-256: both are fixed by what is
//! published. The libraries for this go by `std::hash::Hash`, whose input to a hasher may change with a release of Rust, and
//! then everybody would move.

use std::{fmt, str::FromStr};

use sha2::{Digest as _, Sha256};

/// The most exporters that accounts are divided among; an application at Oura has requests for far fewer.
const MOST: u32 = 1000;
/// What SplitMix64 goes on by for each output.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// One of several exporters that divide the accounts among them. Without a setting it is the only one, and has all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which one this is, from 0.
    index: u32,
    /// How many there are.
    count: u32,
}

impl Default for Shard {
    fn default() -> Self {
        Self { index: 0, count: 1 }
    }
}

/// Why a text names no shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoShard {
    /// It is not two numbers.
    #[error("is not a shard and their number; write 0/3 for the first of three, 2/3 for the last")]
    Unreadable,
    /// There are none, or too many.
    #[error("divides the accounts among no shards or more than {MOST}; write 0/3 for the first of three")]
    Count,
    /// The shard is beyond the last one.
    #[error("names a shard that is not there: they count from 0, so the last of {0} is {last}/{0}", last = .0 - 1)]
    Beyond(u32),
}

impl FromStr for Shard {
    type Err = NoShard;

    fn from_str(text: &str) -> Result<Self, NoShard> {
        let number = |text: &str| {
            let text = text.trim();
            // A sign is no part of an ordinal, although `parse` takes one.
            let is_plain = text.starts_with(|first: char| first.is_ascii_digit());
            text.parse::<u32>().ok().filter(|_| is_plain)
        };
        let (index, count) = text.split_once('/').ok_or(NoShard::Unreadable)?;
        let (index, count) = number(index).zip(number(count)).ok_or(NoShard::Unreadable)?;
        match count {
            1..=MOST if index < count => Ok(Self { index, count }),
            1..=MOST => Err(NoShard::Beyond(count)),
            _ => Err(NoShard::Count),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl Shard {
    /// Whether there are others.
    #[must_use]
    pub const fn is_one_of_several(self) -> bool {
        self.count > 1
    }

    /// Which one it is, from 0.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.index
    }

    /// How many there are.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.count
    }

    /// Whether it shows the account of that name.
    #[must_use]
    pub fn has(self, account: &str) -> bool {
        self.of(account) == self
    }

    /// The one of them all that shows the account of that name.
    #[must_use]
    pub fn of(self, account: &str) -> Self {
        if self.count == 1 {
            return self;
        }
        let seed = seed(account);
        // No two weights of a name are equal: SplitMix64 gives each number once.
        let index = (0..self.count).max_by_key(|index| weight(seed, *index)).unwrap_or_default();
        Self { index, ..self }
    }
}

/// The first eight bytes of the name's SHA-256, the highest first.
fn seed(account: &str) -> u64 {
    let digest = Sha256::digest(account);
    digest.iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte))
}

/// The output number `index` of SplitMix64 from `seed`.
const fn weight(seed: u64, index: u32) -> u64 {
    let state = seed.wrapping_add(STEP.wrapping_mul(index as u64 + 1));
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many names as the largest study of one application may have.
    fn names() -> impl Iterator<Item = String> {
        (0..10_000).map(|number| format!("wearer-{number}"))
    }

    fn of(count: u32) -> Shard {
        Shard { index: 0, count }
    }

    #[test]
    fn the_numbers_are_those_that_are_published() {
        // What java.util.SplittableRandom and the reference in C give for the seed 1234567.
        let published = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!([0, 1, 2].map(|index| weight(1_234_567, index)), published);
        // What `printf abc | sha256sum` says.
        assert_eq!(seed("abc"), 0xba78_16bf_8f01_cfea);
    }

    #[test]
    fn each_account_is_in_exactly_one_shard_and_a_new_shard_takes_its_share_and_nothing_else_moves() {
        for count in 1..=64 {
            let shards: Vec<_> = (0..count).map(|index| Shard { index, count }).collect();
            let (mut moved, mut sizes) = (0, vec![0_u32; count as usize]);
            for (number, name) in names().enumerate() {
                let (own, next) = (of(count).of(&name), of(count + 1).of(&name));
                // Asked of each shard, as each process asks, for some of the names.
                if number < 200 {
                    let having: Vec<_> = shards.iter().filter(|shard| shard.has(&name)).collect();
                    assert_eq!(having, [&own], "{name} of {count}");
                }
                sizes[own.index as usize] += 1;
                if next.index != own.index {
                    assert_eq!(next.index, count, "{name} moves from {own} to {next}, which is not the new one");
                    moved += 1;
                }
            }
            // Five standard deviations of as many throws of a die, and no more.
            let is_near = |found: u32, share: f64| {
                let (mean, deviation) = (10_000.0 * share, (10_000.0 * share * (1.0 - share)).sqrt());
                (f64::from(found) - mean).abs() <= 5.0 * deviation
            };
            assert!(is_near(moved, 1.0 / f64::from(count + 1)), "{count}: {moved} move");
            assert!(sizes.iter().all(|size| is_near(*size, 1.0 / f64::from(count))), "{count}: {sizes:?}");
        }
    }

    #[test]
    fn no_release_moves_anybody() {
        // Where these people are today. A change here sends accounts to other shards in every installation.
        for (name, shards) in [
            ("alice", [1, 1, 6, 16]),
            ("anna", [1, 1, 12, 42]),
            ("ben", [1, 1, 13, 53]),
            ("bob", [0, 0, 9, 9]),
            ("default", [0, 2, 7, 22]),
            ("wearer-0001", [1, 1, 5, 28]),
            ("wearer-0002", [1, 2, 2, 2]),
            ("A.long-name_with-64-characters_0123456789_0123456789_0123456789_", [0, 2, 9, 22]),
        ] {
            assert_eq!([2, 3, 16, 64].map(|count| of(count).of(name).index), shards, "{name}");
        }
    }

    #[test]
    fn a_shard_is_a_number_from_0_and_how_many_there_are() {
        for (text, shard) in [("3/16", (3, 16)), ("0/1", (0, 1)), (" 999 / 1000 ", (999, 1000)), ("007/8", (7, 8))] {
            let (index, count) = shard;
            assert_eq!(text.parse(), Ok(Shard { index, count }), "{text}");
        }
        for (text, error) in [
            ("16/16", NoShard::Beyond(16)),
            ("1/1", NoShard::Beyond(1)),
            ("0/0", NoShard::Count),
            ("3/1001", NoShard::Count),
            ("3", NoShard::Unreadable),
            ("-1/3", NoShard::Unreadable),
            ("+1/3", NoShard::Unreadable),
            ("1/3/4", NoShard::Unreadable),
            ("/3", NoShard::Unreadable),
            ("1/4294967296", NoShard::Unreadable),
            ("$(POD_INDEX)/3", NoShard::Unreadable),
            ("٣/16", NoShard::Unreadable),
        ] {
            assert_eq!(text.parse::<Shard>(), Err(error), "{text}");
        }
        let said = NoShard::Beyond(16).to_string();
        assert!(said.contains("count from 0") && said.contains("15/16"), "{said}");
    }
}
