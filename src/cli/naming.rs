//! What an account is to be called: asked for at the sign-in, and changed by `accounts rename`.

use std::io::{self, Write as _};

use anyhow::Context as _;
use tokio::task;

use crate::{
    auth::{self, Store},
    config, samples,
};

/// Renames an account.
#[derive(Clone, PartialEq, Eq, clap::Args)]
pub(super) struct Rename {
    /// Its name until now
    #[arg(value_name = "NAME", value_parser = config::account_name)]
    from: String,
    /// Its name from now on
    #[arg(value_name = "NEW_NAME", value_parser = config::account_name)]
    to: String,
}

impl Rename {
    /// Moves the tokens and the journals of the record, and goes on where it was interrupted. The journals go first: whoever
    /// holds them ends it before anything is changed.
    pub(super) async fn run(&self, store: &Store) -> anyhow::Result<()> {
        let (from, to) = (&self.from, &self.to);
        anyhow::ensure!(from != to, "account {from} has that name already");
        anyhow::ensure!(store.has(from), "account {from} is not signed in; `oura-exporter accounts` shows who is");
        let is_free = !store.has(to) || store.is_copy(from, to);
        anyhow::ensure!(is_free, "account {to} is signed in, too; choose another name, or log it out first");
        // In the order of the names, so that two processes never wait for each other.
        let _first = auth::lock(store, from.min(to)).await?;
        let _second = auth::lock(store, from.max(to)).await?;
        let tokens = store.read(from)?.with_context(|| format!("account {from} is no longer signed in"))?;
        samples::rename_journals(store.directory(), from, to).map_err(|error| {
            let todo = if error.kind() == io::ErrorKind::WouldBlock {
                "an exporter or a backfill is using its record: stop it, and run this again".to_owned()
            } else {
                format!("look into {}", store.directory().display())
            };
            anyhow::Error::new(error).context(format!("account {from} is not renamed; {todo}"))
        })?;
        // The old file holds the tokens until the new one does.
        store.write(to, &tokens)?;
        store.remove(from)?;
        println!(
            "Account {from} is called {to} from now on. Its series start again under that name; start the exporter."
        );
        Ok(())
    }
}

/// The name that a person at the terminal gives a new account.
///
/// # Errors
/// Where standard input ends without one.
pub(super) async fn ask(store: &Store) -> anyhow::Result<String> {
    let known = store.accounts()?;
    println!(
        "Whose ring is it? Give the account a short name, such as anna; it becomes the label `account` of all series."
    );
    if !known.is_empty() {
        println!("Signed in already: {}. One of these names renews that sign-in.", known.join(", "));
    }
    prompt("");
    // A signal must end the command meanwhile.
    task::spawn_blocking(typed).await?
}

/// The first name that is typed and may be one.
fn typed() -> anyhow::Result<String> {
    for line in io::stdin().lines() {
        match config::account_name(&line?) {
            Ok(name) => return Ok(name),
            Err(mistake) => prompt(&format!("{}\n", mistake)),
        }
    }
    anyhow::bail!("the account has no name; run: oura-exporter login --account NAME")
}

/// Asks past what is printed, as somebody may keep that.
fn prompt(before: &str) {
    let _nobody_reads = write!(io::stderr(), "{before}Name: ");
}
