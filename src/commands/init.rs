//! `llmproxy init`: asks for the backend's key, tries it, writes the env file, and makes a first
//! user.

use std::{
    fmt::Write as _,
    fs::OpenOptions,
    io::{self, IsTerminal, Write},
    path::Path,
    time::Duration,
};

use anyhow::{Context, bail};
use clap::ArgMatches;
use comfy_table::Table;

use super::{
    WrongUsage, check::backend::Probe, hidden_input, note, print, read_secret_line, tables,
};
use crate::{
    admin::{AdminContext, GenerateKey},
    cli::{DEFAULT_ENV_FILE, start::InitArgs},
    config::{
        InitConfig, OPENAI_URL,
        env_file::{Variables, quoted},
    },
    model::{Secret, UserName},
    proxy::backend::HttpProxy,
    store::{
        IfMissing, Store,
        keys::{IssuedKey, KeyStorage},
    },
};

/// Time that connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Keys that a person may try before the command gives up.
const MAX_TRIES: usize = 3;

pub(super) fn run(
    args: &InitArgs,
    path: &Path,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    let shown = path.display().to_string();
    // Also a link that leads nowhere.
    if path.symlink_metadata().is_ok() {
        bail!("\"{shown}\" exists, and is never overwritten: edit it, or move it away first");
    }
    let user = args.user.as_deref().map(name).transpose()?;
    let is_asking = io::stdin().is_terminal();
    let config = args.settings.read(matches, variables)?;
    let key = if is_asking {
        ask_for_key(args, &config, matches, variables)?
    } else {
        let key = args.settings.key(&read_secret_line()?, matches)?;
        if !args.no_check {
            try_key(&config, &key, variables)?;
        }
        key
    };
    write_private(path, &text(&config, &key))
        .with_context(|| format!("cannot write \"{shown}\""))?;
    note(&format!("wrote \"{shown}\", which only you can read"));
    if variables.get("OPENAI_API_KEY").is_some() {
        note("the variable OPENAI_API_KEY is set, and goes before the file: unset it for `serve`");
    }
    let user = match user {
        None if is_asking => ask_for_user()?,
        user => user,
    };
    if let Some(user) = user {
        let name = user.as_str().to_owned();
        let issued = add_user(&config, &user).with_context(|| {
            format!(
                "the settings are written, but there is no user {name:?}; try `llmproxy user add`"
            )
        })?;
        print_key(&issued)?;
    }
    let option = if path == Path::new(DEFAULT_ENV_FILE) {
        String::new()
    } else {
        format!("--env-file {shown} ")
    };
    note(&format!(
        "`llmproxy {option}serve` runs the proxy, and `llmproxy {option}check` looks at these settings"
    ));
    Ok(())
}

fn name(text: &str) -> anyhow::Result<UserName> {
    UserName::parse(text).map_err(|error| WrongUsage(format!("--user: {error}")).into())
}

/// Asks for keys until the backend accepts one.
fn ask_for_key(
    args: &InitArgs,
    config: &InitConfig,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<Secret> {
    for tries in 1.. {
        let key = hidden_input::ask(&format!(
            "Key for {} (not shown; empty for a backend without keys): ",
            config.backend_url
        ));
        let key = match key {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => break,
            key => key.context("cannot read the key from the terminal")?,
        };
        let key = match args.settings.key(&key, matches) {
            Ok(key) => key,
            Err(error) if tries < MAX_TRIES => {
                note(&error.to_string());
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if args.no_check {
            return Ok(key);
        }
        match try_key(config, &key, variables) {
            Ok(()) => return Ok(key),
            Err(error) => note(&format!("{error:#}")),
        }
        if is_agreed("Take this key all the same?")? {
            return Ok(key);
        }
        if tries >= MAX_TRIES {
            break;
        }
    }
    bail!("nothing was written")
}

/// Asks the backend whether it accepts a key.
fn try_key(config: &InitConfig, key: &Secret, variables: &Variables) -> anyhow::Result<()> {
    let http_proxy = HttpProxy::for_backend(&config.backend_url, |name| variables.get(name))
        .map_err(|(variable, problem)| anyhow::anyhow!("{variable}: {problem}"))?;
    let probe = Probe {
        url: &config.backend_url,
        key,
        organization: None,
        project: None,
        http_proxy,
        connect_timeout: CONNECT_TIMEOUT,
        extra_roots: config.extra_roots.as_deref(),
    };
    let answer = probe.ask().context(
        "the key could not be tried, and nothing was written; --no-check writes it untried",
    )?;
    match answer.problem(!key.expose().is_empty()) {
        None => {
            let models = answer
                .models
                .map_or_else(String::new, |models| format!(" and lists {models} models"));
            note(&format!("{} accepts the key{models}", config.backend_url));
            Ok(())
        }
        Some(problem) => bail!(
            "{}: {problem}; --no-check writes the key untried",
            config.backend_url
        ),
    }
}

/// Asks a question whose answer is no unless it is yes.
fn is_agreed(question: &str) -> io::Result<bool> {
    let answer = ask(&format!("{question} [y/N] "))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn ask(question: &str) -> io::Result<String> {
    let mut stderr = io::stderr();
    write!(stderr, "{question}")?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(answer)
}

fn ask_for_user() -> anyhow::Result<Option<UserName>> {
    loop {
        let answer = ask("Name of a first user (empty for none): ")?;
        if answer.trim().is_empty() {
            return Ok(None);
        }
        match UserName::parse(&answer) {
            Ok(name) => return Ok(Some(name)),
            Err(error) => note(&error.to_string()),
        }
    }
}

/// Returns the text of the env file.
fn text(config: &InitConfig, key: &Secret) -> String {
    let mut text = String::from(
        "# Settings of llmproxy. It holds keys: chmod 600. Flags and variables go before these lines, and\n\
         # `llmproxy serve --help` lists all of them.\n\n",
    );
    let mut set = |name: &str, value: &str| {
        let _ = writeln!(text, "{name}={}", quoted(value));
    };
    set("OPENAI_API_KEY", key.expose());
    let backend = config.backend_url.to_string();
    if backend.trim_end_matches('/') != OPENAI_URL {
        set(config.backend_url.variable, &backend);
    }
    if config.key_storage == KeyStorage::Hashed {
        set("STORE_KEYS", "hashed");
    }
    if let Some(database) = &config.own_database_url {
        set("DATABASE_URL", database);
    }
    text
}

/// Writes a new file that only its owner can read, completely or not at all.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all());
    if written.is_err() {
        // It is this command's own.
        let _ = std::fs::remove_file(path);
    }
    written
}

fn add_user(config: &InitConfig, user: &UserName) -> anyhow::Result<IssuedKey> {
    let context = AdminContext {
        key_storage: config.key_storage,
        ..AdminContext::of_store(Store::open(&config.database, IfMissing::Create)?)
    };
    let issued = context.run(GenerateKey {
        username: Some(user.as_str().to_owned()),
        ..GenerateKey::default()
    })?;
    Ok(issued)
}

/// Prints the key: a table on a terminal, the key alone in a pipe.
fn print_key(issued: &IssuedKey) -> anyhow::Result<()> {
    if io::stdout().is_terminal() {
        print(&tables::issued(std::slice::from_ref(issued)).boxed(Table::new().width()))
    } else {
        print(&issued.api_key)
    }
}
