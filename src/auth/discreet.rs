//! Texts of others, made fit to be shown: without secrets, e-mail addresses, and characters that steer a terminal.

/// What stands in place of what is struck out.
pub(super) const REMOVED: &str = "[removed]";
/// Longer words are likelier a token or a code than a word.
const LONGEST_WORD: usize = 28;
const MOST_WORDS: usize = 30;
/// What Oura's access and refresh tokens begin with.
const TOKEN_PREFIXES: [&str; 2] = ["_0X", "_1X"];

/// A text without `secrets`, without words that hold an e-mail address or might be a token, and on one line.
pub(super) fn harmless(text: &str, secrets: &[&str]) -> String {
    // What nobody sees goes first: it could stand in the middle of a secret.
    let mut text = visible(text);
    for secret in secrets.iter().map(|secret| visible(secret)).filter(|secret| !secret.trim().is_empty()) {
        let encoded: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        for shape in [&secret, &encoded, &with_small_escapes(&encoded)] {
            text = text.replace(shape, REMOVED);
        }
    }
    text.split_whitespace().take(MOST_WORDS).map(word).collect::<Vec<_>>().join(" ")
}

/// A file's name, however long, without words that hold an e-mail address or a token, and on one line.
pub(super) fn harmless_name(name: &str) -> String {
    let name = visible(name);
    let words = name.split(' ').map(|word| if is_private(word) { REMOVED } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// The same with the digits of each percent-encoding in lower case, as some write them.
fn with_small_escapes(encoded: &str) -> String {
    let mut parts = encoded.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    let small = |part: &str| match part.split_at_checked(2) {
        Some((digits, rest)) => format!("%{}{rest}", digits.to_ascii_lowercase()),
        None => format!("%{part}"),
    };
    parts.map(small).fold(first, |text, part| text + &part)
}

/// The word, or what stands in its place. What is left of a word beside a secret is judged by itself.
fn word(word: &str) -> &str {
    let is_long = word.split(REMOVED).any(|part| part.chars().count() > LONGEST_WORD);
    if is_long || is_private(word) { REMOVED } else { word }
}

fn is_private(word: &str) -> bool {
    TOKEN_PREFIXES.iter().any(|prefix| word.contains(prefix)) || has_address(word)
}

/// Whether the word holds an e-mail address, as such or percent-encoded.
fn has_address(word: &str) -> bool {
    word.contains(['@', '\u{fe6b}', '\u{ff20}']) || word.contains("%40")
}

/// The text with a blank for each line break or tab, and without other characters that show nothing of their own.
fn visible(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c });
    plain.filter(|c| !c.is_control() && !is_formatting(*c)).collect()
}

/// Whether the character changes how others are shown, their direction above all, and shows nothing itself (Unicode's
/// category Cf, and fillers that are blank).
const fn is_formatting(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}'
        | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_secrets_are_struck_out_however_short_and_wherever_they_stand() {
        let secrets = ["hunter2", "a+b/c=", ""];
        for (text, shown) in [
            ("client_secret hunter2 is wrong", "client_secret [removed] is wrong"),
            ("secret='hunter2'.", "secret='[removed]'."),
            ("hun\u{200b}ter2 and hunt\u{7}er2", "[removed] and [removed]"),
            ("a+b/c= or a%2Bb%2Fc%3D", "[removed] or [removed]"),
            ("xxhunter2hunter2xx of no use", "xx[removed][removed]xx of no use"),
            ("s=a%2bB%2f or a%2bb%2fc%3d", "s=a%2bB%2f or [removed]"),
            ("s=hunter2&t=abcdefghijABCDEFGHIJ0123456789 is bad", "[removed] is bad"),
        ] {
            assert_eq!(harmless(text, &secrets), shown, "{text}");
        }
    }

    #[test]
    fn e_mail_addresses_and_what_may_be_a_token_are_struck_out() {
        for (text, shown) in [
            ("the user anna@example.com, is unknown", "the user [removed] is unknown"),
            ("login=anna%40example.com now", "[removed] now"),
            ("<mailto:anna＠example.com>", "[removed]"),
            ("for (_0XBPWQQ_x) and t=_1XBPWQQ_y", "for [removed] and [removed]"),
            ("id 0123456789abcdef0123456789abcdef", "id [removed]"),
        ] {
            assert_eq!(harmless(text, &[]), shown, "{text}");
        }
    }

    #[test]
    fn nothing_steers_the_terminal_or_turns_the_line_round() {
        for (text, shown) in [
            ("red \u{1b}[31mnow\u{1b}[0m", "red [31mnow[0m"),
            ("first\r\nWARN second\u{2028}third", "first WARN second third"),
            ("\u{202e}terces\u{202c} \u{2066}x\u{2069}\u{61c}", "terces x"),
            ("\u{feff}a\u{ad}b\u{200d}c\u{e0041}", "abc"),
            ("\u{9b}2J\u{0}\u{7f}clear", "2Jclear"),
        ] {
            assert_eq!(harmless(text, &[]), shown, "{text:?}");
        }
        let long = "word ".repeat(500);
        assert_eq!(harmless(&long, &[]).split(' ').count(), MOST_WORDS);
    }
}
