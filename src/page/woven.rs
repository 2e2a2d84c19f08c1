//! The page woven of parts: each family once, with its lines of all parts together, as the text format demands it.

use std::{
    io::{self, Write},
    sync::Arc,
};

use super::part::{Head, Part};

/// Parts of the page that are read as one.
pub(super) struct Woven {
    /// Of all families that there may be, by name.
    heads: Vec<Arc<Head>>,
    /// In the order in which a family's lines stand.
    parts: Vec<Arc<Part>>,
    /// Lines that come after all families.
    end: String,
}

impl Woven {
    /// These parts, whose families are among those of `heads`, and `end` after them.
    pub(super) const fn new(heads: Vec<Arc<Head>>, parts: Vec<Arc<Part>>, end: String) -> Self {
        Self { heads, parts, end }
    }

    /// How long the page is at most.
    pub(super) fn most(&self) -> usize {
        let heads: usize = self.heads.iter().map(|head| head.text.len()).sum();
        heads + self.parts.iter().map(|part| part.len()).sum::<usize>() + self.end.len()
    }

    /// Writes the page, a family at a time: as a whole, that of thousands of accounts would be held in memory twice.
    pub(super) fn write(&self, mut out: impl Write) -> io::Result<()> {
        let mut places = vec![0; self.parts.len()];
        let mut text = String::new();
        for head in &self.heads {
            text.clear();
            for (part, place) in self.parts.iter().zip(&mut places) {
                if let Some((of, lines)) = part.family(*place)
                    && of.name == head.name
                {
                    if text.is_empty() {
                        text.push_str(&head.text);
                    }
                    part.write(&head.name, lines, &mut text);
                    *place += 1;
                }
            }
            out.write_all(text.as_bytes())?;
        }
        out.write_all(self.end.as_bytes())
    }
}
