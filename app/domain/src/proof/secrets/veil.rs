//! The server's own secrets, taken out of what people are told.
//!
//! They are looked for as they are and in the encodings that they are found in elsewhere, each as one text: what a program has
//! spread over words of its own is not put together again.

use std::collections::{BTreeMap, BTreeSet};

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Own, parts, shown};

/// Takes secrets out of texts.
pub struct Veil {
    finder: Option<AhoCorasick>,
    /// What stands in the place of each form that is looked for.
    shown: Vec<String>,
    /// Whose form it is, by the name that people have for it.
    names: Vec<String>,
}

/// Something that programs read has a secret in it, as it may where that is a word that others use. It cannot be told: without
/// the secret it would be something else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} cannot be told without the server's {names}, which is a plain word")]
pub struct Plain {
    what: &'static str,
    names: String,
}

impl Veil {
    /// A veil over these.
    pub fn over(own: &[Own<'_>]) -> Self {
        let mut forms = BTreeMap::new();
        for (name, part) in own.iter().flat_map(|own| parts(own.value).map(|part| (own.name, part))) {
            for form in self::forms(part) {
                forms.entry(form).or_insert_with(|| (shown(part.as_bytes()), name.to_owned()));
            }
        }
        let (forms, told): (Vec<String>, Vec<(String, String)>) = forms.into_iter().unzip();
        let (shown, names) = told.into_iter().unzip();
        let finder = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&forms);
        Self { finder: finder.ok().filter(|_| !forms.is_empty()), shown, names }
    }

    /// A text without them.
    pub fn text(&self, text: &str) -> String {
        self.finder.as_ref().map_or_else(|| text.to_owned(), |finder| finder.replace_all(text, &self.shown))
    }

    /// The same of every text in something that is written down; names of fields and keys of maps stay. `what` is what people call
    /// it.
    ///
    /// # Errors
    /// [`Plain`] where it cannot be read again without them, because one stood where no text of others does, such as in the name
    /// of a state.
    pub fn value<T: Serialize + DeserializeOwned>(&self, what: &'static str, told: &T) -> Result<T, Plain> {
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
        let is_found = self.finder.as_ref().is_some_and(|finder| finder.is_match(text));
        if is_found { Err(self.plain(what, text)) } else { Ok(()) }
    }

    /// That this is in the way, with the names of those that stand in it.
    pub fn plain(&self, what: &'static str, text: &str) -> Plain {
        let found = self.finder.iter().flat_map(|finder| finder.find_iter(text));
        let names: BTreeSet<&str> = found.map(|found| self.names[found.pattern().as_usize()].as_str()).collect();
        let names = if names.is_empty() { "secrets".to_owned() } else { names.into_iter().collect::<Vec<_>>().join(" and ") };
        Plain { what, names }
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

/// How a secret may stand in a text.
fn forms(secret: &str) -> Vec<String> {
    let percent = |form: fn(u8) -> String| secret.bytes().map(form).collect::<String>();
    let quoted = Value::from(secret).to_string();
    let mut forms = vec![
        secret.to_owned(),
        secret.chars().rev().collect(),
        hex::encode(secret),
        hex::encode_upper(secret),
        percent(|byte| format!("%{byte:02X}")),
        percent(|byte| format!("%{byte:02x}")),
        utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
        quoted.trim_matches('"').to_owned(),
    ];
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

#[cfg(test)]
mod tests;
