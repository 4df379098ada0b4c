//! Setups that fetch something, and who else would like to.

use std::sync::Arc;

use patchwright::egress::name::Pattern;
use patchwright::egress::rules::Host;
use patchwright::egress::{Egress, Settings};
use patchwright::model::scripted::{Script, Step};
use patchwright_domain::journal::Outcome;

use crate::egress::origin::Origin;
use crate::egress::world::{Names, near, origin, settings};
use crate::support::pipeline::{FIX, Setup};

/// A repository whose setup fetches a file without which its tests cannot run, and a patch that also takes a file away and
/// adds a program and a link to it.
async fn fetching(steps: &str, change: impl FnOnce(Settings) -> Settings) -> (Setup, Origin) {
    let (origin, names) = origin().await;
    origin.put("/dep", "what is needed\n");
    let settings = change(settings(&names, vec![near("registry.test", &origin)]));
    let leaked = |text: String| &*Box::leak(text.into_boxed_str());
    let setup = leaked(format!("curl -sS --fail http://registry.test:{}/dep -o dep.txt\n", origin.plain));
    let run = "test -f dep.txt || exit 9\n\
               if grep -q '/ [$]#))' mean.sh; then test ! -e old.txt && test -x new/x && test -L new/y || exit 8; fi\n\
               for test in tests/t_*.sh; do sh \"$test\" || exit 1; done\n";
    let more = "rm old.txt && mkdir new && echo : > new/x && chmod +x new/x && ln -s x new/y";
    let steps = vec![
        Step::ApplyPatch(FIX.into()),
        Step::Shell(format!("{more}; {}", steps.replace("{plain}", &origin.plain.to_string()))),
        Step::Message("Mended.".into()),
    ];
    let setup = Setup { script: Script::of(steps), egress: Some(Arc::new(Egress::new(settings))), ..Setup::default() }
        .file((".github/patchwright.yml", "commands:\n  setup: sh setup.sh\n  test: sh tests/run.sh\n", false))
        .file((".gitignore", "dep.txt\n", false))
        .file(("old.txt", "old\n", false))
        .file(("setup.sh", setup, false))
        .file(("tests/run.sh", run, false));
    (setup, origin)
}

fn asked(origin: &Origin, path: &str) -> usize {
    origin.asked().iter().filter(|asked| asked.line.ends_with(path)).count()
}

#[tokio::test]
async fn what_a_setup_fetched_is_there_for_the_tests_of_base_and_patch() {
    let (setup, origin) = fetching("test -f dep.txt", |settings| settings).await;
    setup.play(async |world| assert_eq!(world.fix_this().await, Outcome::Proven, "{}", world.page().await)).await;
    assert!(asked(&origin, "/dep") >= 3, "for the baseline, the agent and the proof");
}

#[tokio::test]
async fn code_of_the_agents_never_runs_with_a_way_out() {
    let steal = "curl -sS http://registry.test:{plain}/stolen; http_proxy=http://127.0.0.1:3128 curl -sS http://registry.test:{plain}/stolen; \
                 echo 'curl -sS http://registry.test:{plain}/stolen || true' >> setup.sh";
    let (setup, origin) = fetching(steal, |settings| settings).await;
    // It changes what the tests run.
    setup.play(async |world| assert_eq!(world.fix_this().await, Outcome::Unproven)).await;
    assert_eq!((asked(&origin, "/stolen"), asked(&origin, "/dep") > 0), (0, true));
    // Where the operator gives that up, it does.
    let (setup, origin) = fetching(steal, |settings| Settings { for_patches: true, ..settings }).await;
    setup.play(async |world| assert_eq!(world.fix_this().await, Outcome::Unproven)).await;
    assert!(asked(&origin, "/stolen") > 0);
}

#[tokio::test]
async fn a_setup_that_was_refused_a_host_says_which_key_allows_it() {
    let (setup, _origin) = fetching("true", |settings| Settings { hosts: Vec::new(), ..settings }).await;
    let page = setup
        .play(async |world| {
            assert_eq!(world.fix_this().await, Outcome::EnvironmentFailed);
            world.page().await
        })
        .await;
    assert!(page.contains("registry.test") && page.contains("sandbox.egress.hosts"), "{page}");
}

#[tokio::test]
async fn a_setup_is_not_told_to_allow_a_host_that_no_key_allows() {
    let names = Arc::<Names>::default();
    names.lead("registry.test", &[&["169.254.169.254"]]);
    let (setup, _origin) = fetching("true", |settings| Settings { resolver: names, ..settings }).await;
    let page = setup
        .play(async |world| {
            assert_eq!(world.fix_this().await, Outcome::EnvironmentFailed);
            world.page().await
        })
        .await;
    assert!(page.contains("the name leads to an address that is never reached"), "{page}");
    assert!(!page.contains("sandbox.egress.hosts"), "{page}");
}

/// The repository takes of the operator's list; what it names beside that leads nowhere.
#[tokio::test]
async fn a_setup_reaches_what_both_the_operator_and_the_policy_name() {
    let under = async |hosts: &str, change: fn(Settings) -> Settings| {
        let (setup, origin) = fetching("true", change).await;
        let policy = format!("commands:\n  setup: sh setup.sh\n  test: sh tests/run.sh\nsandbox: {{hosts: [{hosts}]}}\n");
        let setup = setup.file((".github/patchwright.yml", Box::leak(policy.into_boxed_str()), false));
        let told = setup
            .play(async |world| {
                let outcome = world.fix_this().await;
                let reach = world.run().await.prepared().and_then(|prepared| prepared.reach.clone());
                (outcome, reach.map(|reach| reach.hosts), world.page().await)
            })
            .await;
        (told, asked(&origin, "/dep"))
    };
    let with_spare = |settings: Settings| {
        let spare = Host::new(Pattern::parse("spare.example").expect("it is a name"));
        Settings { hosts: settings.hosts.into_iter().chain([spare]).collect(), ..settings }
    };
    let ((outcome, reach, _), n_asked) = under("'*.test', other.example", with_spare).await;
    assert_eq!((outcome, n_asked > 0), (Outcome::Proven, true));
    assert_eq!(reach, Some(vec!["registry.test".to_owned()]), "what is journaled is what could be reached");
    let ((outcome, _, page), n_asked) = under("other.test", |settings| settings).await;
    assert_eq!((outcome, n_asked), (Outcome::EnvironmentFailed, 0));
    assert!(page.contains("the repository's policy does not name the host") && page.contains("`sandbox.hosts"), "{page}");
    let ((outcome, _, page), n_asked) = under("registry.test", |settings| Settings { hosts: Vec::new(), ..settings }).await;
    assert_eq!((outcome, n_asked), (Outcome::EnvironmentFailed, 0));
    assert!(page.contains("the host is not on the list"), "{page}");
}
