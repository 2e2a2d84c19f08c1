//! What all pages for people share: style, navigation, and texts as they may stand in HTML.

use std::fmt::{self, Write as _};

/// The style of every page.
pub(crate) const STYLE: &str = include_str!("style.css");

/// The links at the top of every page.
pub(crate) const NAVIGATION: &str = "<nav aria-label=\"Pages\"><ul><li><a href=\"./\">Today</a><li><a href=\"sign-in\">People</a>\
    <li><a href=\"metrics\">Metrics</a><li><a href=\"-/ready\">Ready</a><li><a href=\"-/healthy\">Healthy</a></ul></nav>";

/// A text as it may stand in HTML.
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}
