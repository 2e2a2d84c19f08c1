//! Seeded noise that can be asked for at any place, so that a document of any day costs no more than itself.

/// A point in a tree of pseudo-random numbers; the same path from the same seed gives the same numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Noise(u64);

impl Noise {
    /// The root for `seed`.
    pub(super) const fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    /// The branch called `name`.
    pub(super) fn of(self, name: &str) -> Self {
        let hash = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Self(mix(self.0 ^ hash))
    }

    /// The branch with this number.
    pub(super) const fn at(self, index: i64) -> Self {
        Self(mix(self.0.wrapping_add(index.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15))))
    }

    /// The 64 bits here.
    pub(super) const fn bits(self) -> u64 {
        self.0
    }

    /// From 0 up to but without 1.
    pub(super) fn unit(self) -> f64 {
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// From `low` to `high`, evenly.
    pub(super) fn between(self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// A whole number from `low` to `high`, both included.
    pub(super) fn whole(self, low: i64, high: i64) -> i64 {
        (self.between(low as f64, (high + 1) as f64).floor() as i64).clamp(low, high)
    }

    /// True in this share of all places.
    pub(super) fn chance(self, share: f64) -> bool {
        self.unit() < share
    }

    /// From -1 to 1, mostly near 0.
    pub(super) fn bell(self) -> f64 {
        (0..3).map(|part| self.at(part).between(-1.0, 1.0)).sum::<f64>() / 3.0
    }

    /// One of `choices`, which must not be empty.
    pub(super) fn pick<T: Copy>(self, choices: &[T]) -> T {
        choices[(self.0 % choices.len() as u64) as usize]
    }
}

/// Scatters the bits of `x` (the finaliser of splitmix64); no two inputs give the same output.
pub(super) const fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
