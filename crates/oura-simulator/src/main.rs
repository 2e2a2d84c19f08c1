//! `oura-simulator`: a stand-in for the Oura Cloud, for whoever develops a client of it.

use std::{
    io::{self, Write as _},
    net::SocketAddr,
    process::ExitCode,
};

use chrono::{DateTime, Utc};
use clap::{Args, Parser, Subcommand};
use oura_simulator::{APPLICATION_LIMIT, Portal, Rule, Settings, Simulator, TimeSource};
use tokio::time::Instant;

/// A stand-in for the Oura Cloud with its traps: sign-in, made-up people with years of data, faults on demand
#[derive(Parser)]
#[command(version, max_term_width = 80)]
struct Command {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Serves the API and the sign-in until it is stopped
    Serve(Serve),
}

#[derive(Args)]
struct Serve {
    /// Where to listen; port 0: any free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:10059")]
    listen: SocketAddr,
    /// What all data follow from: the same seed gives the same people the same years
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many years of history everybody has
    #[arg(long, default_value_t = 5)]
    years: u32,
    /// Rings sync late, days are missing and documents are revised, as in real life; else nothing is missing
    #[arg(long)]
    real_life: bool,
    /// Adds carol of Los Angeles, who flies twice a year
    #[arg(long)]
    traveller: bool,
    /// The moment that is now at the start, for instance 2026-08-19T14:30:00Z; else the machine's time
    #[arg(long, value_name = "MOMENT")]
    now: Option<DateTime<Utc>>,
    /// A redirect URI that the applications have registered, besides http://localhost:10058/callback
    #[arg(long, value_name = "URI")]
    redirect_uri: Vec<String>,
    /// How many requests all accounts together may make in five minutes
    #[arg(long, value_name = "REQUESTS", default_value_t = APPLICATION_LIMIT)]
    application_limit: u32,
    /// What goes wrong from the start: [[PERSON/]COLLECTION:]FAULT[*TIMES], for instance sleep:status=503*3
    #[arg(long, value_name = "FAULT")]
    fault: Vec<Rule>,
}

fn main() -> ExitCode {
    let Command { action: Action::Serve(serve) } = Command::parse();
    match run(&serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "oura-simulator: cannot listen on {}: {error}", serve.listen);
            ExitCode::FAILURE
        }
    }
}

fn run(serve: &Serve) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let simulator = Simulator::start_on(serve.listen, serve.settings()).await?;
        for rule in &serve.fault {
            simulator.faults().set(rule.scope.clone(), rule.fault.clone());
        }
        for uri in &serve.redirect_uri {
            simulator.authorizations().register_redirect(uri);
        }
        io::stdout().write_all(introduction(&simulator).as_bytes())?;
        tokio::signal::ctrl_c().await
    })
}

impl Serve {
    fn settings(&self) -> Settings {
        let start = Instant::now();
        let clock = self.now.map_or_else(TimeSource::system, |now| TimeSource::new(move || now + start.elapsed()));
        Settings {
            clock,
            seed: self.seed,
            years: self.years,
            full_days: self.real_life.then_some(0),
            has_traveller: self.traveller,
            has_control: true,
            has_events: true,
            application_limit: Some(self.application_limit),
            ..Settings::default()
        }
    }
}

/// What a client needs to know, as shell variables where that is possible.
fn introduction(simulator: &Simulator) -> String {
    let url = simulator.url();
    let mut text = format!(
        "# The API: {url}/v2/usercollection/; faults: {url}/simulator/faults; events: {url}/simulator/events\nOURA_API_URL={url}\n"
    );
    for application in simulator.applications() {
        let (authorize, token) = match application.portal {
            Portal::New => ("/oauth/v2/ext/oauth-authorize", "/oauth/v2/ext/oauth-token"),
            Portal::Legacy => ("/oauth/authorize", "/oauth/token"),
        };
        text += &format!(
            "# An application of the {:?} portal: authorize at {url}{authorize}, tokens at {url}{token}\n\
             OURA_CLIENT_ID={}\nOURA_CLIENT_SECRET={}\n",
            application.portal, application.client_id, application.client_secret
        );
    }
    let people = simulator.people();
    text + &people
        .iter()
        .map(|wearer| format!("# {}'s token\nOURA_ACCESS_TOKEN={}\n", wearer.name, wearer.token))
        .collect::<String>()
}
