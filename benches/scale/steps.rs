//! The steps of a node's thread: what each takes, and what is done when it ends.

use crate::node::{Step, Work};
use crate::parameters::*;
use crate::simulation::{Simulation, ns};

impl Simulation {
    pub fn end_step(&mut self, place: usize, is_done: bool) {
        let now_ns = self.now_ns;
        let node = &mut self.nodes[place];
        match node.step {
            // It sleeps, and then looks again.
            Step::Gather => return,
            Step::Write => {
                node.busy_ns += now_ns - node.locking_since_ns;
                let waits = node.writing.iter().map(|came_ns| now_ns - came_ns);
                self.outcome.waits_ns.extend(waits);
                self.outcome.rows += node.writing.len() as u64;
                self.outcome.commits += u64::from(!node.writing.is_empty());
                self.not_summed += node.writing.len() as f64;
                if self.load.has_budgets {
                    node.used_leases += node.writing.len() as f64;
                }
                node.writing.clear();
            }
            Step::Asks => {
                node.busy_ns += now_ns - node.locking_since_ns;
                let waits = node.answering.iter().map(|came_ns| now_ns - came_ns);
                self.outcome.ask_waits_ns.extend(waits);
                node.answering.clear();
            }
            Step::GiveBack => node.busy_ns += now_ns - node.locking_since_ns,
            Step::Sum => {
                node.busy_ns += now_ns - node.locking_since_ns;
                node.next_sum_ns = now_ns + SECOND_NS;
                if is_done {
                    node.postponed_ns = None;
                    self.not_summed = (self.not_summed - node.summing).max(0.0);
                    if self.not_summed >= SUM_ROWS {
                        node.next_sum_ns = now_ns;
                    }
                } else {
                    node.postponed_ns.get_or_insert(now_ns);
                }
            }
            Step::Poll | Step::Sign | Step::Look => {}
        }
        node.step = node.step.next();
    }

    pub fn begin_step(&mut self, place: usize) -> Work {
        let now_ns = self.now_ns;
        match self.nodes[place].step {
            Step::Gather => self.nodes[place].gather(now_ns, self.load.has_budgets),
            Step::Write => self.write(place),
            Step::Poll => self.poll(place),
            Step::Sign => self.sign(place),
            Step::Asks => self.serve(place),
            Step::GiveBack => self.give_back(place),
            Step::Look => self.look(place),
            Step::Sum => self.sum_up(place),
        }
    }

    fn write(&mut self, place: usize) -> Work {
        let parameters = self.parameters;
        let node = &mut self.nodes[place];
        let taken = node.rows.len().min(MAX_BATCH_ROWS);
        let notes = std::mem::take(&mut node.notes);
        if taken + notes == 0 {
            return Work::None;
        }
        node.writing.extend(node.rows.drain(..taken));
        node.was_busy = taken + notes >= BUSY_ROWS;
        // The note of a long request is deleted with its row. Notes are a statement of their own, for which
        // no other node waits.
        let ended = (0..taken).filter(|_| node.random.share() < parameters.long_share);
        let ended = ended.count();
        if taken == 0 {
            return Work::Talk(self.talk(1));
        }
        let rows_ms = parameters.insert_ms + parameters.row_ms * (taken + ended) as f64;
        self.locked(0, rows_ms, u64::MAX)
    }

    fn poll(&mut self, place: usize) -> Work {
        let now_ns = self.now_ns;
        let node = &mut self.nodes[place];
        if now_ns < node.next_poll_ns {
            return Work::None;
        }
        node.next_poll_ns = now_ns + POLL_NS;
        let mut statements = POLL_STATEMENTS;
        if self.load.has_budgets {
            statements += BUDGET_POLL_STATEMENTS;
            if self.design.reads_all_rows {
                // The same rows are read by each node, whoever wrote them.
                let rows = self.load.requests_per_second * POLL_NS as f64 / 1e9;
                self.read(rows, READ_ROW_BYTES);
            }
        }
        Work::Talk(self.talk(statements))
    }

    fn sign(&mut self, place: usize) -> Work {
        let now_ns = self.now_ns;
        let has_notes = self.parameters.long_share > 0.0;
        let node = &mut self.nodes[place];
        if now_ns < node.next_sign_ns {
            return Work::None;
        }
        node.next_sign_ns = now_ns + if has_notes { SIGN_NS } else { SECOND_NS };
        // It takes no lock, but waits for the disk.
        Work::Talk(self.talk(1) + ns(self.parameters.flush_ms))
    }

    fn serve(&mut self, place: usize) -> Work {
        let node = &mut self.nodes[place];
        if node.asks.is_empty() {
            return Work::None;
        }
        node.answering.extend(node.asks.drain(..));
        let count = node.answering.len() as f64;
        // The run, reservations, the position, rows, adjustments; what others have, the leases.
        self.locked(7, self.parameters.row_ms * 2.0 * count, u64::MAX)
    }

    fn give_back(&mut self, place: usize) -> Work {
        let now_ns = self.now_ns;
        let node = &mut self.nodes[place];
        if now_ns < node.next_second_ns {
            return Work::None;
        }
        node.next_second_ns = now_ns + SECOND_NS;
        let used = std::mem::take(&mut node.used_leases);
        let changed = used + std::mem::replace(&mut node.idle_leases, used);
        if changed == 0.0 {
            return Work::None;
        }
        // The run, leases, those that are deleted.
        self.locked(3, self.parameters.row_ms * changed, u64::MAX)
    }

    fn look(&mut self, place: usize) -> Work {
        let now_ns = self.now_ns;
        let node = &mut self.nodes[place];
        if now_ns < node.next_look_ns {
            return Work::None;
        }
        node.next_look_ns = now_ns + SECOND_NS;
        self.read(self.load.nodes as f64, RUN_BYTES);
        Work::Talk(self.talk(1))
    }

    fn sum_up(&mut self, place: usize) -> Work {
        let now_ns = self.now_ns;
        let is_off = !self.design.all_nodes_sum && place > 0;
        let node = &mut self.nodes[place];
        if is_off || now_ns < node.next_sum_ns {
            return Work::None;
        }
        node.summing = self.not_summed.min(SUM_ROWS);
        if node.summing == 0.0 {
            node.next_sum_ns = now_ns + SECOND_NS;
            return Work::None;
        }
        let time_ms = self.parameters.sum_row_ms * node.summing;
        // The snapshot, the last row, two tables of sums, the position.
        let is_late = |since_ns: u64| now_ns - since_ns >= MAX_POSTPONED_NS;
        let waits = !self.design.all_nodes_sum || node.postponed_ns.is_some_and(is_late);
        let patience_ns = if waits { u64::MAX } else { SUM_WAIT_NS };
        self.locked(5, time_ms, patience_ns)
    }

    /// Makes a transaction that holds the lock: `statements` of them between its beginning and its end,
    /// or a single one where there are none, which take `time_ms` beyond their fixed time.
    fn locked(&mut self, statements: u32, time_ms: f64, patience_ns: u64) -> Work {
        let parameters = self.parameters;
        let time_ms = time_ms + f64::from(statements) * parameters.statement_ms;
        // A single statement is planned before it waits.
        let before_ms = if statements == 0 {
            parameters.plan_ms
        } else {
            0.0
        };
        self.cpu_ns += (before_ms + time_ms) * 1e6;
        self.outcome.statements_per_second += f64::from(statements.max(1));
        let mut hold_ms = time_ms;
        if self.design.talks_in_lock && statements > 0 {
            hold_ms += f64::from(statements + 1) * parameters.round_trip_ms;
        }
        if self.design.flushes_in_lock {
            hold_ms += parameters.flush_ms;
        }
        Work::Lock {
            before_ns: ns(before_ms),
            hold_ns: ns(hold_ms),
            patience_ns,
        }
    }

    /// Returns the time of statements without the lock, one round trip each.
    fn talk(&mut self, statements: u32) -> u64 {
        let parameters = self.parameters;
        let statements = f64::from(statements);
        self.cpu_ns += statements * parameters.statement_ms * 1e6;
        self.outcome.statements_per_second += statements;
        ns(statements * (parameters.round_trip_ms + parameters.statement_ms))
    }

    fn read(&mut self, rows: f64, row_bytes: f64) {
        self.cpu_ns += rows * self.parameters.read_row_ms * 1e6;
        self.outcome.read_bytes_per_second += rows * row_bytes;
    }
}
