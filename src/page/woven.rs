//! The page woven of parts: each family once, with its lines of all parts together, as the text format demands it.

use std::{
    io::{self, Write},
    sync::Arc,
};

use super::part::{Head, Part};

/// Of so many families the lines are looked for at a time: thousands of parts are more memory than a processor has at hand,
/// and are gone through once for all of these.
const AT_A_TIME: usize = 16;
/// So many bytes are written at a time.
const PIECE: usize = 32 * 1024;

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

    /// Writes the page, piece by piece: as a whole, that of thousands of accounts would be held in memory twice.
    pub(super) fn write(&self, mut out: impl Write) -> io::Result<()> {
        let mut places = vec![0; self.parts.len()];
        let mut found: [Vec<(&Part, &str)>; AT_A_TIME] = Default::default();
        let mut piece = String::with_capacity(2 * PIECE);
        for heads in self.heads.chunks(AT_A_TIME) {
            for (part, place) in self.parts.iter().zip(&mut places) {
                *place = find(part, *place, heads, &mut found);
            }
            for (head, found) in heads.iter().zip(&mut found).filter(|(_, found)| !found.is_empty()) {
                piece.push_str(&head.text);
                for (part, lines) in found.drain(..) {
                    part.write(&head.name, lines, &mut piece);
                    if piece.len() >= PIECE {
                        out.write_all(piece.as_bytes())?;
                        piece.clear();
                    }
                }
            }
        }
        out.write_all(piece.as_bytes())?;
        out.write_all(self.end.as_bytes())
    }
}

/// Finds a part's lines of the families of `heads` from that place of the part on; the place after them.
fn find<'a>(part: &'a Part, mut place: usize, heads: &[Arc<Head>], found: &mut [Vec<(&'a Part, &'a str)>]) -> usize {
    for (head, found) in heads.iter().zip(found) {
        if let Some((of, lines)) = part.family(place)
            && Arc::ptr_eq(of, head)
        {
            found.push((part, lines));
            place += 1;
        }
    }
    place
}
