//! The processor time of one command's processes together, as it is told by looking at them again and again.

use std::time::Duration;

/// How many looks one after another are held against each other.
const N_LOOKS: usize = 3;

/// What was seen of it so far.
///
/// A process that is waited for hands its time to its parent, and is itself no more. Whoever looks in that moment finds it
/// twice or not at all, so one look alone is not believed. The time of a process that nobody waits for is lost with it;
/// what was seen of it by then still counts.
#[derive(Default)]
pub(crate) struct Cpu {
    looks: [Duration; N_LOOKS],
    settled: Duration,
    lost: Duration,
}

impl Cpu {
    /// Takes what was seen just now, and returns what the command has used up.
    pub(crate) fn used(&mut self, seen: Duration) -> Duration {
        self.looks.rotate_left(1);
        self.looks[N_LOOKS - 1] = seen;
        let mut sorted = self.looks;
        sorted.sort_unstable();
        let settled = sorted[N_LOOKS / 2];
        self.lost += self.settled.saturating_sub(settled);
        self.settled = settled;
        settled + self.lost
    }
}

/// The time in a process's `stat`, its own and that of those that it has waited for, in ticks.
pub(super) fn ticks(stat: &str) -> Option<u64> {
    /// The places of `utime`, `stime`, `cutime` and `cstime` behind the name, see `proc_pid_stat(5)`.
    const TIMES: std::ops::RangeInclusive<usize> = 11..=14;
    // The name, in parentheses, may be anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    fields.get(TIMES)?.iter().map(|field| field.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests;
