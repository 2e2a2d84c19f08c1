//! Who asks for documents, and what of them their token lets them see.

use serde_json::Value;

use super::{
    collections::{Collection, Kind},
    person_timeline::Life,
};

/// Which fields of personal_info need which scope.
const PERSONAL: [(&str, &str); 5] = [
    ("age", "personal"),
    ("weight", "personal"),
    ("height", "personal"),
    ("biological_sex", "personal"),
    ("email", "email"),
];

/// Somebody with a token that is good.
#[derive(Clone, Debug)]
pub(super) struct Visitor {
    pub(super) life: Life,
    /// What the token opens; none: everything.
    pub(super) scopes: Option<Vec<String>>,
}

impl Visitor {
    /// Whether the token opens this collection.
    pub(super) fn may_see(&self, collection: &Collection) -> bool {
        collection.scope.is_empty() || self.has(collection.scope)
    }

    /// An answer without the fields that the token does not open.
    pub(super) fn shown(&self, collection: &Collection, mut answer: Value) -> Value {
        if let (Kind::Single, Some(members)) = (collection.kind, answer.as_object_mut()) {
            members.retain(|field, _| PERSONAL.iter().all(|(name, scope)| name != field || self.has(scope)));
        }
        answer
    }

    fn has(&self, scope: &str) -> bool {
        self.scopes.as_ref().is_none_or(|scopes| scopes.iter().any(|one| one == scope))
    }
}
