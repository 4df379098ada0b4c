//! What a command cannot do: write elsewhere, reach a network or the kernel's doors, gain a privilege, touch others.

use super::*;

#[tokio::test]
async fn nothing_else_can_be_written() {
    if subject::leaves_out("nothing_else_can_be_written") {
        return;
    }
    let mut place = Place::new().await;
    let script = "
        for place in / /usr /usr/bin /usr/local /etc /etc/ssl/certs /dev /home /var /run /proc /proc/sys/kernel; do
            (echo x > $place/x) 2>/dev/null && echo $place
        done
        for file in /etc/passwd /proc/sys/kernel/core_pattern /proc/sys/kernel/hostname /proc/sysrq-trigger /proc/irq/default_smp_affinity; do
            (echo x >> $file) 2>/dev/null && echo $file
        done
        for file in /proc/kcore /proc/keys /proc/timer_list /proc/kmsg $HIDDEN; do
            [ ! -e $file ] || head -c 1 $file 2>/dev/null
        done; true";
    // Engines leave this one, whose addresses the kernel blanks.
    let hidden = if subject::is_container() { "" } else { "/proc/kallsyms" };
    assert_eq!(place.prints(&format!("HIDDEN={hidden}; {script}")).await, "");
    // Read only by mount, not only by mode: the difference shows where everything is the user's own.
    let options = place.prints("grep -E ' (/|/usr|/proc/sys) ' /proc/mounts | cut -d' ' -f4 | cut -d, -f1 | sort -u").await;
    assert_eq!(options, "ro\n");
}

#[tokio::test]
async fn there_is_no_network_but_an_own_loopback() {
    if subject::leaves_out("there_is_no_network_but_an_own_loopback") {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let name = format!("patchwright-test-{}", std::process::id());
    let _abstract = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    std::net::TcpStream::connect(("127.0.0.1", port)).expect("the bait is reachable from outside");
    let mut place = Place::new().await;
    let script = format!(
        r#"perl -MSocket -e '
        sub tcp {{ socket(my $s, AF_INET, SOCK_STREAM, 0) or die; connect($s, sockaddr_in($_[1], inet_aton($_[0]))) ? "open" : "$!" }}
        print "host: ", tcp("127.0.0.1", {port}), "\n";
        print "outside: ", tcp("1.1.1.1", 80), "\n";
        print "metadata: ", tcp("169.254.169.254", 80), "\n";
        socket(my $u, AF_UNIX, SOCK_STREAM, 0) or die;
        print "abstract: ", (connect($u, pack_sockaddr_un("\0{name}")) ? "open" : "$!"), "\n";
        socket(my $l, AF_INET, SOCK_STREAM, 0) or die; bind($l, sockaddr_in(0, INADDR_LOOPBACK)) or die; listen($l, 1) or die;
        print "own: ", tcp("127.0.0.1", (sockaddr_in(getsockname($l)))[0]), "\n";'
        sed -n '3,$s/:.*//p' /proc/net/dev"#
    );
    assert_eq!(
        place.prints(&script).await,
        "host: Connection refused\noutside: Network is unreachable\nmetadata: Network is unreachable\n\
         abstract: Connection refused\nown: open\n    lo\n"
    );
}

#[tokio::test]
async fn only_plain_socket_families_exist() {
    if subject::leaves_out("only_plain_socket_families_exist") {
        return;
    }
    let mut place = Place::new().await;
    let script = r#"perl -e '
        for my $try ([1, 1, 0], [2, 1, 0], [10, 1, 0], [16, 3, 0], [16, 3, 9], [17, 3, 0], [38, 5, 0], [40, 1, 0], [21, 5, 0]) {
            print join(" ", @$try), ": ", (socket(my $s, $try->[0], $try->[1], $try->[2]) ? "made" : "$!"), "\n";
        }'"#;
    let refused = "Operation not permitted";
    assert_eq!(
        place.prints(script).await,
        format!(
            "1 1 0: made\n2 1 0: made\n10 1 0: made\n16 3 0: made\n16 3 9: {refused}\n17 3 0: {refused}\n38 5 0: {refused}\n\
             40 1 0: {refused}\n21 5 0: {refused}\n"
        )
    );
}

#[tokio::test]
#[cfg(target_arch = "x86_64")]
async fn the_doors_of_the_kernel_are_closed() {
    let calls: &[(&str, u64, &str, &str)] = &[
        ("unshare(CLONE_NEWUSER)", 272, "0x10000000", "Operation not permitted"),
        ("unshare(CLONE_NEWNS)", 272, "0x20000", "Operation not permitted"),
        ("clone(CLONE_NEWUSER)", 56, "0x10000011, 0, 0, 0, 0", "Operation not permitted"),
        ("clone3", 435, "0, 0", "Function not implemented"),
        ("setns", 308, "0, 0", "Operation not permitted"),
        ("mount", 165, "0, 0, 0, 0, 0", "Operation not permitted"),
        ("umount2", 166, "0, 0", "Operation not permitted"),
        ("open_tree", 428, "-100, 0, 0", "Operation not permitted"),
        ("fsopen", 430, "0, 0", "Operation not permitted"),
        ("mount_setattr", 442, "0, 0, 0, 0, 0", "Operation not permitted"),
        ("bpf", 321, "0, 0, 0", "Operation not permitted"),
        ("keyctl", 250, "0, 0", "Operation not permitted"),
        ("userfaultfd", 323, "0", "Operation not permitted"),
        ("io_uring_setup", 425, "1, 0", "Operation not permitted"),
        ("perf_event_open", 298, "0, 0, 0, 0, 0", "Operation not permitted"),
        ("ioctl(TIOCSTI)", 16, "0, 0x5412, 0", "Operation not permitted"),
        ("ioctl(TIOCSTI), high bits set", 16, "0, 0x100005412, 0", "Operation not permitted"),
        ("x32 getpid", 0x4000_0000 + 39, "", "Function not implemented"),
    ];
    let mut place = Place::new().await;
    for (name, number, arguments, error) in calls {
        let arguments = if arguments.is_empty() { String::new() } else { format!(", {arguments}") };
        let script = format!("perl -e 'print syscall({number}{arguments}) < 0 ? $! : \"allowed\"'");
        assert_eq!(place.prints(&script).await, *error, "{name}");
    }
}

#[tokio::test]
async fn a_command_has_no_privilege_and_gains_none() {
    if subject::leaves_out("a_command_has_no_privilege_and_gains_none") {
        return;
    }
    let mut place = Place::new().await;
    let status = place.prints("grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status | tr -d '\\t'").await;
    let none = "0000000000000000";
    assert_eq!(
        status,
        format!("CapInh:{none}\nCapPrm:{none}\nCapEff:{none}\nCapBnd:{none}\nCapAmb:{none}\nNoNewPrivs:1\nSeccomp:2\n")
    );
    // Without root there is no other user than ours in a container, whose files are then ours.
    let user = if subject::is_container() && !rustix::process::geteuid().is_root() {
        (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
    } else {
        (65532, 65532)
    };
    assert_eq!(place.prints("id -u; id -g; id -G").await, format!("{0}\n{1}\n{1}\n", user.0, user.1));
    if !subject::is_container() {
        assert_eq!(place.prints("cat /proc/sys/user/max_user_namespaces").await, "0\n");
    }
}

#[tokio::test]
async fn nothing_outside_can_be_signalled_and_the_first_process_does_not_mind() {
    let mut place = Place::new().await;
    let supervisor = std::process::id();
    let seen = place
        .prints(&format!(
            "kill -0 {supervisor} 2>/dev/null && echo reached; kill -9 1 2>/dev/null; kill -STOP 1 2>/dev/null; echo alive"
        ))
        .await;
    assert_eq!(seen, "alive\n");
    assert_eq!(place.run("kill -9 -1; sleep 0; exit 4").await.exit, Exit::Code(4));
}
