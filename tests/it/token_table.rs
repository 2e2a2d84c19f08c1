//! The token store for many machines: the table in PostgreSQL, its lock, its migrations, and what it says in trouble.

use chrono::{SubsecRound as _, TimeDelta, Utc};
use oura_exporter::{
    auth::{Portal, Table, TableError, Tokens},
    tls,
};
use secrecy::{ExposeSecret as _, SecretString};
use tokio_postgres::Client;

use crate::common::{
    postgres::{PASSWORD, Postgres, USER, postgres_is_there},
    servers::free_address,
};

fn table(url: &str) -> Table {
    tls::choose_provider();
    Table::of(&SecretString::from(url)).expect("a URL")
}

async fn opened(table: &Table) -> Client {
    let mut client = table.connect().await.expect("it lets us in");
    table.migrate(&mut client).await.expect("the tables are made");
    client
}

fn tokens(number: u32) -> Tokens {
    let now = Utc::now().trunc_subsecs(0);
    Tokens {
        access: format!("access-{number}").into(),
        refresh: Some(format!("refresh-{number}").into()),
        issued_at: now,
        expires_at: Some(now + TimeDelta::days(1)),
        scopes: Some(vec!["daily".to_owned()]),
        portal: Portal::New,
        signed_in_at: now,
        person: None,
    }
}

/// What nothing may say.
fn assert_discreet(error: &TableError) -> String {
    let said = format!("{error} {error:?}");
    assert!(!said.contains(PASSWORD) && !said.contains("access-") && !said.contains("refresh-"), "{said}");
    error.to_string()
}

#[tokio::test]
async fn what_is_committed_is_there_after_a_crash_and_each_writing_is_seen() {
    if !postgres_is_there("what_is_committed_is_there_after_a_crash_and_each_writing_is_seen") {
        return;
    }
    let mut server = Postgres::start().await;
    let table = table(&server.own_url());
    let mut client = opened(&table).await;
    let mut seen = vec![];
    for (number, account) in [(1, "anna"), (2, "ben"), (3, "anna")] {
        let row = table.lock(&mut client, account).await.expect("it is free");
        row.write(Some(&tokens(number))).await.expect("it is stored");
        let versions = table.versions(&client).await.expect("a look");
        assert!(!seen.contains(&versions), "a writing changes what a look sees");
        seen.push(versions);
    }
    server.end();
    let error = table.lock(&mut client, "anna").await.err().expect("nobody answers");
    assert!(assert_discreet(&error).contains("no answer from PostgreSQL at 127.0.0.1:"), "{error}");
    server.begin().await;
    let mut client = opened(&table).await;
    assert_eq!(&table.versions(&client).await.expect("a look"), seen.last().expect("three"));
    for (account, access) in [("anna", "access-3"), ("ben", "access-2")] {
        let row = table.lock(&mut client, account).await.expect("it is free");
        assert_eq!(row.tokens.expect("tokens").access.expose_secret(), access);
    }
    let row = table.lock(&mut client, "anna").await.expect("it is free");
    row.write(None).await.expect("it is forgotten");
    let left: Vec<_> = table.versions(&client).await.expect("a look").into_keys().collect();
    assert_eq!(left, ["ben"]);
}

#[tokio::test]
async fn one_has_an_account_at_a_time_and_who_goes_without_a_word_lets_go_of_it() {
    if !postgres_is_there("one_has_an_account_at_a_time_and_who_goes_without_a_word_lets_go_of_it") {
        return;
    }
    let server = Postgres::start().await;
    let table = table(&server.own_url());
    let (mut one, mut other, mut third) = (opened(&table).await, opened(&table).await, opened(&table).await);
    let row = table.lock(&mut one, "anna").await.expect("it is free");
    let (held, free) = tokio::join!(table.lock(&mut other, "anna"), table.lock(&mut third, "ben"));
    let error = held.err().expect("it is held");
    assert!(matches!(error, TableError::Locked { .. }), "{error}");
    assert!(assert_discreet(&error).contains("has held account anna at 127.0.0.1:"), "{error}");
    assert!(free.is_ok(), "another account's is another lock");
    // Dropped, as by a process that dies: what it did not commit never was.
    drop(row);
    drop(one);
    assert!(table.lock(&mut other, "anna").await.expect("it is free again").tokens.is_none());
}

#[tokio::test]
async fn of_many_who_start_at_once_one_makes_the_tables() {
    if !postgres_is_there("of_many_who_start_at_once_one_makes_the_tables") {
        return;
    }
    let server = Postgres::start().await;
    let table = table(&server.own_url());
    let clients = futures_util::future::join_all((0..8).map(|_| opened(&table))).await;
    let versions = clients[0].query("SELECT version FROM oura_exporter_schema", &[]).await.expect("the tables");
    assert_eq!(versions.iter().map(|row| row.get::<_, i32>(0)).collect::<Vec<_>>(), [1]);
}

#[tokio::test]
async fn what_is_wrong_with_the_database_is_named_with_what_to_do() {
    if !postgres_is_there("what_is_wrong_with_the_database_is_named_with_what_to_do") {
        return;
    }
    let server = Postgres::start().await;
    let nobody = free_address().await;
    for (url, cause, next) in [
        (server.url(USER, "wrong", USER), "password authentication failed", "check the user and the password"),
        (server.url("nobody", PASSWORD, USER), "does not let nobody in", "check the user and the password"),
        (server.url(USER, PASSWORD, "missing"), "has no such database", "createdb --owner=oura missing"),
        (format!("postgres://{USER}:{PASSWORD}@{nobody}/{USER}"), "no answer from PostgreSQL", "check the host"),
        (format!("postgres://{USER}:{PASSWORD}@nowhere.invalid/{USER}"), "nowhere.invalid:5432", "check the host"),
        (server.own_url() + "?sslmode=require", "TLS", "check the host"),
    ] {
        let said = assert_discreet(&table(&url).connect().await.err().expect("it fails"));
        assert!(said.starts_with("OURA_TOKEN_STORE: ") && said.contains(cause) && said.contains(next), "{said}");
    }
    for url in ["mysql://u:pa55-word-of-the-database@h/d", "postgres://u:pa55-word-of-the-database@h", "postgres:///d"]
    {
        let said = assert_discreet(&Table::of(&SecretString::from(url)).err().expect("no URL"));
        assert!(said.contains("write postgres://USER@HOST/DATABASE"), "{said}");
    }
    let table = table(&server.own_url());
    let mut client = opened(&table).await;
    client.execute("INSERT INTO oura_exporter_accounts VALUES ('anna', 1, 'access-9')", &[]).await.expect("a row");
    let said = assert_discreet(&table.lock(&mut client, "anna").await.err().expect("it is no token"));
    assert!(said.contains("the row of account anna") && said.contains("damaged"), "{said}");
    client.execute("INSERT INTO oura_exporter_schema VALUES (7)", &[]).await.expect("a row");
    let said = assert_discreet(&table.migrate(&mut client).await.expect_err("it is newer"));
    assert!(said.contains("(version 7, and this one knows 1); use that one"), "{said}");
}
