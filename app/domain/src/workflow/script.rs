//! The steps of a job as commands of a shell. What somebody has written is only ever an argument in quotes.

use super::reconstruction::Ran;

/// What runs a step's script, as GitHub's runner starts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shell {
    /// None is named: bash, which ends at the first failure.
    Unnamed,
    /// A program that takes a script as an argument, with its options.
    Program(String),
}

/// How the shells are started that can be named, with the script behind it.
const NAMED: [(&str, &str); 3] =
    [("bash", "bash --noprofile --norc -eo pipefail -c"), ("sh", "sh -e -c"), ("python", "python3 -c")];
/// Where an own way to start a shell has the script's file.
const PLACE: &str = " {0}";

impl Shell {
    /// The shell of this name, or with these options; `None` for one that is not here, or that is no plain call of bash or sh.
    pub fn of(name: Option<&str>) -> Option<Self> {
        let Some(name) = name.map(str::trim).filter(|name| !name.is_empty()) else { return Some(Self::Unnamed) };
        if let Some((_, call)) = NAMED.iter().find(|(known, _)| *known == name) {
            return Some(Self::Program((*call).to_owned()));
        }
        let call = name.strip_suffix(PLACE)?;
        let mut words = call.split_whitespace();
        let is_shell = matches!(words.next(), Some("bash" | "sh"));
        let is_option = |word: &str| word == "pipefail" || word.starts_with('-');
        let is_plain = call.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'-'));
        (is_shell && is_plain && words.all(is_option)).then(|| Self::Program(format!("{call} -c")))
    }

    fn call(&self) -> &str {
        match self {
            Self::Unnamed => "bash -e -c",
            Self::Program(call) => call,
        }
    }
}

/// A text as one word of a shell, whatever it holds.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// One step as a command. A single line that needs nothing around it stays as it is, so that a runner of tests is known in it.
pub fn command(ran: &Ran) -> String {
    let script = ran.script.trim();
    let is_bare = ran.shell == Shell::Unnamed && ran.env.is_empty() && ran.directory.is_empty();
    // What a line ends with decides how it ends, and a pipe's beginning is asked by bash alone.
    if is_bare && !script.contains(['\n', '|', ';', '#']) { format!("export CI='true'\n{script}") } else { whole(ran) }
}

/// What GitHub's runner sets, and where steps leave something for others, which nobody reads here.
const SURROUNDINGS: &str = "export CI='true' GITHUB_ENV=/dev/null GITHUB_PATH=/dev/null GITHUB_OUTPUT=/dev/null \
                            GITHUB_STEP_SUMMARY=/dev/null\n";

fn whole(ran: &Ran) -> String {
    let mut text = SURROUNDINGS.to_owned();
    for (name, value) in &ran.env {
        text.push_str(&format!("export {name}={}\n", quoted(value)));
    }
    if !ran.directory.is_empty() {
        text.push_str(&format!("cd -- {} || exit 1\n", quoted(&ran.directory)));
    }
    text.push_str(&format!("{} {}", ran.shell.call(), quoted(ran.script.trim_end())));
    text
}

/// Steps one after the other, each with its own variables and folder; the first that fails ends it, unless it may.
pub fn joined(all: &[&Ran]) -> String {
    let step = |ran: &&Ran| format!("(\n{}\n) || {}", whole(ran), if ran.may_fail { "true" } else { "exit $?" });
    all.iter().map(step).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests;
