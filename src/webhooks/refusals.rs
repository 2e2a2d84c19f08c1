//! The subscriptions that Oura refuses one by one: tried again ever more rarely, while all others are made and kept.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::{
    api::{Pair, Refused},
    event::Change,
    plan::Step,
};

/// The waits after refusals in a row.
const AGAIN: [Duration; 4] =
    [Duration::from_secs(60), Duration::from_secs(300), Duration::from_secs(900), Duration::from_secs(3600)];
/// The same while others stand, so that it is neither the callback nor the application; the first one may be over in passing.
const AGAIN_ALONE: [Duration; 3] = [Duration::from_secs(60), Duration::from_secs(3600), Duration::from_secs(6 * 3600)];
/// After so many refusals in a row that may be meant for all, more than one data type has, nothing more is asked.
const MOST_IN_TROUBLE: usize = Change::ALL.len() + 1;

/// What Oura refuses, by what it is of.
#[derive(Default)]
pub(super) struct Refusals(BTreeMap<Pair, Refusal>);

/// How many steps in a row were refused for a reason that may hold for all of them.
#[derive(Default)]
pub(super) struct Trouble(usize);

struct Refusal {
    /// What was refused: to make a subscription is another thing than to renew it.
    what: &'static str,
    count: usize,
    at: Instant,
    words: String,
}

impl Refused {
    /// Whether it may be meant for one subscription, and not for all that could be asked for.
    pub(super) const fn is_of_one(&self) -> bool {
        match self {
            Self::Application(_) | Self::Rejected(_) | Self::Unexpected(_) | Self::Unreadable | Self::Server(_) => true,
            Self::Exists | Self::Unknown | Self::RateLimited(_) | Self::Unreachable(_) => false,
        }
    }
}

impl Trouble {
    /// Takes note of a refusal, where others stand or none does; whether all would be refused so.
    pub(super) fn is_of_all(&mut self, error: &Refused, others_stand: bool) -> bool {
        // While nothing stands, it may as well be the callback or the application.
        let may_be_of_all = matches!(error, Refused::Server(_)) || !others_stand;
        self.0 = if may_be_of_all { self.0 + 1 } else { 0 };
        self.0 >= MOST_IN_TROUBLE
    }

    /// One was not refused.
    pub(super) fn end(&mut self) {
        self.0 = 0;
    }
}

impl Refusals {
    /// Oura has refused that step at `now`, in these words.
    pub(super) fn add(&mut self, step: &Step, words: String, now: Instant) {
        let count = self.count(step).saturating_add(1);
        self.0.insert(step.pair(), Refusal { what: step.word(), count, at: now, words });
    }

    /// How often in a row that step was refused.
    pub(super) fn count(&self, step: &Step) -> usize {
        self.of(step).map_or(0, |refusal| refusal.count)
    }

    fn of(&self, step: &Step) -> Option<&Refusal> {
        self.0.get(&step.pair()).filter(|refusal| refusal.what == step.word())
    }

    /// That one stands, or is another's.
    pub(super) fn end(&mut self, pair: Pair) {
        self.0.remove(&pair);
    }

    /// Keeps those of these steps.
    pub(super) fn keep(&mut self, steps: &[Step]) {
        let is_one = |pair: Pair, what: &str| steps.iter().any(|step| step.pair() == pair && step.word() == what);
        self.0.retain(|pair, refusal| is_one(*pair, refusal.what));
    }

    /// Whether that step may be tried at `now`, where others stand or none does.
    pub(super) fn may_try(&self, step: &Step, now: Instant, others_stand: bool) -> bool {
        self.of(step).is_none_or(|refusal| now >= refusal.again(others_stand))
    }

    /// When the first of them is to be tried again.
    pub(super) fn next(&self, others_stand: bool) -> Option<Instant> {
        self.0.values().map(|refusal| refusal.again(others_stand)).min()
    }

    /// How many there are of pairs for which `is_meant` holds, and what, in words that stay the same as long as they do; none
    /// where there are none.
    pub(super) fn words(&self, is_meant: impl Fn(Pair) -> bool) -> Option<(usize, String)> {
        let mut meant = self.0.iter().filter(|(pair, _)| is_meant(**pair));
        let (_, first) = meant.next()?;
        let mut of: Vec<_> = meant.map(|((data_type, _), _)| *data_type).collect();
        let others = of.len();
        of.dedup();
        let words = if others == 0 { String::new() } else { format!("; nor {others} more, of {}", of.join(", ")) };
        Some((others + 1, format!("{}{words}", first.words)))
    }
}

impl Refusal {
    fn again(&self, others_stand: bool) -> Instant {
        let waits = if others_stand { &AGAIN_ALONE[..] } else { &AGAIN[..] };
        let wait = waits.get(self.count.saturating_sub(1)).or(waits.last());
        self.at + wait.copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLEEP: Pair = ("sleep", Change::Create);

    #[test]
    fn what_is_refused_is_tried_again_rarely_where_others_stand_and_soon_where_none_does() {
        let (start, step) = (Instant::now(), Step::Make(SLEEP));
        let mut refusals = Refusals::default();
        let minutes = |refusals: &Refusals, others_stand| {
            refusals.next(others_stand).map(|next| next.duration_since(start).as_secs() / 60)
        };
        assert_eq!(minutes(&refusals, true), None);
        for (soon, alone) in [(1, 1), (5, 60), (15, 360), (60, 360), (60, 360)] {
            refusals.add(&step, "no".to_owned(), start);
            assert_eq!((minutes(&refusals, false), minutes(&refusals, true)), (Some(soon), Some(alone)));
            let other = Step::Make(("sleep", Change::Delete));
            assert!(!refusals.may_try(&step, start, true) && refusals.may_try(&other, start, true));
        }
        refusals.add(&Step::Make(("tag", Change::Delete)), "neither".to_owned(), start);
        let update = Step::Make(("sleep", Change::Update));
        refusals.add(&update, "neither".to_owned(), start);
        assert_eq!(refusals.words(|_| true), Some((3, "no; nor 2 more, of sleep, tag".to_owned())));
        assert_eq!(refusals.words(|pair| pair.0 == "tag"), Some((1, "neither".to_owned())));
        assert_eq!(refusals.words(|pair| pair.0 == "workout"), None);
        refusals.end(SLEEP);
        refusals.keep(&[update]);
        assert_eq!((refusals.words(|_| true), minutes(&refusals, false)), (Some((1, "neither".to_owned())), Some(1)));
    }

    #[test]
    fn what_is_refused_of_one_kind_keeps_nothing_of_another_kind_from_being_tried() {
        let start = Instant::now();
        let kinds = [
            Step::Make(SLEEP),
            Step::Mend("a".to_owned(), SLEEP),
            Step::Renew("a".to_owned(), SLEEP),
            Step::Renew("b".to_owned(), SLEEP),
        ];
        for refused in &kinds {
            let mut refusals = Refusals::default();
            (0..3).for_each(|_| refusals.add(refused, "no".to_owned(), start));
            for other in &kinds {
                let is_same = other.word() == refused.word();
                assert_eq!(refusals.may_try(other, start, true), !is_same, "{refused:?} {other:?}");
            }
            let other = kinds.iter().find(|other| other.word() != refused.word()).unwrap();
            refusals.keep(std::slice::from_ref(other));
            assert_eq!(refusals.next(true), None, "{refused:?} is not to be done any more");
        }
    }

    #[test]
    fn only_what_is_refused_in_a_row_may_be_meant_for_all() {
        let (server, rejected, application) = (Refused::Server(502), Refused::Rejected(422), Refused::Application(403));
        // What is refused one after the other; none: it is not.
        for (what, steps, others_stand, is_of_all) in [
            ("a service in trouble", vec![Some(&server); 4], true, true),
            ("three", vec![Some(&server); 3], true, false),
            (
                "three, one that is made, and one",
                [vec![Some(&server); 3], vec![None, Some(&server)]].concat(),
                true,
                false,
            ),
            ("each of them", vec![Some(&rejected); 45], true, false),
            ("a callback that cannot be verified", vec![Some(&rejected); 4], false, true),
            ("an application that may not", vec![Some(&application); 4], false, true),
            (
                "another in between",
                [vec![Some(&server); 3], vec![Some(&rejected), Some(&server)]].concat(),
                true,
                false,
            ),
            ("any, where nothing stands", [vec![Some(&server); 3], vec![Some(&rejected)]].concat(), false, true),
        ] {
            let (mut trouble, mut told) = (Trouble::default(), false);
            for step in steps {
                match step {
                    Some(error) => told |= trouble.is_of_all(error, others_stand),
                    None => trouble.end(),
                }
            }
            assert_eq!(told, is_of_all, "{what}");
        }
    }
}
