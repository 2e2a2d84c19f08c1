//! Data goes one way: no room of the source uses one above it, so that there is no circle between rooms either.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The rooms, the lowest first: what stands in one may use those before it. docs/architecture.md says what each is for.
const ROOMS: &[&str] = &[
    "clock",
    "defect",
    "durable",
    "version",
    "shard",
    "tls",
    "html",
    "observation",
    "metric",
    "by_account",
    "documents",
    "problem",
    "status",
    "http_client",
    "http",
    "hosts",
    "state_file",
    "web_config",
    "auth",
    "oura",
    "webhooks",
    "samples",
    "remote_write",
    "state",
    "page",
    "poll",
    "backfill",
    "landing",
    "catalogue",
    "config",
    "sign_in",
    "discovery",
    "server",
    "exporter",
    "cli",
];
/// Other crates, and names at the root of this one.
const BESIDE: &[&str] = &["simulator"];

/// The room of a source file, and its place in the order.
fn room(path: &str) -> (&str, Option<usize>) {
    let name = path.split('/').next().unwrap_or_default().trim_end_matches(".rs");
    (name, ROOMS.iter().position(|room| *room == name))
}

/// The rooms that a text uses, each with its line; what only its tests use does not count.
fn used(text: &str) -> Vec<(usize, String)> {
    let lines: Vec<_> = text.lines().collect();
    let is_tests = |at: usize| {
        lines[at].trim() == "#[cfg(test)]" && lines.get(at + 1).is_some_and(|next| next.trim_end().ends_with('{'))
    };
    let end = (0..lines.len()).find(|at| is_tests(*at)).unwrap_or(lines.len());
    let mut found = Vec::new();
    // How deep a `use crate::{…}` is open, and whether a name may begin here.
    let (mut depth, mut begins) = (0_usize, false);
    for (number, line) in lines[..end].iter().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
        let mut rest = *line;
        loop {
            if depth == 0 {
                let Some((_, after)) = rest.split_once("crate::") else { break };
                let group = after.strip_prefix('{');
                (depth, begins) = (usize::from(group.is_some()), group.is_some());
                found.extend(name_at(after).map(|name| (number + 1, name)));
                rest = group.unwrap_or(after);
                continue;
            }
            let Some(first) = rest.chars().next() else { break };
            if begins
                && depth == 1
                && let Some(name) = name_at(rest)
            {
                begins = false;
                rest = &rest[name.len()..];
                found.push((number + 1, name));
                continue;
            }
            match first {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => begins = true,
                _ => {}
            }
            rest = &rest[first.len_utf8()..];
        }
    }
    found
}

fn name_at(text: &str) -> Option<String> {
    let name: String = text.chars().take_while(|c| c.is_ascii_lowercase() || matches!(c, '_' | '0'..='9')).collect();
    (!name.is_empty()).then_some(name)
}

/// What of these sources runs up, or stands in no room.
fn up(sources: &[(String, String)]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (path, text) in sources.iter().filter(|(path, _)| !matches!(path.as_str(), "lib.rs" | "main.rs")) {
        let (own, place) = room(path);
        let Some(place) = place else {
            wrong.push(format!("src/{path}: the room {own} has no place in ROOMS"));
            continue;
        };
        for (line, used) in used(text) {
            match ROOMS.iter().position(|room| *room == used) {
                Some(other) if other > place => {
                    wrong.push(format!("src/{path}:{line}: {own} uses {used}, which is above it"))
                }
                None if !BESIDE.contains(&used.as_str()) => {
                    wrong.push(format!("src/{path}:{line}: {used} is no room"));
                }
                _ => {}
            }
        }
    }
    wrong
}

/// The sources, without the files that hold tests alone.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut open, mut found) = (vec![root.clone()], Vec::new());
    while let Some(directory) = open.pop() {
        let entries = fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path());
        let (directories, files): (Vec<PathBuf>, Vec<PathBuf>) = entries.partition(|path| path.is_dir());
        open.extend(directories);
        let is_source = |path: &&PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.ends_with(".rs") && !name.ends_with("tests.rs")
        };
        for path in files.iter().filter(is_source) {
            let name = path.strip_prefix(&root).expect("below the root").to_string_lossy().into_owned();
            found.push((name, fs::read_to_string(path).expect("a text")));
        }
    }
    assert!(found.len() > 100, "{} sources", found.len());
    found
}

#[test]
fn no_room_uses_one_above_it() {
    let wrong = up(&sources());
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn an_arrow_up_is_found_and_its_line_is_named() {
    let real = sources();
    for (path, line, named) in [
        ("documents/sleep.rs", "use crate::cli;", "documents uses cli, which is above it"),
        ("problem.rs", "use crate::{\n    auth::{NoToken, OAuthError},\n    defect::Defect,\n};", "problem uses auth"),
        ("samples/mod.rs", "fn f() { crate::poll::g() }", "samples uses poll"),
        ("auth/login.rs", "use crate::{clock::{self, Clock}, landing};", "auth uses landing"),
        ("metric.rs", "use crate::kitchen::Sink;", "kitchen is no room"),
    ] {
        let plant = |(name, text): &(String, String)| {
            let text = if name == path { format!("{line}\n{text}") } else { text.clone() };
            (name.clone(), text)
        };
        let wrong = up(&real.iter().map(plant).collect::<Vec<_>>());
        let at = format!("src/{path}:{}", if line.contains("\n") { 2 } else { 1 });
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        assert!(wrong[0].starts_with(&at) && wrong[0].contains(named), "{wrong:?}");
    }
    let outside = up(&[("attic.rs".to_owned(), String::new())]);
    assert_eq!(outside, ["src/attic.rs: the room attic has no place in ROOMS"]);
    assert_eq!(used("/// crate::cli\n#[cfg(test)]\nmod tests {\n    use crate::cli;\n}\n"), []);
}
