//! The documents as a reader walks through them: the README is short, each page says for whom it is, and every link leads
//! somewhere.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use crate::common::servers::file;

/// How many lines the README may have, and how wide they may be, so that width is no way around it.
const LINES: usize = 150;
const WIDTH: usize = 120;

/// The documents in the root whose links are looked at besides those in docs/.
const IN_THE_ROOT: [&str; 6] =
    ["README.md", "CHANGELOG.md", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md", "METRICS.md", "SECURITY.md"];

fn read(path: &str) -> String {
    fs::read_to_string(file(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The pages in docs/, as paths from the root.
fn pages() -> Vec<String> {
    let entries = fs::read_dir(file("docs")).expect("docs/");
    let names = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"));
    let mut pages: Vec<_> = names.filter(|name| name.ends_with(".md")).map(|name| format!("docs/{name}")).collect();
    pages.sort();
    pages
}

/// The text without blocks of code and without code between back quotes.
fn prose(text: &str) -> String {
    let is_fence = |line: &str| line.trim_start().starts_with("```");
    let mut is_code = false;
    let mut prose = String::new();
    for line in text.lines() {
        if is_fence(line) {
            is_code = !is_code;
        } else if !is_code {
            let spans = line.split('`').step_by(2);
            prose += &(spans.collect::<Vec<_>>().join("code") + "\n");
        }
    }
    prose
}

/// Where the links in the text lead within the project.
fn links(text: &str) -> Vec<String> {
    let prose = prose(text);
    let targets = prose.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()));
    targets.filter(|target| !target.contains("://")).collect()
}

/// The anchor that GitHub and GitLab give to a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// The anchors of all headings; of equal ones, the second gets -1 and so on.
fn anchors(text: &str) -> Vec<String> {
    let mut seen = BTreeMap::new();
    let mut is_code = false;
    let mut anchors = Vec::new();
    for line in text.lines() {
        is_code ^= line.trim_start().starts_with("```");
        let heading = line.trim_start_matches('#');
        if is_code || heading.len() == line.len() || !heading.starts_with(' ') {
            continue;
        }
        let anchor = anchor(heading.trim());
        let before = seen.entry(anchor.clone()).and_modify(|count| *count += 1).or_insert(0);
        anchors.push(if *before == 0 { anchor } else { format!("{anchor}-{before}") });
    }
    anchors
}

/// What is wrong with the links of this text, which stands in this directory.
pub(crate) fn broken(directory: &Path, own: &str, text: &str) -> Vec<String> {
    let mut broken = Vec::new();
    for link in links(text) {
        let (path, fragment) = link.split_once('#').unwrap_or((&link, ""));
        let path: PathBuf = directory.join(if path.is_empty() { own } else { path });
        if !path.exists() {
            broken.push(format!("{own} links to {link}, which is not there"));
        } else if !fragment.is_empty() {
            let target = if path == directory.join(own) {
                text.to_owned()
            } else {
                fs::read_to_string(&path).unwrap_or_default()
            };
            if !anchors(&target).iter().any(|anchor| anchor == fragment) {
                broken.push(format!("{own} links to {link}, where no heading has that anchor"));
            }
        }
    }
    broken
}

#[test]
fn the_readme_is_short() {
    let readme = read("README.md");
    let count = readme.lines().count();
    assert!(count <= LINES, "README.md has {count} lines, {LINES} at most: move the rest into docs/");
    let is_whole = |line: &&str| ["|", "!["].iter().any(|start| line.starts_with(start));
    let wide: Vec<_> = readme.lines().filter(|line| !is_whole(line) && line.chars().count() > WIDTH).collect();
    assert!(wide.is_empty(), "wider than {WIDTH}: {wide:#?}");
}

#[test]
fn every_page_says_for_whom_it_is_and_the_readme_leads_to_it() {
    let to = links(&read("README.md"));
    for page in pages() {
        let text = read(&page);
        let begins = text.lines().nth(2).unwrap_or_default();
        assert!(text.starts_with("# ") && begins.starts_with("For whoever "), "{page} begins with {begins:?}");
        assert!(to.contains(&page), "README.md has no link to {page}");
    }
}

#[test]
fn every_link_of_the_documents_leads_somewhere() {
    let all = IN_THE_ROOT.iter().map(|&path| path.to_owned()).chain(pages());
    let broken: Vec<_> = all
        .flat_map(|path| {
            let whole = file(&path);
            let own = whole.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
            broken(whole.parent().expect("a directory"), &own, &read(&path))
        })
        .collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn a_link_that_leads_nowhere_is_named() {
    let root = file("");
    for (text, expected) in [
        ("# A\n\n[x](docs/nowhere.md)\n", "docs/nowhere.md, which is not there"),
        ("# A\n\n[x](docs/alerts.md#ouranothing)\n", "docs/alerts.md#ouranothing, where no heading"),
        ("# A\n\n[x](#b)\n```sh\n# B\n```\n", "#b, where no heading"),
        ("# A\n\n![x](docs/nowhere.png)\n", "docs/nowhere.png, which is not there"),
    ] {
        let broken = broken(&root, "README.md", text);
        assert!(matches!(&broken[..], [only] if only.contains(expected)), "{text}: {broken:?}");
    }
    let good = "# A `b` / c: d\n\n## Twice\n\n## Twice\n\n[x](#a-b--c-d) [y](#twice-1) `[z](nowhere)`\n\
                [w](https://example.org/#nowhere) [v](docs/alerts.md#ouralowreadiness) [u](deploy)\n";
    assert_eq!(broken(&root, "README.md", good), Vec::<String>::new());
}
