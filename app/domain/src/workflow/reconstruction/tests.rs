use super::*;
use crate::workflow::matrix::Run;
use crate::workflow::sample::{job, of, run};
use crate::workflow::{Piece, Workflow};

fn reconstructed(job: &Job) -> Reconstruction {
    let workflow = Workflow { path: ".github/workflows/ci.yml".into(), ..Workflow::default() };
    reconstruct(&Found { workflow: &workflow, job, run: Run::default() }, &[])
}

#[test]
fn what_stands_before_the_step_that_failed_is_the_setup() {
    let found = reconstructed(&job(vec![run("npm ci"), run("npm test"), run("npm publish")]));
    let commands = found.commands(Some("Run npm test")).expect("it can be run");
    assert_eq!(commands.test, "export CI='true'\nnpm test");
    let setup = commands.setup.expect("there is one");
    assert!(setup.contains("bash -e -c 'npm ci'") && !setup.contains("publish"), "{setup}");
    let one = found.commands(Some("Run npm test")).expect("it can be run").without_setup();
    assert!(one.setup.is_none() && one.test.contains("npm ci") && one.test.ends_with("\nnpm test"), "{}", one.test);
    let all = found.commands(None).expect("they can be run");
    assert!(all.setup.is_none() && all.test.contains("publish"));
}

#[test]
fn a_step_that_needs_a_secret_is_left_out_and_told() {
    let secret = Step { env: vec![("TOKEN".into(), of("secrets", "TOKEN"))], ..run("./deploy") };
    let unsure =
        Step { condition: Some(Piece::Expression(crate::workflow::sample::path("github", "event_name"))), ..run("./maybe") };
    let found = reconstructed(&job(vec![secret, unsure, run("make check")]));
    assert_eq!(found.commands(Some("Run make check")).map(|commands| commands.setup), Ok(None));
    assert_eq!(
        found.commands(Some("Run ./deploy")).unwrap_err(),
        "The step `Run ./deploy` cannot be run here: it needs the secret `secrets.token`, and there are none here."
    );
    insta::assert_snapshot!(found.notes(None).join("\n"), @r"
    The step `Run ./deploy` is left out: it needs the secret `secrets.token`, and there are none here.
    The step `Run ./maybe` is left out: it is not known whether it ran: `github.event_name` is not known here.
    ");
}

#[test]
fn what_the_machine_does_not_have_is_told() {
    let job = Job {
        runs_on: vec![Template::plain("windows-latest")],
        has_container: true,
        services: vec!["postgres".into()],
        env: vec![("KEY".into(), of("secrets", "KEY")), ("A B".into(), Template::plain("x"))],
        ..job(vec![run("true")])
    };
    insta::assert_snapshot!(reconstructed(&job).notes(None).join("\n"), @r"
    The job runs on `windows-latest`, and this machine is another one.
    The job runs in a container of its own, which is not used here.
    The job has the service `postgres`, which does not run here.
    The variable `KEY` is not set: it needs the secret `secrets.key`, and there are none here.
    The variable `A B` is not set: a shell has no variables of that name.
    ");
}

#[test]
fn a_step_works_within_the_repository_alone() {
    let within = |directory: &str| inside(directory);
    assert_eq!(within("./a//b/."), Ok("a/b".into()));
    assert_eq!(within("/workspace/a"), Ok("a".into()));
    for outside in ["/etc", "../x", "a/../../x", "~/x", "/workspaces/x"] {
        assert!(within(outside).is_err(), "{outside}");
    }
}

#[test]
fn of_several_steps_of_one_name_none_is_taken() {
    let found = reconstructed(&job(vec![run("make"), run("make")]));
    let told = found.commands(Some("Run make")).unwrap_err();
    assert_eq!(told, "The job `test` has several steps `Run make`, and which of them has failed is not known.");
    assert!(found.has_script("Run make") && !found.has_script("Post Run make"));
}

/// Every step has all variables of its job: a file of a few kilobytes must not come to gigabytes.
#[test]
fn variables_and_commands_have_limits_together() {
    let env = (0..20).map(|n| (format!("V{n}"), Template::plain("x".repeat(10_000)))).collect();
    let found = reconstructed(&Job { env, ..job((0..200).map(|n| run(&format!("echo {n}"))).collect()) });
    let kept: usize = found.steps.iter().map(|part| if let Is::Run(ran) = &part.is { ran.env.len() } else { 0 }).sum();
    assert_eq!(kept, 200 * 6);
    insta::assert_snapshot!(found.notes(None)[0], @"The variable `V6` is not set: all of them are longer than 65536 bytes.");
    let told = found.commands(None).unwrap_err();
    assert_eq!(told, "The commands of the job `test` are longer than 122880 bytes together.");
    let env = ["V", "W"].map(|name| (name.to_owned(), Template::plain("x".repeat(40_000))));
    let own = reconstructed(&job(vec![Step { env: env.into(), ..run("true") }]));
    let told = own.commands(Some("Run true")).unwrap_err();
    assert_eq!(told, "The step `Run true` cannot be run here: its variables are longer than 65536 bytes.");
}

#[test]
fn what_reads_the_runners_variables_is_told() {
    let found = reconstructed(&job(vec![run("echo $GITHUB_REF"), run("echo x >> $GITHUB_OUTPUT"), run("./x $RUNNER_OS")]));
    insta::assert_snapshot!(found.notes(None).join("\n"), @r"
    The step `Run echo $GITHUB_REF` reads variables of GitHub's runner, which are not set here.
    The step `Run ./x $RUNNER_OS` reads variables of GitHub's runner, which are not set here.
    ");
}

#[test]
fn a_step_that_runs_nothing_shows_nothing() {
    let skipped = Step { condition: Some(Piece::Text(String::new())), ..run("./never") };
    let found = reconstructed(&job(vec![skipped]));
    assert_eq!(found.commands(None).unwrap_err(), "No step of the job `test` can be run here.");
    assert_eq!(found.commands(Some("Set up job")).unwrap_err(), "The job `test` has no step `Set up job` in its file.");
}

/// What GitHub says has failed did run, whatever its condition says.
#[test]
fn a_step_that_failed_is_one_that_ran() {
    let condition = Some(Piece::Expression(crate::workflow::sample::path("github", "event_name")));
    let found = reconstructed(&job(vec![run("./before"), Step { condition, ..run("./maybe") }, run("./behind")]));
    let commands = found.commands(Some("Run ./maybe")).expect("it is known");
    assert!(commands.test.contains("./maybe") && commands.setup.is_some_and(|setup| setup.contains("./before")));
    assert_eq!(found.notes(Some("Run ./maybe")), Vec::<String>::new());
    let behind = found.commands(Some("Run ./behind")).expect("it is known");
    assert!(!behind.setup.expect("there are steps before it").contains("./maybe"));
    assert_eq!(found.notes(Some("Run ./behind")).len(), 1);
}
