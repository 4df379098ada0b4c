//! Names of hosts as they are asked for, and the patterns that they are held against; nothing here is ever resolved.

use std::fmt;

/// The longest name, in bytes, as DNS has it.
const NAME_BYTES_MAX: usize = 253;
/// The longest part between two dots.
const LABEL_BYTES_MAX: usize = 63;

/// The name of a host: small letters, digits, hyphens, underscores and dots, and never an address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostName(String);

impl HostName {
    /// Reads a name; capitals become small, and one dot at its end is dropped.
    ///
    /// # Errors
    /// Why it is no name: an address in any notation is none.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() || text.len() > NAME_BYTES_MAX {
            return Err("it is empty or too long for the name of a host");
        }
        if text.contains([':', '[', ']']) {
            return Err("addresses are not taken, only names");
        }
        if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
            return Err("it has a character that is not in the names of hosts");
        }
        let is_label =
            |label: &str| (1..=LABEL_BYTES_MAX).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-');
        if !text.split('.').all(is_label) {
            return Err("it is no name of a host");
        }
        if is_number(text.rsplit('.').next().unwrap_or_default()) {
            return Err("addresses are not taken, only names");
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a last label makes the whole an IPv4 address for some parser, in decimal, octal or hexadecimal.
fn is_number(label: &str) -> bool {
    let hexadecimal = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    label.bytes().all(|byte| byte.is_ascii_digit())
        || hexadecimal.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// A name, or all names below one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// This name alone.
    Exactly(HostName),
    /// Every name that ends with a dot and this one, but not this one itself: `*.name`.
    Below(HostName),
}

impl Pattern {
    /// Reads a name, or `*.` and a name.
    ///
    /// # Errors
    /// Why it is neither.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        match text.strip_prefix("*.") {
            Some(rest) => HostName::parse(rest).map(Self::Below),
            None => HostName::parse(text).map(Self::Exactly),
        }
    }

    /// Whether a name is meant.
    pub fn matches(&self, name: &HostName) -> bool {
        match self {
            Self::Exactly(exact) => name == exact,
            Self::Below(suffix) => name.0.strip_suffix(&suffix.0).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        }
    }

    /// The names that both mean, if there are any.
    pub fn and(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Exactly(name), pattern) | (pattern, Self::Exactly(name)) => {
                pattern.matches(name).then(|| Self::Exactly(name.clone()))
            }
            (Self::Below(one), Self::Below(another)) => {
                let (wide, narrow) = if one.0.len() < another.0.len() { (self, another) } else { (other, one) };
                let is_within = one == another || wide.matches(narrow);
                is_within.then(|| Self::Below(narrow.clone()))
            }
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(name) => name.fmt(f),
            Self::Below(name) => write!(f, "*.{name}"),
        }
    }
}

/// A host and a port, as a request names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// The host.
    pub name: HostName,
    /// The port, where it is said.
    pub port: Option<u16>,
}

impl Authority {
    /// Reads `name` or `name:port`.
    ///
    /// # Errors
    /// Why it is neither; a user's name before the host is not taken.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.contains('@') {
            return Err("a user's name before the host is not taken");
        }
        if text.contains(['[', ']']) {
            return Err("addresses are not taken, only names");
        }
        let (name, port) = match text.split_once(':') {
            None => (text, None),
            Some((name, digits)) => {
                let is_plain = (1..=5).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
                let port = digits.parse::<u16>().ok().filter(|port| is_plain && *port != 0);
                (name, Some(port.ok_or("the port is none, or this is an address")?))
            }
        };
        Ok(Self { name: HostName::parse(name)?, port })
    }
}

#[cfg(test)]
mod tests;
