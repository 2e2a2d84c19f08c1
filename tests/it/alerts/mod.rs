//! The alert rules: each is written as agreed, their tests hold on every server that they are for, notice every change, and
//! mornings are told as promised.

mod alertmanager;
mod chain;
mod files;
mod mornings;
mod mutants;
mod mutation;
mod service;
mod style;
mod vmalert;

use std::{collections::BTreeSet, fs};

use crate::common::servers::{file, yaml};
use serde_json::Value;

/// The files of rules, by the part of their name before `.rules.yml`.
fn rule_files() -> BTreeSet<String> {
    stems(".rules.yml")
}

/// The files of tests, by the part of their name before `.test.yml`.
fn test_files() -> BTreeSet<String> {
    stems(".test.yml")
}

fn stems(end: &str) -> BTreeSet<String> {
    let files = fs::read_dir(file("alerts")).expect("alerts");
    let names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
    names.filter_map(|name| name.strip_suffix(end).map(str::to_owned)).collect()
}

/// The groups of all files.
fn groups() -> Vec<Value> {
    let of = |stem: &String| yaml(&format!("alerts/{stem}.rules.yml"))["groups"].as_array().expect("groups").clone();
    rule_files().iter().flat_map(of).collect()
}

/// The rules of all groups.
fn rules() -> Vec<Value> {
    groups().iter().flat_map(|group| group["rules"].as_array().expect("rules").clone()).collect()
}

fn alerts() -> Vec<Value> {
    rules().into_iter().filter(|rule| !rule["alert"].is_null()).collect()
}

fn text<'a>(json: &'a Value, key: &str) -> &'a str {
    json[key].as_str().unwrap_or_default()
}
