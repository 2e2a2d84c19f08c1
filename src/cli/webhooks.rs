//! `webhooks`: the subscriptions of the application at Oura, listed and taken down, and whether the way to the callback works.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};

use crate::{
    auth::Application,
    clock::Clock,
    config::Config,
    webhooks::{self, Api, Place, Standing, Subscription},
};

/// Shows or removes the subscriptions of the application.
#[derive(Clone, PartialEq, Eq, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Clone, PartialEq, Eq, clap::Subcommand)]
enum Command {
    /// List every subscription, and say which ones are this exporter's; the default
    List,
    /// Remove this exporter's subscriptions; others are left alone
    Remove,
}

impl Arguments {
    pub(super) async fn run(&self, config: &Config) -> anyhow::Result<()> {
        let scene = Scene::new(config)?;
        match self.command {
            None | Some(Command::List) => scene.list().await,
            Some(Command::Remove) => scene.remove().await,
        }
    }
}

/// What both commands need.
struct Scene {
    api: Api,
    state: Option<PathBuf>,
    url: Option<String>,
}

impl Scene {
    fn new(config: &Config) -> anyhow::Result<Self> {
        let application: Application = config.sign_in.application.clone().context(
            "OURA_CLIENT_ID, OURA_CLIENT_SECRET: not set; subscriptions belong to an application, so set both",
        )?;
        let state = config.sign_in.store.as_ref().map(|store| store.directory().to_owned());
        let url = config.webhooks.as_ref().map(|place| place.url.clone());
        Ok(Self { api: Api::new(&config.api_url, application)?, state, url })
    }

    /// All subscriptions, each with whether it is ours.
    async fn subscriptions(&self) -> anyhow::Result<Vec<(Subscription, bool)>> {
        let is_ours = webhooks::ours(self.state.as_ref(), self.url.as_deref())?;
        let asked = || format!("cannot list the subscriptions at {}", self.api.url());
        let mut found = self.api.list().await.with_context(asked)?;
        found.sort_by(|one, other| (&one.data_type, &one.event_type).cmp(&(&other.data_type, &other.event_type)));
        Ok(found.into_iter().map(|one| (is_ours(&one), one)).map(|(is_ours, one)| (one, is_ours)).collect())
    }

    async fn list(&self) -> anyhow::Result<()> {
        let found = self.subscriptions().await?;
        if found.is_empty() {
            println!(
                "The application has no subscriptions. With OURA_WEBHOOK_URL set, the exporter makes them at its start."
            );
            return Ok(());
        }
        println!("{:26} {:8} {:17} {:7} CALLBACK", "DATA TYPE", "EVENT", "ENDS", "WHOSE");
        for (one, is_ours) in &found {
            let end =
                one.ends_at().map_or_else(|| "unknown".to_owned(), |end| end.format("%Y-%m-%d %H:%MZ").to_string());
            let whose = if *is_ours { "ours" } else { "foreign" };
            println!("{:26} {:8} {end:17} {whose:7} {}", one.data_type, one.event_type, one.shown_url());
        }
        Ok(())
    }

    async fn remove(&self) -> anyhow::Result<()> {
        let (ours, others): (Vec<_>, Vec<_>) =
            self.subscriptions().await?.into_iter().partition(|(_, is_ours)| *is_ours);
        let mut removed = 0;
        for (one, _) in &ours {
            match self.api.remove(&one.id).await {
                Ok(()) | Err(webhooks::Refused::Unknown) => removed += 1,
                Err(error) => {
                    println!("Removed {removed} of {} subscriptions.", ours.len());
                    return Err(error).with_context(|| {
                        let (event, data_type, url) = (&one.event_type, &one.data_type, self.api.url());
                        format!("cannot remove the subscription to {event} of {data_type} at {url}; run this again")
                    });
                }
            }
        }
        println!("Removed {removed} subscriptions.");
        if removed > 0 {
            println!("Unset OURA_WEBHOOK_URL before the exporter starts again, or it subscribes again.");
        }
        if let Some((other, _)) = others.first() {
            println!("{} belong to another program ({}) and stay.", others.len(), other.shown_url());
        }
        ensure!(
            self.url.is_some() || !ours.is_empty() || others.is_empty(),
            "none of the subscriptions is known as this exporter's; to remove those of an address, set OURA_WEBHOOK_URL \
             to it"
        );
        Ok(())
    }
}

/// Whether our own public address leads to the callback of a running exporter, and every subscription stands, in words.
///
/// # Errors
/// Where that is not so, with the cause and the next step.
pub(super) async fn check(config: &Config) -> Option<anyhow::Result<String>> {
    let place = config.webhooks.as_ref()?;
    Some(examine(place, config).await)
}

async fn examine(place: &Place, config: &Config) -> anyhow::Result<String> {
    webhooks::reaches(&place.url, place.store.directory()).await?;
    let found = webhooks::standing(place, &config.api_url, &config.collections, &Clock::system()).await?;
    let Standing { active, missing, foreign } = found;
    let others = match foreign {
        0 => String::new(),
        _ => format!(
            "; of another program with the same application: {foreign}, whose collections are polled as without webhooks \
             (run: oura-exporter webhooks list)"
        ),
    };
    ensure!(
        missing == 0,
        "{} leads to this exporter, but subscriptions are missing: {missing}; active: {active}{others}; the exporter makes \
         what is missing when it starts and at least once an hour: its log says why it cannot, and a restart has it try at once",
        place.url
    );
    Ok(format!("Webhooks: {} leads to this exporter. Active subscriptions: {active}{others}.", place.url))
}
