//! The names and passwords of `~/.netrc`, which pip, uv and go use where an address has none.

use secrecy::SecretString;

use super::Sources;
use crate::egress::rules::Credential;

/// How many machines are read.
const MACHINES_MAX: usize = 256;

/// Whom to be at a host.
#[derive(Clone, Debug)]
pub(super) struct Login {
    pub(super) machine: String,
    pub(super) credential: Credential,
}

/// Reads the file that `NETRC` names, or that of the home directory. What holds for every other machine is nobody's.
pub(super) fn logins(sources: &Sources) -> Vec<Login> {
    let file = sources.variable("NETRC").map(Into::into).or_else(|| sources.below_home(".netrc"));
    let text = file.and_then(|file| sources.read(&file)).unwrap_or_default();
    parse(&text)
}

fn parse(text: &str) -> Vec<Login> {
    let mut logins = Vec::new();
    // A macro goes on to the next blank line.
    let mut is_macro = false;
    let lines = text.lines().filter(|line| {
        is_macro = (is_macro || line.trim_start().starts_with("macdef")) && !line.trim().is_empty();
        !is_macro && !line.trim_start().starts_with('#')
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    let mut words = text.split_whitespace();
    let (mut machine, mut login, mut password) = (None, None, None);
    loop {
        let word = words.next();
        if matches!(word, Some("machine" | "default") | None) {
            if let (Some(machine), Some(username), Some(password)) = (machine.take(), login.take(), password.take()) {
                let credential = Credential::Password { username, password };
                logins.push(Login { machine, credential });
            }
            (machine, login, password) = (None, None, None);
        }
        match word {
            Some("machine") => machine = words.next().map(str::to_owned),
            Some("login") => login = words.next().map(str::to_owned),
            Some("password") => password = words.next().map(SecretString::from),
            Some("account") => drop(words.next()),
            Some(_) => {}
            None => return logins,
        }
        if logins.len() == MACHINES_MAX {
            return logins;
        }
    }
}
