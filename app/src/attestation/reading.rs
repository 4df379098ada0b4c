//! Reads what somebody hands over as an attestation, and names the first field that does not hold.

use std::io::Read;
use std::path::Path;

use patchwright_domain::attestation::{Fault, Statement};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::envelope::{self, Opened};

/// How long an envelope may be, in bytes.
pub const ENVELOPE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How much of a value is told, in characters.
const VALUE_CHARS_MAX: usize = 80;

/// Reads a file, up to the size that an envelope may have.
///
/// # Errors
/// What the system says; a file that is longer is a [`Fault`] inside.
pub fn read(file: &Path) -> std::io::Result<Result<Vec<u8>, Fault>> {
    let mut bytes = Vec::new();
    std::fs::File::open(file)?.take(ENVELOPE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    let is_too_long = bytes.len() > ENVELOPE_BYTES_MAX;
    Ok(if is_too_long { Err(Fault::new("envelope", format!("is longer than {ENVELOPE_BYTES_MAX} bytes"))) } else { Ok(bytes) })
}

/// Reads an envelope and its statement. The signature is not looked at: until it is, all of it is hearsay.
///
/// # Errors
/// The first [`Fault`] in the envelope's form.
pub fn open(envelope: &[u8]) -> Result<(Opened, Result<Statement, Fault>), Fault> {
    let opened = envelope::open(envelope)?;
    let statement = statement(&opened.payload);
    Ok((opened, statement))
}

/// Reads a payload that has the one form of a statement, and holds as far as it shows itself.
fn statement(payload: &[u8]) -> Result<Statement, Fault> {
    let statement: Statement = parse(payload, "payload")?;
    let canonical = statement.to_bytes();
    if canonical != payload {
        return Err(difference(payload, &canonical));
    }
    statement.check()?;
    Ok(statement)
}

/// Parses JSON; `whole` is what it is called where the fault is in no field.
pub(super) fn parse<T: DeserializeOwned>(text: &[u8], whole: &str) -> Result<T, Fault> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let parsed = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let (path, problem) = (error.path().to_string(), error.inner().to_string());
        Fault::new(place(&path, &problem, whole), problem)
    })?;
    json.end().map_err(|error| Fault::new(whole, error.to_string()))?;
    Ok(parsed)
}

/// Where a fault is. Of a field that is missing or there twice, the path is its parent's, and the problem names it.
fn place(path: &str, problem: &str, whole: &str) -> String {
    let named = ["duplicate field `", "missing field `"].iter().find_map(|says| problem.strip_prefix(says));
    let field = named.and_then(|rest| rest.split_once('`')).map(|(field, _)| field);
    match (path, field) {
        (".", Some(field)) => field.to_owned(),
        (".", None) => whole.to_owned(),
        (path, Some(field)) if !path.ends_with(&format!(".{field}")) => format!("{path}.{field}"),
        (path, Some(_) | None) => path.to_owned(),
    }
}

/// What a payload has that a statement of its fields has not.
fn difference(payload: &[u8], canonical: &[u8]) -> Fault {
    let (Ok(found), Ok(expected)) = (serde_json::from_slice(payload), serde_json::from_slice(canonical)) else {
        return Fault::new("payload", "is no JSON");
    };
    first("", &found, &expected).unwrap_or_else(|| {
        let at = payload.iter().zip(canonical).take_while(|(found, expected)| found == expected).count();
        Fault::new("payload", format!("is not written as this schema is: byte {at} differs, by spaces, order or a field twice"))
    })
}

/// The first place where two values differ.
fn first(path: &str, found: &Value, expected: &Value) -> Option<Fault> {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            let inner = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            for (name, value) in found {
                match expected.get(name) {
                    None => return Some(Fault::new(inner(name), "is no field of this schema, or has no value here")),
                    Some(expected) => {
                        if let Some(fault) = first(&inner(name), value, expected) {
                            return Some(fault);
                        }
                    }
                }
            }
            expected.keys().find(|name| !found.contains_key(*name)).map(|name| Fault::new(inner(name), "is missing"))
        }
        (Value::Array(found), Value::Array(expected)) if found.len() == expected.len() => {
            found.iter().zip(expected).enumerate().find_map(|(index, (a, b))| first(&format!("{path}[{index}]"), a, b))
        }
        (found, expected) if found == expected => None,
        (found, expected) => Some(Fault::new(path, format!("is written as {}, and not as {}", told(found), told(expected)))),
    }
}

fn told(value: &Value) -> String {
    value.to_string().chars().take(VALUE_CHARS_MAX).collect()
}
