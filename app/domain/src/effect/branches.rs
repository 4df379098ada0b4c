//! What the branches are called on which work is published: made of checked parts alone.

use crate::job::JobSpec;

/// What all branches of ours begin with.
const OWN_START: &str = "codex/";
/// What the branches of repairs begin with; how many of them stand on each other follows.
const REPAIR_START: &str = "codex/repair-";
/// The longest part of a branch name that comes from a title, in characters.
const SLUG_CHARS_MAX: usize = 40;

/// Whether a branch is called as ours are.
pub fn is_own_branch(branch: &str) -> bool {
    branch.starts_with(OWN_START)
}

/// The branch of a job: made of checked parts alone, whatever the title says.
pub fn branch(spec: &JobSpec, title: &str) -> String {
    let words = title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut slug = String::new();
    for word in words.map(str::to_ascii_lowercase) {
        if slug.len() + word.len() >= SLUG_CHARS_MAX {
            break;
        }
        slug = if slug.is_empty() { word } else { format!("{slug}-{word}") };
    }
    let slug = if slug.is_empty() { "change" } else { &slug };
    let short = spec.id().short().to_owned();
    match spec.task.issue() {
        Some(issue) => format!("codex/{issue}-{slug}-{short}"),
        None => format!("codex/{slug}-{short}"),
    }
}

/// How many repairs stand on each other where this is the branch of the uppermost; 0 where it is none.
pub fn n_repairs(branch: &str) -> u32 {
    let n = branch.strip_prefix(REPAIR_START).and_then(|rest| rest.split('-').next());
    n.and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// The branch of a repair that goes to this one, made of checked parts alone.
pub(super) fn of_repair(spec: &JobSpec, base: &str) -> String {
    let n = n_repairs(base).saturating_add(1);
    let of = spec.task.issue().map_or_else(String::new, |issue| format!("{issue}-"));
    format!("{REPAIR_START}{n}-{of}{}", spec.id().short())
}
