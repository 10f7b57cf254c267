//! What `top` shows, and what keys do to it; without a terminal, so that it can be tested.

use std::time::{Duration, Instant};

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::widgets::TableState;

use crate::admin::{LiveActivity, LiveUser, ShowLive, SortLiveBy};

/// The least number of users that are asked for.
const MIN_USERS: usize = 100;
/// The most users that an answer has.
const MAX_USERS: usize = 10_000;
/// How long a message stays.
const MESSAGE_TIME: Duration = Duration::from_secs(5);
/// Lines of a list that are seen at once on a small terminal.
const PAGE: usize = 15;
/// The longest filter, in characters.
const MAX_FILTER_CHARS: usize = 60;

/// Which list is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    Users,
    Requests,
    Errors,
}

/// What keys mean at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mode {
    Watching,
    /// The filter is typed.
    Filtering,
    /// The person is asked whether the keys of a user are to be allowed or forbidden.
    Asking {
        user: String,
        is_active: bool,
    },
    Help,
}

/// What a key asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    None,
    Quit,
    /// Ask the target at once.
    Ask,
    SetActive {
        user: String,
        is_active: bool,
    },
}

/// What is shown.
pub(super) struct Top {
    /// What is looked at: an address or a file.
    pub(super) source: String,
    pub(super) sort: SortLiveBy,
    pub(super) is_all: bool,
    pub(super) filter: String,
    pub(super) view: View,
    pub(super) mode: Mode,
    pub(super) activity: Option<LiveActivity>,
    /// Why the last question was not answered.
    pub(super) failure: Option<String>,
    /// The selected line and the first one that is seen.
    pub(super) table: TableState,
    /// The selected user, who is followed when the order changes.
    selected: Option<String>,
    message: Option<(String, Instant)>,
    is_paused: bool,
    /// The last user is to be selected when all are known.
    is_at_end: bool,
}

impl Top {
    pub(super) fn new(sort: SortLiveBy, is_all: bool, source: String) -> Self {
        Self {
            source,
            sort,
            is_all,
            filter: String::new(),
            view: View::Users,
            mode: Mode::Watching,
            activity: None,
            failure: None,
            table: TableState::default(),
            selected: None,
            message: None,
            is_paused: false,
            is_at_end: false,
        }
    }

    pub(super) fn set_filter(&mut self, filter: &str) {
        self.filter = filter.chars().take(MAX_FILTER_CHARS).collect();
    }

    pub(super) fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Returns whether something on the screen has to go although nothing happened.
    pub(super) fn is_stale(&mut self) -> bool {
        let is_old = |at: &Instant| at.elapsed() >= MESSAGE_TIME;
        if self.message.as_ref().is_some_and(|(_, at)| is_old(at)) {
            self.message = None;
            return true;
        }
        false
    }

    pub(super) fn message(&self) -> Option<&str> {
        self.message.as_ref().map(|(text, _)| text.as_str())
    }

    /// Shows a message for some seconds.
    pub(super) fn say(&mut self, text: impl Into<String>) {
        self.message = Some((text.into(), Instant::now()));
    }

    /// Returns the question for a screen with a number of lines: as many users as can be seen, and
    /// some more to move to.
    pub(super) fn query(&self, rows: usize) -> ShowLive {
        let seen = self.table.selected().unwrap_or(0).max(self.table.offset()) + 2 * rows;
        let users = match (self.view, self.is_at_end) {
            (View::Users, true) => MAX_USERS,
            (View::Users, false) => seen.clamp(MIN_USERS, MAX_USERS),
            _ => 0,
        };
        let number = |count: usize| i64::try_from(count).ok();
        let words = SortLiveBy::WORDS.iter();
        let word = words
            .filter(|(_, by)| *by == self.sort)
            .map(|(word, _)| *word);
        ShowLive {
            users: number(users),
            requests: number(if self.view == View::Requests {
                1_000
            } else {
                0
            }),
            errors: number(if self.view == View::Errors { 100 } else { 0 }),
            sort: word.map(str::to_owned).next(),
            filter: Some(self.filter.clone()).filter(|filter| !filter.is_empty()),
            all: Some(self.is_all),
        }
    }

    /// Shows an answer.
    pub(super) fn take(&mut self, activity: LiveActivity) {
        self.failure = None;
        self.activity = Some(activity);
        if self.view == View::Users {
            if self.is_at_end {
                self.is_at_end = false;
                self.select(self.users().len().checked_sub(1));
            } else if let Some(name) = &self.selected {
                let place = self.users().iter().position(|user| user.name == *name);
                self.select(place);
            }
        }
    }

    /// Notes that the target did not answer; what is shown stays.
    pub(super) fn fail(&mut self, error: &str) {
        self.failure = Some(error.to_owned());
    }

    pub(super) fn users(&self) -> &[LiveUser] {
        self.activity
            .as_ref()
            .map_or(&[], |activity| &activity.users)
    }

    /// Returns the number of lines of the list that is shown.
    fn lines(&self) -> usize {
        self.activity
            .as_ref()
            .map_or(0, |activity| match self.view {
                View::Users => activity.users.len(),
                View::Requests => activity.requests.len(),
                View::Errors => activity.errors.len(),
            })
    }

    fn select(&mut self, line: Option<usize>) {
        self.table.select(line);
        if self.view == View::Users {
            let user = line.and_then(|line| self.users().get(line));
            self.selected = user.map(|user| user.name.clone());
        }
    }

    /// Does what a key asks for.
    pub(super) fn press(&mut self, key: KeyEvent) -> Action {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return match key.code {
                KeyCode::Char('c' | 'd') => Action::Quit,
                _ => Action::None,
            };
        }
        match std::mem::replace(&mut self.mode, Mode::Watching) {
            Mode::Watching => self.press_watching(key.code),
            Mode::Filtering => self.press_filtering(key.code),
            Mode::Asking { user, is_active } => {
                if let KeyCode::Char('y' | 'Y') = key.code {
                    return Action::SetActive { user, is_active };
                }
                self.say("nothing was changed");
                Action::None
            }
            Mode::Help => Action::None,
        }
    }

    fn press_filtering(&mut self, code: KeyCode) -> Action {
        match code {
            KeyCode::Enter => return Action::None,
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Backspace => {
                self.mode = Mode::Filtering;
                self.filter.pop();
            }
            KeyCode::Char(c) => {
                self.mode = Mode::Filtering;
                if self.filter.chars().count() < MAX_FILTER_CHARS {
                    self.filter.push(c);
                }
            }
            _ => self.mode = Mode::Filtering,
        }
        Action::Ask
    }

    fn press_watching(&mut self, code: KeyCode) -> Action {
        let last = self.lines().checked_sub(1);
        let now = self.table.selected();
        let down = |by: usize| last.map(|last| now.map_or(by - 1, |now| now + by).min(last));
        let up = |by: usize| last.map(|last| now.unwrap_or(0).saturating_sub(by).min(last));
        match code {
            KeyCode::Char('q') => return Action::Quit,
            KeyCode::Char('?' | 'h') => self.mode = Mode::Help,
            KeyCode::Down | KeyCode::Char('j') => self.select(down(1)),
            KeyCode::Up | KeyCode::Char('k') => self.select(up(1)),
            KeyCode::PageDown => self.select(down(PAGE)),
            KeyCode::PageUp => self.select(up(PAGE)),
            KeyCode::Home => self.select(last.map(|_| 0)),
            KeyCode::End => {
                self.select(last);
                self.is_at_end = self.view == View::Users;
                return Action::Ask;
            }
            KeyCode::Esc => {
                self.select(None);
                *self.table.offset_mut() = 0;
                if !self.filter.is_empty() {
                    self.filter.clear();
                    return Action::Ask;
                }
            }
            KeyCode::Tab => return self.show(self.view.next()),
            KeyCode::BackTab => return self.show(self.view.next().next()),
            KeyCode::Char('/') => {
                self.mode = Mode::Filtering;
                return self.show(View::Users);
            }
            KeyCode::Char('a') => {
                self.is_all = !self.is_all;
                return self.show(View::Users);
            }
            KeyCode::Char('p' | ' ') => self.is_paused = !self.is_paused,
            KeyCode::Char('f') => self.ask_about_user(),
            KeyCode::Char('<' | ',') => return self.sort_beside(-1),
            KeyCode::Char('>' | '.') => return self.sort_beside(1),
            KeyCode::Char(c) => {
                if let Some((_, by)) = SORT_KEYS.iter().find(|(key, _)| *key == c) {
                    return self.sort_by(*by);
                }
            }
            _ => {}
        }
        Action::None
    }

    fn show(&mut self, view: View) -> Action {
        if self.view != view {
            self.view = view;
            self.table = TableState::default();
        }
        Action::Ask
    }

    fn sort_by(&mut self, sort: SortLiveBy) -> Action {
        self.sort = sort;
        self.show(View::Users)
    }

    fn sort_beside(&mut self, step: isize) -> Action {
        let place = SORT_KEYS.iter().position(|(_, by)| *by == self.sort);
        let place = place.unwrap_or(0).saturating_add_signed(step);
        self.sort_by(SORT_KEYS[place.min(SORT_KEYS.len() - 1)].1)
    }

    fn ask_about_user(&mut self) {
        let line = self.table.selected().filter(|_| self.view == View::Users);
        let Some(user) = line.and_then(|line| self.users().get(line)) else {
            self.say("select a user first, with the arrow keys");
            return;
        };
        self.mode = Mode::Asking {
            user: user.name.clone(),
            is_active: user.forbidden,
        };
    }
}

/// The keys that sort, in the order of the columns.
pub(super) const SORT_KEYS: [(char, SortLiveBy); 9] = [
    ('n', SortLiveBy::Name),
    ('i', SortLiveBy::InFlight),
    ('w', SortLiveBy::Waiting),
    ('r', SortLiveBy::Requests),
    ('t', SortLiveBy::Tokens),
    ('b', SortLiveBy::FirstByte),
    ('x', SortLiveBy::Refused),
    ('c', SortLiveBy::Cost),
    ('u', SortLiveBy::Budget),
];

impl View {
    fn next(self) -> Self {
        match self {
            Self::Users => Self::Requests,
            Self::Requests => Self::Errors,
            Self::Errors => Self::Users,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::NanoUsd;

    fn user(name: &str) -> LiveUser {
        LiveUser {
            name: name.to_owned(),
            group: None,
            in_flight: 0,
            waiting: 0,
            requests_per_minute: 0,
            tokens_per_minute: 0,
            time_to_first_byte_ms: None,
            refused_per_minute: 0,
            forbidden: false,
            cost_today: NanoUsd(0),
            budget: None,
            last_seen: None,
        }
    }

    fn activity(names: &str) -> LiveActivity {
        LiveActivity {
            now: "2026-11-29T20:15:00.000Z".to_owned(),
            is_live: true,
            in_flight: 0,
            waiting: 0,
            requests_per_minute: 0,
            tokens_per_minute: 0,
            refused_per_minute: 0,
            cost_today: NanoUsd(0),
            users_total: names.len(),
            users: names.split(' ').map(user).collect(),
            requests: Vec::new(),
            errors: Vec::new(),
        }
    }

    fn top(names: &str) -> Top {
        let mut top = Top::new(SortLiveBy::InFlight, false, "here".to_owned());
        top.take(activity(names));
        top
    }

    fn type_keys(top: &mut Top, keys: &str) -> Action {
        let mut last = Action::None;
        for key in keys.chars() {
            last = press(top, KeyCode::Char(key));
        }
        last
    }

    fn press(top: &mut Top, code: KeyCode) -> Action {
        top.press(KeyEvent::new(code, KeyModifiers::NONE))
    }

    #[test]
    fn a_user_is_forbidden_only_after_a_yes_and_stays_selected_when_the_order_changes() {
        let mut top = top("alice bob carol");
        assert_eq!(type_keys(&mut top, "f"), Action::None);
        assert_eq!(top.mode, Mode::Watching, "nobody is selected");
        type_keys(&mut top, "jj");
        assert_eq!(top.table.selected(), Some(1));
        top.take(activity("bob carol alice"));
        assert_eq!(top.table.selected(), Some(0));
        assert_eq!(type_keys(&mut top, "fn"), Action::None);
        let forbid = Action::SetActive {
            user: "bob".to_owned(),
            is_active: false,
        };
        assert_eq!(type_keys(&mut top, "f"), Action::None);
        // The list may change while the question is on the screen.
        top.take(activity("alice carol bob"));
        assert_eq!(type_keys(&mut top, "y"), forbid);
    }

    #[test]
    fn a_selected_user_who_is_gone_is_not_replaced_by_another() {
        let mut top = top("alice bob");
        type_keys(&mut top, "j");
        top.take(activity("bob carol"));
        assert_eq!(top.table.selected(), None);
        type_keys(&mut top, "f");
        assert_eq!(top.mode, Mode::Watching);
    }

    #[test]
    fn letters_sort_or_are_typed_into_the_filter() {
        let mut top = top("alice");
        assert_eq!(type_keys(&mut top, "c"), Action::Ask);
        assert_eq!(top.sort, SortLiveBy::Cost);
        type_keys(&mut top, ">");
        assert_eq!(top.sort, SortLiveBy::Budget);
        type_keys(&mut top, ">");
        assert_eq!(top.sort, SortLiveBy::Budget);
        type_keys(&mut top, "/qc");
        assert_eq!((top.filter.as_str(), top.sort), ("qc", SortLiveBy::Budget));
        assert_eq!(top.query(24).filter.as_deref(), Some("qc"));
        press(&mut top, KeyCode::Enter);
        assert_eq!(top.mode, Mode::Watching);
        press(&mut top, KeyCode::Esc);
        assert_eq!(top.query(24).filter, None);
    }

    #[test]
    fn only_users_who_can_be_seen_are_asked_for_until_the_end_is() {
        let mut top = top("alice bob");
        assert_eq!(top.query(24).users, Some(100));
        assert_eq!(press(&mut top, KeyCode::End), Action::Ask);
        assert_eq!(top.query(24).users, Some(10_000));
        top.take(activity("alice bob carol"));
        assert_eq!(top.table.selected(), Some(2));
        assert_eq!(type_keys(&mut top, "q"), Action::Quit);
    }

    #[test]
    fn keys_on_an_empty_list_do_nothing() {
        let mut top = Top::new(SortLiveBy::InFlight, false, "here".to_owned());
        for code in [
            KeyCode::Down,
            KeyCode::Up,
            KeyCode::PageDown,
            KeyCode::PageUp,
            KeyCode::Home,
            KeyCode::End,
        ] {
            press(&mut top, code);
            assert_eq!(top.table.selected(), None);
        }
    }
}
