//! Attacks on processes outside and on what a process may do: nothing is gained, and nobody else is touched.

use super::trial::{Bare, Case};

const fn user(name: &'static str, script: &'static str) -> Case {
    Case { name, script, bare: Bare::User }
}

const fn root(name: &'static str, script: &'static str) -> Case {
    Case { name, script, bare: Bare::Root }
}

pub(super) const CASES: &[Case] = &[
    user("a process outside is traced", "weapons/processes ptrace $VICTIM"),
    user("the memory of a process outside is read", "weapons/processes memory $VICTIM"),
    user("the memory of a process outside is opened", "weapons/processes mem-file $VICTIM"),
    user("a process outside is killed", "weapons/processes kill $VICTIM"),
    user("a process outside is killed by its handle", "weapons/processes pidfd-kill $VICTIM"),
    user("a descriptor of a process outside is taken", "weapons/processes pidfd_getfd $VICTIM"),
    user("the limits of a process outside are read", "weapons/processes prlimit $VICTIM"),
    user("a process outside is slowed down", "weapons/processes priority $VICTIM"),
    user("the processors of a process outside are read", "weapons/processes affinity $VICTIM"),
    user("a shared memory segment of the host is found", "weapons/processes shm $VICTIM"),
    root(
        "the server is sent a signal",
        r#"kill -0 $SERVER 2>/dev/null && echo "ESCAPED: it is there" || echo "HELD: it is not""#,
    ),
    Case { name: "a program of root's user", script: "weapons/suid", bare: Bare::Planted },
    Case {
        name: "a program with a capability",
        script: r#"weapons/capable || [ $? != 126 ] || echo "HELD: it does not start""#,
        bare: Bare::Planted,
    },
    root("capabilities are regained", "weapons/privileges regain"),
    root("root is regained", "weapons/privileges become-root"),
    user("programs may give privileges", "weapons/privileges no-new-privileges"),
    user("a filter opens what another closed", "weapons/privileges refilter"),
    user("the limit of core dumps is not one byte", "weapons/privileges core-limit"),
    user("a core is dumped", "weapons/privileges core-dump"),
    user("there is a terminal", "weapons/privileges terminal"),
    user("all watches of files that a user may have are taken", "weapons/privileges watchers"),
    root("limits are raised", "weapons/privileges limits"),
    root("a real-time priority is taken", "weapons/privileges realtime"),
    root("memory is never taken back", "weapons/privileges oom"),
];
