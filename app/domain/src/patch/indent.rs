//! Carries the indentation of a file over to lines that were written with another one.

/// One line of the patch that was found in the file: its indentation there and here.
pub(super) struct Pair<'a> {
    pub(super) in_patch: &'a str,
    pub(super) in_file: &'a str,
}

/// The white space that a line begins with.
pub(super) fn of(line: &str) -> &str {
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// What `indent` of the patch is in the file; `None` if the pairs do not tell.
///
/// `pairs` are those before the line, nearest first, then those after it.
pub(super) fn carried_over(indent: &str, pairs: &[Pair<'_>]) -> Option<String> {
    if let Some(pair) = pairs.iter().find(|pair| pair.in_patch == indent) {
        return Some(pair.in_file.to_owned());
    }
    let inner = pairs.iter().filter(|pair| indent.starts_with(pair.in_patch)).max_by_key(|pair| pair.in_patch.len());
    let outer = pairs.iter().filter(|pair| pair.in_patch.starts_with(indent)).min_by_key(|pair| pair.in_patch.len());
    if let Some(pair) = inner {
        let deeper = converted(&indent[pair.in_patch.len()..], pairs)?;
        return Some(format!("{}{deeper}", pair.in_file));
    }
    let pair = outer?;
    let shallower = converted(&pair.in_patch[indent.len()..], pairs)?;
    pair.in_file.strip_suffix(shallower.as_str()).map(str::to_owned)
}

/// A step of the patch's indentation in the file's characters and width.
fn converted(step: &str, pairs: &[Pair<'_>]) -> Option<String> {
    let file_uses = |c: char| pairs.iter().any(|pair| pair.in_file.contains(c));
    let patch_char = step.chars().next()?;
    if !step.chars().all(|c| c == patch_char) || (file_uses('\t') && file_uses(' ')) {
        return Some(step.to_owned());
    }
    let file_char = if file_uses('\t') {
        '\t'
    } else if file_uses(' ') {
        ' '
    } else {
        patch_char
    };
    let (in_file, in_patch) = slope(pairs).unwrap_or_else(|| pair_ratio(patch_char, file_char, pairs));
    let width = step.len() * in_file;
    width.is_multiple_of(in_patch).then(|| file_char.to_string().repeat(width / in_patch))
}

/// How much the file's indentation grows where the patch's does, from two different depths.
fn slope(pairs: &[Pair<'_>]) -> Option<(usize, usize)> {
    let low = pairs.iter().min_by_key(|pair| pair.in_patch.len())?;
    let high = pairs.iter().max_by_key(|pair| pair.in_patch.len())?;
    let in_patch = high.in_patch.len() - low.in_patch.len();
    let in_file = high.in_file.len().checked_sub(low.in_file.len())?;
    (in_patch > 0 && in_file > 0).then_some((in_file, in_patch))
}

/// From one depth alone: equal characters are taken as shifted, unequal ones as scaled.
fn pair_ratio(patch_char: char, file_char: char, pairs: &[Pair<'_>]) -> (usize, usize) {
    let scaled = pairs.iter().find(|pair| !pair.in_patch.is_empty() && !pair.in_file.is_empty());
    match scaled {
        Some(pair) if patch_char != file_char => (pair.in_file.len(), pair.in_patch.len()),
        Some(_) | None => (1, 1),
    }
}
