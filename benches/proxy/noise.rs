//! How quiet the machine was while it measured.

use std::io;
use std::time::{Duration, Instant};

use crate::machine;
use crate::report::Report;

pub struct Noise {
    begun: Instant,
    load_average: String,
    busy_before: Duration,
}

impl Noise {
    pub fn begin() -> io::Result<Self> {
        Ok(Self {
            begun: Instant::now(),
            load_average: machine::load_average(),
            busy_before: machine::busy()?,
        })
    }

    /// To be asked when all that was started has ended, for what still runs counts as others.
    pub fn end(&self, report: &Report) -> io::Result<String> {
        let busy = machine::busy()?.saturating_sub(self.busy_before);
        let others = busy.saturating_sub(machine::own_cpu()?);
        let capacity = self.begun.elapsed() * u32::try_from(machine::cores()).unwrap_or(1);
        let between_rounds = report
            .cpu_spread()
            .map_or(String::new(), |(middle, worst)| {
                format!("; CPU time of the rounds lay {middle:.0} % apart, at worst {worst:.0} %")
            });
        Ok(format!(
            "noise: load average {} before, {} after; other processes took {:.1} % of the machine{between_rounds}",
            self.load_average,
            machine::load_average(),
            others.div_duration_f64(capacity) * 100.0,
        ))
    }
}
