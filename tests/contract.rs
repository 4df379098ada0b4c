//! One suite for each thing that others rely on.

mod rehearsal;
