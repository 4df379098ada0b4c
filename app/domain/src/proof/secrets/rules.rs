//! What secrets look like: the rules of gitleaks, as `secrets/ORIGIN.md` says, and what each of them allows.
//!
//! A rule is asked only where one of its keywords stands, and is compiled when it is first asked.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{LazyLock, OnceLock};

use aho_corasick::AhoCorasick;
use regex::bytes::{Captures, Regex, RegexBuilder};
use serde::Deserialize;

use super::Left;
use super::layers::Layer;

/// How large a compiled rule may be, in bytes.
const COMPILED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How much of a line is looked at on either side of a match, in bytes: a file may be one line.
const SURROUNDING_BYTES_MAX: usize = 2 * 1024;
/// What stands in the rules that know a secret by the name before it alone.
const ASSIGNMENT: &str = "=|>|:{1,3}=";

static RULES: LazyLock<Rules> = LazyLock::new(Rules::read);

/// What matches a rule.
pub(super) struct Found {
    /// The rule's name.
    pub(super) rule: &'static str,
    /// Where the secret begins.
    pub(super) start: usize,
    /// Where it ends.
    pub(super) end: usize,
}

/// All that matches in a text, as far as it may be looked at; the rules that know a secret by itself come first.
pub(super) fn find(path: &str, layer: &Layer, left: &mut Left) -> Vec<Found> {
    let Rules { rules, allow, .. } = &*RULES;
    let mut found = Vec::new();
    for index in RULES.candidates(&layer.bytes) {
        let rule = &rules[index];
        if !rule.is_asked(path, layer, allow) {
            continue;
        }
        if !left.reads(layer.bytes.len()) {
            return found;
        }
        for captures in rule.pattern.regex().captures_iter(&layer.bytes) {
            if !left.matches() {
                return found;
            }
            let secret = rule.secret(&captures);
            let whole = captures.get(0).map_or(secret.clone(), |whole| whole.range());
            let matched = Matched { text: &layer.bytes, secret: secret.clone(), whole };
            let is_allowed = |allow: &Allow| allow.allows(path, &matched, rule.is_by_name());
            if entropy(&layer.bytes[secret.clone()]) > rule.entropy && !is_allowed(allow) && !rule.allow.iter().any(is_allowed) {
                found.push(Found { rule: &rule.id, start: secret.start, end: secret.end });
            }
        }
    }
    found
}

/// A match, in the text that it stands in.
struct Matched<'a> {
    text: &'a [u8],
    secret: Range<usize>,
    whole: Range<usize>,
}

impl Matched<'_> {
    fn of(&self, target: Target) -> &[u8] {
        match target {
            Target::Secret => &self.text[self.secret.clone()],
            Target::Match => &self.text[self.whole.clone()],
            Target::Line => {
                let first = self.whole.start.saturating_sub(SURROUNDING_BYTES_MAX);
                let last = self.text.len().min(self.whole.end + SURROUNDING_BYTES_MAX);
                let before = &self.text[first..self.whole.start];
                let start = before.iter().rposition(|byte| *byte == b'\n').map_or(first, |at| first + at + 1);
                let rest = &self.text[self.whole.end..last];
                let end = rest.iter().position(|byte| *byte == b'\n').map_or(last, |at| self.whole.end + at);
                &self.text[start..end]
            }
        }
    }
}

/// The whole set.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    /// What every rule allows.
    allow: Allow,
    rules: Vec<Rule>,
    /// Finds the keywords, in any case.
    #[serde(skip)]
    keywords: Option<AhoCorasick>,
    /// Which rules each of them belongs to.
    #[serde(skip)]
    of_keyword: Vec<Vec<usize>>,
}

impl Rules {
    fn read() -> Self {
        let mut read: Self = serde_json::from_str(include_str!("gitleaks.json")).expect("the kept rules are in this form");
        // Whoever knows the secret by itself names it better.
        read.rules.sort_by_key(Rule::is_by_name);
        let words: BTreeSet<&str> = read.rules.iter().flat_map(|rule| &rule.keywords).map(String::as_str).collect();
        let has = |rule: &Rule, word: &str| rule.keywords.iter().any(|keyword| keyword == word);
        let of_word = |word: &&str| (0..read.rules.len()).filter(|index| has(&read.rules[*index], word)).collect();
        let of_keyword = words.iter().map(of_word).collect();
        let keywords = AhoCorasick::builder().ascii_case_insensitive(true).build(&words);
        let keywords = Some(keywords.expect("the keywords are few"));
        Self { keywords, of_keyword, ..read }
    }

    /// The rules of which a keyword stands in the text.
    fn candidates(&self, text: &[u8]) -> BTreeSet<usize> {
        let words = self.keywords.iter().flat_map(|keywords| keywords.find_overlapping_iter(text));
        let words: BTreeSet<usize> = words.map(|found| found.pattern().as_usize()).collect();
        words.into_iter().flat_map(|word| self.of_keyword[word].iter().copied()).collect()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    id: String,
    pattern: Pattern,
    /// In lower case.
    keywords: Vec<String>,
    /// How many bits each byte of the secret must have more than.
    #[serde(default)]
    entropy: f64,
    /// Which group of the pattern is the secret; the first that matches something where it is not said.
    group: Option<usize>,
    /// The files that it is about; all where it is not said.
    path: Option<Pattern>,
    #[serde(default)]
    allow: Vec<Allow>,
}

impl Rule {
    /// Whether it knows a secret by the name before it, such as `password =`, and not by the secret itself.
    fn is_by_name(&self) -> bool {
        self.pattern.text.contains(ASSIGNMENT)
    }

    fn is_asked(&self, path: &str, layer: &Layer, allow: &Allow) -> bool {
        let is_about = |pattern: &Pattern| pattern.regex().is_match(path.as_bytes());
        // A name before something that was put together is not the name of it.
        let is_in_place = !self.is_by_name() || layer.has_surroundings && !allow.paths.iter().any(is_about);
        is_in_place && self.path.as_ref().is_none_or(is_about)
    }

    fn secret(&self, captures: &Captures<'_>) -> Range<usize> {
        let groups = match self.group {
            Some(group) => group..group + 1,
            None => 1..captures.len(),
        };
        let found = groups.filter_map(|group| captures.get(group)).find(|group| !group.is_empty()).or_else(|| captures.get(0));
        found.map_or(0..0, |found| found.range())
    }
}

/// What is no secret though it looks like one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Allow {
    /// Whether all of these must hold, or any.
    #[serde(default)]
    condition: Condition,
    #[serde(default)]
    target: Target,
    #[serde(default)]
    regexes: Vec<Pattern>,
    #[serde(default)]
    paths: Vec<Pattern>,
    #[serde(default)]
    stopwords: Vec<String>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Condition {
    #[default]
    Or,
    And,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Target {
    #[default]
    Secret,
    Match,
    Line,
}

impl Allow {
    /// A file's name excuses only what is taken for a secret by its name: whoever hides a secret chooses the file.
    fn allows(&self, path: &str, matched: &Matched<'_>, path_counts: bool) -> bool {
        let target = matched.of(self.target);
        let secret = String::from_utf8_lossy(matched.of(Target::Secret)).to_ascii_lowercase();
        let by_regex = || self.regexes.iter().any(|regex| regex.regex().is_match(target));
        let by_word = || self.stopwords.iter().any(|word| secret.contains(&word.to_ascii_lowercase()));
        let by_path = || path_counts && self.paths.iter().any(|regex| regex.regex().is_match(path.as_bytes()));
        let kinds: [(bool, &dyn Fn() -> bool); 3] =
            [(self.regexes.is_empty(), &by_regex), (self.stopwords.is_empty(), &by_word), (self.paths.is_empty(), &by_path)];
        let mut given = kinds.iter().filter(|(is_empty, _)| !is_empty).map(|(_, holds)| holds());
        match self.condition {
            Condition::Or => given.any(|holds| holds),
            Condition::And => given.all(|holds| holds),
        }
    }
}

/// A regular expression that is compiled when it is first used. It looks at bytes: what was decoded need not be text.
#[derive(Deserialize)]
#[serde(from = "String")]
struct Pattern {
    text: String,
    compiled: OnceLock<Regex>,
}

impl From<String> for Pattern {
    fn from(text: String) -> Self {
        Self { text, compiled: OnceLock::new() }
    }
}

impl Pattern {
    fn regex(&self) -> &Regex {
        self.compiled.get_or_init(|| {
            let compiled = RegexBuilder::new(&self.text).unicode(false).size_limit(COMPILED_BYTES_MAX).build();
            compiled.expect("a test compiles each of the kept rules")
        })
    }
}

/// How many bits a byte of a text has on average, by Shannon.
fn entropy(text: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in text {
        counts[usize::from(*byte)] += 1;
    }
    let share = |count: &u32| f64::from(*count) / text.len() as f64;
    counts.iter().filter(|count| **count > 0).map(share).map(|share| -share * share.log2()).sum()
}

#[cfg(test)]
mod tests;
