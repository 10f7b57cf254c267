//! `llmproxy top`: who is doing what, on a terminal. A thread asks the target, so that keys work
//! while a server answers slowly; `state.rs` decides what keys do, and `view.rs` draws.

mod asker;
mod screen;
mod state;
mod view;

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use clap::ArgMatches;
use ratatui::crossterm::event::{self, Event, KeyEventKind};

use super::{WrongUsage, print, print_json, print_table, tables, target::Target};
use crate::{
    admin::{ShowLive, SortLiveBy},
    cli::top::TopArgs,
    config::env_file::Variables,
    store::IfMissing,
};

use asker::{Asker, Question};
use screen::Screen;
use state::{Action, Top};

/// The most users that `--once` and `--json` show.
const MAX_USERS: i64 = 10_000;
/// Longest wait for a key, so that answers and signals are noticed.
const TICK: Duration = Duration::from_millis(50);

pub(super) fn run(
    args: &TopArgs,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    let sort = SortLiveBy::parse(&args.sort).ok_or_else(|| {
        let words = SortLiveBy::WORDS.map(|(word, _)| word).join(", ");
        WrongUsage(format!("--sort must be one of {words}: {:?}", args.sort))
    })?;
    let is_watching = !args.once && !args.json;
    if is_watching && !(std::io::stdin().is_terminal() && std::io::stdout().is_terminal()) {
        let message = "top needs a terminal; --once and --json need none";
        return Err(WrongUsage(message.to_owned()).into());
    }
    let target = Target::open(&args.target, matches, variables, IfMissing::Refuse)?;
    if is_watching {
        let mut top = Top::new(sort, args.all, target.name());
        if let Some(filter) = &args.filter {
            top.set_filter(filter);
        }
        // An address or a token that is wrong is said before the screen changes.
        top.take(target.run(top.query(0))?);
        return watch(top, target, args.interval);
    }
    let activity = target.run(ShowLive {
        users: Some(MAX_USERS),
        sort: Some(args.sort.clone()),
        filter: args.filter.clone(),
        all: Some(args.all),
        ..ShowLive::default()
    })?;
    if args.json {
        return print_json(&activity);
    }
    if std::io::stdout().is_terminal() {
        print(&view::summary(&activity))?;
    }
    if activity.users.is_empty() {
        return print("no user did anything today; --all lists all users");
    }
    print_table(&tables::live_users(&activity.users))
}

/// Shows the target until the person quits or a signal comes.
fn watch(mut top: Top, target: Target, interval: Duration) -> anyhow::Result<()> {
    let asker = Asker::start(target);
    let mut screen = Screen::enter()?;
    let mut ask_at = Instant::now() + interval;
    let mut is_asked = false;
    let mut must_draw = true;
    loop {
        if let Some(signal) = screen.signal() {
            drop(screen);
            return screen::end_by(signal);
        }
        while let Some(answer) = asker.answer() {
            match answer {
                asker::Answer::Live(answer) => {
                    is_asked = false;
                    match answer {
                        Ok(activity) => top.take(*activity),
                        Err(error) => top.fail(&error),
                    }
                }
                asker::Answer::Done(answer) => {
                    top.say(answer.unwrap_or_else(|error| error));
                    ask_at = Instant::now();
                }
            }
            must_draw = true;
        }
        if !is_asked && !top.is_paused() && Instant::now() >= ask_at {
            is_asked = true;
            ask_at = Instant::now() + interval;
            asker.ask(Question::Live(top.query(screen.rows())));
        }
        if must_draw || top.is_stale() {
            screen.draw(&mut top)?;
            must_draw = false;
        }
        if !event::poll(TICK)? {
            continue;
        }
        must_draw = true;
        match event::read()? {
            Event::Key(key) if key.kind != KeyEventKind::Release => match top.press(key) {
                Action::None => {}
                Action::Quit => return Ok(()),
                Action::Ask => ask_at = Instant::now(),
                Action::SetActive { user, is_active } => {
                    asker.ask(Question::SetActive { user, is_active });
                }
            },
            _ => {}
        }
    }
}
