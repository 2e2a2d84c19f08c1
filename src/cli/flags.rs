//! The flags that win over variables, made of the table of settings.

use clap::{Arg, ArgMatches, Args, Command, Error, FromArgMatches};

use crate::config::{Flag, Flags, VARIABLES, Variable};

/// The flags of a command that serves.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct ServeFlags(pub(super) Flags);

/// The flags of a command that asks the page.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct WebFlags(pub(super) Flags);

/// The flags that say where the page is, and how it is reached.
const WEB: [&str; 2] = ["--web.listen-address", "--web.config.file"];

fn all() -> impl Iterator<Item = (&'static Variable, Flag)> {
    VARIABLES.iter().filter_map(|variable| Some((variable, variable.flag?)))
}

/// A command with those flags that are its own.
fn with_flags(command: Command, is_own: fn(&str) -> bool) -> Command {
    let own = all().filter(|(_, flag)| is_own(flag.name));
    own.fold(command, |command, (variable, flag)| {
        let (first, rest) = variable.help.split_at(1);
        let help = format!("{}{rest}; wins over {}", first.to_uppercase(), variable.name);
        command.arg(Arg::new(flag.name).long(flag.name.trim_start_matches('-')).value_name(flag.value).help(help))
    })
}

/// What was given of them.
fn given(matches: &ArgMatches) -> Flags {
    let given = |flag: Flag| {
        let value = matches.try_get_one::<String>(flag.name).ok().flatten()?;
        Some((flag.name, value.clone()))
    };
    all().filter_map(|(_, flag)| given(flag)).collect()
}

impl Args for ServeFlags {
    fn augment_args(command: Command) -> Command {
        with_flags(command, |_| true)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl Args for WebFlags {
    fn augment_args(command: Command) -> Command {
        with_flags(command, |name| WEB.contains(&name))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for ServeFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        Ok(Self(given(matches)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl FromArgMatches for WebFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        Ok(Self(given(matches)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
