//! The simulation: nodes whose ledger's thread does one thing after the other, as
//! `Writer::run` in src/core/store/ledger/writer.rs does, and one lock that they take in turn. Time is
//! virtual, in nanoseconds; the same seed gives the same figures.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::design::{Design, Load};
use crate::node::{Node, Work};
use crate::parameters::{Parameters, SECOND_NS};
use crate::random::Random;

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// From the end of a request to the acknowledgement of its row, sorted, in nanoseconds.
    pub waits_ns: Vec<u64>,
    /// From a request's ask for a part of a budget to the answer, sorted.
    pub ask_waits_ns: Vec<u64>,
    pub rows: u64,
    pub commits: u64,
    pub lock_held: f64,
    /// Mean share of its time that the ledger's thread of a node is busy.
    pub thread_busy: f64,
    pub database_cpu_cores: f64,
    pub statements_per_second: f64,
    pub read_bytes_per_second: f64,
    /// Rows that wait at the end, for their commit and for being summed.
    pub backlog: u64,
    pub not_summed: f64,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The lock's holder ends.
    Release,
    /// A node asks for the lock, for so long and with so much patience.
    Ask {
        node: usize,
        hold_ns: u64,
        patience_ns: u64,
    },
    /// A node that waited for the lock gives up.
    GiveUp { node: usize, ticket: u64 },
    /// A node goes on; whether it had what it wanted.
    GoOn { node: usize, is_done: bool },
}

struct Waiting {
    node: usize,
    ticket: u64,
    hold_ns: u64,
}

/// A simulation that runs.
pub struct Simulation {
    pub parameters: Parameters,
    pub design: Design,
    pub load: Load,
    pub now_ns: u64,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    count: u64,
    pub nodes: Vec<Node>,
    holder: Option<usize>,
    queue: VecDeque<Waiting>,
    pub not_summed: f64,
    granted_ns: u64,
    held_ns: u64,
    pub cpu_ns: f64,
    pub outcome: Outcome,
}

const WARM_UP_SECONDS: f64 = 5.0;

pub fn simulate(parameters: Parameters, design: Design, load: Load) -> Outcome {
    let mut simulation = Simulation::new(parameters, design, load);
    simulation.run();
    simulation.outcome
}

impl Simulation {
    fn new(parameters: Parameters, design: Design, load: Load) -> Self {
        let mut seed = Random::new(1);
        let nodes = (0..load.nodes).map(|_| Node::new(seed.next()));
        let mut simulation = Self {
            parameters,
            design,
            load,
            now_ns: 0,
            events: BinaryHeap::new(),
            count: 0,
            nodes: nodes.collect(),
            holder: None,
            queue: VecDeque::new(),
            not_summed: 0.0,
            granted_ns: 0,
            held_ns: 0,
            cpu_ns: 0.0,
            outcome: Outcome::default(),
        };
        for node in 0..load.nodes {
            // Nodes do not start at one time.
            let start_ns = simulation.nodes[node].random.below(SECOND_NS);
            simulation.nodes[node].start(start_ns);
            simulation.at(
                start_ns,
                Event::GoOn {
                    node,
                    is_done: true,
                },
            );
        }
        simulation
    }

    fn at(&mut self, at_ns: u64, event: Event) {
        self.count += 1;
        self.events.push(Reverse((at_ns, self.count, event)));
    }

    fn run(&mut self) {
        let warm_up_ns = ns(WARM_UP_SECONDS * 1e3);
        let end_ns = warm_up_ns + ns(self.load.seconds * 1e3);
        let mut is_warm = false;
        while let Some(Reverse((at_ns, _, event))) = self.events.pop() {
            if at_ns > end_ns {
                break;
            }
            if !is_warm && at_ns >= warm_up_ns {
                is_warm = true;
                self.forget(warm_up_ns);
            }
            self.now_ns = at_ns;
            match event {
                Event::Ask {
                    node,
                    hold_ns,
                    patience_ns,
                } => self.ask(node, hold_ns, patience_ns),
                Event::Release => self.release(),
                Event::GiveUp { node, ticket } => self.give_up(node, ticket),
                Event::GoOn { node, is_done } => self.go_on(node, is_done),
            }
        }
        if !is_warm {
            self.forget(warm_up_ns);
        }
        self.finish(end_ns);
    }

    /// Forgets what was measured before a time.
    fn forget(&mut self, now_ns: u64) {
        self.outcome = Outcome::default();
        (self.held_ns, self.cpu_ns) = (0, 0.0);
        self.granted_ns = now_ns;
        self.nodes.iter_mut().for_each(|node| node.busy_ns = 0);
    }

    fn finish(&mut self, end_ns: u64) {
        if self.holder.is_some() {
            self.held_ns += end_ns - self.granted_ns;
        }
        let span_ns = self.load.seconds * 1e9;
        let nodes = self.load.nodes as f64;
        for node in &mut self.nodes {
            node.take_arrivals(end_ns, &self.load, &self.design, &self.parameters);
        }
        let busy: u64 = self.nodes.iter().map(|node| node.busy_ns).sum();
        let waiting = self
            .nodes
            .iter()
            .map(|node| node.rows.len() + node.writing.len());
        let outcome = &mut self.outcome;
        outcome.backlog = waiting.sum::<usize>() as u64;
        outcome.not_summed = self.not_summed;
        outcome.lock_held = self.held_ns as f64 / span_ns;
        outcome.thread_busy = (busy as f64 / span_ns / nodes).min(1.0);
        outcome.database_cpu_cores = self.cpu_ns / span_ns;
        outcome.statements_per_second /= self.load.seconds;
        outcome.read_bytes_per_second /= self.load.seconds;
        outcome.waits_ns.sort_unstable();
        outcome.ask_waits_ns.sort_unstable();
    }

    fn ask(&mut self, node: usize, hold_ns: u64, patience_ns: u64) {
        if self.holder.is_none() {
            return self.grant(node, hold_ns);
        }
        self.count += 1;
        let ticket = self.count;
        self.queue.push_back(Waiting {
            node,
            ticket,
            hold_ns,
        });
        if patience_ns < u64::MAX {
            self.at(self.now_ns + patience_ns, Event::GiveUp { node, ticket });
        }
    }

    fn grant(&mut self, node: usize, hold_ns: u64) {
        self.holder = Some(node);
        self.granted_ns = self.now_ns;
        self.at(self.now_ns + hold_ns, Event::Release);
    }

    fn release(&mut self) {
        if let Some(node) = self.holder.take() {
            self.held_ns += self.now_ns - self.granted_ns;
            let mut back_ns = ns(self.parameters.round_trip_ms / 2.0);
            if !self.design.flushes_in_lock {
                back_ns += ns(self.parameters.flush_ms);
            }
            self.at(
                self.now_ns + back_ns,
                Event::GoOn {
                    node,
                    is_done: true,
                },
            );
        }
        if let Some(next) = self.queue.pop_front() {
            self.grant(next.node, next.hold_ns);
        }
    }

    fn give_up(&mut self, node: usize, ticket: u64) {
        let Some(place) = self
            .queue
            .iter()
            .position(|waiting| waiting.ticket == ticket)
        else {
            return;
        };
        self.queue.remove(place);
        let back_ns = ns(self.parameters.round_trip_ms / 2.0);
        self.at(
            self.now_ns + back_ns,
            Event::GoOn {
                node,
                is_done: false,
            },
        );
    }

    /// Ends the step of a node, and begins the next one that takes time.
    fn go_on(&mut self, node: usize, is_done: bool) {
        self.end_step(node, is_done);
        loop {
            let now_ns = self.now_ns;
            let (load, design, parameters) = (self.load, self.design, self.parameters);
            self.nodes[node].take_arrivals(now_ns, &load, &design, &parameters);
            match self.begin_step(node) {
                Work::None => self.nodes[node].step = self.nodes[node].step.next(),
                Work::Sleep(until_ns) => {
                    return self.at(
                        until_ns.max(now_ns + 1),
                        Event::GoOn {
                            node,
                            is_done: true,
                        },
                    );
                }
                Work::Talk(time_ns) => {
                    self.nodes[node].busy_ns += time_ns;
                    self.nodes[node].locking_since_ns = now_ns + time_ns;
                    return self.at(
                        now_ns + time_ns,
                        Event::GoOn {
                            node,
                            is_done: true,
                        },
                    );
                }
                Work::Lock {
                    before_ns,
                    hold_ns,
                    patience_ns,
                } => {
                    self.nodes[node].locking_since_ns = now_ns;
                    let there_ns = ns(parameters.round_trip_ms / 2.0);
                    let ask = Event::Ask {
                        node,
                        hold_ns,
                        patience_ns,
                    };
                    return self.at(now_ns + there_ns + before_ns, ask);
                }
            }
        }
    }
}

pub fn ns(ms: f64) -> u64 {
    (ms * 1e6).round() as u64
}
