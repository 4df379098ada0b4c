//! The server's own secrets, taken out of what people are told.
//!
//! They are looked for as they are and in the encodings that they are found in elsewhere, each as one text, which the ends of lines
//! may break: what a program has spread over words of its own is not put together again.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Own, parts, shown, weakness};

/// Takes secrets out of texts.
pub struct Veil {
    owners: Vec<Owner>,
    /// Finds the forms whose letters stand for themselves.
    exact: Finder,
    /// Finds those of digits, which may be capitals or not.
    folded: Finder,
}

/// One of the secrets, or a line of it.
struct Owner {
    /// What stands in its place.
    shown: String,
    /// The name that people have for the whole secret.
    name: String,
    /// Whether others may use it as a word.
    is_plain: bool,
}

/// Forms that are looked for, each with its secret by its place among the owners.
#[derive(Default)]
struct Finder {
    finder: Option<AhoCorasick>,
    owners: Vec<usize>,
}

/// Something that programs read has a secret in it. It cannot be told: without the secret it would be something else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} cannot be told{reason}")]
pub struct Plain {
    what: &'static str,
    reason: String,
}

impl Veil {
    /// A veil over these.
    pub fn over(own: &[Own<'_>]) -> Self {
        let (mut owners, mut exact, mut folded) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        for (own, part) in own.iter().flat_map(|own| parts(own.value).map(move |part| (own, part))) {
            for form in self::exact(part) {
                exact.entry(form).or_insert(owners.len());
            }
            for form in self::folded(part) {
                folded.entry(form.to_ascii_lowercase()).or_insert(owners.len());
            }
            let is_plain = weakness(own.value).is_some();
            owners.push(Owner { shown: shown(part.as_bytes()), name: own.name.to_owned(), is_plain });
        }
        Self { owners, exact: Finder::of(exact, false), folded: Finder::of(folded, true) }
    }

    /// A text without them, also where the ends of lines break them.
    pub fn text(&self, text: &str) -> String {
        let mut told = String::with_capacity(text.len());
        let mut at = 0;
        for (place, owner) in self.found(text) {
            // Where they overlap, the first is shown.
            if place.start >= at {
                told.push_str(&text[at..place.start]);
                told.push_str(&self.owners[owner].shown);
            }
            at = at.max(place.end);
        }
        told.push_str(&text[at..]);
        told
    }

    /// The same of every text in something that is written down; names of fields and keys of maps stay. `what` is what people call
    /// it.
    ///
    /// # Errors
    /// [`Plain`] where it cannot be read again without them, because one stood where no text of others does, such as in the name
    /// of a state.
    pub fn value<T: Clone + Serialize + DeserializeOwned>(&self, what: &'static str, told: &T) -> Result<T, Plain> {
        if self.owners.is_empty() {
            return Ok(told.clone());
        }
        let Ok(before) = serde_json::to_value(told) else { return Err(self.plain(what, "")) };
        let mut after = before.clone();
        self.veil(&mut after);
        serde_json::from_value(after).map_err(|_| self.plain(what, &before.to_string()))
    }

    /// Sees that none of them stands in what a program reads, so that it is told as it is.
    ///
    /// # Errors
    /// [`Plain`] where one does.
    pub fn leaves(&self, what: &'static str, text: &str) -> Result<(), Plain> {
        if self.found(text).is_empty() { Ok(()) } else { Err(self.plain(what, text)) }
    }

    /// That this is in the way, with the names of those that stand in it. One that nobody uses as a word stands there since it
    /// became known.
    pub fn plain(&self, what: &'static str, text: &str) -> Plain {
        let found: Vec<&Owner> = self.found(text).into_iter().map(|(_, owner)| &self.owners[owner]).collect();
        let names = |is_plain: bool| -> String {
            let names: BTreeSet<&str> =
                found.iter().filter(|owner| owner.is_plain == is_plain).map(|owner| owner.name.as_str()).collect();
            names.into_iter().collect::<Vec<_>>().join(" and ")
        };
        let (words, secrets) = (names(true), names(false));
        let reason = match (words.is_empty(), secrets.is_empty()) {
            (true, true) => " without the server's secrets".to_owned(),
            (false, true) => format!(" without the server's {words}, which is a plain word"),
            (_, false) => format!(", for the server's {secrets} stands in it: it has got out and must be changed"),
        };
        Plain { what, reason }
    }

    /// Where they stand, from the first on.
    fn found(&self, text: &str) -> Vec<(Range<usize>, usize)> {
        if self.owners.is_empty() {
            return Vec::new();
        }
        let finders = [&self.exact, &self.folded];
        let mut found: Vec<(Range<usize>, usize)> = finders.iter().flat_map(|finder| finder.find(text)).collect();
        if text.contains(['\n', '\r']) {
            let joined = Joined::of(text);
            let broken = finders.iter().flat_map(|finder| finder.find(&joined.text));
            found.extend(broken.map(|(place, owner)| (joined.place(&place), owner)));
        }
        found.sort_by_key(|(place, owner)| (place.start, Reverse(place.end), *owner));
        found
    }

    /// As deep as the value is, which is a type of ours and not what somebody sent.
    fn veil(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.text(text),
            Value::Array(values) => values.iter_mut().for_each(|value| self.veil(value)),
            Value::Object(fields) => fields.values_mut().for_each(|value| self.veil(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

impl Finder {
    fn of(forms: BTreeMap<String, usize>, ignores_case: bool) -> Self {
        if forms.is_empty() {
            // To look for nothing would take as long as to look for something.
            return Self::default();
        }
        let (forms, owners): (Vec<String>, Vec<usize>) = forms.into_iter().unzip();
        let finder =
            AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).ascii_case_insensitive(ignores_case).build(&forms);
        Self { finder: finder.ok(), owners }
    }

    fn find(&self, text: &str) -> impl Iterator<Item = (Range<usize>, usize)> {
        let found = self.finder.iter().flat_map(move |finder| finder.find_iter(text));
        found.map(|found| (found.range(), self.owners[found.pattern().as_usize()]))
    }
}

/// A text without the ends of its lines and the blanks around those.
#[derive(Default)]
struct Joined {
    text: String,
    /// From which byte on it comes from which byte of the whole text.
    origins: Vec<(usize, usize)>,
}

impl Joined {
    fn of(whole: &str) -> Self {
        let mut joined = Self::default();
        let mut at = 0;
        for line in whole.split_inclusive(['\n', '\r']) {
            let begun = line.trim_start();
            joined.origins.push((joined.text.len(), at + line.len() - begun.len()));
            joined.text.push_str(begun.trim_end());
            at += line.len();
        }
        joined
    }

    /// The same place in the whole text.
    fn place(&self, place: &Range<usize>) -> Range<usize> {
        let of = |offset: usize| {
            let next = self.origins.partition_point(|(start, _)| *start <= offset);
            let (start, origin) = next.checked_sub(1).map_or((0, 0), |index| self.origins[index]);
            origin + offset - start
        };
        of(place.start)..of(place.end.saturating_sub(1)) + 1
    }
}

/// How a secret may stand in a text, where capitals are other letters.
fn exact(secret: &str) -> Vec<String> {
    let quoted = Value::from(secret).to_string();
    let mut forms =
        vec![secret.to_owned(), Joined::of(secret).text, secret.chars().rev().collect(), quoted.trim_matches('"').to_owned()];
    for n_before in 0..3 {
        // What stands before it in the same text shifts it; the digits that depend on what is around are left.
        let shifted = [&[0_u8; 2][..n_before], secret.as_bytes()].concat();
        let whole = (n_before * 8).div_ceil(6)..shifted.len() * 8 / 6;
        forms.extend(
            [BASE64_STANDARD.encode(&shifted), BASE64_URL_SAFE.encode(&shifted)].map(|digits| digits[whole.clone()].to_owned()),
        );
    }
    forms
}

/// The same of digits, where they are not.
fn folded(secret: &str) -> [String; 3] {
    let percent = secret.bytes().map(|byte| format!("%{byte:02x}")).collect();
    [hex::encode(secret), percent, utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string()]
}

#[cfg(test)]
mod tests;
