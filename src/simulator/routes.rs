//! Which path leads where.

use super::collections::{Collection, Kind, named};

/// Where a path leads.
#[derive(Clone, Copy, Debug)]
pub(super) enum Route<'a> {
    /// To documents.
    Data(Data<'a>),
}

/// Which documents a path names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Data<'a> {
    pub(super) collection: &'static Collection,
    /// The one document that is asked for; none: all in the window.
    pub(super) id: Option<&'a str>,
    pub(super) is_sandbox: bool,
}

/// Where `path` leads, if anywhere.
pub(super) fn route(path: &str) -> Option<Route<'_>> {
    let rest = path.strip_prefix("/v2/")?;
    let (rest, is_sandbox) = rest.strip_prefix("sandbox/").map_or((rest, false), |rest| (rest, true));
    let rest = rest.strip_prefix("usercollection/")?;
    let (name, id) = rest.split_once('/').map_or((rest, None), |(name, id)| (name, Some(id)));
    let collection = named(name)?;
    let exists = match collection.kind {
        Kind::Dates | Kind::List => id.is_none_or(|id| !id.is_empty() && !id.contains('/')),
        Kind::Series => id.is_none(),
        Kind::Single => id.is_none() && !is_sandbox,
    };
    exists.then_some(Route::Data(Data { collection, id, is_sandbox }))
}
