//! How the program tells what happens: log lines for a service, sentences for a person at a terminal.

use std::{
    fmt::{self, Write as _},
    io::{self, IsTerminal as _},
};

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    filter::Targets,
    fmt::{
        FmtContext,
        format::{FormatEvent, FormatFields, Writer},
    },
    layer::SubscriberExt as _,
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

use crate::config::LogConfig;

/// Who reads what is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// A service manager and those who look into its log.
    Log,
    /// Whoever typed the command; who asks for more than usual, or for JSON, gets the log all the same.
    Person,
}

pub(super) fn start(log: LogConfig, reader: Reader) {
    let filter = Targets::new().with_target(env!("CARGO_CRATE_NAME"), log.level).with_default(Level::WARN);
    let registry = tracing_subscriber::registry().with(filter);
    // A log that nobody can be given is no reason to end.
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr).log_internal_errors(false);
    let layer = layer.with_ansi(io::stderr().is_terminal());
    if log.json {
        registry.with(layer.json()).init();
    } else if reader == Reader::Person && log.level <= Level::INFO {
        registry.with(layer.event_format(Sentences)).init();
    } else {
        registry.with(layer.with_target(false)).init();
    }
}

/// Writes an event as a sentence: what happened, and in brackets to what.
struct Sentences;

impl<S, N> FormatEvent<S, N> for Sentences
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut sentence = Sentence::default();
        event.record(&mut sentence);
        if *event.metadata().level() <= Level::WARN {
            writer.write_str("oura-exporter: ")?;
        }
        writer.write_str(&sentence.message)?;
        if !sentence.details.is_empty() {
            write!(writer, " ({})", sentence.details)?;
        }
        writeln!(writer)
    }
}

#[derive(Default)]
struct Sentence {
    message: String,
    details: String,
}

impl Visit for Sentence {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
            return;
        }
        let comma = if self.details.is_empty() { "" } else { ", " };
        let _writing_to_memory = write!(self.details, "{comma}{} {value:?}", field.name());
    }
}
