//! A repository that git itself has made hostile, from inside: what the host does with the tree runs nothing of it.
//! `contract/workspace/traps.rs` has what no git would write; here the commands are git's own, and a host that uses git
//! without care is seen to run what was planted.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use patchwright::sandbox::{Profile, Sandbox, Tree};
use patchwright::workspace::WorkspaceError;
use patchwright_domain::proof::Exit;

use super::ATTACKER;
use super::bait::Baits;
use super::leftovers::Desk;
use super::trial::command;

/// Everything by which git can be made to run something or to read from elsewhere, all at once.
const PLANT: &str = r#"
    plant="touch $OUTSIDE/planted"
    git config core.fsmonitor "$plant"; git config core.hooksPath .hooks; git config core.pager "$plant"
    git config core.sshCommand "$plant"; git config core.editor "$plant"; git config diff.external "$plant"
    for filter in clean smudge process; do git config filter.plant.$filter "$plant"; done
    git config diff.plant.textconv "$plant"; git config diff.plant.command "$plant"; git config merge.plant.driver "$plant"
    git config include.path "$OUTSIDE/secret"; git config core.alternateRefsCommand "$plant"
    git config uploadpack.packObjectsHook "$plant"; git config gpg.program "$plant"; git config commit.gpgSign true
    git config remote.origin.url "ext::$plant"; git config submodule.inner.url "ext::$plant"; git config submodule.inner.update "!$plant"
    echo "* filter=plant diff=plant merge=plant" > .gitattributes; cp .gitattributes .git/info/attributes
    mkdir .hooks; for hook in pre-commit post-commit post-checkout post-index-change reference-transaction pre-push; do
        printf '#!/bin/sh\n%s\n' "$plant" > .hooks/$hook; chmod +x .hooks/$hook; cp .hooks/$hook .git/hooks/$hook 2>/dev/null; done
    printf '[submodule "inner"]\n\tpath = inner\n\turl = ext::%s\n\tupdate = !%s\n' "$plant" "$plant" > .gitmodules
    echo "$OUTSIDE" >> .git/objects/info/alternates
    echo changed >> a
    for place in /opt/base/objects /opt/base/objects/pack; do
        if (echo x > $place/planted) 2>/dev/null; then echo "the mirror can be written"; exit 1; fi; done
"#;

/// Plants it, and has the host make a commit of the tree with care and without.
pub(super) async fn check(sandbox: &dyn Sandbox) {
    let desk = Desk::new().await;
    let mut baits = Baits::lay_out(ATTACKER);
    let scratch = desk.scratch().await;
    let tree = Tree { objects: Some(scratch.objects()), ..Tree::alone(scratch.path()) };
    let mut executor = sandbox.open(tree, Profile::Agent.into()).await.expect("the sandbox can be made");
    let script = format!("{}{PLANT}", baits.variables());
    let output = executor.execute(&command(&script)).await.expect("the sandbox stays up");
    assert_eq!(output.exit, Exit::Code(0), "{}", String::from_utf8_lossy(&output.output));
    let proposed = desk.propose(&executor.collect().await.expect("it is here")).await;
    assert!(matches!(proposed, Ok(Some(_)) | Err(WorkspaceError::Refused(_))), "{proposed:?}");
    assert_eq!(baits.touched(), None);
    // Whoever is careless keeps the tree where everybody can enter, and the mirror as well.
    for folder in scratch.path().ancestors().skip(1).take(3).chain(scratch.objects().ancestors().skip(1).take(2)) {
        std::fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("it is ours");
    }
    careless(scratch.path(), scratch.objects());
    assert!(baits.touched().is_some(), "git itself was to run what was planted");
}

/// Looks at the tree with git, as the attacker's user.
fn careless(tree: &Path, objects: &Path) {
    let mut git = Command::new("git");
    git.args(["-c", "safe.directory=*", "add", "-A"]).current_dir(tree).env("GIT_ALTERNATE_OBJECT_DIRECTORIES", objects);
    git.env("HOME", tree).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if rustix::process::geteuid().is_root() {
        git.uid(ATTACKER).gid(ATTACKER);
    }
    git.status().expect("git is installed");
}
