//! Panels have a place and an id of their own.

use serde_json::Value;

use super::board::{assert_none, list, name, panels, repeated, shown};

const GRID_WIDTH: u64 = 24;

/// The narrowest panel, in columns: a sixth of a screen of 1,280 pixels. On a phone each panel has a row to itself.
const NARROWEST: u64 = 4;

#[test]
fn panels_have_an_id_of_their_own() {
    assert_none(|dashboard| {
        let ids = panels(dashboard).into_iter().map(|panel| panel["id"].as_u64());
        let twice = repeated(ids);
        let unfit = |panel: &&Value| panel["id"].as_u64().is_none_or(|id| id == 0 || twice.contains(&Some(id)));
        let told = |panel| format!("{}: the id is missing or used twice", name(panel));
        panels(dashboard).into_iter().filter(unfit).map(told).collect()
    });
}

#[test]
fn panels_lie_side_by_side() {
    assert_none(|dashboard| {
        let board = list(&dashboard.json, "panels");
        let rows = board.iter().map(|panel| list(panel, "panels"));
        [board].into_iter().chain(rows).flat_map(misplaced).collect()
    });
}

/// What lies outside the grid or on another of these panels.
fn misplaced(panels: &[Value]) -> Vec<String> {
    let outside = panels.iter().filter(|panel| place(panel).is_none());
    let outside = outside.map(|panel| format!("{}: no gridPos within {GRID_WIDTH} columns", name(panel)));
    let pairs = panels.iter().enumerate().flat_map(|(i, a)| panels[i + 1..].iter().map(move |b| (a, b)));
    let overlaps = pairs.filter(|(a, b)| place(a).zip(place(b)).is_some_and(|(a, b)| a.overlaps(&b)));
    outside.chain(overlaps.map(|(a, b)| format!("{}: overlaps {}", name(a), name(b)))).collect()
}

struct Place {
    x: u64,
    y: u64,
    w: u64,
    h: u64,
}

impl Place {
    fn overlaps(&self, other: &Self) -> bool {
        self.x < other.x + other.w
            && other.x < self.x + self.w
            && self.y < other.y + other.h
            && other.y < self.y + self.h
    }
}

fn place(panel: &Value) -> Option<Place> {
    let side = |key: &str| panel["gridPos"][key].as_u64();
    let place = Place { x: side("x")?, y: side("y")?, w: side("w")?, h: side("h")? };
    (place.w > 0 && place.h > 0 && place.x + place.w <= GRID_WIDTH).then_some(place)
}

#[test]
fn panels_are_wide_enough_to_read() {
    assert_none(|dashboard| {
        let narrow = |panel: &&Value| place(panel).is_some_and(|place| place.w < NARROWEST);
        let told = |panel| format!("{}: narrower than {NARROWEST} columns", name(panel));
        shown(dashboard).into_iter().filter(narrow).map(told).collect()
    });
}
