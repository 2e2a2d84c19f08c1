//! Completions and man pages, made of the command line's own definition.

use std::{collections::BTreeSet, fs, process::Command};

use clap_complete::{Shell, generate};
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};
use oura_exporter::{
    cli,
    config::{Unset, VARIABLES},
};

use super::assert_current;
use crate::common::{
    needs::there_are,
    servers::{ask, file, text},
};

const NAME: &str = "oura-exporter";
const COMPLETIONS: [(Shell, &str); 3] = [
    (Shell::Bash, "packaging/completions/oura-exporter.bash"),
    (Shell::Zsh, "packaging/completions/_oura-exporter"),
    (Shell::Fish, "packaging/completions/oura-exporter.fish"),
];
const PAGES: &str = "packaging/man";
/// What a script may rely on; docs/configuration.md says the same.
const EXIT_CODES: [(&str, &str); 4] = [
    ("0", "All is well."),
    ("1", "It failed."),
    ("2", "Wrong use or configuration."),
    ("141", "Nobody reads the output any more."),
];

/// What a shell is told, without two mistakes of the generator's, which would leave the commands without completions.
fn completion(shell: Shell) -> String {
    let mut made = vec![];
    generate(shell, &mut cli::definition(), NAME, &mut made);
    let made = String::from_utf8(made).expect("UTF-8");
    match shell {
        // It writes the dash in the program's name in two ways.
        Shell::Bash => made.replace("oura__subcmd__exporter", "oura__exporter"),
        // It gives argparse names with a dot, which argparse refuses, and with them all the others.
        Shell::Fish => {
            let (first, rest) = made.split_once("string join \\n ").expect("the names for argparse");
            let (names, rest) = rest.split_once('\n').expect("their end");
            format!("{first}string join \\n {}\n{rest}", names.replace('.', "-"))
        }
        _ => made,
    }
}

/// The name of each man page, and its text: one for the program, and one for each command.
fn pages() -> Vec<(String, String)> {
    let mut program = cli::definition().disable_help_subcommand(true);
    program.build();
    let mut pages = vec![];
    add_pages(&program, &mut pages);
    pages
}

fn add_pages(command: &clap::Command, pages: &mut Vec<(String, String)>) {
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        add_pages(inner, pages);
    }
    let name = command.get_display_name().unwrap_or(command.get_name());
    let source = concat!("oura-exporter ", env!("CARGO_PKG_VERSION"));
    // By hand, as the generator leaves a date that is not given away, and all after it moves forward.
    let title = format!(".TH {} 1 \"\" \"{source}\" \"User Commands\"\n", name.to_uppercase());
    pages.push((format!("{name}.1"), title + &page_text(command, name)));
}

fn page_text(command: &clap::Command, name: &str) -> String {
    let page = Man::new(command.clone());
    let mut written = vec![];
    page.render_name_section(&mut written).expect("memory");
    page.render_synopsis_section(&mut written).expect("memory");
    page.render_description_section(&mut written).expect("memory");
    page.render_options_section(&mut written).expect("memory");
    if command.has_subcommands() {
        page.render_subcommands_section(&mut written).expect("memory");
    }
    let mut roff = Roff::new();
    if name == NAME {
        add_exit_codes(&mut roff);
        add_environment(&mut roff);
    } else {
        roff.control("SH", ["SEE ALSO"]);
        roff.text([bold(NAME), roman("(1) has the variables that set it up.")]);
    }
    roff.to_writer(&mut written).expect("memory");
    String::from_utf8(written).expect("UTF-8")
}

fn add_exit_codes(roff: &mut Roff) {
    roff.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in EXIT_CODES {
        roff.control("TP", []);
        roff.text([bold(code)]);
        roff.text([roman(meaning)]);
    }
}

fn add_environment(roff: &mut Roff) {
    roff.control("SH", ["ENVIRONMENT"]);
    for variable in VARIABLES {
        let default = match variable.unset {
            Unset::Nothing => String::new(),
            Unset::Value(words) | Unset::Words(words) => format!(" [default: {words}]"),
        };
        let flag = variable.flag.map(|flag| format!(", {}", flag.name)).unwrap_or_default();
        roff.control("TP", []);
        roff.text([bold(variable.name), roman(flag)]);
        roff.text([roman(format!("{}{default}", variable.help))]);
    }
}

#[test]
fn completions_are_those_of_the_command_line() {
    for (shell, path) in COMPLETIONS {
        assert_current(path, &completion(shell));
    }
}

#[test]
fn man_pages_are_those_of_the_command_line() {
    let pages = pages();
    for (name, text) in &pages {
        assert_current(&format!("{PAGES}/{name}"), text);
    }
    let made: BTreeSet<_> = pages.into_iter().map(|(name, _)| name).collect();
    let entries = fs::read_dir(file(PAGES)).expect("man pages");
    let there: BTreeSet<_> =
        entries.map(|entry| entry.expect("a file").file_name().into_string().expect("UTF-8")).collect();
    assert_eq!(there, made, "a page of a command that is no more");
}

#[test]
fn the_man_pages_have_no_mistakes() {
    if !there_are(&["mandoc"], "the_man_pages_have_no_mistakes") {
        return;
    }
    for (name, _) in pages() {
        let page = file(PAGES).join(name);
        let (_, said) = ask(Command::new("mandoc").args(["-T", "lint", "-W", "warning"]).arg(&page), "");
        // A page is of a version, not of a day.
        let mistakes: Vec<_> = said.lines().filter(|line| !line.contains("missing date")).collect();
        assert!(mistakes.is_empty(), "{mistakes:#?}");
    }
    let (_, shown) = ask(Command::new("mandoc").args(["-T", "ascii"]).arg(file(PAGES).join("oura-exporter.1")), "");
    // Bold is a letter struck twice.
    let plain: Vec<_> = shown.chars().collect();
    let plain: String = (0..plain.len())
        .filter(|&i| plain[i] != '\u{8}' && plain.get(i + 1) != Some(&'\u{8}'))
        .map(|i| plain[i])
        .collect();
    for words in VARIABLES.iter().map(|variable| variable.name).chain(["oura-exporter-backfill(1)", "EXIT STATUS"]) {
        assert!(plain.contains(words), "{words} is missing in:\n{plain}");
    }
}

/// What a line may go on with, as somebody sees who presses Tab.
const BEGINNINGS: [(&str, &[&str]); 5] = [
    ("oura-exporter ba", &["backfill"]),
    ("oura-exporter acc", &["accounts"]),
    ("oura-exporter backfill --re", &["--remote-write", "--restart"]),
    ("oura-exporter accounts re", &["rename"]),
    ("oura-exporter demo --web.l", &["--web.listen-address"]),
];

#[test]
fn bash_completes() {
    for (line, expected) in BEGINNINGS {
        let words: Vec<_> = line.split(' ').collect();
        let last = words.len() - 1;
        let script = format!(
            "source '{}'; function=$(complete -p {NAME} | grep -o -- '-F [^ ]*'); COMP_WORDS=({line}); COMP_CWORD={last}; \
             ${{function#-F }} {NAME} {} {}; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            text(&file(COMPLETIONS[0].1)),
            words[last],
            words[last - 1],
        );
        let (is_good, said) = ask(Command::new("bash").args(["--noprofile", "--norc", "-c", &script]), "");
        assert!(is_good, "{said}");
        assert_eq!(said.lines().collect::<Vec<_>>(), expected, "{line}");
    }
}

#[test]
fn fish_completes() {
    if !there_are(&["fish"], "fish_completes") {
        return;
    }
    for (line, expected) in BEGINNINGS {
        let script = format!("source '{}'; complete --do-complete '{line}'", text(&file(COMPLETIONS[2].1)));
        let (is_good, said) = ask(Command::new("fish").args(["--no-config", "--command", &script]), "");
        assert!(is_good, "{said}");
        let offered: Vec<_> = said.lines().filter_map(|line| line.split('\t').next()).collect();
        assert_eq!(offered, expected, "{line}");
    }
}

#[test]
fn zsh_reads_its_completions() {
    if !there_are(&["zsh"], "zsh_reads_its_completions") {
        return;
    }
    let path = file(COMPLETIONS[1].1);
    let load = format!(
        "autoload -U compinit; fpath=('{}' $fpath); compinit -D -u; print $_comps[oura-exporter]; autoload +X _oura-exporter",
        text(path.parent().expect("a directory")),
    );
    let (is_good, said) = ask(Command::new("zsh").args(["-f", "-c", &load]), "");
    assert!(is_good && said.trim() == "_oura-exporter", "{said}");
}
