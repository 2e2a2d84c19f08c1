//! `check`, the doctor: configuration, tokens, and one call to each collection, as a table of what works and what to do.

use anyhow::ensure;

use crate::{
    clock::Clock, config::Config, documents::Kind, exporter, latest::AccountState, oura::Patience, poll::Account,
    status::ApiStats,
};

/// Looks at everything once.
pub(super) async fn run(config: Config) -> anyhow::Result<()> {
    println!("The configuration is good: {} collections, API at {}.", config.collections.len(), config.api_url);
    let kinds = config.collections.clone();
    let accounts = exporter::accounts(config, &ApiStats::new()?, &Clock::system(), Patience::default())?;
    let mut failures = 0;
    for account in &accounts {
        println!("\nAccount {}: {}", account.name, token(account).await);
        for kind in &kinds {
            if super::output::is_closed() {
                return Ok(());
            }
            failures += usize::from(!examine(account, kind).await);
        }
    }
    ensure!(failures == 0, "{failures} collections need attention, see above");
    println!("\nAll is well.");
    Ok(())
}

/// The token in words.
async fn token(account: &Account) -> String {
    match account.client.source().token().await {
        Err(problem) => format!("no good token: {problem}; run: oura-exporter login --account {}", account.name),
        Ok(_) => account.client.source().expires_at().await.map_or_else(
            || "there is a token".to_owned(),
            |end| format!("there is a token until {}", end.format("%Y-%m-%d %H:%MZ")),
        ),
    }
}

/// Asks the collection once; whether it works.
async fn examine(account: &Account, kind: &'static Kind) -> bool {
    let clock = Clock::system();
    let (good, words) = match account.ask_once(kind, clock.now()).await {
        Ok(Some(day)) => (true, format!("works, newest {day}")),
        Ok(None) => (true, "works".to_owned()),
        Err(problem) => {
            let mut state = AccountState::new(&account.name, &[]);
            state.is_signed_in = account.client.source().is_kept();
            (false, format!("{}; {}", problem.what, state.advice(problem.reason)))
        }
    };
    println!("  {:4} {:26} {words}", if good { "ok" } else { "BAD" }, kind.name);
    good
}
