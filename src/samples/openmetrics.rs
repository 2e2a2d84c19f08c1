//! Text with times, as OpenMetrics 1.0 (seconds) and as Prometheus' text format 0.0.4 (milliseconds).

use std::io::{self, Write};

use super::{Lines, Series};

/// Milliseconds in a second.
const MILLISECONDS: i64 = 1000;

/// Which of the two text formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0, for `promtool tsdb create-blocks-from openmetrics` too.
    OpenMetrics,
    /// Prometheus' text format 0.0.4.
    Plain,
}

impl Format {
    /// What the Content-Type header says of it.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Plain => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Writes series as text; it must be finished, or a reader takes it for cut off.
pub struct Text<W: Write> {
    out: W,
    format: Format,
    line: Vec<u8>,
    lines: u64,
    family: &'static str,
}

impl<W: Write> Text<W> {
    /// Text of that format, written to `out`, which should be buffered.
    pub const fn new(out: W, format: Format) -> Self {
        Self { out, format, line: Vec::new(), lines: 0, family: "" }
    }

    /// Writes all points of `lines`; `help` knows the metrics.
    ///
    /// # Errors
    /// Where `out` takes no more.
    pub fn write(&mut self, lines: &Lines, help: impl Fn(&str) -> &'static str) -> io::Result<()> {
        for (series, points) in lines {
            self.points(series, points.iter().map(|(time, value)| (*time, *value)), &help)?;
        }
        Ok(())
    }

    /// Writes the points of one series; the first of a metric comes after what `help` knows of it.
    ///
    /// # Errors
    /// Where `out` takes no more.
    pub fn points(
        &mut self,
        series: &Series,
        points: impl Iterator<Item = (i64, f64)>,
        help: impl Fn(&str) -> &'static str,
    ) -> io::Result<()> {
        let mut points = points.peekable();
        if points.peek().is_none() {
            return Ok(());
        }
        if series.name != self.family {
            self.family = series.name;
            self.head(series.name, help(series.name))?;
        }
        self.series(series, points)
    }

    fn head(&mut self, name: &str, help: &str) -> io::Result<()> {
        let help = help.replace('\\', r"\\").replace('\n', r"\n");
        let help = if self.format == Format::OpenMetrics { help.replace('"', "\\\"") } else { help };
        writeln!(self.out, "# HELP {name} {help}\n# TYPE {name} gauge")
    }

    fn series(&mut self, series: &Series, points: impl Iterator<Item = (i64, f64)>) -> io::Result<()> {
        self.line.clear();
        named(&mut self.line, series)?;
        let (name, mut value) = (self.line.len(), None);
        let mut until_time = name;
        for (time, number) in points {
            if value.replace(number.to_bits()) != Some(number.to_bits()) {
                self.line.truncate(name);
                write!(self.line, " {number} ")?;
                until_time = self.line.len();
            }
            self.line.truncate(until_time);
            self.time(time)?;
            self.line.push(b'\n');
            self.out.write_all(&self.line)?;
            self.lines += 1;
        }
        Ok(())
    }

    fn time(&mut self, milliseconds: i64) -> io::Result<()> {
        if self.format == Format::Plain {
            return write!(self.line, "{milliseconds}");
        }
        let (seconds, rest) = (milliseconds.div_euclid(MILLISECONDS), milliseconds.rem_euclid(MILLISECONDS));
        if rest == 0 { write!(self.line, "{seconds}") } else { write!(self.line, "{seconds}.{rest:03}") }
    }

    /// How many lines of samples were written.
    pub const fn lines(&self) -> u64 {
        self.lines
    }

    /// Writes the end and gives back what was written to.
    ///
    /// # Errors
    /// Where `out` takes no more.
    pub fn finish(mut self) -> io::Result<W> {
        if self.format == Format::OpenMetrics {
            self.out.write_all(b"# EOF\n")?;
        }
        self.out.flush()?;
        Ok(self.out)
    }
}

fn named(line: &mut Vec<u8>, series: &Series) -> io::Result<()> {
    line.extend_from_slice(series.name.as_bytes());
    for (place, (name, value)) in series.labels.iter().enumerate() {
        let value = value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
        write!(line, "{}{name}=\"{value}\"", if place == 0 { '{' } else { ',' })?;
    }
    if !series.labels.is_empty() {
        line.push(b'}');
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn text(format: Format) -> String {
        let of = |name, labels| Arc::new(Series::of("anna", name, labels));
        let lines = Lines::from([
            (
                of("oura_a", vec![("kind", "".into()), ("tag", "a\"b\\c\nd".into())]),
                [(600_000, 0.5), (900_000, 0.5)].into(),
            ),
            (of("oura_b", vec![]), [(1_500, 61.0), (2_000, 62.0)].into()),
            (of("oura_c", vec![]), [].into()),
        ]);
        let mut text = Text::new(Vec::new(), format);
        text.write(&lines, |_| "Help \"quoted\".").unwrap();
        assert_eq!(text.lines(), 4);
        String::from_utf8(text.finish().unwrap()).unwrap()
    }

    #[test]
    fn open_metrics_has_seconds_and_an_end() {
        let expected = "# HELP oura_a Help \\\"quoted\\\".\n# TYPE oura_a gauge\n\
            oura_a{account=\"anna\",tag=\"a\\\"b\\\\c\\nd\"} 0.5 600\n\
            oura_a{account=\"anna\",tag=\"a\\\"b\\\\c\\nd\"} 0.5 900\n\
            # HELP oura_b Help \\\"quoted\\\".\n# TYPE oura_b gauge\n\
            oura_b{account=\"anna\"} 61 1.500\noura_b{account=\"anna\"} 62 2\n# EOF\n";
        assert_eq!(text(Format::OpenMetrics), expected);
    }

    #[test]
    fn plain_text_has_milliseconds_and_no_end() {
        let text = text(Format::Plain);
        assert!(text.contains("oura_b{account=\"anna\"} 61 1500\n") && text.ends_with("62 2000\n"), "{text}");
        assert!(text.contains("# HELP oura_a Help \"quoted\".\n"), "{text}");
    }
}
