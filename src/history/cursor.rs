//! How far a remote-write backfill has come, so that one that was cut off goes on there.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::state::StateFile;

/// The place of one backfill: everything before it was sent.
pub(super) struct Cursor {
    file: Option<StateFile>,
    place: Place,
}

#[derive(Clone, Copy, Default, Deserialize, Serialize)]
struct Place {
    /// Milliseconds since 1970; none before the first request.
    sent_before: Option<i64>,
}

impl Cursor {
    /// The place of the backfill that `parts` identify, or its beginning if it is to begin `anew`; where there is no
    /// `state` directory, it is forgotten at the end.
    ///
    /// # Errors
    /// Where its file cannot be read.
    pub(super) fn open(state: Option<&Path>, parts: &[String], anew: bool) -> anyhow::Result<Self> {
        let file = state.map(|state| StateFile::new(state, "backfill", parts));
        let place = file.as_ref().filter(|_| !anew).map_or(Ok(Place::default()), StateFile::read)?;
        Ok(Self { file, place })
    }

    /// Everything before this was sent, in milliseconds since 1970.
    pub(super) fn sent_before(&self) -> i64 {
        self.place.sent_before.unwrap_or(i64::MIN / 4)
    }

    /// Whether a run before this one has sent something.
    pub(super) fn has_begun(&self) -> bool {
        self.place.sent_before.is_some()
    }

    /// Takes note that everything before `time` was sent.
    ///
    /// # Errors
    /// Where its file cannot be written.
    pub(super) fn advance(&mut self, time: i64) -> anyhow::Result<()> {
        if time > self.sent_before() {
            self.place.sent_before = Some(time);
            self.file.as_ref().map_or(Ok(()), |file| file.write(&self.place))?;
        }
        Ok(())
    }
}
