//! Whether tokens can be kept: found out at the start, before anybody consents, and told until it is mended.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tracing::{info, warn};

use super::{Store, StoreError};

/// How often a store that was well is looked at again, at most: each look writes a file.
const LOOK: Duration = Duration::from_secs(30);

/// A store, and what keeps it from being written.
#[derive(Debug)]
pub struct StoreHealth {
    store: Store,
    found: Mutex<Found>,
}

/// What a look at the store found.
#[derive(Debug)]
struct Found {
    trouble: Option<StoreError>,
    looked: Instant,
}

impl StoreHealth {
    /// Looks at `store`, and logs what is wrong with it.
    pub fn of(store: Store) -> Self {
        let trouble = found(&store);
        if let Some(trouble) = &trouble {
            warn!("sign-ins cannot be stored: {trouble}");
        }
        Self { store, found: Mutex::new(Found { trouble, looked: Instant::now() }) }
    }

    /// What keeps tokens from being kept; looked at again where there is something, which costs a refused call, and now and then.
    pub fn trouble(&self) -> Option<StoreError> {
        let mut known = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if known.trouble.is_some() || known.looked.elapsed() >= LOOK {
            let before = std::mem::replace(&mut *known, Found { trouble: found(&self.store), looked: Instant::now() });
            match (&before.trouble, &known.trouble) {
                (Some(_), None) => info!("sign-ins can now be stored in {}", self.store.place()),
                (None, Some(trouble)) => warn!("sign-ins cannot be stored: {trouble}"),
                _ => {}
            }
        }
        known.trouble.clone()
    }
}

fn found(store: &Store) -> Option<StoreError> {
    store.glance().err().or_else(|| store.check().err())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_trouble_stands_until_it_is_mended_and_names_the_way_out() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("file");
        fs::write(&file, "").unwrap();
        for directory in [file.clone(), file.join("below"), file.join("far/below")] {
            let health = StoreHealth::of(Store::new(&directory));
            for _ in 0..2 {
                let said = health.trouble().map(|trouble| trouble.to_string()).unwrap_or_default();
                assert!(
                    said.contains(directory.to_str().unwrap()) && said.contains("is a file; move that file away"),
                    "{said}"
                );
            }
            fs::remove_file(&file).unwrap();
            assert_eq!(health.trouble(), None, "{}", directory.display());
            fs::remove_dir_all(&file).unwrap();
            fs::write(&file, "").unwrap();
        }
        assert_eq!(StoreHealth::of(Store::new(parent.path().join("a/b"))).trouble(), None);
    }
}
