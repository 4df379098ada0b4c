//! Output that is written for the operator's terminal: a command inside cannot make it do anything.

use std::process::{Command, Output};

use super::trial::workspace;
use super::{launcher, weapons};

/// A title, a colour, a cursor, a clipboard, the answer to a question, each in two spellings; and a word that is to be seen.
const ESCAPES: &str =
    r"\033]0;owned\007\033[31m\033[2J\033]52;c;b3duZWQ=\033\\\033[c\033P+q\033\\\302\233c\302\235owned\302\234\007\010seen\n";

/// Prints the escapes as themselves, where they arrive, and through `sandbox exec`, where only the word does.
pub(super) fn check() {
    let printf = ["printf", ESCAPES];
    let bare = on_terminal(Command::new(weapons::path("onterminal")).arg("/usr/bin/printf").arg(ESCAPES));
    assert!(bare.stdout.contains(&0x1b), "a terminal is sent what is printed: {bare:?}");
    let tree = workspace();
    let mut exec = Command::new(weapons::path("onterminal"));
    exec.arg(launcher()).args(["sandbox", "exec", "--workspace"]).arg(tree.path()).arg("--").args(printf);
    let confined = on_terminal(&mut exec);
    let sent = String::from_utf8_lossy(&confined.stdout);
    assert!(sent.ends_with("seen\r\n") && !sent.trim_end().contains(char::is_control), "{sent:?}");
}

fn on_terminal(command: &mut Command) -> Output {
    command.output().expect("it was compiled")
}
