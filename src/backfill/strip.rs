//! Taking the days of somebody out of a file of OpenMetrics.

use std::io::{self, BufRead, Write};

use crate::observation::ACCOUNT_LABEL;

/// Copies all lines but the samples of `account`; whether there are any other ones.
///
/// # Errors
/// Where `from` cannot be read, or `to` takes no more.
pub(super) fn without(account: &str, mut from: impl BufRead, mut to: impl Write) -> io::Result<bool> {
    // A quote within a value has a backslash before it, so this is the label and no part of another one.
    let label = |before: char| format!("{before}{ACCOUNT_LABEL}=\"{account}\"").into_bytes();
    let labels = ['{', ','].map(label);
    let (mut line, mut has_others) = (Vec::new(), false);
    while from.read_until(b'\n', &mut line)? > 0 {
        let is_sample = !line.starts_with(b"#");
        let is_theirs = || labels.iter().any(|label| line.windows(label.len()).any(|part| part == label));
        if !is_sample || !is_theirs() {
            has_others |= is_sample;
            to.write_all(&line)?;
        }
        line.clear();
    }
    to.flush()?;
    Ok(has_others)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_one_are_gone_and_all_others_are_there() {
        let others = "# TYPE a gauge\na{account=\"annabel\",job=\"oura\"} 2 1\na{account=\"bob\",job=\",account=\\\"anna\\\"\"} 3 1\n";
        let text =
            format!("{others}a{{account=\"anna\",job=\"oura\"}} 1 1\na{{a=\"b\",account=\"anna\"}} 1 1\n# EOF\n");
        let mut kept = Vec::new();
        assert!(without("anna", text.as_bytes(), &mut kept).unwrap());
        assert_eq!(String::from_utf8(kept).unwrap(), format!("{others}# EOF\n"));
        let alone = "# TYPE a gauge\na{account=\"anna\"} 1 1\n# EOF\n";
        assert!(!without("anna", alone.as_bytes(), io::sink()).unwrap(), "nothing is left");
    }
}
