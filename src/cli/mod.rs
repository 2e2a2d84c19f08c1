//! The command line: which command, with which flags, and which exit code.

#[macro_use]
mod output;

mod backfill;
mod beside;
mod check;
#[cfg(feature = "demo")]
mod demo;
mod examine;
mod flags;
mod healthcheck;
mod logging;
mod naming;
mod sign_in;
mod stop;
mod webhooks;

use std::{env, process::ExitCode};

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser, Subcommand, error::ErrorKind};
use tokio::{
    net::TcpListener,
    runtime,
    signal::unix::{SignalKind, signal},
};
use tracing::{error, info, warn};

use self::{
    flags::ServeFlags,
    logging::Reader,
    stop::{Stopped, unless_stopped},
};
use crate::{
    clock::Clock,
    config::{self, Accounts, Config, Flags, Mistakes},
    exporter::Exporter,
    oura::ClientOptions,
    version,
};

/// Wrong use or configuration.
const MISUSE: u8 = 2;

/// Prometheus exporter for Oura Ring.
#[derive(Parser)]
#[command(version, about, after_help = config::help(), max_term_width = 80)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    flags: ServeFlags,
}

#[derive(Clone, PartialEq, Eq, Subcommand)]
enum Command {
    /// Poll Oura and serve the metrics; the default
    Serve(ServeFlags),
    /// Serve made-up data of two people, without an account or a network
    #[cfg(feature = "demo")]
    Demo(demo::Demo),
    /// Exit with 0 when the exporter on this machine is ready
    Healthcheck(healthcheck::Healthcheck),
    /// Sign a person in at Oura
    Login(sign_in::Login),
    /// Revoke an account's access at Oura and delete its tokens
    Logout(sign_in::Logout),
    /// Show who is signed in, and rename accounts
    Accounts(sign_in::Accounts),
    /// Import any period of the past: as files for promtool, or by remote write
    Backfill(backfill::Arguments),
    /// Show or remove the application's webhook subscriptions at Oura
    Webhooks(webhooks::Arguments),
    /// Test configuration, tokens and every collection: 0 only if all is well
    Check,
}

impl Command {
    /// Who reads what it tells.
    fn reader(&self) -> Reader {
        match self {
            Self::Serve(_) => Reader::Log,
            #[cfg(feature = "demo")]
            Self::Demo(_) => Reader::Log,
            _ => Reader::Person,
        }
    }

    /// Its flags, and those before its name where it has none of that kind.
    fn flags(&self, before: ServeFlags) -> Flags {
        let own = match self {
            Self::Serve(flags) => flags.0.clone(),
            #[cfg(feature = "demo")]
            Self::Demo(demo) => demo.flags.0.clone(),
            Self::Healthcheck(healthcheck) => healthcheck.flags.0.clone(),
            _ => Flags::default(),
        };
        own.or(before.0)
    }
}

/// The definition of the command line, of which completions and man pages are made.
#[must_use]
pub fn definition() -> clap::Command {
    Cli::command()
}

/// Runs the command that the arguments name, and says how the process is to end.
pub fn main() -> ExitCode {
    let ended = match Cli::try_parse() {
        Ok(cli) => run(cli),
        Err(asked) if asked.kind() == ErrorKind::DisplayVersion => {
            println!("{}", version::text());
            ExitCode::SUCCESS
        }
        // Help, or what is wrong with the arguments.
        Err(words) if words.print().is_err() && !words.use_stderr() => ExitCode::from(output::CLOSED_PIPE),
        Err(words) => ExitCode::from(u8::try_from(words.exit_code()).unwrap_or(MISUSE)),
    };
    if output::is_closed() { ExitCode::from(output::CLOSED_PIPE) } else { ended }
}

fn run(cli: Cli) -> ExitCode {
    let command = cli.command.unwrap_or_else(|| Command::Serve(ServeFlags::default()));
    if let Command::Backfill(arguments) = &command
        && let Err(mistake) = arguments.judge()
    {
        return misuse(&Mistakes { mistakes: vec![mistake], warnings: vec![] });
    }
    let accounts = match command {
        Command::Serve(_) => Accounts::MayCome,
        Command::Check | Command::Backfill(_) => Accounts::Needed,
        _ => Accounts::NotNeeded,
    };
    let config = match Config::from_environment(env::vars_os(), command.flags(cli.flags), accounts) {
        Ok(config) => config,
        Err(mistakes) => return misuse(&mistakes),
    };
    let reader = command.reader();
    logging::start(config.log, reader);
    for warning in &config.warnings {
        warn!("{warning}");
    }
    match on_runtime(command, config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if output::is_of_closed_pipe(&failure) => ExitCode::from(output::CLOSED_PIPE),
        Err(failure) => {
            if let Some(stopped) = failure.downcast_ref::<Stopped>() {
                return ExitCode::from(stopped.code);
            }
            match reader {
                Reader::Log => error!("{failure:#}"),
                Reader::Person => output::complain(format_args!("{failure:#}")),
            }
            ExitCode::FAILURE
        }
    }
}

fn misuse(mistakes: &Mistakes) -> ExitCode {
    for mistake in mistakes.warnings.iter().chain(&mistakes.mistakes) {
        output::complain(format_args!("{mistake}"));
    }
    ExitCode::from(MISUSE)
}

fn on_runtime(command: Command, config: Config) -> anyhow::Result<()> {
    let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let ended = runtime.block_on(async {
        let ended = match command {
            Command::Serve(_) => serve(config).await,
            #[cfg(feature = "demo")]
            Command::Demo(demo) => demo.run(config).await,
            Command::Backfill(arguments) => arguments.run(config).await,
            Command::Healthcheck(healthcheck) => unless_stopped(healthcheck.run(&config)).await,
            Command::Login(login) => unless_stopped(login.run(&config.sign_in, &config)).await,
            Command::Logout(logout) => unless_stopped(logout.run(&config.sign_in)).await,
            Command::Accounts(accounts) => unless_stopped(accounts.run(&config.sign_in, config.shard)).await,
            Command::Webhooks(arguments) => unless_stopped(arguments.run(&config)).await,
            Command::Check => unless_stopped(check::run(config)).await,
        };
        stop::settle().await?;
        ended
    });
    // What is still under way, a request to Oura at most, is of no use any more.
    runtime.shutdown_background();
    ended
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let stop = stop::asked_to_stop()?;
    let mut hangup = signal(SignalKind::hangup())?;
    let listener = TcpListener::bind(&config.listen_address).await.with_context(|| {
        format!("cannot listen on {}; stop what listens there or set OURA_LISTEN_ADDRESS", config.listen_address)
    })?;
    let exporter = Exporter::new(config, listener.local_addr()?, Clock::system(), ClientOptions::default())?;
    let look = exporter.accounts.look();
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            info!("looking at the token files, as the signal HUP asks for");
            look.notify_one();
        }
    });
    exporter.run(listener, stop).await
}
