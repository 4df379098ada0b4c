//! What programs of any language ask of the system.

use super::{Suite, Tool};

const fn perl(name: &'static str, script: &'static str) -> Suite {
    Suite { name, tool: Tool::Required("perl"), files: &[], script }
}

const fn sh(name: &'static str, script: &'static str) -> Suite {
    Suite { name, tool: Tool::Required("sh"), files: &[], script }
}

const fn c(name: &'static str, files: &'static [(&'static str, &'static str)]) -> Suite {
    Suite { name, tool: Tool::Required("cc"), files, script: "cc -Wall -pthread -o program program.c\n./program" }
}

pub(super) const SUITES: &[Suite] = &[
    perl(
        "a server on the loopback, by TCP",
        r#"perl -MIO::Socket::INET -e '
            my $server = IO::Socket::INET->new(LocalAddr => "127.0.0.1", Listen => 5) or die $!;
            if (!fork) { my $c = IO::Socket::INET->new(PeerAddr => "localhost", PeerPort => $server->sockport) or die $!;
                print $c "hello\n"; exit(<$c> eq "HELLO\n" ? 0 : 1) }
            my $peer = $server->accept or die $!; print $peer uc <$peer>; close $peer; wait; exit $? >> 8'"#,
    ),
    perl(
        "a server on the loopback, by UDP",
        r#"perl -MIO::Socket::INET -e '
            my $one = IO::Socket::INET->new(LocalAddr => "127.0.0.1", Proto => "udp") or die $!;
            my $two = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $one->sockport, Proto => "udp") or die $!;
            $two->send("hello") or die $!; $one->recv(my $text, 10); exit($text eq "hello" ? 0 : 1)'"#,
    ),
    perl(
        "a server on the loopback, by IPv6",
        r#"perl -MIO::Socket::IP -e '
            my $server = IO::Socket::IP->new(LocalHost => "::1", Listen => 5) or die "$! $@";
            if (!fork) { my $c = IO::Socket::IP->new(PeerHost => "::1", PeerPort => $server->sockport) or die "$! $@";
                print $c "hello\n"; exit 0 }
            my $peer = $server->accept or die $!; my $line = <$peer>; wait; exit($line eq "hello\n" ? $? >> 8 : 1)'"#,
    ),
    perl(
        "Unix sockets, with a path and abstract",
        r#"perl -MSocket -e '
            for my $name ("./socket", "\0honest", "/tmp/socket") {
                socket(my $s, AF_UNIX, SOCK_STREAM, 0) or die $!; bind($s, pack_sockaddr_un($name)) or die $!; listen($s, 1) or die $!;
                socket(my $c, AF_UNIX, SOCK_STREAM, 0) or die $!; connect($c, pack_sockaddr_un($name)) or die "$name $!";
                accept(my $peer, $s) or die $!; syswrite($c, "x") or die $!; sysread($peer, my $byte, 1) or die $! }
            socketpair(my $one, my $two, AF_UNIX, SOCK_STREAM, 0) or die $!'"#,
    ),
    perl(
        "signals and process groups",
        r#"perl -MPOSIX -e '
            my $n = 0; $SIG{USR1} = sub { $n++ }; kill "USR1", $$; $n == 1 or die;
            my $pid = fork // die; if (!$pid) { $SIG{TERM} = "DEFAULT"; pause while 1 }
            setpgid($pid, $pid) or die $!; kill "STOP", -$pid; kill "CONT", -$pid; kill "TERM", -$pid;
            waitpid($pid, 0); ($? & 127) == 15 or die "ended with $?";
            alarm 0; $SIG{ALRM} = sub { exit 0 }; alarm 1; pause; exit 1'"#,
    ),
    perl(
        "file locks",
        r#"perl -MFcntl=:flock -e '
            open my $one, ">", "lock" or die; flock $one, LOCK_EX or die $!; open my $two, ">", "lock" or die;
            flock $two, LOCK_EX | LOCK_NB and die "locked twice"; flock $one, LOCK_UN; flock $two, LOCK_EX | LOCK_NB or die $!'"#,
    ),
    perl(
        "sparse files, links and times",
        r#"perl -e '
            open my $f, ">", "sparse" or die; truncate $f, 1 << 30 or die $!; close $f; (stat "sparse")[12] < 100 or die "not sparse";
            symlink "sparse", "soft" or die $!; readlink "soft" eq "sparse" or die; link "sparse", "hard" or die $!;
            (stat "hard")[3] == 2 or die; utime 1, 2, "sparse" or die $!; (stat "sparse")[9] == 2 or die; rename "hard", "moved" or die $!'"#,
    ),
    sh(
        "the usual devices",
        "echo x > /dev/null; test \"$(head -c 4 /dev/zero | tr '\\0' 0)\" = 0000; test \"$(head -c 8 /dev/urandom | wc -c)\" -eq 8
         (echo x > /dev/full) 2>/dev/null && exit 1; echo x | cat /dev/stdin > /dev/stdout; echo y >&2; ls -l /dev/fd/ > /dev/null",
    ),
    sh(
        "executable bits, modes and a script's interpreter",
        "printf '#!/usr/bin/env perl\\nprint 42' > run; test ! -x run; chmod +x run; test \"$(./run)\" = 42; chmod 600 run
         test \"$(stat -c %a run)\" = 600; umask 027; touch new; test \"$(stat -c %a new)\" = 640",
    ),
    sh(
        "temporary files, home and identity",
        "t=$(mktemp -d); touch \"$t/x\"; touch ~/x; cd; test -f x; test \"$(whoami)\" = agent; getent hosts localhost >/dev/null
         hostname > /dev/null; test \"$(id -u)\" != 0; date > /dev/null; nproc > /dev/null; df . > /dev/null; ps > /dev/null",
    ),
    sh("pipes with names", "mkfifo pipe; (echo through > pipe) & test \"$(cat pipe)\" = through; wait"),
    Suite {
        name: "a repository: init, add, commit, status, branch, stash",
        tool: Tool::Required("git"),
        files: &[("a", "one\n")],
        script: "git init -q -b main .; git config user.name a; git config user.email a@example.com
            git add -A; git commit -q -m one; test -z \"$(git status --porcelain)\"; echo two >> a; git stash -q; git stash pop -q
            git checkout -q -b other; git commit -qam two; git checkout -q main; git merge -q other; git gc -q
            git clone -q . clone; git worktree add -q tree; test \"$(git log --oneline | wc -l)\" = 2; git fsck --no-progress",
    },
    Suite {
        name: "make builds with cc, in parallel",
        tool: Tool::Optional("make"),
        files: &[
            ("Makefile", "program: a.o b.o\n\t$(CC) -o $@ $^\ntest: program\n\t./program\n"),
            ("a.c", "int b(void);\nint main(void) { return b() - 42; }\n"),
            ("b.c", "int b(void) { return 42; }\n"),
        ],
        script: "make -j4 test",
    },
    c("a child is traced", &[("program.c", include_str!("../fixtures/ordinary/trace.c"))]),
    c("files are watched, mapped and polled", &[("program.c", include_str!("../fixtures/ordinary/files.c"))]),
    c("threads, semaphores and shared memory", &[("program.c", include_str!("../fixtures/ordinary/threads.c"))]),
    c("a terminal of its own", &[("program.c", include_str!("../fixtures/ordinary/terminal.c"))]),
    Suite {
        name: "strace",
        tool: Tool::Optional("strace"),
        files: &[],
        script: "strace -f -o trace -e trace=execve sh -c 'true; /bin/true'; grep -q execve trace",
    },
    Suite {
        name: "gdb stops at a function",
        tool: Tool::Optional("gdb"),
        files: &[("program.c", "int seven(void) { return 7; }\nint main(void) { return seven() - 7; }\n")],
        script: "cc -g -O0 -o program program.c
            gdb -batch -nx -ex 'break seven' -ex run -ex backtrace -ex continue ./program > said 2>&1 || { cat said; exit 1; }
            grep -q '#1 .* main' said || { cat said; exit 1; }",
    },
    Suite {
        name: "a terminal by script(1)",
        tool: Tool::Optional("script"),
        files: &[],
        script: "script -qec 'test -t 1 && tty && stty size' said > /dev/null; grep -q /dev/pts said",
    },
];
