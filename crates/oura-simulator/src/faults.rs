//! What can be made to go wrong, for whom, and for how many requests.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::Value;

use super::{Rule, at_random::AtRandom};

/// Whose and which requests a fault is for; nothing named: all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// The name of the person; none: everybody's.
    pub person: Option<String>,
    /// The name of the collection; none: all of them.
    pub collection: Option<String>,
}

impl Scope {
    /// Every request.
    pub fn all() -> Self {
        Self::default()
    }

    /// Everybody's requests for this collection.
    pub fn collection(name: impl Into<String>) -> Self {
        Self { person: None, collection: Some(name.into()) }
    }

    /// Every request of this person.
    pub fn person(name: impl Into<String>) -> Self {
        Self { person: Some(name.into()), collection: None }
    }

    /// Only the requests for this collection.
    #[must_use]
    pub fn and_collection(self, name: impl Into<String>) -> Self {
        Self { collection: Some(name.into()), ..self }
    }

    fn covers(&self, person: Option<&str>, collection: &str) -> bool {
        self.person.as_deref().is_none_or(|name| Some(name) == person)
            && self.collection.as_deref().is_none_or(|name| name == collection)
    }
}

/// A way in which the service fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This status, with the body that the service would send: JSON, or HTML from 500 on.
    Status(u16),
    /// 429 with the five headers of the rate limit.
    RateLimited {
        /// What Retry-After says.
        retry_after_seconds: u64,
    },
    /// The same, which speaks for the whole application.
    ApplicationLimited {
        /// What Retry-After says.
        retry_after_seconds: u64,
    },
    /// 401: the token is expired or revoked.
    TokenDead,
    /// 401: the token lacks the collection's scope; personal_info, which needs none, is answered.
    ScopeMissing,
    /// 403 on everything, personal_info included.
    MembershipLapsed,
    /// 200 with a page of HTML.
    Html,
    /// 200 with JSON that ends in the middle.
    CutJson,
    /// 200 with compression that ends in the middle.
    CutGzip,
    /// 200 with a list that holds nothing, whatever there is.
    EmptyList,
    /// The request is taken and never answered.
    Hang,
    /// Every page names the same next page.
    RepeatToken,
    /// Every page names another next page, for ever; whoever follows one is led on when the fault is over, too.
    EndlessPages,
    /// The connection is closed without an answer.
    Drop,
    /// The answer is right, and late.
    Delay(Duration),
    /// The fault, for the next so many requests that it covers; then as if it had not been set.
    Times(u32, Box<Fault>),
}

type Edit = Arc<dyn Fn(&mut Vec<Value>) + Send + Sync>;

/// What is switched to go wrong; it can be changed while the simulator runs.
#[derive(Default)]
pub struct Faults(Mutex<Switches>);

#[derive(Default)]
struct Switches {
    random: Option<AtRandom>,
    faults: Vec<(Scope, Fault)>,
    edits: Vec<(Scope, Edit)>,
}

impl Faults {
    /// From now on `fault` answers for what `scope` names; later switches win over earlier ones.
    pub fn set(&self, scope: Scope, fault: Fault) {
        self.switches().faults.push((scope, fault));
    }

    /// From now on this share of all requests fails, in any of some twenty ways; the same seed gives each person's
    /// collection the same sequence of faults. Those that are set win over these.
    pub fn at_random(&self, seed: u64, share: f64) {
        self.switches().random = Some(AtRandom::new(seed, share));
    }

    /// Everything is well again, and all documents are as they were.
    pub fn clear(&self) {
        *self.switches() = Switches::default();
    }

    /// What is set, the latest last; what is used up is left out.
    pub(super) fn set_now(&self) -> Vec<Rule> {
        let switches = self.switches();
        let left = switches.faults.iter().filter(|(_, fault)| !matches!(fault, Fault::Times(0, _)));
        left.map(|(scope, fault)| Rule { scope: scope.clone(), fault: fault.clone() }).collect()
    }

    /// Changes a collection's documents on their way out: `edit` gets all of them near the window that was asked for,
    /// before the window, pages and fields are cut. Edits add up, in the order in which they were made.
    pub fn edit(&self, scope: Scope, edit: impl Fn(&mut Vec<Value>) + Send + Sync + 'static) {
        self.switches().edits.push((scope, Arc::new(edit)));
    }

    /// Whether nothing goes wrong, and nothing is edited.
    pub(super) fn are_none(&self) -> bool {
        let switches = self.switches();
        switches.random.is_none() && switches.faults.is_empty() && switches.edits.is_empty()
    }

    /// The fault that meets this request, counted as met.
    pub(super) fn strike(&self, person: Option<&str>, collection: &str) -> Option<Fault> {
        let mut switches = self.switches();
        loop {
            let place = switches.faults.iter().rposition(|(scope, _)| scope.covers(person, collection));
            let Some(place) = place else { return switches.random.as_mut()?.strike(person, collection) };
            match spend(&mut switches.faults[place].1) {
                Some(fault) => return Some(fault),
                None => drop(switches.faults.remove(place)),
            }
        }
    }

    /// The edits that concern these documents.
    pub(super) fn edits(&self, person: Option<&str>, collection: &str) -> Vec<Edit> {
        let switches = self.switches();
        let covering = switches.edits.iter().filter(|(scope, _)| scope.covers(person, collection));
        covering.map(|(_, edit)| Arc::clone(edit)).collect()
    }

    fn switches(&self) -> MutexGuard<'_, Switches> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What `fault` does this time; nothing once it is used up.
fn spend(fault: &mut Fault) -> Option<Fault> {
    let Fault::Times(left, inner) = fault else { return Some(fault.clone()) };
    *left = left.checked_sub(1)?;
    spend(inner)
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let switches = self.switches();
        f.debug_struct("Faults")
            .field("faults", &switches.faults)
            .field("random", &switches.random)
            .field("edits", &switches.edits.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_switch_wins_and_counted_ones_wear_off() {
        let faults = Faults::default();
        faults.set(Scope::all(), Fault::Html);
        faults.set(Scope::person("alice").and_collection("sleep"), Fault::Times(2, Box::new(Fault::Drop)));
        let sleep = || faults.strike(Some("alice"), "sleep");
        assert_eq!(faults.strike(Some("bob"), "sleep"), Some(Fault::Html));
        assert_eq!([sleep(), sleep(), sleep()], [Some(Fault::Drop), Some(Fault::Drop), Some(Fault::Html)]);
        faults.clear();
        assert_eq!(sleep(), None);
    }
}
