//! What is made of the table of settings: the help, and the table in docs/configuration.md.

use super::settings::{Unset, VARIABLES, Variable};

/// The section of `--help` about them.
pub fn help() -> String {
    let mut help = "Environment:\n".to_owned();
    for variable in VARIABLES {
        let default = match variable.unset {
            Unset::Nothing => None,
            Unset::Value(words) | Unset::Words(words) => Some(format!("[default: {words}]")),
        };
        help += &format!("  {}\n{}", variable.name, indented(variable.help.split(' ').chain(default.as_deref())));
    }
    help + "\nA flag wins over its variable. Spaces around a value are ignored.\n"
}

/// Words in lines that fit a terminal of 80 columns, below a name.
fn indented<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    const INDENT: &str = "          ";
    const WIDTH: usize = 80;
    let (mut lines, mut line) = (String::new(), INDENT.to_owned());
    for word in words {
        if line.len() + 1 + word.len() > WIDTH {
            lines += &format!("{}\n", line.trim_end());
            line = INDENT.to_owned();
        }
        line += &format!("{word} ");
    }
    lines + line.trim_end() + "\n"
}

/// The table of them in docs/configuration.md.
pub fn markdown() -> String {
    let row = |variable: &Variable| {
        let default = match variable.unset {
            Unset::Nothing => String::new(),
            Unset::Value(value) => format!("`{value}`"),
            Unset::Words(words) => in_markdown(words),
        };
        let name = match variable.flag {
            Some(flag) => format!("`{}`, `{}`", variable.name, flag.name),
            None => format!("`{}`", variable.name),
        };
        format!("| {name} | {default} | {} |\n", in_markdown(variable.help)).replace("|  |", "| |")
    };
    let rows: String = VARIABLES.iter().map(row).collect();
    format!("| variable, and the flag that wins over it | default | |\n| --- | --- | --- |\n{rows}")
}

/// Words as Markdown has them: names of variables and paths are code.
fn in_markdown(words: &str) -> String {
    let as_code = |word: &str| {
        let is_around = |c: char| matches!(c, '(' | ')' | ',' | ';' | ':');
        let bare = word.trim_matches(is_around);
        let is_code = ["OURA_", "$", "/", "~"].iter().any(|start| bare.starts_with(start));
        if is_code { word.replacen(bare, &format!("`{bare}`"), 1) } else { word.to_owned() }
    };
    words.split(' ').map(as_code).collect::<Vec<_>>().join(" ")
}
