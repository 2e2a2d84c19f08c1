//! The names that accounts may have: they are file names, labels, and words of a command line.

/// The longest name of an account.
const LONGEST: usize = 64;

/// Whether an account may have that name: letters, digits, dots, dashes and underscores, the first a letter or digit.
pub fn is_name(text: &str) -> bool {
    text.len() <= LONGEST
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}
