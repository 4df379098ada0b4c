//! `patchwright sandbox exec` as an operator sees it.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use super::{Ended, folder, patchwright};

/// How long something may take that does not happen otherwise.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `sandbox exec` on the folder `tree` with these options and this command.
async fn exec(folder: &Path, options: &[&str], command: &[&str]) -> Ended {
    let arguments = [["sandbox", "exec", "--workspace", "tree"].as_slice(), options, &["--"], command].concat();
    std::fs::create_dir_all(folder.join("tree")).expect("there is room");
    patchwright(folder, &arguments, &[("SECRET", "of the operator")]).await
}

#[tokio::test]
async fn words_arrive_as_they_were_given() {
    let folder = folder();
    let words = ["printf", "[%s]\n", "two words", "$HOME `id` $(id)", "it's \"quoted\"", "a\nb", "", "-n", "*", "\\", "é"];
    let ended = exec(folder.path(), &[], &words).await;
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    insta::assert_snapshot!(ended.out, @r#"
    [two words]
    [$HOME `id` $(id)]
    [it's "quoted"]
    [a
    b]
    []
    [-n]
    [*]
    [\]
    [é]
    "#);
}

#[tokio::test]
async fn the_exit_code_is_the_commands_own_or_says_what_ended_it() {
    let folder = folder();
    for (options, script, code, said) in [
        ([].as_slice(), "exit 0", 0, ""),
        (&[], "exit 3", 3, ""),
        (&[], "exit 125", 125, ""),
        (&[], "kill -TERM $$", 128 + 15, ""),
        (&[], "kill -KILL $$", 128 + 9, ""),
        (&["--timeout", "1ms"], "while :; do :; done", 124, "error: time limit reached\n"),
    ] {
        let ended = exec(folder.path(), options, &["sh", "-c", script]).await;
        assert_eq!((ended.code, ended.err.as_str()), (Some(code), said), "{script}");
    }
    let absent = exec(folder.path(), &[], &["no-such-program"]).await;
    assert_eq!(absent.code, Some(127));
    assert!(absent.out.contains("no-such-program"), "the shell says so: {}", absent.out);
}

/// Starts `sandbox exec` of a script and reads the first line that it prints.
async fn begun(folder: &Path, script: &str) -> (Child, BufReader<ChildStdout>) {
    std::fs::create_dir_all(folder.join("tree")).expect("there is room");
    let mut program = Command::new(env!("CARGO_BIN_EXE_patchwright"));
    program.args(["sandbox", "exec", "--workspace", "tree", "--", "sh", "-c", script]).current_dir(folder).env_clear();
    program.env("PATH", "/usr/local/bin:/usr/bin:/bin").stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = program.spawn().expect("the program starts");
    let mut out = BufReader::new(child.stdout.take().expect("it was asked for"));
    let mut line = String::new();
    timeout(PATIENCE, out.read_line(&mut line)).await.expect("it is not kept until the end").expect("it can be read");
    assert_eq!(line, "out\n");
    (child, out)
}

#[tokio::test]
async fn what_is_printed_is_seen_while_the_command_runs() {
    let folder = folder();
    let script = "echo out; printf 'err\\033[0m\\377' >&2; while ! test -e seen; do sleep 0.01; done; echo end; exit 3";
    let (mut child, mut out) = begun(folder.path(), script).await;
    std::fs::write(folder.path().join("tree/seen"), "").expect("there is room");
    let mut rest = Vec::new();
    out.read_to_end(&mut rest).await.expect("it can be read");
    assert_eq!((child.wait().await.expect("it is ours").code(), rest.as_slice()), (Some(3), b"err\x1b[0m\xffend\n".as_slice()));
}

#[tokio::test]
async fn a_command_whose_output_nobody_takes_any_more_is_ended() {
    let folder = folder();
    let (child, out) = begun(folder.path(), "echo out; while :; do echo more; done").await;
    drop(out);
    let ended = timeout(PATIENCE, child.wait_with_output()).await.expect("it ends").expect("it is ours");
    assert_eq!(ended.status.code(), Some(3));
    insta::assert_snapshot!(String::from_utf8_lossy(&ended.stderr).trim_end(), @"error: writing to standard output, so the command was ended: Broken pipe (os error 32)");
}

#[tokio::test]
async fn one_object_tells_the_end_from_the_output() {
    let folder = folder();
    let told = |ended: &Ended| {
        let mut told = ended.json();
        assert!(told["duration_ms"].is_u64(), "{told}");
        told.as_object_mut().expect("it is an object").remove("duration_ms");
        told.to_string()
    };
    let three = exec(folder.path(), &["--json"], &["sh", "-c", "echo out; echo err >&2; exit 3"]).await;
    assert_eq!(three.code, Some(3));
    insta::assert_snapshot!(told(&three), @r#"{"exit":{"exit":"code","value":3},"omitted_bytes":0,"output":"out\nerr\n"}"#);
    let over = exec(folder.path(), &["--json", "--timeout", "1ms"], &["sh", "-c", "while :; do :; done"]).await;
    assert_eq!(over.code, Some(124));
    insta::assert_snapshot!(told(&over), @r#"{"exit":{"exit":"timed_out"},"omitted_bytes":0,"output":""}"#);
}

#[tokio::test]
async fn a_profile_decides_whether_the_workspace_can_be_written() {
    let folder = folder();
    let write = ["sh", "-c", "echo x >> file"];
    for (profile, writes) in [("setup", true), ("agent", true), ("proof", true), ("reader", false)] {
        let ended = exec(folder.path(), &["--profile", profile], &write).await;
        assert_eq!(ended.code == Some(0), writes, "{profile}: {}", ended.out);
    }
    let environment = exec(folder.path(), &[], &["env"]).await;
    assert!(environment.code == Some(0) && !environment.out.contains("SECRET"), "{}", environment.out);
    assert_eq!(std::fs::read_to_string(folder.path().join("tree/file")).expect("it was written"), "x\nx\nx\n");
}

#[tokio::test]
async fn what_cannot_be_run_is_refused_before_anything_is_made() {
    let folder = folder();
    std::fs::write(folder.path().join("patchwright.toml"), "[sandbox]\nread_only = [\"/nonexistent/tool\"]\n")
        .expect("there is room");
    let ended = exec(folder.path(), &[], &["true"]).await;
    assert_eq!(ended.code, Some(0), "a file that was not named is not read: {}", ended.err);
    let unmade = exec(folder.path(), &["--config", "patchwright.toml"], &["true"]).await;
    assert_eq!((unmade.code, unmade.out.as_str()), (Some(3), ""));
    insta::assert_snapshot!(unmade.err.trim_end(), @"error: the sandbox cannot be made: the allow-listed root: /nonexistent/tool: No such file or directory (os error 2); make the path exist, or take it out of the sandbox's read-only paths");
    let nowhere = patchwright(folder.path(), &["sandbox", "exec", "--workspace", "absent", "--", "true"], &[]).await;
    assert_eq!((nowhere.code, nowhere.out.as_str()), (Some(2), ""));
    insta::assert_snapshot!(nowhere.err.trim_end(), @"error: `--workspace absent`: No such file or directory (os error 2)");
    let option = exec(folder.path(), &[], &["-c", "true"]).await;
    assert_eq!((option.code, option.out.as_str()), (Some(2), ""));
    insta::assert_snapshot!(option.err.trim_end(), @"error: `-c` is no program");
    let soon = exec(folder.path(), &["--timeout", "soon"], &["true"]).await;
    assert_eq!((soon.code, soon.out.as_str()), (Some(2), ""));
}

#[tokio::test]
async fn it_explains_itself() {
    let ended = patchwright(folder().path(), &["sandbox", "exec", "--help"], &[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    insta::assert_snapshot!(ended.out.trim_end(), @r"
    Run one command in the sandbox, as the commands of an agent, a setup or a test run

    Prints what the command prints, errors among it, to standard output, byte by byte and as it comes.
    On a terminal escape sequences are left out, because they are the command's and not yours. What is
    not read holds the command up, while its time goes on; where nothing more can be printed, the
    command is ended.

    Usage: patchwright sandbox exec [OPTIONS] --workspace <DIR> -- <CMD>...

    Arguments:
      <CMD>...
              The program and its arguments, as they are; for a script say `sh -c SCRIPT`

    Options:
          --config <FILE>
              The configuration file; for `serve` and `doctor` `patchwright.toml` where there is one

          --without-sandbox
              Run the code of repositories and agents as this user, with nothing around it: only for a
              machine that is thrown away after the run, and only where `sandbox.executor` is `none` as
              well

          --workspace <DIR>
              The folder that is the workspace inside

          --profile <PROFILE>
              Whose commands it is run like

              Possible values:
              - setup:  Those that fetch what a repository needs: the hosts of `sandbox.egress` can be
                reached
              - agent:  The agent's
              - reader: Those of an agent that is to change nothing: the workspace can be read only
              - proof:  The repository's tests
              
              [default: agent]

          --timeout <TIME>
              How long it may take, such as `90s` or `1h 30m`; then all of it is killed
              
              [default: 10m]

          --take-ownership
              As root, give the workspace to the sandbox's user even if it is a folder of the system,
              somebody's home folder, or has files of others in it

          --json
              Print one JSON object: `exit`, `output`, `omitted_bytes`, `duration_ms`

      -h, --help
              Print help (see a summary with '-h')

    Exit codes: the command's own; 126 if it cannot be executed, 127 if it is not found, 128 and the
    signal's number if a signal ended it, 124 if its time was over, 137 if it was killed at another
    limit. Without the command having run: 2 usage or configuration, 3 the sandbox cannot be made. The
    command's own code can be 2 or 3 as well; `--json` tells them apart, for it prints an object only if
    the command ran.

    The command's environment holds what the configuration lists and nothing of yours. It starts in the
    workspace, the one folder that lasts; its standard input is empty. As root, `exec` gives the
    workspace's files to the sandbox's user (id 65532), as a server that is root does with its scratch
    trees, but for `--profile reader`, which sees what that user may read. It refuses a folder of the
    system, a home folder, and one in which files are neither root's nor that user's, unless
    `--take-ownership` is given. A configuration file is read only if it is named: the folder may be a
    repository.

    In a workspace that is not read only, setuid and setgid bits can be taken off but not set: outside,
    such a file runs as its owner or its group. A call does not tell whether it is about a file or a
    folder, so folders cannot be given them either: `chmod 755` of a folder with setgid would set that
    bit again and fails, `chmod 00755` takes it off. What is made in such a folder gets its group as
    ever.
    ");
}

#[tokio::test]
async fn a_folder_with_setgid_works_but_for_setting_the_bit_again() {
    let folder = folder();
    let tree = folder.path().join("tree");
    std::fs::create_dir(&tree).expect("there is room");
    std::fs::set_permissions(&tree, Permissions::from_mode(0o2755)).expect("it is ours");
    let script = "mkdir below && mkdir -p below/and/further && touch below/file && chmod 644 below/file && stat -c %a below/and \
                  below/file; for mode in 755 g+s 00755; do chmod $mode below 2>&- && echo done || echo refused; done; \
                  chmod g-s below/and && stat -c %a below below/and";
    let ended = exec(folder.path(), &[], &["sh", "-c", script]).await;
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    assert_eq!(ended.out, "2755\n644\nrefused\nrefused\ndone\n755\n755\n");
}

#[tokio::test]
async fn walls_that_are_weaker_than_the_operator_demands_are_refused() {
    let folder = folder();
    let demanded = [("PATCHWRIGHT__SANDBOX__ISOLATION", "kernel")];
    std::fs::create_dir(folder.path().join("tree")).expect("there is room");
    let ended = patchwright(folder.path(), &["sandbox", "exec", "--workspace", "tree", "--", "touch", "ran"], &demanded).await;
    assert_eq!(ended.code, Some(3), "{}", ended.err);
    assert!(ended.err.contains("`sandbox.isolation` demands: `kernel`"), "{}", ended.err);
    assert!(!folder.path().join("tree/ran").exists());
}

#[tokio::test]
async fn a_setup_alone_is_led_to_the_proxy_and_what_it_is_refused_is_told() {
    let folder = folder();
    let script = "exec 3<>/dev/tcp/127.0.0.1/3128 || exit 9; printf 'CONNECT other.example:443 HTTP/1.1\\r\\nHost: other.example:443\\r\\n\\r\\n' >&3; head -n 1 <&3";
    std::fs::create_dir(folder.path().join("tree")).expect("there is room");
    let asked = |profile: &'static str| {
        let folder = folder.path().to_owned();
        async move {
            let words = ["sandbox", "exec", "--workspace", "tree", "--profile", profile, "--", "bash", "-c", script];
            patchwright(&folder, &words, &[]).await
        }
    };
    let setup = asked("setup").await;
    assert!(setup.out.contains("403"), "{}{}", setup.out, setup.err);
    assert!(
        setup.err.contains("it was refused `other.example:443`: the host is not on the list. The operator allows it"),
        "{}",
        setup.err
    );
    for profile in ["agent", "proof"] {
        let ended = asked(profile).await;
        assert_eq!((ended.code, ended.err.as_str()), (Some(9), ""), "{}", ended.out);
    }
}
