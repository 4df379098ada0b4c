//! Which runs a job has, and how GitHub calls each of them.

use super::expression::{self, Expression, Known, Unknown};
use super::{Job, Value};

/// How many runs one job has at most; GitHub takes no more either.
pub const RUNS_MAX: usize = 256;
/// How many names of values, and how many entries of `include` and `exclude`, are looked at.
const ENTRIES_MAX: usize = 64;
/// The longest name of a check, in characters; GitHub cuts what is longer.
const NAME_CHARS_MAX: usize = 100;
/// What GitHub puts where it has cut a name.
const CUT: &str = "...";

/// How often a job runs, and with which values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matrix {
    /// Each name with its values, every one of which runs with every one of the others'.
    pub values: Vec<(String, Value)>,
    /// Further values of some runs, and further runs.
    pub include: Vec<Value>,
    /// Runs that are left out.
    pub exclude: Vec<Value>,
    /// What of it has to be computed first, if anything.
    pub computed: Option<Expression>,
}

/// The values of one run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run<'m> {
    /// Those that all runs have.
    own: Vec<(&'m str, &'m Value)>,
    /// Those that `include` adds.
    added: Vec<(&'m str, &'m Value)>,
}

impl<'m> Run<'m> {
    /// All values by their names.
    pub fn values(&self) -> Vec<(&'m str, &'m Value)> {
        self.own.iter().chain(&self.added).copied().collect()
    }

    fn with(&self, name: &'m str, value: &'m Value) -> Self {
        Self { own: self.own.iter().copied().chain([(name, value)]).collect(), added: Vec::new() }
    }

    /// Whether all that an entry says is so.
    fn is(&self, entry: &[(&'m str, &'m Value)]) -> bool {
        let is = |(name, value): &(&str, &Value)| self.own.iter().any(|(own, known)| own == name && fits(known, value));
        !entry.is_empty() && entry.iter().all(is)
    }

    /// Whether nothing that an entry says is otherwise.
    fn fits(&self, entry: &[(&'m str, &'m Value)]) -> bool {
        let differs = |(name, value): &(&str, &Value)| self.own.iter().any(|(own, known)| own == name && !fits(known, value));
        !entry.iter().any(differs)
    }

    fn add(&mut self, entry: &[(&'m str, &'m Value)]) {
        for (name, value) in entry {
            if self.own.iter().any(|(own, _)| own == name) {
                continue;
            }
            self.added.retain(|(added, _)| added != name);
            self.added.push((name, value));
        }
    }
}

/// Whether a value is what an entry says of it; of a map it may say a part.
fn fits(known: &Value, said: &Value) -> bool {
    match said {
        Value::Map(fields) => fields.iter().all(|(name, said)| known.field(name).is_some_and(|known| fits(known, said))),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::List(_) => expression::is_same(known, said),
    }
}

impl Matrix {
    /// All runs.
    ///
    /// # Errors
    /// [`Unknown`] where they are computed, or are more than there may be.
    pub fn runs(&self) -> Result<Vec<Run<'_>>, Unknown> {
        if let Some(computed) = &self.computed {
            Known::default().value(computed)?;
            return Err(Unknown("its matrix is computed".into()));
        }
        let too_large = || Unknown(format!("its matrix has more than {RUNS_MAX} runs, or {ENTRIES_MAX} names or entries"));
        if [self.values.len(), self.include.len(), self.exclude.len()].iter().any(|n| *n > ENTRIES_MAX) {
            return Err(too_large());
        }
        let mut runs = if self.values.is_empty() { Vec::new() } else { vec![Run::default()] };
        for (name, values) in &self.values {
            let Value::List(values) = values else { return Err(Unknown("its matrix is computed".into())) };
            if runs.len().saturating_mul(values.len()) > RUNS_MAX {
                return Err(too_large());
            }
            runs = runs.iter().flat_map(|run| values.iter().map(move |value| run.with(name, value))).collect();
        }
        for entry in &self.exclude {
            let entry = fields(entry)?;
            runs.retain(|run| !run.is(&entry));
        }
        let n_multiplied = runs.len();
        for entry in &self.include {
            let entry = fields(entry)?;
            let mut is_added = false;
            for run in runs[..n_multiplied].iter_mut().filter(|run| run.fits(&entry)) {
                run.add(&entry);
                is_added = true;
            }
            if !is_added {
                runs.push(Run { own: Vec::new(), added: entry });
            }
        }
        if runs.len() > RUNS_MAX { Err(too_large()) } else { Ok(runs) }
    }
}

fn fields(entry: &Value) -> Result<Vec<(&str, &Value)>, Unknown> {
    match entry {
        Value::Map(fields) if fields.len() <= ENTRIES_MAX => {
            Ok(fields.iter().map(|(name, value)| (name.as_str(), value)).collect())
        }
        Value::Map(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::List(_) => {
            Err(Unknown("its matrix cannot be read".into()))
        }
    }
}

/// The names under which GitHub may show a run of a job: with the values that all runs have, and with those that were added.
///
/// # Errors
/// [`Unknown`] where the job's name cannot be known.
pub fn names(job: &Job, run: &Run<'_>, known: &Known<'_>) -> Result<Vec<String>, Unknown> {
    let name = match &job.name {
        Some(name) => known.text(name)?,
        None => job.id.clone(),
    };
    let is_fixed = job.name.as_ref().is_none_or(super::Template::is_plain);
    let mut own = Vec::new();
    run.own.iter().for_each(|(_, value)| segments(value, &mut own));
    let mut all = own.clone();
    run.added.iter().for_each(|(_, value)| segments(value, &mut all));
    let with = |segments: &[String]| if segments.is_empty() { name.clone() } else { format!("{name} ({})", segments.join(", ")) };
    let mut names = vec![cut(&with(&all)), cut(&with(&own))];
    if !is_fixed {
        names.insert(0, cut(&name));
    }
    names.dedup();
    Ok(names)
}

/// What a value adds to a name: itself, or what is in it.
fn segments(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) | Value::Text(_) => {
            into.extend(Some(expression::shown(value)).filter(|s| !s.is_empty()))
        }
        Value::List(all) => all.iter().for_each(|value| segments(value, into)),
        Value::Map(fields) => fields.iter().for_each(|(_, value)| segments(value, into)),
    }
}

/// GitHub counts in units of sixteen bits, of which no name here can have more than two each.
fn cut(name: &str) -> String {
    if name.encode_utf16().count() <= NAME_CHARS_MAX {
        return name.to_owned();
    }
    let units: Vec<u16> = name.encode_utf16().take(NAME_CHARS_MAX - CUT.len()).collect();
    String::from_utf16_lossy(&units) + CUT
}

#[cfg(test)]
mod tests;
