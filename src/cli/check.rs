//! `check`, the doctor: configuration, tokens, and one call to each collection, as a table of what works and what to do.

use anyhow::ensure;

use super::{
    examine::{examine, words},
    sign_in::of_persons,
    webhooks,
};
use crate::{
    clock::Clock,
    config::Config,
    exporter,
    oura::ClientOptions,
    poll::Account,
    state::{AccountState, Mark},
    status::ApiStats,
};

/// Looks at everything once.
pub(super) async fn run(config: Config) -> anyhow::Result<()> {
    println!("The configuration is good: {} collections, API at {}.", config.collections.len(), config.api_url);
    let webhooks = webhooks::check(&config).await;
    let (store, shard) = (config.sign_in.store.clone(), config.shard);
    if shard.is_one_of_several() {
        println!("This is shard {shard} (OURA_SHARD): only its accounts are tested. Unset it to test them all.");
    }
    let (kinds, are_named) = (config.collections.clone(), config.collections_are_named);
    let accounts = exporter::accounts(config, &ApiStats::new()?, &Clock::system(), ClientOptions::default())?;
    ensure!(!accounts.is_empty(), "OURA_SHARD: no account is of shard {shard}; unset it to test them all");
    let mut failures = 0;
    for account in &accounts {
        println!("\nAccount {}: {}", account.name, token(account).await);
        if super::output::is_closed() {
            return Ok(());
        }
        let state = examine(account, &kinds, account.client.source().grant().await).await;
        failures += table(&state, are_named);
        println!("  {}", state.summary().1);
    }
    for line in store.iter().flat_map(of_persons) {
        println!("\n{line}");
    }
    match webhooks {
        None => {}
        Some(Ok(words)) => println!("\n{words}"),
        Some(Err(error)) => {
            println!("\nWebhooks: {error:#}.");
            ensure!(failures > 0, "webhooks do not come, see above");
        }
    }
    ensure!(failures == 0, "{failures} collections need attention, see above");
    Ok(())
}

/// The token in words.
async fn token(account: &Account) -> String {
    match account.client.source().token().await {
        Err(problem) => format!("no working token: {problem}; run: oura-exporter login --account {}", account.name),
        Ok(_) => account.client.source().expires_at().await.map_or_else(
            || "there is a token".to_owned(),
            |end| format!("there is a token until {}", end.format("%Y-%m-%d %H:%MZ")),
        ),
    }
}

/// Shows each collection; how many need attention. What the wearer chose not to grant needs none, unless
/// `OURA_COLLECTIONS` names it: then somebody counts on it.
fn table(account: &AccountState, are_named: bool) -> usize {
    let mut failures = 0;
    for collection in &account.collections {
        let needs_attention = match collection.mark() {
            Mark::NotGranted => are_named,
            mark => mark == Mark::Bad,
        };
        failures += usize::from(needs_attention);
        let word = match collection.mark() {
            _ if needs_attention => "BAD",
            Mark::NotGranted => "--",
            _ => "ok",
        };
        println!("  {word:4} {:26} {}", collection.kind.name, words(account, collection));
    }
    failures
}
