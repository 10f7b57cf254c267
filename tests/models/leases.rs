//! The protocol by which nodes share a budget (`src/core/limits/leases.rs`, `src/core/store/ledger/leases.rs`), in
//! every order of steps that a few nodes can take: a node takes a lease, admits requests, books them,
//! gives back what it does not need, is stopped, goes on, dies, is taken for dead by others, and joins
//! them again.
//!
//! Each request costs one. What is checked is that what is used, and what a killed node's requests are
//! taken to have used, never is more than the budget, and that each way to use it up can be gone. Only what
//! a node had admitted before it was taken for dead, and books when it joins again, may come on top.

use std::time::Duration;

use stateright::{Checker, Model, Property};

const NODES: usize = 2;
const BUDGET: u8 = 3;
/// What a lease has beyond what is asked for, at most.
const SLICE: u8 = 1;

/// The database: the only thing that all nodes see. Its transactions come one after the other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Database {
    used: u8,
    /// The part of it that nodes booked which had been taken for dead, of requests from before.
    used_late: u8,
    leases: [u8; NODES],
    /// Whether the run of a node is there: others delete it when they take the node for dead.
    runs: [bool; NODES],
}

/// What a node knows and has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Node {
    state: State,
    /// Others do not take it for dead before this ends.
    is_trusted: bool,
    granted: u8,
    consumed: u8,
    /// Requests in flight.
    reserved: u8,
    /// Those of them that were admitted before the node was taken for dead.
    late: u8,
    /// Whether it has joined the others again, which one node does once.
    has_joined_again: bool,
    /// A smaller lease that is in memory and not yet in the database.
    to_write: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    Running,
    /// Stopped, or cut off from the database.
    Silent,
    /// Others have taken it for dead, and it knows.
    Fenced,
    Dead,
}

impl Node {
    fn new() -> Self {
        Self {
            state: State::Running,
            is_trusted: true,
            granted: 0,
            consumed: 0,
            reserved: 0,
            late: 0,
            has_joined_again: false,
            to_write: None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    database: Database,
    nodes: [Node; NODES],
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Step {
    /// The lease grows, so that one more request fits.
    Grow(usize),
    Admit(usize),
    /// The row of a request is committed.
    Book(usize),
    /// A request ends without a row.
    Abandon(usize),
    /// What is not needed is taken out of the lease, in memory.
    GiveBack(usize),
    /// The smaller lease is written.
    WriteBack(usize),
    FallSilent(usize),
    GoOn(usize),
    Die(usize),
    /// The time for which a node trusts its leases is over.
    LoseTrust(usize),
    /// A node gives a sign of life.
    Sign(usize),
    /// A node that was taken for dead goes on as a new one. Others have booked the requests that were
    /// noted, so that these need no row of their own.
    JoinAgain {
        place: usize,
        noted: u8,
    },
    /// A node takes another one for dead, and books what its requests may have used: from nothing to all
    /// that they had reserved.
    TakeForDead {
        by: usize,
        dead: usize,
        used: u8,
    },
}

struct Leases {
    /// Without it, a node that was taken for dead goes on to book: the model has to find that.
    is_fenced: bool,
}

impl Model for Leases {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            database: Database {
                used: 0,
                used_late: 0,
                leases: [0; NODES],
                runs: [true; NODES],
            },
            nodes: std::array::from_fn(|_| Node::new()),
        }]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        for (place, node) in world.nodes.iter().enumerate() {
            if node.state == State::Running {
                steps.extend([
                    Step::Grow(place),
                    Step::Admit(place),
                    Step::Book(place),
                    Step::Abandon(place),
                    Step::GiveBack(place),
                    Step::WriteBack(place),
                    Step::FallSilent(place),
                    Step::Sign(place),
                ]);
                for dead in (0..NODES).filter(|dead| *dead != place) {
                    for used in 0..=world.nodes[dead].reserved {
                        steps.push(Step::TakeForDead {
                            by: place,
                            dead,
                            used,
                        });
                    }
                }
            }
            if node.state == State::Silent {
                steps.extend([Step::GoOn(place), Step::LoseTrust(place)]);
            }
            let has_one = world.nodes.iter().any(|node| node.has_joined_again);
            if node.state == State::Fenced && !has_one {
                for noted in 0..=node.reserved {
                    steps.push(Step::JoinAgain { place, noted });
                }
            }
            if node.state != State::Dead {
                steps.push(Step::Die(place));
            }
        }
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let mut next = world.clone();
        let database = &mut next.database;
        match step {
            Step::Grow(place) => {
                let node = &mut next.nodes[place];
                // One thread of a node writes, so that nothing is half given back.
                if node.to_write.is_some() || !self.may_write(database, place) {
                    return None;
                }
                let rest = node.granted - node.consumed;
                let needed = (node.reserved + 1).max(rest);
                let others: u8 = (0..NODES)
                    .filter(|other| *other != place)
                    .map(|other| database.leases[other])
                    .sum();
                let left = BUDGET.checked_sub(database.used + others + needed)?;
                node.granted = needed + left.min(SLICE);
                node.consumed = 0;
                database.leases[place] = node.granted;
            }
            Step::Admit(place) => {
                let node = &mut next.nodes[place];
                let is_covered = node.reserved + 1 + node.consumed <= node.granted;
                if !node.is_trusted || !is_covered {
                    return None;
                }
                node.reserved += 1;
            }
            Step::Book(place) => {
                if !self.may_write(database, place) {
                    return None;
                }
                let node = &mut next.nodes[place];
                node.reserved = node.reserved.checked_sub(1)?;
                // A lease may be gone that the request was admitted under.
                node.consumed = (node.consumed + 1).min(node.granted);
                database.used += 1;
                if node.late > 0 {
                    node.late -= 1;
                    database.used_late += 1;
                }
            }
            Step::Abandon(place) => {
                let node = &mut next.nodes[place];
                node.reserved = node.reserved.checked_sub(1)?;
                node.late = node.late.saturating_sub(1);
            }
            Step::GiveBack(place) => {
                let node = &mut next.nodes[place];
                let kept = (node.granted - node.consumed).min(node.reserved);
                if node.to_write.is_some() || kept == node.granted {
                    return None;
                }
                node.granted = kept;
                node.consumed = 0;
                node.to_write = Some(kept);
            }
            Step::WriteBack(place) => {
                if !self.may_write(database, place) {
                    return None;
                }
                database.leases[place] = next.nodes[place].to_write.take()?;
            }
            Step::FallSilent(place) => next.nodes[place].state = State::Silent,
            Step::GoOn(place) => next.nodes[place].state = State::Running,
            Step::Die(place) => next.nodes[place].state = State::Dead,
            Step::LoseTrust(place) => {
                if !next.nodes[place].is_trusted {
                    return None;
                }
                next.nodes[place].is_trusted = false;
            }
            Step::Sign(place) => {
                let node = &mut next.nodes[place];
                if database.runs[place] {
                    if node.is_trusted {
                        return None;
                    }
                    node.is_trusted = true;
                } else {
                    node.state = State::Fenced;
                }
            }
            Step::JoinAgain { place, noted } => next.join_again(place, noted),
            Step::TakeForDead { by, dead, used } => {
                let silent = &next.nodes[dead];
                // A process that is gone is seen at once, one that is only silent after it has lost
                // trust in its leases.
                let is_dead = silent.state == State::Dead
                    || silent.state == State::Silent && !silent.is_trusted;
                if !is_dead || !database.runs[dead] || !self.may_write(database, by) {
                    return None;
                }
                database.runs[dead] = false;
                database.leases[dead] = 0;
                database.used_late += used.min(next.nodes[dead].late);
                database.used += used;
            }
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("the budget is not overrun", |_, world: &World| {
                world.database.used - world.database.used_late <= BUDGET
            }),
            Property::always(
                "nothing is admitted beyond the budget",
                |_, world: &World| {
                    let admitted: u8 = (0..NODES)
                        .filter(|place| world.database.runs[*place])
                        .map(|place| world.nodes[place].reserved - world.nodes[place].late)
                        .sum();
                    world.database.used - world.database.used_late + admitted <= BUDGET
                },
            ),
            Property::always(
                "what is used and set aside is in the budget",
                |_, world: &World| {
                    // What a node has booked since it last wrote its lease counts twice.
                    let set_aside: u8 = (0..NODES)
                        .filter(|place| world.database.runs[*place])
                        .map(|place| {
                            let node = &world.nodes[place];
                            world.database.leases[place].saturating_sub(node.consumed)
                        })
                        .sum();
                    world.nodes.iter().any(|node| node.to_write.is_some())
                        || world.database.used - world.database.used_late + set_aside <= BUDGET
                },
            ),
            Property::sometimes("the budget is used up", |_, world: &World| {
                world.database.used == BUDGET
            }),
            Property::sometimes("both nodes use it", |_, world: &World| {
                world.nodes.iter().all(|node| node.consumed > 0)
            }),
            Property::sometimes(
                "a node that was taken for dead knows it",
                |_, world: &World| {
                    let mut places = 0..NODES;
                    places.any(|place| {
                        !world.database.runs[place]
                            && world.nodes[place].state == State::Fenced
                            && world.nodes[place].reserved > 0
                    })
                },
            ),
            Property::sometimes(
                "a node that has joined again admits requests",
                |_, world: &World| {
                    let mut nodes = world.nodes.iter();
                    nodes.any(|node| node.has_joined_again && node.reserved > node.late)
                },
            ),
        ]
    }
}

impl World {
    /// Makes a node that was taken for dead a new one. Those of its requests that were noted are booked.
    fn join_again(&mut self, place: usize, noted: u8) {
        let late = self.nodes[place].reserved - noted;
        self.nodes[place] = Node {
            reserved: late,
            late,
            has_joined_again: true,
            ..Node::new()
        };
        self.database.runs[place] = true;
    }
}

impl Leases {
    /// Returns whether a transaction of a node is committed: a node that was taken for dead is refused.
    fn may_write(&self, database: &Database, place: usize) -> bool {
        database.runs[place] || !self.is_fenced
    }
}

#[test]
fn nodes_that_share_a_budget_never_overrun_it() {
    let checker = Leases { is_fenced: true }
        .checker()
        .threads(2)
        .timeout(Duration::from_mins(1))
        .spawn_bfs()
        .join();
    eprintln!("{} states", checker.unique_state_count());
    assert!(checker.is_done(), "not all states were looked at");
    checker.assert_properties();
}

/// The check can fail.
#[test]
fn without_the_fence_a_node_that_was_taken_for_dead_overruns_the_budget() {
    let checker = Leases { is_fenced: false }.checker().spawn_bfs().join();
    assert!(checker.discovery("the budget is not overrun").is_some());
}
