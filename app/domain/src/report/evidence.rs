//! What was executed, for people: both sides, every run, and test by test.

use std::fmt::Write as _;

use super::neutral::{cell, clip, code, fence, plain};
use super::{COMMAND_CHARS_MAX, SENTENCE_CHARS_MAX, Story, is_bare, sentence};
use crate::ecosystem::runner;
use crate::journal::{Adopted, Prepared};
use crate::proof::findings::{Finding, Weight};
use crate::proof::{Account, Colour, Doubt, Evidence, Stand, Verdict};
use crate::results::table::{Movement, Row, Seen, Table};

/// How much of a run's output is shown, in characters.
const EXCERPT_CHARS_MAX: usize = 5_000;
/// How many tests are listed by name.
const TESTS_LISTED_MAX: usize = 30;
/// How many places are listed that speak against a patch.
const FINDINGS_LISTED_MAX: usize = 20;
/// The longest sentence on what a table leaves out, in bytes.
const LEFT_OUT_BYTES_MAX: usize = 100;
/// How much of a test's name is listed, in characters.
const TEST_CHARS_MAX: usize = 200;

pub(super) fn tests(body: &mut String, story: &Story<'_>, verdict: &Verdict) {
    let (base, head) = match verdict {
        Verdict::Proven { base, head, .. } => (Some(base), Some(head)),
        Verdict::Unproven { base, head, .. } => (base.as_ref(), head.as_ref()),
    };
    let _ = write!(body, "\n### Tests\n\n");
    let (Some(prepared), Some(base)) = (story.prepared, base) else {
        body.push_str("None were run: no test command is known for this repository.");
        return;
    };
    let _ = write!(
        body,
        "| {} | Base {}{} | With this patch |\n|---|---|---|\n",
        cell(&base.command, COMMAND_CHARS_MAX),
        code(prepared.base.short()),
        if verdict.is_by_own_tests() { " with this patch's tests" } else { "" }
    );
    let _ = writeln!(body, "| result | {} | {} |", result(Some(base)), result(head));
    let _ = write!(body, "| time | {} | {} |", time(Some(base)), time(head));
    if head.is_none() {
        body.push_str("\n\n**No result of this patch was seen.**");
    }
    let network = if is_bare(story.walls) { "and without a sandbox" } else { "without network" };
    let _ = write!(
        body,
        "\n\n{} ran in a fresh tree, {network}, by the harness.{}",
        if head.is_none() { "The base" } else { "Each" },
        if head.is_none() {
            ""
        } else if verdict.is_by_own_tests() {
            " Both have the tests as this patch leaves them; what differs is its code."
        } else {
            " Existing test files were put back to the base's before the run on the patch."
        }
    );
    if let Some(account) = verdict.account() {
        runs(body, account);
        by_test(body, account);
        findings(body, account);
    }
    confined(body, story, prepared);
    let _ = write!(
        body,
        "\n\n<details><summary>How to reproduce</summary>\n\n{}\n\n</details>",
        reproduce(story, prepared, verdict, base)
    );
    for (name, evidence) in [("base", Some(base)), ("this patch", head)] {
        if let Some(evidence) = evidence.filter(|evidence| !evidence.excerpt.trim().is_empty()) {
            let _ = write!(
                body,
                "\n\n<details><summary>The end of the output on {name}</summary>\n\n{}\n\n</details>",
                fence(&tail(&evidence.excerpt))
            );
        }
    }
}

/// How often each tree was tested, and what came of it.
fn runs(body: &mut String, account: &Account) {
    let mut stands: Vec<Stand> = Vec::new();
    for run in &account.runs {
        if !stands.contains(&run.stand) {
            stands.push(run.stand);
        }
    }
    if account.runs.len() <= stands.len() && stands.len() <= 2 {
        return;
    }
    body.push_str("\n\n| Tree | Runs |\n| --- | --- |");
    for stand in stands {
        let of_stand = account.runs.iter().filter(|run| run.stand == stand);
        let marks: Vec<&str> = of_stand.map(|run| mark(run.colour)).collect();
        let _ = write!(body, "\n| {} | {} |", stand.name(), marks.join(" "));
    }
}

fn mark(colour: Colour) -> &'static str {
    match colour {
        Colour::Green => "✅",
        Colour::Red => "❌",
        Colour::None => "⚠️",
    }
}

/// What stands in the patch itself against its proof, and what else a person may want to look at.
fn findings(body: &mut String, account: &Account) {
    let is_against = |finding: &&Finding| finding.gate.weight() >= Weight::ForbidsProof;
    let (against, aside): (Vec<&Finding>, Vec<&Finding>) = account.findings.iter().partition(is_against);
    listed(body, &against);
    if !aside.is_empty() {
        body.push_str("\n\nTo look at, though no proof hangs on it:");
        listed(body, &aside);
    }
}

fn listed(body: &mut String, findings: &[&Finding]) {
    for finding in findings.iter().take(FINDINGS_LISTED_MAX) {
        let place = finding.place().map(|place| format!(" {}:", code(&place))).unwrap_or_default();
        let _ = write!(body, "\n\n- {}{place} {}", finding.gate.sentence(), code(&finding.told));
    }
    if let Some(n_more) = findings.len().checked_sub(FINDINGS_LISTED_MAX).filter(|n| *n > 0) {
        let _ = write!(body, "\n\nand {n_more} more such places.");
    }
}

/// What moved, test by test.
fn by_test(body: &mut String, account: &Account) {
    let Some(table) = &account.table else { return };
    let is_built = |test: &&String| table.moved(Movement::New).any(|row| row.test == **test);
    let (built, mended): (Vec<&String>, Vec<&String>) = account.reproducers.iter().partition(is_built);
    let kinds = [
        (built.len(), "test cannot be built or loaded", "tests cannot be built or loaded"),
        (mended.len(), "test fails", "tests fail"),
    ];
    for (n_tests, one, many) in kinds.into_iter().filter(|(n_tests, ..)| *n_tests > 0) {
        let passes = if n_tests == 1 { "passes" } else { "pass" };
        let _ =
            write!(body, "\n\n**{} without the patch's code and {passes} with it, every time.**", counted(n_tests, one, many));
    }
    let told: Vec<String> = MOVEMENTS
        .iter()
        .filter(|movement| table.count(**movement) > 0)
        .map(|movement| format!("{} {}", table.count(*movement), movement.word()))
        .collect();
    let _ = write!(body, "\n\nTest by test: {}.", told.join(", "));
    rows(body, table);
    match account.is_runner_honest {
        Some(true) => {
            body.push_str("\n\nTests of the harness that must fail were laid beside them, and were reported as failing.")
        }
        Some(false) => {
            body.push_str("\n\nTests of the harness that must fail were laid beside them, and were **not** reported as failing.")
        }
        None => {}
    }
}

const MOVEMENTS: [Movement; 6] =
    [Movement::Mended, Movement::Broken, Movement::Gone, Movement::Flaky, Movement::New, Movement::Unchanged];

fn rows(body: &mut String, table: &Table) {
    if table.rows.is_empty() {
        return;
    }
    let _ = write!(body, "\n\n{TABLE_HEAD}");
    table.rows.iter().take(TESTS_LISTED_MAX).for_each(|test| body.push_str(&row(test)));
    if let Some(n_more) = n_moved(table).checked_sub(TESTS_LISTED_MAX).filter(|n| *n > 0) {
        let _ = write!(body, "\n\nand {n_more} more.");
    }
}

const TABLE_HEAD: &str = "| Test | Without | With |\n| --- | --- | --- |";

fn row(Row { test, base, head, .. }: &Row) -> String {
    let word = |seen: Option<Seen>| seen.map_or("is not there", Seen::word);
    format!("\n| {} | {} | {} |", cell(test, TEST_CHARS_MAX), word(*base), word(*head))
}

/// How many tests did not end alike on both sides; the table has rows for the first of them.
fn n_moved(table: &Table) -> usize {
    table.counts.iter().filter(|(movement, _)| **movement != Movement::Unchanged).map(|(_, n)| n).sum()
}

/// Every test that the table has a row for, as far as there is room in bytes, and how many are left out.
pub(super) fn test_by_test(account: &Account, bytes_max: usize) -> Option<String> {
    let table = account.table.as_ref().filter(|table| !table.rows.is_empty())?;
    let mut text = format!("### Test by test\n\n{TABLE_HEAD}");
    let room = bytes_max.checked_sub(LEFT_OUT_BYTES_MAX + text.len())?;
    let (mut n_told, mut n_bytes) = (0, 0);
    for row in table.rows.iter().map(row) {
        n_bytes += row.len();
        if n_bytes > room {
            break;
        }
        text.push_str(&row);
        n_told += 1;
    }
    if let Some(n_more) = n_moved(table).checked_sub(n_told).filter(|n| *n > 0) {
        let _ = write!(text, "\n\nThe table is cut here: {} left out.", counted(n_more, "more test is", "more tests are"));
    }
    (n_told > 0).then_some(text)
}

fn counted(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// What was in force while all of this ran; journals from before it was written down say nothing of it.
fn confined(body: &mut String, story: &Story<'_>, prepared: &Prepared) {
    for note in &prepared.notes {
        let _ = write!(body, "\n\n{}", sentence(note, story.host));
    }
    let lines: Vec<String> = story.walls.iter().map(|walls| plain(&walls.line(), SENTENCE_CHARS_MAX)).collect();
    if lines.is_empty() {
        return;
    }
    let _ = write!(body, "\n\nSandbox: {}.", lines.join("; later "));
    if let Some(reach) = &prepared.reach {
        let _ = write!(body, " The setup could reach {}.", plain(&reach.line(), SENTENCE_CHARS_MAX));
    }
}

fn reproduce(story: &Story<'_>, prepared: &Prepared, verdict: &Verdict, base: &Evidence) -> String {
    let mut script = format!("git checkout {}\n", prepared.base);
    let own_tests = story.judged.filter(|_| verdict.is_by_own_tests());
    if let Some(judged) = own_tests {
        let commit = story.adopted.map_or(&judged.proposal.commit, Adopted::proposed);
        let _ = writeln!(script, "# with the tests of {commit}: its test files, and what stands behind #[cfg(test)]");
    }
    let setup = prepared.plan.setup.iter().map(String::as_str);
    let commands: Vec<&str> = setup.chain([base.command.as_str()]).collect();
    for command in &commands {
        let _ = writeln!(script, "{}", clip(command, COMMAND_CHARS_MAX));
    }
    if let Some(judged) = story.judged {
        if let (Some(_), Some(number)) = (story.adopted, story.spec.task.issue()) {
            let _ = writeln!(script, "git fetch origin refs/pull/{number}/head");
        }
        match story.adopted.and_then(|adopted| Some((adopted.head.as_ref()?, adopted))) {
            Some((head, adopted)) => {
                let _ = writeln!(script, "git checkout {}\ngit merge --no-edit {head}", prepared.base);
                // The commit is another, for who made it and when is part of it.
                if let Some(tree) = &adopted.tree {
                    let _ = writeln!(script, "test \"$(git rev-parse 'HEAD^{{tree}}')\" = {tree}");
                }
            }
            None => {
                let _ = writeln!(script, "git checkout {}", judged.proposal.commit);
            }
        }
        for command in &commands {
            let _ = writeln!(script, "{}", clip(command, COMMAND_CHARS_MAX));
        }
    }
    fence(&script)
}

fn result(evidence: Option<&Evidence>) -> String {
    let Some(evidence) = evidence else { return "not run".into() };
    let colour = match runner::colour(evidence) {
        Colour::Green => "✅ pass",
        Colour::Red => "❌ fail",
        Colour::None => "⚠️ no result",
    };
    format!("{colour} ({})", evidence.exit)
}

fn time(evidence: Option<&Evidence>) -> String {
    evidence.map_or_else(String::new, |evidence| {
        let tenths = evidence.duration_ms / 100;
        format!("{}.{} s", tenths / 10, tenths % 10)
    })
}

/// What nobody should take for granted.
pub(super) fn not_verified(body: &mut String, story: &Story<'_>, verdict: &Verdict) {
    let mut open = Vec::new();
    if let Verdict::Unproven { doubt, .. } = verdict {
        open.push(format!("{} {}", doubt.sentence(), doubt.next_step()));
    }
    if !matches!(verdict, Verdict::Unproven { base: None, .. } | Verdict::Unproven { doubt: Doubt::OutOfTime, .. }) {
        if verdict.account().is_none_or(|account| account.table.is_none()) {
            open.push("Only the command above was run, as a whole: its exit codes are compared, not single tests.".into());
        }
        if let Verdict::Proven { account: Some(account), .. } = verdict {
            open.extend(account.untried().map(str::to_owned));
        }
        open.push("Nothing was checked that these tests do not check.".into());
    }
    if let Some(now) = story.moved_to.filter(|_| story.adopted.is_none()) {
        let pull = story.spec.task.issue().filter(|_| story.spec.task.works_on().is_some());
        let branch = pull.map_or_else(|| code(story.spec.repo.default_branch()), |number| format!("#{number}"));
        let now = code(now.short());
        let base = story.prepared.map(|prepared| code(prepared.base.short())).unwrap_or_default();
        open.push(format!("{branch} has moved on to {now} since the base {base} was fixed; the result holds for the base."));
    }
    let _ = write!(body, "\n\n### Not verified\n");
    for line in open {
        let _ = write!(body, "\n- {line}");
    }
}

/// The end of an output, cut by whole characters.
fn tail(output: &str) -> String {
    let n_omitted = output.chars().count().saturating_sub(EXCERPT_CHARS_MAX);
    let shown: String = output.chars().skip(n_omitted).collect();
    if n_omitted == 0 { shown } else { format!("…{shown}") }
}

#[cfg(test)]
mod tests;
