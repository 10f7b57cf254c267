//! One node: what waits at it, and what it does when.

use std::collections::VecDeque;

use crate::design::{Design, Load};
use crate::parameters::*;
use crate::random::Random;

#[derive(Clone, Copy)]
pub enum Step {
    Gather,
    Write,
    Poll,
    Sign,
    Asks,
    GiveBack,
    Look,
    Sum,
}

impl Step {
    pub fn next(self) -> Self {
        match self {
            Self::Gather => Self::Write,
            Self::Write => Self::Poll,
            Self::Poll => Self::Sign,
            Self::Sign => Self::Asks,
            Self::Asks => Self::GiveBack,
            Self::GiveBack => Self::Look,
            Self::Look => Self::Sum,
            Self::Sum => Self::Gather,
        }
    }
}

/// What a step takes.
pub enum Work {
    None,
    /// The thread sleeps.
    Sleep(u64),
    /// Round trips without the lock.
    Talk(u64),
    /// A transaction that holds the lock for a time, after some work of the server's, or gives up after
    /// waiting for another time.
    Lock {
        before_ns: u64,
        hold_ns: u64,
        patience_ns: u64,
    },
}

pub struct Node {
    pub random: Random,
    pub step: Step,
    pub next_row_ns: u64,
    pub next_ask_ns: u64,
    pub next_notes_ns: u64,
    pub next_poll_ns: u64,
    pub next_sign_ns: u64,
    pub next_second_ns: u64,
    pub next_sum_ns: u64,
    pub next_look_ns: u64,
    /// When each row came that waits.
    pub rows: VecDeque<u64>,
    pub notes: usize,
    pub asks: VecDeque<u64>,
    /// Rows that are written now, and asks that are answered.
    pub writing: Vec<u64>,
    pub answering: Vec<u64>,
    pub summing: f64,
    /// Since when it found the lock taken when it wanted to sum up.
    pub postponed_ns: Option<u64>,
    pub was_busy: bool,
    pub has_gathered: bool,
    /// Leases to be written at the next look at them, and those that are given back after that.
    pub used_leases: f64,
    pub idle_leases: f64,
    pub busy_ns: u64,
    pub locking_since_ns: u64,
}

impl Node {
    pub fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            step: Step::Sum,
            next_row_ns: 0,
            next_ask_ns: 0,
            next_notes_ns: 0,
            next_poll_ns: 0,
            next_sign_ns: 0,
            next_second_ns: 0,
            next_sum_ns: 0,
            next_look_ns: 0,
            rows: VecDeque::new(),
            notes: 0,
            asks: VecDeque::new(),
            writing: Vec::new(),
            answering: Vec::new(),
            summing: 0.0,
            postponed_ns: None,
            was_busy: false,
            has_gathered: false,
            used_leases: 0.0,
            idle_leases: 0.0,
            busy_ns: 0,
            locking_since_ns: 0,
        }
    }

    pub fn start(&mut self, now_ns: u64) {
        self.step = Step::Poll;
        self.next_row_ns = now_ns;
        self.next_ask_ns = now_ns;
        self.next_notes_ns = now_ns + NOTES_NS;
        self.next_poll_ns = now_ns + POLL_NS;
        self.next_sign_ns = now_ns + SIGN_NS;
        self.next_second_ns = now_ns + SECOND_NS;
        self.next_sum_ns = now_ns + SECOND_NS;
        self.next_look_ns = now_ns + SECOND_NS;
    }

    /// Queues what has come since the last call.
    pub fn take_arrivals(
        &mut self,
        now_ns: u64,
        load: &Load,
        design: &Design,
        parameters: &Parameters,
    ) {
        let rate = load.requests_per_second / load.nodes as f64;
        if rate <= 0.0 {
            return;
        }
        while self.next_row_ns <= now_ns {
            self.rows.push_back(self.next_row_ns);
            self.next_row_ns += self.random.gap_ns(rate);
        }
        let ask_rate = rate * parameters.ask_share(load, design);
        while load.has_budgets && ask_rate > 0.0 && self.next_ask_ns <= now_ns {
            self.asks.push_back(self.next_ask_ns);
            self.next_ask_ns += self.random.gap_ns(ask_rate);
        }
        let notes = rate * parameters.long_share * parameters.long_seconds * NOTES_NS as f64 / 1e9;
        while self.next_notes_ns <= now_ns {
            self.notes += self.random.rounded(notes);
            self.next_notes_ns += NOTES_NS;
        }
    }

    /// Waits for rows, notes or asks, and for some more where there are many.
    pub fn gather(&mut self, now_ns: u64, has_budgets: bool) -> Work {
        let entries = self.rows.len() + self.notes;
        if entries == 0 && self.asks.is_empty() && !self.has_gathered {
            let ask_ns = if has_budgets {
                self.next_ask_ns
            } else {
                u64::MAX
            };
            let next_ns = self.next_row_ns.min(ask_ns).min(self.next_notes_ns);
            self.has_gathered = now_ns + SLEEP_NS <= next_ns;
            return Work::Sleep(next_ns.min(now_ns + SLEEP_NS));
        }
        if self.was_busy && (1..ENOUGH_ROWS).contains(&entries) && !self.has_gathered {
            self.has_gathered = true;
            return Work::Sleep(now_ns + GATHER_NS);
        }
        self.has_gathered = false;
        Work::None
    }
}

impl Parameters {
    /// The share of the requests whose user has no lease at their node any more.
    pub fn ask_share(&self, load: &Load, design: &Design) -> f64 {
        let nodes = if design.users_stay {
            1.0
        } else {
            load.nodes as f64
        };
        let rate = load.requests_per_second / self.users / nodes;
        (-rate * design.lease_idle_seconds).exp()
    }
}
