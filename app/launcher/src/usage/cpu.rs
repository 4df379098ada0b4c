//! The processor time of one command's processes together, as it is told by looking at them again and again.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::usage::memory::Processes;

/// How many looks one after another are held against each other.
const N_LOOKS: usize = 3;
/// By how many standard deviations what is concluded is taken for less than it is most likely to be.
const N_DEVIATIONS: f64 = 2.0;

/// What was seen of it so far.
///
/// A process that is waited for hands its time to its parent, and is itself no more. Whoever looks in that moment finds it
/// twice or not at all, so one look alone is not believed. The time of a process that nobody waits for is lost with it;
/// what was seen of it by then still counts. Of those that live shorter than it is between two looks most are never seen,
/// and it is concluded from those that are.
pub(crate) struct Cpu {
    /// What is not the command's.
    before: Duration,
    looks: [Duration; N_LOOKS],
    settled: Duration,
    lost: Duration,
    sampled: Sampled,
    looked_at: Instant,
}

/// Which process: its number, and when it began, for numbers are used again.
pub(super) type Id = (u32, u64);

/// One process in one look.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    pub(super) id: Id,
    /// Its own time, without that of those that it has waited for.
    pub(super) own: Duration,
    /// How many processors it was computing on, where it was not there in the look before.
    pub(super) n_computing: f64,
}

/// What a look finds.
#[derive(Default)]
pub(super) struct Look {
    /// The time of all of them, and of those that they have waited for.
    pub(super) total: Duration,
    pub(super) processes: Vec<Seen>,
}

/// The time of the processes one by one, whoever waits for them.
///
/// Of one that is there in two looks the time between them is known. Whoever is new and computes just then stands for as
/// much as went by since the last look: for each that is met so, as many are missed as make that right on average.
#[derive(Default)]
struct Sampled {
    /// Those of the last look, which are no more than there may be processes.
    known: HashMap<Id, Duration>,
    exact: Duration,
    concluded_s: f64,
    variance_s2: f64,
}

impl Cpu {
    /// Begins, where so much had been used before.
    pub(crate) fn after(before: Duration) -> Cpu {
        let (looks, settled, lost) = ([Duration::ZERO; N_LOOKS], Duration::ZERO, Duration::ZERO);
        Cpu { before, looks, settled, lost, sampled: Sampled::default(), looked_at: Instant::now() }
    }

    /// Looks at the processes, and returns what the command has used up.
    pub(crate) fn used(&mut self, processes: &Processes) -> Duration {
        let look = processes.times(|id| self.sampled.known.contains_key(&id));
        let now = Instant::now();
        let went_by = now.duration_since(std::mem::replace(&mut self.looked_at, now));
        let total = look.total.saturating_sub(self.before);
        let n_processors = std::thread::available_parallelism().map_or(1, usize::from);
        self.told(total).max(self.sampled.add(&look.processes, went_by, n_processors))
    }

    /// Takes what was told just now, and returns what that amounts to.
    fn told(&mut self, total: Duration) -> Duration {
        self.looks.rotate_left(1);
        self.looks[N_LOOKS - 1] = total;
        let mut sorted = self.looks;
        sorted.sort_unstable();
        let settled = sorted[N_LOOKS / 2];
        self.lost += self.settled.saturating_sub(settled);
        self.settled = settled;
        settled + self.lost
    }
}

impl Sampled {
    /// Takes what was found after so much time, and returns what they have used at least, but for an unlikely accident.
    fn add(&mut self, seen: &[Seen], went_by: Duration, n_processors: usize) -> Duration {
        let mut n_computing = 0.0;
        for process in seen {
            match self.known.get(&process.id) {
                Some(before) => self.exact += process.own.saturating_sub(*before),
                None => n_computing += process.n_computing,
            }
        }
        // More cannot have computed at once, however many wanted to.
        let weight = f64::min(n_computing, n_processors as f64) * went_by.as_secs_f64();
        self.concluded_s += weight;
        self.variance_s2 += weight * weight;
        self.known = seen.iter().map(|process| (process.id, process.own)).collect();
        let at_least = self.concluded_s - N_DEVIATIONS * self.variance_s2.sqrt();
        self.exact + Duration::try_from_secs_f64(at_least.max(0.0)).unwrap_or(Duration::MAX)
    }
}

/// What a process's `stat` tells of its time, in ticks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ticks {
    pub(super) began: u64,
    pub(super) own: u64,
    /// That of those that it has waited for.
    pub(super) waited_for: u64,
}

/// What is told in a process's `stat`.
pub(super) fn ticks(stat: &str) -> Option<Ticks> {
    /// The places of `utime`, `stime`, `cutime`, `cstime` and `starttime` behind the name, see `proc_pid_stat(5)`.
    const OWN: std::ops::RangeInclusive<usize> = 11..=12;
    const WAITED_FOR: std::ops::RangeInclusive<usize> = 13..=14;
    const BEGAN: usize = 19;
    let fields = behind_name(stat)?;
    let sum = |places: std::ops::RangeInclusive<usize>| -> Option<u64> {
        fields.get(places)?.iter().map(|field| field.parse::<u64>().ok()).sum()
    };
    Some(Ticks { began: fields.get(BEGAN)?.parse().ok()?, own: sum(OWN)?, waited_for: sum(WAITED_FOR)? })
}

/// The fields behind the name, which is in parentheses and may be anything.
fn behind_name(stat: &str) -> Option<Vec<&str>> {
    Some(stat.rsplit_once(')')?.1.split_ascii_whitespace().collect())
}

/// How much of a processor a thread has just now: nothing unless it would compute, and then the share that it got so far.
pub(super) fn share(thread: &Path) -> f64 {
    let stat = std::fs::read(thread.join("stat")).unwrap_or_default();
    let is_ready = behind_name(&String::from_utf8_lossy(&stat)).is_some_and(|fields| fields.first() == Some(&"R"));
    let told = std::fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
    if is_ready { share_of(&told) } else { 0.0 }
}

/// The part of the time that a thread computed of that in which it wanted to; all of it where that is not told.
fn share_of(schedstat: &str) -> f64 {
    let mut fields = schedstat.split_ascii_whitespace().map(|field| field.parse::<u64>().unwrap_or_default() as f64);
    match (fields.next(), fields.next()) {
        (Some(computed), Some(waited)) if computed + waited > 0.0 => computed / (computed + waited),
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests;
