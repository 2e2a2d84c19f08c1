//! How far a backfill has come: a bar on a terminal, a line a month elsewhere, and all of it on standard error.

use std::{
    io::{self, IsTerminal as _},
    time::{Duration, Instant},
};

use chrono::NaiveDate;
use indicatif::{ProgressBar, ProgressStyle};
use tracing::info;

const TEMPLATE: &str = "{bar:30} {pos}/{len} days, {msg}, {eta} left";
/// How often the bar is drawn anew without news.
const TICK: Duration = Duration::from_millis(500);

/// What tells of it.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    started: Instant,
    documents: usize,
    samples: u64,
}

impl Progress {
    /// From now on; nothing is drawn yet.
    pub(super) fn new() -> Self {
        Self { bar: None, started: Instant::now(), documents: 0, samples: 0 }
    }

    /// It is of so many days.
    pub(super) fn of(&mut self, days: u64) {
        self.bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(days);
            bar.set_style(ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.enable_steady_tick(TICK);
            bar
        });
    }

    /// More documents were read.
    pub(super) fn read(&mut self, documents: usize) {
        self.documents += documents;
        self.draw();
    }

    /// More samples were written.
    pub(super) fn wrote(&mut self, samples: u64) {
        self.samples += samples;
        self.draw();
    }

    /// The stretch from `first` is done, which had so many days.
    pub(super) fn done(&self, first: NaiveDate, days: u64) {
        match &self.bar {
            Some(bar) => bar.inc(days),
            None => info!("{}: done; {}", first.format("%Y-%m"), self.words()),
        }
    }

    /// Takes the bar away, and gives what came of it in words.
    pub(super) fn end(&self) -> String {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.words()
    }

    fn draw(&self) {
        if let Some(bar) = &self.bar {
            bar.set_message(self.words());
        }
    }

    fn words(&self) -> String {
        let rate = self.samples as f64 / self.started.elapsed().as_secs_f64().max(0.001);
        format!("{} documents, {} samples, {rate:.0} samples a second", self.documents, self.samples)
    }
}
