//! Faults at random: which answer fails, and how, follows from a seed and from how often was asked before.

use std::{collections::HashMap, time::Duration};

use super::{faults::Fault, noise::Noise};

/// The ways in which an answer fails at random, all equally likely.
pub(super) const WAYS: &[Fault] = &[
    Fault::Status(400),
    Fault::Status(404),
    Fault::Status(408),
    Fault::Status(425),
    Fault::Status(429),
    Fault::RateLimited { retry_after_seconds: 60 },
    Fault::Status(500),
    Fault::Status(502),
    Fault::Status(503),
    Fault::Status(504),
    Fault::Status(599),
    Fault::TokenDead,
    Fault::MembershipLapsed,
    Fault::Html,
    Fault::CutJson,
    Fault::CutGzip,
    Fault::EmptyList,
    Fault::RepeatToken,
    Fault::EndlessPages,
    Fault::Hang,
    Fault::Drop,
    Fault::Delay(Duration::from_secs(20)),
];

/// Faults that meet a share of all requests. Each collection of each person has a sequence of its own, so that what
/// happens to it does not depend on the order in which requests arrive.
#[derive(Debug)]
pub(super) struct AtRandom {
    noise: Noise,
    share: f64,
    /// How many requests of a person's collection there were.
    asked: HashMap<(String, String), i64>,
}

impl AtRandom {
    pub(super) fn new(seed: u64, share: f64) -> Self {
        Self { noise: Noise::new(seed).of("faults at random"), share, asked: HashMap::new() }
    }

    /// The fault that meets the next request, if one does.
    pub(super) fn strike(&mut self, person: Option<&str>, collection: &str) -> Option<Fault> {
        let person = person.unwrap_or_default();
        let asked = self.asked.entry((person.to_owned(), collection.to_owned())).or_default();
        *asked += 1;
        let here = self.noise.of(person).of(collection).at(*asked);
        here.chance(self.share).then(|| chosen(here.of("way"), WAYS))
    }
}

/// One of `ways`.
pub(super) fn chosen<T: Clone>(noise: Noise, ways: &[T]) -> T {
    let ways: Vec<&T> = ways.iter().collect();
    noise.pick(&ways).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_requests_fails_in_every_way_and_the_seed_says_which() {
        let struck = |seed| {
            let mut random = AtRandom::new(seed, 0.3);
            (0..2000).map(|_| random.strike(Some("alice"), "sleep")).collect::<Vec<_>>()
        };
        let faults = struck(1);
        let failed = faults.iter().flatten().count();
        assert!((540..660).contains(&failed), "{failed}");
        assert!(WAYS.len() >= 15);
        assert!(WAYS.iter().all(|way| faults.contains(&Some(way.clone()))));
        assert_eq!(faults, struck(1));
        assert_ne!(faults, struck(2));
    }

    #[test]
    fn what_meets_a_collection_does_not_depend_on_the_others() {
        let (mut alone, mut among) = (AtRandom::new(7, 0.3), AtRandom::new(7, 0.3));
        for _ in 0..200 {
            among.strike(Some("alice"), "heartrate");
            among.strike(Some("bob"), "sleep");
            assert_eq!(among.strike(Some("alice"), "sleep"), alone.strike(Some("alice"), "sleep"));
        }
    }
}
