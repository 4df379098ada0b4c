//! The rehearsal GitHub, the scripted model, and what people do there: issues with requests for a fix, some of them edited,
//! closed, told twice, or not told at all.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use patchwright::clock::{Clock as _, SystemClock};
use patchwright::model::scripted::{Script, ScriptedModel, Step};
use patchwright::rehearsal::scene::{RepositoryId, Role};
use patchwright::rehearsal::{Rehearsal, Settings};
use patchwright_domain::event::{IssueNumber, RepoRef};
use patchwright_domain::job::{JobId, JobKey};
use secrecy::SecretString;

const MAINTAINER: &str = "mona";
const REPORTER: &str = "reporter";
/// The accounts that have installed the App, with these repositories each.
const OWNERS: [&str; 4] = ["octo", "acme", "hooli", "initech"];
const REPOSITORIES: [&str; 2] = ["rocket", "lander"];
/// How long people hesitate until they close an issue after all.
const HESITATION_MS_MAX: u64 = 4_000;
/// For how long what GitHub sends is lost.
const OUTAGE: Duration = Duration::from_millis(300);

/// A small repository in shell with a bug and a test that shows it: path, content, and whether it may be executed.
const FILES: [(&str, &[u8], bool); 4] = [
    (".github/patchwright.yml", b"commands:\n  test: sh tests/run.sh\n", false),
    ("mean.sh", b"#!/bin/sh\nsum=0\nfor value in \"$@\"; do sum=$((sum + value)); done\necho $((sum / ($# - 1)))\n", true),
    ("tests/run.sh", b"for test in tests/t_*.sh; do sh \"$test\" || exit 1; done\n", false),
    ("tests/t_mean.sh", b"test \"$(sh mean.sh 2 4 6)\" = 4 || { echo 'the mean of 2, 4 and 6 is not 4'; exit 1; }\n", false),
];

const FIX: &str = "*** Begin Patch
*** Update File: mean.sh
@@
-echo $((sum / ($# - 1)))
+echo $((sum / $#))
*** End Patch
";

/// A request for a fix.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) repo: RepositoryId,
    pub(crate) issue: u64,
    pub(crate) comment: u64,
    /// The job that it is to become.
    pub(crate) job: JobId,
    /// Whether the issue was closed, so that the job need not come to its end.
    pub(crate) is_closed: bool,
}

/// What happens to a request.
#[derive(Clone, Copy, Debug)]
enum Twist {
    None,
    /// The comment is rewritten.
    Edited,
    /// The issue is closed a little later.
    Closed,
    /// GitHub sends it two more times.
    Repeated,
    /// GitHub cannot deliver it.
    Missed,
    /// GitHub does not hear that it was accepted.
    Unheard,
}

/// Half of all requests are plain ones.
const TWISTS: [Twist; 10] = [
    Twist::None,
    Twist::None,
    Twist::None,
    Twist::None,
    Twist::None,
    Twist::Edited,
    Twist::Closed,
    Twist::Repeated,
    Twist::Missed,
    Twist::Unheard,
];

pub(crate) struct Site {
    pub(crate) github: Rehearsal,
    pub(crate) model: ScriptedModel,
    repositories: Vec<(RepositoryId, String, &'static str)>,
    pub(crate) n_missed: AtomicUsize,
}

impl Site {
    /// A GitHub that signs with this secret and sends to this address.
    pub(crate) async fn start(secret: &str, url: &str) -> anyhow::Result<Self> {
        let mut settings = Settings::new(Arc::new(|| SystemClock.now()));
        settings.webhook_secret = SecretString::from(secret);
        let github = Rehearsal::start(settings).await.context("starting the rehearsal")?;
        let mut repositories = Vec::new();
        for owner in OWNERS {
            for name in REPOSITORIES {
                let repo = github.create_repository(owner, name, &FILES).await.context("making a repository")?;
                github.set_role(repo, MAINTAINER, Role::Write)?;
                repositories.push((repo, owner.to_owned(), name));
            }
        }
        github.send_webhooks_to(url);
        let steps = [
            Step::Shell("cat mean.sh".into()),
            Step::ApplyPatch(FIX.into()),
            Step::Shell("sh tests/run.sh".into()),
            Step::Message("It divided by one too few. Now it divides by the number of values.".into()),
        ];
        let model = ScriptedModel::start(Script::of(steps)).await.context("starting the model")?;
        Ok(Self { github, model, repositories, n_missed: AtomicUsize::new(0) })
    }

    pub(crate) fn repositories(&self) -> impl Iterator<Item = RepositoryId> {
        self.repositories.iter().map(|(repo, ..)| *repo)
    }

    /// Opens an issue and asks for a fix of it.
    pub(crate) async fn ask(&self, random: &mut fastrand::Rng) -> anyhow::Result<Asked> {
        let (repo, owner, name) = &self.repositories[random.usize(..self.repositories.len())];
        let repo = *repo;
        let issue = self.github.open_issue(repo, REPORTER, "The mean is wrong", "`mean.sh 2 4 6` prints 6.")?;
        let twist = TWISTS[random.usize(..TWISTS.len())];
        match twist {
            Twist::Missed => self.github.hold_webhooks(),
            Twist::Unheard => self.github.miss_answers(random.u32(1..4)),
            Twist::None | Twist::Edited | Twist::Closed | Twist::Repeated => {}
        }
        let comment = self.github.comment(repo, issue, MAINTAINER, "@codex fix this")?;
        let reference = RepoRef::new(repo.0, 0, owner, name, "main").context("the names are fine")?;
        let job = JobId::of(&JobKey::of_comment(&reference, IssueNumber(issue), comment));
        match twist {
            Twist::None | Twist::Unheard => {}
            Twist::Edited => self.github.edit_comment(repo, comment, MAINTAINER, "@codex fix this, please")?,
            Twist::Closed => {
                tokio::time::sleep(Duration::from_millis(random.u64(..HESITATION_MS_MAX))).await;
                self.github.close_issue(repo, issue, MAINTAINER)?;
            }
            Twist::Repeated => self.repeat(comment)?,
            Twist::Missed => {
                tokio::time::sleep(OUTAGE).await;
                self.github.lose_webhooks();
                self.n_missed.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(Asked { repo, issue, comment, job, is_closed: matches!(twist, Twist::Closed) })
    }

    fn repeat(&self, comment: u64) -> anyhow::Result<()> {
        let deliveries = self.github.deliveries();
        let told = deliveries.iter().rev().find(|delivery| delivery.payload["comment"]["id"] == comment);
        let name = &told.context("GitHub tells of every comment")?.guid;
        self.github.redeliver(name)?;
        self.github.redeliver(name)?;
        Ok(())
    }

    /// Adds the names of what GitHub has told lately, which it forgets in time.
    pub(crate) fn collect(&self, names: &mut BTreeSet<String>) {
        names.extend(self.github.deliveries().into_iter().map(|delivery| delivery.guid));
    }
}
