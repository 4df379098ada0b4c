//! What is left of commands whose launcher was killed from outside: nobody looks at it any more, and nothing ends it.
//!
//! Whatever goes on properly descends from a launcher, which adopts what its command leaves. So all else of the commands' user
//! that is behind the walls of [`confined`](crate::confined) was left over, by whichever server. Nothing in there can take
//! another user, fewer filters or another command line for the launcher's.

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::bare::{self, Seen};
use crate::confined::{MODE, watch};
use crate::{NAME, filter};

/// How often they are looked for; what starts others faster than it is found is stopped first.
const ROUNDS_MAX: u32 = 250;
/// How long what was killed is given to be gone.
const PAUSE: Duration = Duration::from_millis(10);

/// Ends what was left of commands of this user, and says whether nothing of it is left.
pub fn end(user: u32) -> bool {
    for _ in 0..ROUNDS_MAX {
        let found = orphans(user);
        if found.is_empty() {
            return true;
        }
        [Signal::STOP, Signal::KILL].into_iter().for_each(|signal| bare::send(&found, signal));
        thread::sleep(PAUSE);
    }
    false
}

fn orphans(user: u32) -> Vec<(i32, Seen)> {
    let n_own = fs::read_to_string("/proc/self/status").ok().and_then(|status| watch::first(&status, "Seccomp_filters:"));
    let n_filters_min = n_own.unwrap_or_default() + filter::N_ALONE;
    let all = bare::processes();
    let is_left = |id: i32| {
        fs::read_to_string(format!("/proc/{id}/status")).is_ok_and(|status| is_confined(&status, user, n_filters_min))
            && !is_kept(&all, id, user)
    };
    all.iter().filter(|(id, _)| is_left(**id)).map(|(id, seen)| (*id, *seen)).collect()
}

/// Whether a process is this user's, in our own namespace of processes, and behind all of the filters.
fn is_confined(status: &str, user: u32, n_filters_min: u64) -> bool {
    let numbers = |name| status.lines().find_map(|line: &str| line.strip_prefix(name)).unwrap_or_default().split_whitespace();
    numbers("NSpid:").count() == 1
        && watch::first(status, "Uid:") == Some(user.into())
        && watch::first(status, "Seccomp_filters:").is_some_and(|n_filters| n_filters >= n_filters_min)
}

/// Whether it descends from a launcher.
fn is_kept(all: &BTreeMap<i32, Seen>, id: i32, user: u32) -> bool {
    let parents = std::iter::successors(all.get(&id).map(|seen| seen.parent), |id| all.get(id).map(|seen| seen.parent));
    // The table is of one moment, almost: a loop in it would have no end.
    parents.take(all.len()).any(|parent| is_launcher(parent, user))
}

fn is_launcher(id: i32, user: u32) -> bool {
    let begins = [NAME.as_bytes(), MODE.as_bytes(), b""].join(&0);
    let is_others = |status: String| watch::first(&status, "Uid:").is_some_and(|owner| owner != u64::from(user));
    fs::read(format!("/proc/{id}/cmdline")).is_ok_and(|line| line.starts_with(&begins))
        && fs::read_to_string(format!("/proc/{id}/status")).is_ok_and(is_others)
}
