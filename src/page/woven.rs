//! The page woven of parts: each family once, with its lines of all parts together, as the text format demands it.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    sync::Arc,
};

use super::part::{Head, Part};

/// Parts of the page that are read as one.
pub(super) struct Woven {
    /// In the order in which a family's lines stand.
    parts: Vec<Arc<Part>>,
    /// Lines that come after all families.
    end: String,
}

impl Woven {
    /// These parts, and `end` after them.
    pub(super) const fn new(parts: Vec<Arc<Part>>, end: String) -> Self {
        Self { parts, end }
    }

    /// How long the page is.
    pub(super) fn len(&self) -> usize {
        let heads: usize = self.heads().values().map(|head| head.text.len()).sum();
        heads + self.parts.iter().map(|part| part.len()).sum::<usize>() + self.end.len()
    }

    /// Writes the page, a family at a time: as a whole, that of thousands of accounts would be held in memory twice.
    pub(super) fn write(&self, mut out: impl Write) -> io::Result<()> {
        let mut places = vec![0; self.parts.len()];
        let mut text = String::new();
        for (name, head) in self.heads() {
            text.clear();
            text.push_str(&head.text);
            for (part, place) in self.parts.iter().zip(&mut places) {
                if let Some((of, lines)) = part.family(*place)
                    && of.name == name
                {
                    part.write(name, lines, &mut text);
                    *place += 1;
                }
            }
            out.write_all(text.as_bytes())?;
        }
        out.write_all(self.end.as_bytes())
    }

    /// The heads of all families of all parts, by name.
    fn heads(&self) -> BTreeMap<&str, &Arc<Head>> {
        let mut heads = BTreeMap::new();
        for part in &self.parts {
            let families = (0..).map_while(|place| part.family(place));
            for (head, _) in families {
                heads.insert(head.name.as_str(), head);
            }
        }
        heads
    }
}
