//! What measures its own process, which no other test may share.
#![allow(clippy::expect_used)]

mod chaos;
#[path = "../it/common/mod.rs"]
#[allow(dead_code)] // tests/it uses all of it
mod common;
