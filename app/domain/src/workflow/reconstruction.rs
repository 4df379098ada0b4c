//! The commands that one run of a job has run, as far as they can be run here, and what is different.
//!
//! A step is left out, with its reason, where it needs what only GitHub has. Whether the rest still fails is not said here: that is
//! found out by running it.

use super::action::{self, Meaning, Tool};
use super::expression::{Known, TEXT_BYTES_MAX, plain};
use super::script::{Shell, command, joined};
use super::search::Found;
use super::{Defaults, Does, Env, Job, Step, Template};

/// How many steps of a job are looked at.
const STEPS_MAX: usize = 200;
/// How many differences are told.
const NOTES_MAX: usize = 12;
/// The longest command of a step, in bytes. One argument of a program may have 128 KiB, and quoting makes it longer.
const SCRIPT_BYTES_MAX: usize = TEXT_BYTES_MAX / 2;
/// The most that all variables of a step have together, and one command of all steps together, in bytes.
const ENV_BYTES_MAX: usize = 64 * 1024;
const COMMAND_BYTES_MAX: usize = 120 * 1024;
/// Where the repository's files are, in GitHub's words and in those of the sandbox.
const WORKSPACE: &str = "/workspace";

/// Words of scripts that change the machine itself, which no sandbox lets them.
const MACHINE: [&str; 6] = ["sudo", "apt-get", "apt", "dnf", "apk", "brew"];

/// What one run of a job does, step by step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconstruction {
    /// The workflow's file.
    pub path: String,
    /// The job's key in it.
    pub job: String,
    /// Its steps.
    pub steps: Vec<Part>,
    /// What all of its steps have on GitHub and none has here, a sentence each.
    pub lacks: Vec<String>,
}

/// A step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What GitHub calls it, where that can be known.
    pub name: Option<String>,
    /// What becomes of it.
    pub is: Is,
}

/// What becomes of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Is {
    /// It is run.
    Run(Ran),
    /// The job goes the same without it.
    Needless,
    /// It gives the job a tool that the machine may have.
    Tool(Tool),
    /// It is not known whether it ran, for this reason. It is left out, unless it is what failed: then it did.
    Unsure(Ran, String),
    /// It cannot be run here, for this reason.
    LeftOut(String),
}

/// A step that is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// What is run.
    pub script: String,
    /// By what.
    pub shell: Shell,
    /// Where, from the repository's root; empty for the root itself.
    pub directory: String,
    /// With which variables.
    pub env: Vec<(String, String)>,
    /// Whether the job goes on where it fails.
    pub may_fail: bool,
}

/// What is to be run to see a job fail again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commands {
    /// Everything before the step that failed, if there is anything.
    pub setup: Option<String>,
    /// The step that failed; all steps where that is not known.
    pub test: String,
}

impl Commands {
    /// The same in one: nothing of it is run as a setup is, with a way out.
    pub fn without_setup(self) -> Self {
        let test = match self.setup {
            Some(setup) => format!("{setup}\n{}", self.test),
            None => self.test,
        };
        Self { setup: None, test }
    }
}

/// What a run of a job does. `others` is what is known beside its matrix, by whole names such as `runner.os`.
pub fn reconstruct(found: &Found<'_>, others: &[(&'static str, String)]) -> Reconstruction {
    let Found { workflow, job, run, .. } = found;
    let mut known = Known { matrix: run.values(), env: Vec::new(), others: others.to_vec(), ..Known::default() };
    let mut lacks = lacks(job, &known);
    for env in [&workflow.env, &job.env] {
        add(&mut known, env, &mut lacks);
    }
    let defaults = [&job.defaults, &workflow.defaults];
    let mut steps: Vec<Part> = job.steps.iter().take(STEPS_MAX).map(|step| part(step, &known, defaults)).collect();
    if job.steps.len() > STEPS_MAX {
        steps.push(Part { name: None, is: Is::LeftOut(format!("a job has more than {STEPS_MAX} steps")) });
    }
    Reconstruction { path: workflow.path.clone(), job: job.id.clone(), steps, lacks }
}

/// What the machine of a job has, or what runs beside it, and is not here.
fn lacks(job: &Job, known: &Known<'_>) -> Vec<String> {
    let mut lacks = Vec::new();
    for label in &job.runs_on {
        match known.text(label) {
            Ok(label) if label.to_ascii_lowercase().starts_with("ubuntu") => {}
            Ok(label) => lacks.push(format!("The job runs on `{}`, and this machine is another one.", plain(&label))),
            Err(unknown) => lacks.push(format!("It is not known on what the job runs: {unknown}.")),
        }
    }
    if job.has_container {
        lacks.push("The job runs in a container of its own, which is not used here.".into());
    }
    lacks.extend(job.services.iter().map(|name| format!("The job has the service `{}`, which does not run here.", plain(name))));
    if let Some(called) = &job.calls {
        lacks.push(format!("The job calls the workflow `{}`, which is not followed.", plain(called)));
    }
    lacks
}

/// Adds variables to those that are known; one that cannot be known is left out.
fn add(known: &mut Known<'_>, env: &Env, lacks: &mut Vec<String>) {
    for (name, value) in env {
        match variable(name, value, known) {
            Ok(value) if env_bytes(known) + name.len() + value.len() > ENV_BYTES_MAX => {
                lacks.push(format!(
                    "The variable `{}` is not set: all of them are longer than {ENV_BYTES_MAX} bytes.",
                    plain(name)
                ));
            }
            Ok(value) => known.env.push((name.clone(), value)),
            Err(because) => lacks.push(format!("The variable `{}` is not set: {because}.", plain(name))),
        }
    }
}

fn env_bytes(known: &Known<'_>) -> usize {
    known.env.iter().map(|(name, value)| name.len() + value.len()).sum()
}

fn variable(name: &str, value: &Template, known: &Known<'_>) -> Result<String, String> {
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !is_name {
        return Err("a shell has no variables of that name".into());
    }
    let value = known.text(value).map_err(|unknown| unknown.to_string())?;
    if value.contains('\0') { Err("its value is no text".into()) } else { Ok(value) }
}

fn part(step: &Step, known: &Known<'_>, defaults: [&Defaults; 2]) -> Part {
    let name = step.name.as_ref().map(|name| known.text(name).ok());
    match &step.does {
        Does::Run { script, shell, directory } => {
            let ran = ran(step, known, defaults, (script, shell.as_ref(), directory.as_ref()));
            let name = name.unwrap_or_else(|| {
                let text = known.text(script).ok()?;
                text.trim().lines().next().map(|line| format!("Run {line}"))
            });
            Part { name, is: unless_skipped(step, known, ran.map_or_else(Is::LeftOut, Is::Run)) }
        }
        Does::Use { action, with } => {
            let is = match action::meaning(action, with, known) {
                Meaning::Nothing => Is::Needless,
                Meaning::Tool(tool) => Is::Tool(tool),
                Meaning::Missing(because) => Is::LeftOut(because),
            };
            Part { name: name.unwrap_or_else(|| Some(format!("Run {action}"))), is: unless_skipped(step, known, is) }
        }
        Does::Other => Part { name: name.flatten(), is: Is::LeftOut("it is no step that is known here".into()) },
    }
}

/// A step whose condition does not hold did nothing on GitHub either. Of one whose condition is not known nobody knows that.
fn unless_skipped(step: &Step, known: &Known<'_>, is: Is) -> Is {
    match (step.condition.as_ref().map(|condition| known.holds(condition)), is) {
        (Some(Ok(false)), _) => Is::Needless,
        (Some(Err(unknown)), Is::Run(ran)) => Is::Unsure(ran, format!("it is not known whether it ran: {unknown}")),
        (Some(Ok(true) | Err(_)) | None, is) => is,
    }
}

fn ran(
    step: &Step,
    known: &Known<'_>,
    defaults: [&Defaults; 2],
    (script, shell, directory): (&Template, Option<&Template>, Option<&Template>),
) -> Result<Ran, String> {
    let text = |template: &Template| known.text(template).map_err(|unknown| unknown.to_string());
    let mut own = known.clone();
    for (name, value) in &step.env {
        own.env.push((name.clone(), variable(name, value, &own)?));
        if env_bytes(&own) > ENV_BYTES_MAX {
            return Err(format!("its variables are longer than {ENV_BYTES_MAX} bytes"));
        }
    }
    let script = own.text(script).map_err(|unknown| unknown.to_string())?;
    if script.contains('\0') || script.len() > SCRIPT_BYTES_MAX {
        return Err(format!("its script is no text, or longer than {SCRIPT_BYTES_MAX} bytes"));
    }
    if script.split_whitespace().any(|word| MACHINE.contains(&word)) {
        return Err("it changes the machine itself, and this one stays as it is".into());
    }
    let shell = shell.or_else(|| defaults.iter().find_map(|defaults| defaults.shell.as_ref())).map(text).transpose()?;
    let shell =
        Shell::of(shell.as_deref()).ok_or_else(|| format!("there is no shell `{}` here", plain(&shell.unwrap_or_default())))?;
    let directory =
        directory.or_else(|| defaults.iter().find_map(|defaults| defaults.directory.as_ref())).map(text).transpose()?;
    Ok(Ran { script, shell, directory: inside(directory.as_deref().unwrap_or_default())?, env: own.env, may_fail: step.may_fail })
}

/// A folder of the repository, from its root.
fn inside(directory: &str) -> Result<String, String> {
    let odd = || format!("it works in `{}`, which is no folder of the repository", plain(directory));
    let relative = match directory.strip_prefix(WORKSPACE) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => rest.trim_start_matches('/'),
        Some(_) | None => directory,
    };
    if relative.starts_with(['/', '~']) || relative.contains('\0') {
        return Err(odd());
    }
    let parts: Vec<&str> = relative.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") { Err(odd()) } else { Ok(parts.join("/")) }
}

impl Reconstruction {
    /// What is to be run to see the job fail again, where GitHub says that this step has failed.
    ///
    /// # Errors
    /// Why there is nothing that could show it, as a sentence.
    pub fn commands(&self, failed: Option<&str>) -> Result<Commands, String> {
        let commands = self.unbounded(failed)?;
        let n_bytes = commands.test.len() + commands.setup.as_ref().map_or(0, String::len);
        if n_bytes <= COMMAND_BYTES_MAX {
            return Ok(commands);
        }
        Err(format!("The commands of the job `{}` are longer than {COMMAND_BYTES_MAX} bytes together.", plain(&self.job)))
    }

    /// Whether its file has a step of this name that runs something, so that it is none that the runner has added.
    pub fn has_script(&self, name: &str) -> bool {
        let runs = |is: &Is| matches!(is, Is::Run(_) | Is::Unsure(..) | Is::LeftOut(_));
        self.steps.iter().any(|part| part.name.as_deref() == Some(name) && runs(&part.is))
    }

    fn unbounded(&self, failed: Option<&str>) -> Result<Commands, String> {
        let Some(failed) = failed else {
            let all: Vec<&Ran> = self.ran(&self.steps).collect();
            return match all.as_slice() {
                [] => Err(format!("No step of the job `{}` can be run here.", plain(&self.job))),
                [only] => Ok(Commands { setup: None, test: command(only) }),
                [..] => Ok(Commands { setup: None, test: joined(&all) }),
            };
        };
        let mut named = self.steps.iter().enumerate().filter(|(_, part)| part.name.as_deref() == Some(failed));
        let (at, another) = (named.next().map(|(at, _)| at), named.next());
        if another.is_some() {
            let (job, step) = (plain(&self.job), plain(failed));
            return Err(format!("The job `{job}` has several steps `{step}`, and which of them has failed is not known."));
        }
        let at = at.ok_or_else(|| format!("The job `{}` has no step `{}` in its file.", plain(&self.job), plain(failed)))?;
        match &self.steps[at].is {
            Is::Run(ran) | Is::Unsure(ran, _) => {
                let before: Vec<&Ran> = self.ran(&self.steps[..at]).collect();
                Ok(Commands { setup: (!before.is_empty()).then(|| joined(&before)), test: command(ran) })
            }
            Is::LeftOut(because) => Err(format!("The step `{}` cannot be run here: {because}.", plain(failed))),
            Is::Tool(tool) => Err(format!("The step `{}` installs {tool} and runs nothing of the repository.", plain(failed))),
            Is::Needless => Err(format!("The step `{}` runs nothing of the repository.", plain(failed))),
        }
    }

    fn ran<'s>(&self, steps: &'s [Part]) -> impl Iterator<Item = &'s Ran> {
        steps.iter().filter_map(|part| match &part.is {
            Is::Run(ran) => Some(ran),
            Is::Needless | Is::Tool(_) | Is::Unsure(..) | Is::LeftOut(_) => None,
        })
    }

    /// The tools that the job wants.
    pub fn tools(&self) -> Vec<&Tool> {
        let tool = |part: &'_ Part| matches!(part.is, Is::Tool(_));
        let tools = self.steps.iter().filter(|part| tool(part));
        tools.filter_map(|part| if let Is::Tool(tool) = &part.is { Some(tool) } else { None }).collect()
    }

    /// What is different here where this step has failed, a sentence each, for people.
    pub fn notes(&self, failed: Option<&str>) -> Vec<String> {
        let mut notes = self.lacks.clone();
        for part in &self.steps {
            let named = part.name.as_deref().map_or_else(|| "A step".to_owned(), |name| format!("The step `{}`", plain(name)));
            match &part.is {
                Is::Unsure(..) if failed.is_some() && part.name.as_deref() == failed => {}
                Is::LeftOut(because) | Is::Unsure(_, because) => notes.push(format!("{named} is left out: {because}.")),
                Is::Tool(tool) if tool.version.is_some() => {
                    notes.push(format!("The job asks for {tool}; what this machine has of it is used."));
                }
                Is::Run(ran) if ["GITHUB_ENV", "GITHUB_PATH"].iter().any(|file| ran.script.contains(file)) => {
                    notes.push(format!("{named} sets variables for later steps, which do not get them here."));
                }
                Is::Run(ran) if reads_runner(&ran.script) => {
                    notes.push(format!("{named} reads variables of GitHub's runner, which are not set here."));
                }
                Is::Run(_) | Is::Tool(_) | Is::Needless => {}
            }
        }
        if notes.len() > NOTES_MAX {
            let n_more = notes.len() - NOTES_MAX;
            notes.truncate(NOTES_MAX);
            notes.push(format!("There are {n_more} more differences."));
        }
        notes
    }
}

/// Variables that every job has on GitHub, but for those that are set here as well.
fn reads_runner(script: &str) -> bool {
    let names = script.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    names.into_iter().any(|name| {
        (name.starts_with("GITHUB_") || name.starts_with("RUNNER_")) && !["GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"].contains(&name)
    })
}

#[cfg(test)]
mod tests;
