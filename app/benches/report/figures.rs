//! What every benchmark ends with: figures beside a baseline, as a table or as one JSON object.

use std::time::Duration;

use serde_json::{Value, json};

/// One thing that was measured, as medians over the rounds.
pub(crate) struct Figure {
    /// What it is.
    pub(crate) name: String,
    /// In what it is measured.
    pub(crate) unit: &'static str,
    /// Ours.
    pub(crate) ours: f64,
    /// What it stands beside; `None` where there is nothing, or it is not installed.
    pub(crate) baseline: Option<(&'static str, f64)>,
    /// Of how many rounds.
    pub(crate) n_runs: usize,
}

/// The median; 0 of nothing.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Prints the figures, with the notes where a person reads them. `--json` on the command line asks for the object; what
/// cargo adds, such as `--bench`, is not looked at.
#[expect(clippy::print_stdout, reason = "this is where a benchmark's results are printed")]
pub(crate) fn print(title: &str, notes: &[&str], figures: &[Figure]) {
    if std::env::args().any(|argument| argument == "--json") {
        let figures: Vec<Value> = figures.iter().map(object).collect();
        println!("{}", json!({ "machine": machine(), "figures": figures }));
    } else {
        println!("{}", table(title, notes, figures));
    }
}

fn object(figure: &Figure) -> Value {
    json!({
        "name": figure.name,
        "unit": figure.unit,
        "ours": rounded(figure.ours),
        "baseline": figure.baseline.map(|(_, value)| rounded(value)),
        "baseline_name": figure.baseline.map(|(name, _)| name),
        "ratio": ratio(figure).map(rounded),
        "runs": figure.n_runs,
    })
}

fn ratio(figure: &Figure) -> Option<f64> {
    figure.baseline.filter(|(_, value)| *value > 0.0).map(|(_, value)| figure.ours / value)
}

/// More than four digits would be noise.
fn rounded(value: f64) -> f64 {
    if value == 0.0 {
        return 0.0;
    }
    let digits = 3 - value.abs().log10().floor().clamp(-6.0, 3.0) as i32;
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}

fn table(title: &str, notes: &[&str], figures: &[Figure]) -> String {
    let mut lines = vec![format!("{title}, on {}", machine()), String::new()];
    lines.push(format!("{:<44} {:>10} {:>10} {:>7}  {:<14} {}", "medians", "ours", "baseline", "ratio", "unit", "beside"));
    for figure in figures {
        let or_dash = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| rounded(value).to_string());
        let (baseline, ratio) = (or_dash(figure.baseline.map(|(_, value)| value)), or_dash(ratio(figure)));
        let beside = figure.baseline.map_or("-", |(name, _)| name);
        let ours = rounded(figure.ours);
        lines.push(format!("{:<44} {ours:>10} {baseline:>10} {ratio:>7}  {:<14} {beside}", figure.name, figure.unit));
    }
    lines.push(String::new());
    lines.extend(notes.iter().map(|note| format!("- {note}")));
    lines.join("\n")
}

/// The machine in one line, as far as it says.
fn machine() -> String {
    let field = |file: &str, name: &str| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name)).and_then(|line| line.split_once(':'));
        line.map_or_else(|| "unknown".to_owned(), |(_, value)| value.trim().to_owned())
    };
    let n_cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let (model, memory) = (field("/proc/cpuinfo", "model name"), field("/proc/meminfo", "MemTotal"));
    format!("{n_cores} x {model}, {memory}, Linux {}", kernel.trim())
}
