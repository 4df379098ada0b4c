//! How memory goes over the time of a run, and what is said of it meanwhile.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::books::Counts;
use super::fleet::Use;
use super::report::median;

/// Growth that is none yet, in MiB a minute over the second half: what an allocator takes and gives back.
pub(crate) const FLAT_MIB_PER_MINUTE: f64 = 0.5;
/// How many samples a figure is the median of; there is one each second.
const SAMPLES: usize = 10;

/// What one process had: when, in minutes, and how many MiB.
#[derive(Default)]
struct Series {
    samples: Vec<(f64, f64)>,
    high_mib: f64,
    n_files_max: usize,
}

/// What became of a process's memory.
pub(crate) struct Memory {
    pub(crate) name: String,
    pub(crate) minute_mib: f64,
    pub(crate) half_mib: f64,
    pub(crate) end_mib: f64,
    pub(crate) high_mib: f64,
    /// Growth a minute over the second half.
    pub(crate) slope_mib: f64,
    pub(crate) n_files_max: usize,
}

impl Memory {
    pub(crate) fn is_flat(&self) -> bool {
        self.slope_mib <= FLAT_MIB_PER_MINUTE
    }
}

/// Everything that was seen since the beginning.
pub(crate) struct Watch {
    begun: Instant,
    all: BTreeMap<String, Series>,
}

impl Watch {
    pub(crate) fn begin() -> Self {
        Self { begun: Instant::now(), all: BTreeMap::new() }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    pub(crate) fn add(&mut self, uses: &[Use]) {
        let at = self.elapsed().as_secs_f64() / 60.0;
        for one in uses {
            let series = self.all.entry(one.name.clone()).or_default();
            series.samples.push((at, one.resident_mib));
            series.high_mib = series.high_mib.max(one.high_mib);
            series.n_files_max = series.n_files_max.max(one.n_files);
        }
    }

    /// What is said once a minute.
    pub(crate) fn line(&self, n_accepted: usize, counts: Option<Counts>, uses: &[Use]) -> String {
        let processes: Vec<String> = uses
            .iter()
            .map(|one| {
                let (now, high) = (one.resident_mib, one.high_mib);
                format!("{} {now:.1} MiB (most {high:.1}, {} files, {} threads)", one.name, one.n_files, one.n_threads)
            })
            .collect();
        let rows = counts.map_or_else(
            || "the database cannot be read now".to_owned(),
            |counts| {
                format!(
                    "{} stored, {} undecided, jobs {} open {} ended, log {:.1} MiB, database {:.1} MiB",
                    counts.n_deliveries, counts.n_undecided, counts.n_open, counts.n_ended, counts.log_mib, counts.database_mib
                )
            },
        );
        let minutes = self.elapsed().as_secs_f64() / 60.0;
        format!("{minutes:5.1} min: {n_accepted} accepted, {rows}; {}", processes.join(", "))
    }

    /// What became of each process's memory in so many minutes.
    pub(crate) fn memory(&self, minutes: f64) -> Vec<Memory> {
        let of = |(name, series): (&String, &Series)| {
            let half: Vec<_> = series.samples.iter().copied().filter(|(at, _)| (minutes / 2.0..=minutes).contains(at)).collect();
            Memory {
                name: name.clone(),
                minute_mib: series.before(1.0),
                half_mib: series.before(minutes / 2.0),
                end_mib: series.before(minutes),
                high_mib: series.high_mib,
                slope_mib: slope(&half),
                n_files_max: series.n_files_max,
            }
        };
        self.all.iter().map(of).collect()
    }
}

impl Series {
    /// The median of the last samples before that.
    fn before(&self, minutes: f64) -> f64 {
        let before: Vec<f64> = self.samples.iter().filter(|(at, _)| *at <= minutes).map(|(_, mib)| *mib).collect();
        median(&before[before.len().saturating_sub(SAMPLES)..])
    }
}

/// The slope of the line that lies nearest to the points, by least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let (x_sum, y_sum) = points.iter().fold((0.0, 0.0), |(x_sum, y_sum), (x, y)| (x_sum + x, y_sum + y));
    let (x_mean, y_mean) = (x_sum / n, y_sum / n);
    let above: f64 = points.iter().map(|(x, y)| (x - x_mean) * (y - y_mean)).sum();
    let below: f64 = points.iter().map(|(x, _)| (x - x_mean).powi(2)).sum();
    if below > 0.0 { above / below } else { 0.0 }
}
