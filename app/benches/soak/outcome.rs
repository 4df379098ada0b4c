//! What is told at the end: the figures, and a verdict of one line for each store.

use std::sync::atomic::Ordering;

use super::report::{Figure, print};
use super::watch::{FLAT_MIB_PER_MINUTE, Memory};
use super::{Options, Soaked, say};

/// In a shorter run processes have not yet had everything in memory that they keep there.
const JUDGED_MINUTES_MIN: f64 = 5.0;

/// Says what was found, and prints the figures.
pub(crate) fn report(options: &Options, all: &[Soaked]) {
    let mut notes = vec![
        format!("{} minutes at {} deliveries a second, seed {}", options.minutes, options.per_second, options.seed),
        "processes, rehearsal, model, database and load generator share this machine's cores".to_owned(),
        "memory: each process's own resident memory, without its sandboxes; beside it stands the first minute's".to_owned(),
        "what the allocator keeps behind a burst of requests counts as resident: steps need not be a leak".to_owned(),
        "flat is growth of at most ".to_owned()
            + &format!("{FLAT_MIB_PER_MINUTE} MiB a minute, by least squares over the second half"),
    ];
    for soaked in all {
        soaked.findings.told().iter().for_each(|found| say(found));
        let verdict = verdict(options, soaked, &soaked.watch.memory(options.minutes));
        say(&verdict);
        notes.push(verdict);
    }
    let figures: Vec<Figure> = all.iter().flat_map(|soaked| figures(options, soaked)).collect();
    let notes: Vec<&str> = notes.iter().map(String::as_str).collect();
    print("A steady load with faults", &notes, &figures);
}

/// One line: what is lost, doubled and left, and how memory went.
fn verdict(options: &Options, soaked: &Soaked, memory: &[Memory]) -> String {
    let findings = &soaked.findings;
    let what = if findings.is_clean() {
        "nothing lost, nothing doubled, nothing left over".to_owned()
    } else {
        format!("{} LOST, {} DOUBLED, {} LEFT OVER", findings.lost.len(), findings.doubled.len(), findings.left.len())
    };
    let grown: Vec<&str> = memory.iter().filter(|memory| !memory.is_flat()).map(|memory| memory.name.as_str()).collect();
    let flat = match grown.as_slice() {
        _ if soaked.n_killed > 0 => "memory is not judged, for processes were killed".to_owned(),
        _ if options.minutes < JUDGED_MINUTES_MIN => "memory is not judged, for so short a run".to_owned(),
        [] => "memory flat".to_owned(),
        grown => format!("memory GROWS in {}", grown.join(", ")),
    };
    let ends: Vec<String> = soaked.outcomes.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
    format!("{}: {what}; {flat}; {} requests, jobs: {}", soaked.kind.name(), soaked.n_asked, ends.join(", "))
}

fn figures(options: &Options, soaked: &Soaked) -> Vec<Figure> {
    let store = soaked.kind.name();
    let figure = |what: &str, unit, ours: f64| Figure { name: format!("{store}: {what}"), unit, ours, baseline: None, n_runs: 1 };
    let tally = &soaked.tally;
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed) as f64;
    let n_accepted = tally.n_accepted() as f64;
    let mut figures = vec![
        figure("sent", "deliveries", count(&tally.n_sent)),
        figure("accepted", "deliveries", n_accepted),
        figure("accepted, each second", "per second", n_accepted / options.lasts().as_secs_f64()),
        figure("accepted, p50 from when it was due", "ms", tally.wait_ms(0.5)),
        figure("accepted, p99 from when it was due", "ms", tally.wait_ms(0.99)),
        figure("accepted, the longest", "ms", tally.wait_ms(1.0)),
        figure("answered with 503", "answers", count(&tally.n_refused)),
        figure("not answered", "requests", count(&tally.n_unanswered)),
        figure("sent late", "deliveries", count(&tally.n_late)),
        figure("decided", "deliveries", (soaked.counts.n_deliveries - soaked.counts.n_undecided) as f64),
        figure("undecided when the load ended", "deliveries", soaked.settled.n_undecided as f64),
        figure("decided and ended behind the load", "s", soaked.settled.took.as_secs_f64()),
        figure("requests for a fix", "requests", soaked.n_asked as f64),
        figure("jobs ended", "jobs", soaked.counts.n_ended as f64),
        figure("faults", "faults", soaked.n_faults as f64),
        figure("requests that were not delivered", "requests", soaked.n_missed as f64),
        figure("kills", "kills", soaked.n_killed as f64),
        figure("lost", "findings", soaked.findings.lost.len() as f64),
        figure("doubled", "findings", soaked.findings.doubled.len() as f64),
        figure("left over", "findings", soaked.findings.left.len() as f64),
        figure("write-ahead log", "MiB", soaked.counts.log_mib),
        figure("database", "MiB", soaked.counts.database_mib),
    ];
    for memory in soaked.watch.memory(options.minutes) {
        let beside = |what: &str, ours| Figure {
            name: format!("{store}: memory of {}, {what}", memory.name),
            unit: "MiB",
            ours,
            baseline: Some(("minute 1", memory.minute_mib)),
            n_runs: 1,
        };
        figures.push(beside("half-time", memory.half_mib));
        figures.push(beside("end", memory.end_mib));
        figures.push(beside("the most", memory.high_mib));
        figures.push(figure(&format!("growth of {}", memory.name), "MiB/min", memory.slope_mib));
        figures.push(figure(&format!("open files of {}, the most", memory.name), "files", memory.n_files_max as f64));
    }
    figures
}
