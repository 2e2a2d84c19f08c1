//! The files in `dashboards/` are what the code makes: `UPDATE_DOCS=1` writes them.

use std::{env, fs, path::Path};

use oura_dashboards::{all, model::Dashboard};

/// The file as the code makes it.
fn made(dashboard: &Dashboard) -> String {
    serde_json::to_string_pretty(dashboard).expect("JSON") + "\n"
}

#[test]
fn the_files_are_what_the_code_makes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards");
    let differ = |dashboard: &&Dashboard| {
        let path = folder.join(format!("{}.json", dashboard.uid));
        let made = made(dashboard);
        if env::var_os("UPDATE_DOCS").is_some() {
            fs::write(&path, &made).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
        fs::read_to_string(&path).ok().as_deref() != Some(&made)
    };
    let all = all();
    let old: Vec<_> = all.iter().filter(differ).map(|dashboard| dashboard.uid).collect();
    assert!(old.is_empty(), "{old:?} differ from the code: rewrite them with the UPDATE_DOCS line in CONTRIBUTING.md");
}
