//! What the commands of a sandbox use beyond what the kernel limits by itself: looked at again and again.

use rustix::event::Timespec;

use crate::spec::Spec;
use crate::status::Limit;

/// How long it is between two looks.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// Looks at the commands of one sandbox.
pub(crate) struct Watch;

impl Watch {
    pub(crate) fn new(_spec: &Spec) -> Watch {
        Watch
    }

    pub(crate) fn pause(&self) -> Timespec {
        PAUSE
    }

    /// The limit that a command is over, if it is.
    pub(crate) fn exceeded(&mut self, _first: i32) -> Option<Limit> {
        None
    }
}
