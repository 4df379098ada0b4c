//! A model that would commit a secret: nobody sees it, whatever the model insists on.

use std::cell::RefCell;
use std::io::Write;
use std::sync::Once;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use patchwright::attestation::check;
use patchwright::model::scripted::{Script, Step};
use patchwright_domain::journal::{EntryKind, Outcome};

use crate::attestation::attestor;
use crate::support::pipeline::settings::OPERATORS_SECRET;
use crate::support::pipeline::{FIX, File, Setup, World, does};

/// Of the form that GitHub's tokens have, in parts, so that this file holds none.
const TOKEN: &str = concat!("ghp", "_x7Qm2Lk9Rt4Vb8Nc1Zp6Ws3Yd5Fg0Hj2Kl4M");

thread_local! {
    /// What is logged on this thread, once somebody wants to know.
    static LOGGED: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Writes into what the thread keeps.
struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOGGED.with_borrow_mut(|logged| logged.iter_mut().for_each(|logged| logged.extend_from_slice(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Keeps what this thread logs from now on. There is one subscriber for the whole process: one for a thread alone would miss
/// what another thread has found to be of interest to nobody.
fn keep_the_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_writer(|| Log).finish();
        tracing::subscriber::set_global_default(subscriber).expect("nobody else in this process has one");
    });
    LOGGED.set(Some(Vec::new()));
}

fn logged() -> String {
    LOGGED.with_borrow(|logged| String::from_utf8_lossy(logged.as_deref().unwrap_or_default()).into_owned())
}

fn done() -> Step {
    Step::Message(format!("Done; the token is {TOKEN}."))
}

/// An agent that commits a token, and then does what it is told to, or not.
fn commits_a_token(then: Vec<Step>) -> Setup {
    let writes = Step::Shell(format!("echo 'TOKEN={TOKEN}' > client.sh"));
    let steps = vec![Step::ApplyPatch(FIX.into()), writes, done()];
    let script = Script { for_tasks: vec![("Take that part back".into(), then)], ..Script::of(steps) };
    Setup { script, ..Setup::default() }
}

#[tokio::test]
async fn a_token_that_a_model_insists_on_is_published_nowhere() {
    keep_the_log();
    commits_a_token(vec![done()])
        .play(async |world| {
            assert_eq!(world.fix_this().await, Outcome::BlockedByPolicy);
            assert_eq!(world.own_branches(), Vec::<String>::new());
            assert!(!world.writes().iter().any(|write| write.contains("/pulls")), "{:?}", world.writes());
            for exchange in world.github.exchanges() {
                assert!(!exchange.request.to_string().contains(TOKEN), "{}", exchange.path);
            }
            insta::assert_snapshot!(world.page().await, @r"
            mona: (eyes)
                @codex fix this

            patchwright[bot]:
                **Blocked by policy.** Nothing was published: the patch adds a secret in `client.sh:1` (rule github-pat: ghp_…).

                The model's last words:

                > Done; the token is ghp_….

                Next step: Make this change by hand, or ask for one that does not need it.

                <sub>4 of 20 model calls of `scripted`; N tokens in (0 cached), N out; no prices are configured, so the cost is not known. Job JOB.</sub>
            ");
            assert!(logged().contains("the agent ended") && !logged().contains(TOKEN), "{}", logged());
        })
        .await;
}

#[tokio::test]
async fn a_token_is_taken_back_when_it_is_told_of() {
    let setup = commits_a_token(vec![Step::Shell("rm client.sh".into()), Step::Message("Done.".into())]);
    setup
        .play(async |world| {
            assert_eq!(world.fix_this().await, Outcome::Proven);
            let told = &world.briefs()[1];
            assert_eq!(
                told,
                "Your change cannot be published: the patch adds a secret in `client.sh:1` (rule github-pat: ghp_…). Take that \
                 part back."
            );
        })
        .await;
}

/// Tests that print a secret of the operator's, in several ways, and that are called by it.
fn telling_tests() -> String {
    format!(
        "import base64, unittest\nfrom calc import mean\n\nSECRET = '{OPERATORS_SECRET}'\n\n\nclass Mean(unittest.TestCase):\n    \
         def test_mean(self):\n        print(SECRET, SECRET.encode().hex(), SECRET[::-1])\n        \
         print(base64.b64encode(b'basic:' + SECRET.encode()).decode())\n        \
         self.assertEqual(mean([2, 4, 6]), 4, SECRET)\n\n    def test_{OPERATORS_SECRET}(self):\n        \
         self.assertEqual(mean([2, 4, 6]), 4)\n"
    )
}

const BROKEN: &str = "def mean(values):\n    return sum(values) / (len(values) - 1)\n";
const MENDED: &str = "def mean(values):\n    return sum(values) / len(values)\n";

fn telling() -> Setup {
    telling_by(telling_tests())
}

fn telling_by(tests: String) -> Setup {
    let folder = tempfile::tempdir().expect("a folder");
    let tests: &'static str = tests.leak();
    let files: Vec<File> = vec![("calc.py", BROKEN, false), ("test_calc.py", tests, false)];
    Setup { files, attestor: Some(attestor(&folder.path().join("key.pem"))), ..Setup::default() }
}

/// Nothing that was sent to GitHub has the secret, in any form, nor has what was signed.
async fn assert_untold(world: &World) {
    let backwards: String = OPERATORS_SECRET.chars().rev().collect();
    // Without the digits that depend on what stands before and behind it.
    let base64 = BASE64_STANDARD.encode(OPERATORS_SECRET);
    let forms = [OPERATORS_SECRET.to_owned(), backwards, hex::encode(OPERATORS_SECRET), base64[..20].to_owned()];
    let assert_without = |place: &str, text: &str| {
        for form in &forms {
            assert!(!text.contains(form.as_str()), "{place} has {form}: {text}");
        }
    };
    for exchange in world.github.exchanges() {
        assert_without(&exchange.path, &exchange.request.to_string());
    }
    let (journal, _) = world.last_run().await;
    for entry in journal {
        if let EntryKind::PublishPlanned { attestation, effects, .. } = entry.kind {
            assert_without("what is planned", &format!("{effects:?}"));
            let digest = attestation.expect("it is signed");
            let envelope = world.tools.store.artifact(&digest).await.expect("it is kept");
            let key = world.tools.attestor.as_ref().expect("it signs").key.public();
            let found = check::check(&envelope, Some(&key), None).expect("no checkout is looked at");
            let statement = found.statement.expect("it holds");
            assert_without("what is signed", &String::from_utf8_lossy(&statement.to_bytes()));
        }
    }
}

#[tokio::test]
async fn what_tests_print_and_are_called_tells_no_secret_of_the_server() {
    telling()
        .play(async |world| {
            let (pull, _) = world.propose(&[("calc.py", MENDED, false)]).await;
            world.prove(pull).await;
            assert_untold(world).await;
            let said = world.said_on(pull).await.join("\n");
            assert!(said.starts_with("**Proven.**") && said.contains("test_Griz…") && said.contains("AssertionError"), "{said}");
        })
        .await;
}

#[tokio::test]
async fn names_of_files_tell_no_secret_of_the_server() {
    let name: &'static str = format!("notes/{OPERATORS_SECRET}.md").leak();
    telling()
        .play(async |world| {
            let (pull, _) = world.propose(&[("calc.py", MENDED, false), (name, "x\n", false)]).await;
            world.prove(pull).await;
            assert_untold(world).await;
            let annotations = world.github.check_runs(world.repo)[0].annotations.clone();
            assert_eq!(annotations[0]["path"], "notes/Griz….md");
        })
        .await;
}

#[tokio::test]
async fn a_pull_request_of_an_agent_tells_no_secret_of_the_server() {
    let script = Script::of(does("sed -i 's/ (len(values) - 1)/ len(values)/' calc.py"));
    Setup { script, ..telling() }
        .play(async |world| {
            assert_eq!(world.fix_this().await, Outcome::Proven);
            assert_untold(world).await;
            let body = world.github.pull_requests(world.repo)[0].0.body.clone().expect("it has a text");
            assert!(body.contains("test_Griz…"), "{body}");
        })
        .await;
}

/// Where the name is cut, the secret's end is gone, and nobody would know what is left of it.
#[tokio::test]
async fn a_secret_in_which_a_long_name_is_cut_is_told_in_no_part() {
    let called = format!("def test_{OPERATORS_SECRET}(");
    let longer = format!("def test_{}{OPERATORS_SECRET}(", "x".repeat(470));
    let tests = telling_tests();
    assert!(tests.contains(&called));
    telling_by(tests.replace(&called, &longer))
        .play(async |world| {
            let (pull, _) = world.propose(&[("calc.py", MENDED, false)]).await;
            world.prove(pull).await;
            assert_untold(world).await;
            let (_, run) = world.last_run().await;
            let account = run.judged().and_then(|judged| judged.verdict.account()).expect("it was run");
            let names = account.reproducers.join("\n");
            assert!(names.contains("xGriz") && !names.contains("xGrizz"), "{names}");
        })
        .await;
}

/// A password that somebody has made up is a word that others use: a branch cannot be told without it, and is not told as another.
#[tokio::test]
async fn a_secret_that_is_a_plain_word_ends_the_run_and_is_named() {
    Setup { operators_secret: "the-mean-of-a-list", ..Setup::default() }
        .play(async |world| {
            assert_eq!(world.fix_this().await, Outcome::EnvironmentFailed);
            assert_eq!(world.own_branches(), Vec::<String>::new());
            let (journal, _) = world.last_run().await;
            let causes: Vec<String> = journal
                .into_iter()
                .filter_map(|entry| match entry.kind {
                    EntryKind::Failed { failure, .. } => {
                        Some(format!("{} {}", failure.conclusion.cause, failure.conclusion.next_step))
                    }
                    _ => None,
                })
                .collect();
            insta::assert_snapshot!(causes.join("\n"), @"The branch to be pushed cannot be told without the server's `model.api_key`, which is a plain word. An operator should set another one there, long and made by chance, and then ask again.");
        })
        .await;
}
