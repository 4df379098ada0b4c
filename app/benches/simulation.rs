//! How many schedules of the simulation are played in a second, and none of them may break a rule.
//!
//! ```text
//! cargo bench --bench simulation                           # a hundred thousand
//! cargo bench --bench simulation -- --schedules 1000000
//! cargo bench --bench simulation -- --guards               # after how many each guard is missed that is taken away
//! ```
//!
//! It is the simulation of the tests, in a build that is optimised; see `tests/simulation.rs`. A schedule that breaks a rule is
//! printed, with the seed by which the tests play it again, and the program ends with 1.

use std::process::ExitCode;
use std::time::Instant;

use tests::simulation::{self, Guard};

#[path = "../../tests"]
#[expect(dead_code, unused_imports, reason = "tests that are compiled with it are left out")]
mod tests {
    pub(crate) mod simulation;
}

const SCHEDULES: u64 = 100_000;

/// The number behind a flag.
fn number(flag: &str) -> Option<u64> {
    let mut arguments = std::env::args().skip_while(|argument| argument != flag);
    arguments.next().map(|flag| arguments.next().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{flag} N")))
}

#[expect(clippy::print_stdout, reason = "this is where a benchmark's results are printed")]
fn main() -> ExitCode {
    let (n_schedules, unused) = (number("--schedules").unwrap_or(SCHEDULES), simulation::unused());
    if std::env::args().any(|argument| argument == "--guards") {
        return guards(n_schedules, &unused);
    }
    let begun = Instant::now();
    if let Err(story) = simulation::check(n_schedules, &unused) {
        println!("{story}");
        return ExitCode::FAILURE;
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!("{n_schedules} schedules kept all rules, in {seconds:.1} s: {:.0} in each second", n_schedules as f64 / seconds);
    ExitCode::SUCCESS
}

/// Takes away one guard at a time.
#[expect(clippy::print_stdout, reason = "this is where a benchmark's results are printed")]
fn guards(n_schedules: u64, unused: &simulation::Unused) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for guard in Guard::ALL {
        match simulation::first_broken(n_schedules, Some(guard), unused) {
            Some(seed) => println!("{guard:?} is missed by seed {seed}"),
            None => {
                println!("{guard:?} is missed by none of {n_schedules}");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}
