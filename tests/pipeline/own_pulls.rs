//! Our own pull requests: what is asked for on one goes onto its branch, unless people work there.

use patchwright::model::scripted::Step;
use patchwright::rehearsal::fault::Fault;
use patchwright_domain::journal::Outcome;

use super::on_pulls::{BROKEN, NOTES};
use crate::support::pipeline::pull::MENDED;
use crate::support::pipeline::{File, MAINTAINER, Setup, World, does, mends};

/// A model that mends the mean, and does as it is told where it is asked for something else.
fn follows(steps: Vec<Step>) -> Setup {
    let mut setup = Setup::model(mends());
    setup.script.for_tasks = vec![("the request of the maintainer who called you\nsay so in NOTES".into(), steps)];
    setup
}

/// Our pull request with the mean mended: its number, its branch and its last commit.
pub(super) async fn opened(world: &World) -> (u64, String, String) {
    assert_eq!(world.fix_this().await, Outcome::Proven);
    let (issue, pull) = world.github.pull_requests(world.repo).remove(0);
    let head = world.at(&pull.head);
    (issue.number, pull.head, head)
}

#[tokio::test]
async fn a_fix_goes_onto_the_branch_with_its_proof() {
    follows(Vec::new())
        .play(async |world| {
            let (number, branch, _) = opened(world).await;
            let broken = world.push(&branch, &[BROKEN]).await;
            world.ask(number, MAINTAINER, "@codex fix this");
            world.work().await;
            assert_eq!(world.last_outcome().await, Some(Outcome::Proven), "{:?}", world.said_on(number).await);
            let now = world.at(&branch);
            assert_eq!((world.below(&now).await, world.github.pull_requests(world.repo).len()), (broken, 1));
            let (mean, _) = world.github.file(world.repo, &branch, "mean.sh").await.expect("it is there");
            assert_eq!(String::from_utf8_lossy(&mean), MENDED.1);
            let checks = world.github.check_runs(world.repo);
            let check = checks.iter().find(|check| check.head_sha == now).expect("the commit says what was executed");
            assert_eq!((check.name.as_str(), check.conclusion.as_deref()), ("patchwright", Some("success")));
            let summary = check.output["summary"].as_str().unwrap_or_default();
            assert!(summary.ends_with(&format!("Pull request: #{number}")), "{summary}");
            insta::assert_snapshot!(world.said_on(number).await.join("\n=====\n"), @r"
            **Proven.** The tests failed on the base and pass with the patch; the harness ran both.

            It is on this pull request's branch now: HEAD, on top of `BASE`.

            `mona` (write) asked for fix on #2.

            ### What changed and why

            It divided by one too few. Now it divides by the number of values.

            <sub>These are the model's words; nobody has checked them. What follows was executed.</sub>

            | File | | Lines |
            |---|---|---|
            | `mean.sh` | changed | +1 −1 |

            ### Tests

            | `sh tests/run.sh` | Base `BASE` | With this patch |
            |---|---|---|
            | result | ❌ fail (exit code 1) | ✅ pass (exit code 0) |
            | time | T | T |

            Each ran in a fresh tree, without network, by the harness. Existing test files were put back to the base's before the run on the patch.

            | Tree | Runs |
            | --- | --- |
            | base | ❌ ❌ |
            | patch under the base's tests | ✅ ✅ |

            To look at, though no proof hangs on it:

            - Whether code of this language asks if it is being tested, or reaches for the runner, was not looked for. `mean.sh`: `Shell`

            Characters of the issue and its comments that people do not see were taken out: 50.

            Sandbox: `namespaces`, by the executor `local`; LIMITS.

            <details><summary>How to reproduce</summary>

            ```text
            git checkout BASE
            sh tests/run.sh
            git checkout HEAD
            sh tests/run.sh
            ```

            </details>

            <details><summary>The end of the output on base</summary>

            ```text
            the mean of 2, 4 and 6 is not 4
            ```

            </details>

            ### Not verified

            - Only the command above was run, as a whole: its exit codes are compared, not single tests.
            - Tests of the harness that must fail need a report of each test: whether the runner reports what it finds was not tried.
            - Nothing was checked that these tests do not check.

            ### Cost

            4 of 20 model calls of `scripted`; N tokens in (0 cached), N out; no prices are configured, so the cost is not known.

            <sub>Job JOB. A person reviews and merges this; nothing here merges itself.</sub>
            ");
        })
        .await;
}

/// What nothing shows is no worse than what was there, and says so.
#[tokio::test]
async fn what_passes_its_tests_goes_onto_the_branch_and_is_not_called_proven() {
    follows(does("echo 'The mean is a whole number.' > NOTES"))
        .play(async |world| {
            let (number, branch, head) = opened(world).await;
            world.ask(number, MAINTAINER, "@codex say so in NOTES");
            world.work().await;
            assert_eq!(world.last_outcome().await, Some(Outcome::Unproven));
            let now = world.at(&branch);
            assert_eq!((world.below(&now).await, world.pulls_to(&branch).len()), (head, 0));
            let told = world.said_on(number).await.pop().expect("it is told");
            assert!(told.starts_with("**Unproven.** The tests passed before the patch and pass with it"), "{told}");
            let check = world.github.check_runs(world.repo).into_iter().find(|check| check.head_sha == now);
            assert_eq!(check.expect("the commit says it").conclusion.as_deref(), Some("neutral"));
        })
        .await;
}

/// A pull request that is proven does not become one that is broken.
#[tokio::test]
async fn what_breaks_the_tests_or_weakens_them_goes_on_top() {
    let breaks = format!("cat > mean.sh <<'END'\n{}END", BROKEN.1);
    for script in [breaks.as_str(), "echo 'exit 0' > tests/run.sh"] {
        follows(does(script))
            .play(async |world| {
                let (number, branch, head) = opened(world).await;
                world.ask(number, MAINTAINER, "@codex say so in NOTES");
                world.work().await;
                assert_eq!(world.last_outcome().await, Some(Outcome::Unproven));
                assert_eq!(world.at(&branch), head, "{script}");
                let body = world.pulls_to(&branch)[0].0.body.clone().expect("it has a text");
                let because = "It is not on that branch itself: only what passes the tests that were there, and has nothing against it, goes there.";
                assert!(body.contains(because), "{body}");
            })
            .await;
    }
}

#[tokio::test]
async fn where_somebody_pushes_meanwhile_it_goes_on_top_and_says_why() {
    follows(does("echo x > NOTES"))
        .play(async |world| {
            let (number, branch, head) = opened(world).await;
            world.ask(number, MAINTAINER, "@codex say so in NOTES");
            let more: File = ("MORE", "by hand\n", false);
            world.work_while(async || drop(world.push(&branch, &[more]).await)).await;
            let theirs = world.at(&branch);
            assert_eq!(world.below(&theirs).await, head, "theirs is the last commit there");
            let on_top = world.pulls_to(&branch);
            let [(issue, pull)] = on_top.as_slice() else { panic!("one on top, not {on_top:?}") };
            assert_eq!(world.below(&world.at(&pull.head)).await, head);
            let body = issue.body.clone().expect("it has a text");
            assert!(body.contains("It is not on that branch itself: somebody has pushed there meanwhile."), "{body}");
        })
        .await;
}

/// Between the last look and the push nothing is lost either.
#[tokio::test]
async fn a_push_at_the_last_moment_stays_and_is_told() {
    follows(does("echo x > NOTES"))
        .play(async |world| {
            let (number, branch, head) = opened(world).await;
            world.ask(number, MAINTAINER, "@codex say so in NOTES");
            let push = async || {
                world.push(&branch, &[NOTES]).await;
                world.github.fault(Fault::refuse("GET", &format!("/repos/octo/rocket/pulls/{number}"), 403, "Not now"));
            };
            world.work_while(push).await;
            assert_eq!(world.last_outcome().await, Some(Outcome::Superseded));
            let theirs = world.at(&branch);
            assert_eq!((world.below(&theirs).await, world.pulls_to(&branch).len()), (head, 0));
            let told = world.said_on(number).await.pop().expect("it is told");
            assert!(told.contains("Somebody has pushed to `#2` when the change was to go there"), "{told}");
        })
        .await;
}

/// The answer to the push is lost, and somebody pushes on top of it before anybody looks again.
#[tokio::test]
async fn what_has_arrived_is_not_said_to_have_come_too_late() {
    follows(does("echo x > NOTES"))
        .play(async |world| {
            let (number, branch, head) = opened(world).await;
            world.ask(number, MAINTAINER, "@codex say so in NOTES");
            let lose = async || world.github.fault(Fault::lose_answer("POST", "/octo/rocket.git/git-receive-pack"));
            world.work_while(lose).await;
            let ours = world.at(&branch);
            assert_eq!((world.below(&ours).await, world.last_outcome().await), (head, None), "it waits to be asked again");
            let theirs = world.push(&branch, &[("MORE", "by hand\n", false)]).await;
            world.clock.pass(600);
            world.work().await;
            assert_eq!((world.at(&branch), world.below(&theirs).await), (theirs.clone(), ours.clone()));
            assert_eq!((world.last_outcome().await, world.pulls_to(&branch).len()), (Some(Outcome::Unproven), 0));
            let told = world.said_on(number).await.pop().expect("it is told");
            assert!(told.contains("It is on this pull request's branch now: "), "{told}");
        })
        .await;
}

/// Whose branch it is, its name does not say.
#[tokio::test]
async fn a_branch_that_is_called_as_ours_are_is_its_authors() {
    Setup::model(mends())
        .file(MENDED)
        .play(async |world| {
            let head = world.push("codex/mine", &[BROKEN]).await;
            let pull = world.github.open_pull_request(world.repo, MAINTAINER, "Mine", "codex/mine", "main").await;
            let number = pull.expect("both branches are there");
            world.ask(number, MAINTAINER, "@codex fix this");
            world.work().await;
            assert_eq!((world.at("codex/mine"), world.pulls_to("codex/mine").len()), (head, 1));
        })
        .await;
}

#[tokio::test]
async fn where_github_signs_the_commit_is_verified_there_as_well() {
    Setup { signs_commits: true, ..follows(does("echo x > NOTES")) }
        .play(async |world| {
            let (number, branch, head) = opened(world).await;
            world.ask(number, MAINTAINER, "@codex say so in NOTES");
            world.work().await;
            let now = world.at(&branch);
            assert_eq!(world.below(&now).await, head);
            assert!(world.git(&["cat-file", "commit", &now]).await.contains("SIGNATURE"));
            let told = world.said_on(number).await.pop().expect("it is told");
            assert!(told.contains("It is on this pull request's branch now: SIGNED"), "{told}");
            assert!(told.contains("`SIGNED` is **verified**"), "{told}");
            let hidden = world.github.references(world.repo).into_keys().filter(|name| name.contains("patchwright")).count();
            assert_eq!(hidden, 0);
        })
        .await;
}

#[tokio::test]
async fn wherever_a_worker_dies_the_branch_gets_one_commit() {
    for signs_commits in [false, true] {
        for n_looks in [0, 15, 18, 20, 22, 24, 26] {
            Setup { signs_commits, ..follows(does("echo x > NOTES")) }
                .play(async |world| {
                    let (number, branch, head) = opened(world).await;
                    world.ask(number, MAINTAINER, "@codex say so in NOTES");
                    world.decide().await;
                    world.die_after(n_looks).await;
                    world.go_on_elsewhere().await;
                    let now = world.at(&branch);
                    assert_eq!(world.below(&now).await, head, "after {n_looks} looks");
                    assert_eq!((world.own_branches().len(), world.github.pull_requests(world.repo).len()), (1, 1));
                    assert_eq!(world.said_on(number).await.len(), 1, "after {n_looks} looks");
                })
                .await;
        }
    }
}
