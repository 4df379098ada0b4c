//! Which images a repository may name. It knows no engine.

use crate::sandbox::Refusal;

/// The longest name of an image.
const NAME_BYTES_MAX: usize = 256;

/// Why an image that a repository names is not used, if it is not.
pub fn refusal<'a>(named: &str, allowed: impl IntoIterator<Item = &'a String>) -> Option<Refusal> {
    let is_plain = named.len() <= NAME_BYTES_MAX
        && named.starts_with(|first: char| first.is_ascii_alphanumeric())
        && named.chars().all(|c| c.is_ascii_alphanumeric() || "._-/:@".contains(c));
    if !is_plain {
        return Some(Refusal {
            missing: format!("the image {:?}, which is no image's name", named.chars().take(NAME_BYTES_MAX).collect::<String>()),
            remedy: "correct the repository's file that names it".to_owned(),
        });
    }
    if allowed.into_iter().any(|pattern| is_match(pattern, named)) {
        return None;
    }
    Some(Refusal {
        missing: format!("the image `{named}`: the repository names it, and it is not allowed"),
        remedy: "add it, or a pattern for it, to `sandbox.container.allowed_images`, or take it out of the repository's file"
            .to_owned(),
    })
}

/// Whether a name is like a pattern, in which `*` stands for any characters.
pub(super) fn is_match(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}
