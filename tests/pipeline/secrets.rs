//! A model that would commit a secret: nobody sees it, whatever the model insists on.

use std::cell::RefCell;
use std::io::Write;
use std::sync::Once;

use patchwright::model::scripted::{Script, Step};
use patchwright_domain::journal::Outcome;

use crate::support::pipeline::{FIX, Setup};

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
