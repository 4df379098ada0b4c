//! The process that keeps one sandbox: it makes the walls once, and starts every command in them on request.
//!
//! No command ever sees this process: each has a process namespace and a copy of the mounts of its own. It ends, and all
//! commands with it, when the supervisor's end of the connection is closed.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use seccompiler::BpfProgram;

use crate::fault::{Fault, OrFault, Step};
use crate::group::{Group, Leaf};
use crate::messages::{Inbox, Incoming};
use crate::spec::{Run, Spec};
use crate::status::{Limit, Status};
use crate::usage::Watch;
use crate::usage::disk::Full;
use crate::{filter, init, messages, mounts, namespaces, sys};

/// Commands at a time in one sandbox.
pub(crate) const COMMANDS_MAX: usize = 64;

/// The ends that the first process of a command needs of the processes outside.
pub(crate) struct Wires {
    pub(crate) lifeline: OwnedFd,
    pub(crate) outer_alive: OwnedFd,
    pub(crate) output: OwnedFd,
    pub(crate) status: OwnedFd,
}

/// Makes the sandbox that the supervisor asks for and serves it to the end.
pub(crate) fn keep(supervisor: &UnixStream) {
    let made = match messages::receive::<Spec>(supervisor) {
        Ok(None) => return,
        Ok(Some((spec, descriptors))) => match spec.checked() {
            Ok(spec) => Session::make(spec, descriptors),
            Err(error) => Err(Fault::new(Step::Spec, "the spec", error)),
        },
        Err(error) => Err(Fault::new(Step::Spec, "the spec", error)),
    };
    // Nobody is left to be told when this fails: the supervisor takes a missing answer for a refusal.
    match made {
        Err(fault) => drop(messages::send(supervisor, &fault.refusal(), &[])),
        Ok((mut session, workspace)) => {
            let files: Vec<BorrowedFd<'_>> = workspace.iter().map(AsFd::as_fd).collect();
            if messages::send(supervisor, &Status::Ready, &files).is_ok() {
                drop(workspace);
                session.serve(supervisor);
            }
        }
    }
}

struct Session {
    spec: Spec,
    filter: BpfProgram,
    /// Held open until this process ends, by which the commands' first processes learn of it.
    alive: (PipeReader, PipeWriter),
    inbox: Inbox,
    commands: Vec<Started>,
    watch: Watch,
    /// Where each command gets a control group of its own, if the supervisor has any.
    group: Option<Group>,
}

/// A command that runs.
struct Started {
    pid: i32,
    pidfd: OwnedFd,
    status: OwnedFd,
    leaf: Option<Leaf>,
    is_apart: bool,
    /// Whether it started while there were too many files, and can make none.
    is_barred: bool,
    is_killed: bool,
}

impl Session {
    fn make(spec: Spec, descriptors: Vec<OwnedFd>) -> Result<(Session, Option<OwnedFd>), Fault> {
        if let Some(score) = spec.limits.oom_score_adj {
            // Only a hint to the kernel, for all that this process starts; a machine that refuses it is no less safe.
            let _ = std::fs::write("/proc/self/oom_score_adj", score.to_string());
        }
        let filter = filter::compile()?;
        let alive = io::pipe().or_fault(Step::Process, "a pipe")?;
        // What the watch looks at must be found before the host's files are out of sight.
        let watch = Watch::new(&spec);
        let group = descriptors.into_iter().next().map(|directory| Group::new(directory, &spec.limits)).transpose();
        let group = group.or_fault(Step::Group, "limiting the sandbox")?;
        if spec.has_group && group.is_none() {
            return Err(Fault::new(Step::Spec, "the control group", io::ErrorKind::NotFound.into()));
        }
        namespaces::enter(&spec)?;
        let workspace = mounts::build(&spec)?;
        Ok((Session { spec, filter, alive, inbox: Inbox::default(), commands: Vec::new(), watch, group }, workspace))
    }

    /// Starts what is asked for and reaps what has ended, until the supervisor is gone.
    fn serve(&mut self, supervisor: &UnixStream) {
        loop {
            let pause = (!self.commands.is_empty()).then(|| self.watch.pause());
            let ready = match self.wait(supervisor, pause) {
                Ok(ready) => ready,
                Err(_) => break,
            };
            if ready[0] {
                match self.inbox.take::<Run>(supervisor) {
                    Ok(Incoming::Message(run, descriptors)) => self.start(&run, descriptors),
                    Ok(Incoming::Unusable(error, descriptors)) => refuse(descriptors, error),
                    Ok(Incoming::Partial) => {}
                    Ok(Incoming::End) | Err(_) => break,
                }
            }
            self.reap(&ready[1..]);
            if !self.commands.is_empty() {
                self.look();
            }
        }
        for command in &self.commands {
            let _ = sys::processes::pidfd_kill(&command.pidfd);
        }
        for command in self.commands.drain(..) {
            let _ = sys::processes::wait_for(command.pid);
            self.group.iter().zip(&command.leaf).for_each(|(group, leaf)| group.remove(leaf));
        }
    }

    /// Waits until the supervisor speaks or a command has ended, or for the pause; the first answer is the supervisor's.
    fn wait(&self, supervisor: &UnixStream, pause: Option<Timespec>) -> io::Result<Vec<bool>> {
        let mut set = vec![PollFd::new(supervisor, PollFlags::IN)];
        set.extend(self.commands.iter().map(|command| PollFd::new(&command.pidfd, PollFlags::IN)));
        loop {
            match poll(&mut set, pause.as_ref()) {
                Ok(_) => return Ok(set.iter().map(|polled| !polled.revents().is_empty()).collect()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Starts a command. What goes wrong is told on its own status channel.
    fn start(&mut self, run: &Run, descriptors: Vec<OwnedFd>) {
        if !Run::DESCRIPTORS.contains(&descriptors.len()) {
            return;
        }
        let mut descriptors = descriptors.into_iter();
        let (Some(lifeline), Some(output), Some(status)) = (descriptors.next(), descriptors.next(), descriptors.next()) else {
            return;
        };
        let standard = descriptors.next();
        let full = self.watch.full();
        match self.spawn(run, full, lifeline, output, &status, standard) {
            Ok((pid, pidfd, leaf)) => {
                self.watch.begin(pid, 1 + u32::from(run.bridge.is_some()), leaf.is_some());
                let is_barred = full.bars_files();
                self.commands.push(Started { pid, pidfd, status, leaf, is_apart: run.is_apart, is_barred, is_killed: false });
            }
            Err(fault) => report(status, &fault.refusal()),
        }
    }

    fn spawn(
        &mut self,
        run: &Run,
        full: Full,
        lifeline: OwnedFd,
        output: OwnedFd,
        status: &OwnedFd,
        standard: Option<OwnedFd>,
    ) -> Result<(i32, OwnedFd, Option<Leaf>), Fault> {
        if self.commands.len() >= COMMANDS_MAX {
            let full = io::Error::other(format!("{COMMANDS_MAX} commands run already"));
            return Err(Fault::new(Step::Process, "one more command", full));
        }
        let outer_alive = self.alive.0.try_clone().or_fault(Step::Process, "a pipe")?.into();
        let status = status.try_clone().or_fault(Step::Process, "a pipe")?;
        let wires = Wires { lifeline, outer_alive, output, status };
        let leaf = self.group.as_mut().map(Group::leaf).transpose().or_fault(Step::Group, "making it")?;
        let cloned = match &leaf {
            None => sys::processes::clone_process(namespaces::of_command(run)),
            Some(leaf) => sys::processes::clone_into_group(namespaces::of_command(run), leaf.directory()),
        };
        if let (Err(_), Some(group), Some(leaf)) = (&cloned, &self.group, &leaf) {
            group.remove(leaf);
        }
        match cloned.or_fault(Step::Namespaces, "clone")? {
            Some((pid, pidfd)) => Ok((pid, pidfd, leaf)),
            None => {
                let own = [&wires.lifeline, &wires.outer_alive, &wires.output, &wires.status].map(|fd| fd.as_raw_fd());
                let own: Vec<_> = own.into_iter().chain(standard.as_ref().map(AsRawFd::as_raw_fd)).collect();
                if forget_supervisor().and_then(|()| sys::descriptors::close_all_but(&own)).is_err() {
                    sys::processes::exit_now(1);
                }
                if full.bytes {
                    self.spec.limits.file_bytes = 0;
                }
                init::run(&self.spec, run, full, &self.filter, &wires, standard)
            }
        }
    }

    fn reap(&mut self, ended: &[bool]) {
        let mut ended = ended.iter().copied();
        let mut has_reaped_killed = false;
        self.commands.retain_mut(|command| {
            // What was started just now was not waited for.
            if !ended.next().unwrap_or_default() {
                return true;
            }
            // The kernel lets the first process of a namespace be reaped only after every other one of it is gone.
            let end = sys::processes::wait_for(command.pid);
            let signal = end.ok().and_then(|end| end.signal());
            let group_and_leaf = self.group.as_ref().zip(command.leaf.as_ref());
            if group_and_leaf.is_some_and(|(group, leaf)| leaf.is_out_of_memory(group)) {
                let _ = report_to(&command.status, &Status::Exceeded { limit: Limit::Memory });
            } else if let (Some(signal), false) = (signal, command.is_killed) {
                let _ = report_to(&command.status, &Status::Lost { signal });
            }
            // Before the supervisor hears of the end, which it does when the status channel is closed.
            self.group.iter().zip(&command.leaf).for_each(|(group, leaf)| group.remove(leaf));
            self.watch.forget(command.pid);
            has_reaped_killed |= command.is_killed;
            false
        });
        if has_reaped_killed {
            // What comes from here on is no longer its doing.
            self.watch.full();
        }
    }

    /// Kills what has used more than it may. What the commands of a sandbox share is held against those that are not apart,
    /// as long as there are any: whoever is apart was there before and is there after them.
    fn look(&mut self) {
        let over = self.watch.exceeded();
        let unseen = self.watch.unseen();
        for command in self.commands.iter_mut().filter(|command| !command.is_killed && unseen.contains(&command.pid)) {
            let _ = report_to(&command.status, &unwatched());
            command.is_killed = sys::processes::pidfd_kill(&command.pidfd).is_ok();
        }
        let cpu_max = Duration::from_secs(self.spec.limits.cpu_seconds);
        for command in self.commands.iter_mut().filter(|command| !command.is_killed) {
            let Some(leaf) = &mut command.leaf else { continue };
            let is_over_time = (leaf.cpu() > cpu_max).then_some(Limit::Cpu);
            if let Some(limit) = is_over_time.or_else(|| leaf.is_starved().then_some(Limit::Memory)) {
                let _ = report_to(&command.status, &Status::Exceeded { limit });
                command.is_killed = sys::processes::pidfd_kill(&command.pidfd).is_ok();
            }
        }
        let has_others = self.commands.iter().any(|command| !command.is_apart);
        // Whoever is killed may make some more before it is gone.
        let has_makers = self.commands.iter().any(|command| !command.is_apart && !command.is_barred);
        for command in self.commands.iter_mut().filter(|command| !command.is_killed) {
            let limit = over.iter().find(|(first, limit)| {
                let is_spared = match limit {
                    Limit::Cpu | Limit::Memory => false,
                    Limit::Disk => command.is_apart && has_others,
                    // Who can make none has not made these, and shields nobody who can.
                    Limit::Files => command.is_barred || (command.is_apart && has_makers),
                };
                *first == command.pid && !is_spared
            });
            if let Some((_, limit)) = limit {
                let _ = report_to(&command.status, &Status::Exceeded { limit: *limit });
                command.is_killed = sys::processes::pidfd_kill(&command.pidfd).is_ok();
            }
        }
    }
}

/// A command that cannot be watched is ended: a limit that nobody keeps is none.
fn unwatched() -> Status {
    Status::Refused {
        missing: "a limit of memory: the command's processes cannot be found in /proc".to_owned(),
        remedy: "let the server see its own processes in /proc (no hidepid, no ProtectProc= but `default`), or give it control \
                 groups, which `patchwright doctor` says how to do"
            .to_owned(),
    }
}

/// Says that what was asked for cannot be understood, on the status channel that came with it; there is none where even
/// that is wrong, and the supervisor takes a missing line for a refusal.
fn refuse(descriptors: Vec<OwnedFd>, error: io::Error) {
    if let Some(status) = descriptors.into_iter().nth(Run::STATUS) {
        report(status, &Fault::new(Step::Spec, "the command", error).refusal());
    }
}

/// Puts nothing in the place of the standard three, one of which is the connection to the supervisor.
fn forget_supervisor() -> io::Result<()> {
    let nothing = File::options().read(true).write(true).open("/dev/null")?;
    (0..=2).try_for_each(|number| sys::descriptors::place(&nothing, number))
}

/// Writes one status line. Nobody is left to be told when it fails: the supervisor reads a missing line as a refusal.
pub(crate) fn report(channel: OwnedFd, status: &Status) {
    let _ = write_line(File::from(channel), status);
}

/// As [`report`], keeping the channel.
pub(crate) fn report_to(channel: &OwnedFd, status: &Status) -> io::Result<()> {
    write_line(File::from(channel.try_clone()?), status)
}

fn write_line(mut channel: File, status: &Status) -> io::Result<()> {
    io::Write::write_all(&mut channel, status.line().as_bytes())
}
