use super::*;

#[test]
fn the_role_decides_who_may_start() {
    let roles = [Role::None, Role::Read, Role::Triage, Role::Write, Role::Maintain, Role::Admin];
    for minimum_role in roles {
        for role in roles {
            let mut facts = Facts { role, ..facts() };
            facts.policy.triggers.minimum_role = minimum_role;
            for event in [comment(FIX), labeled("codex")] {
                let decision = decide(&event, &deployment(), &facts);
                let starts = matches!(&decision, Decision::Start { spec, .. } if !matches!(spec.task, Task::Reply { .. }));
                assert_eq!(starts, role >= minimum_role, "{role} where {minimum_role} is needed: {decision:?}");
            }
        }
    }
    let stranger = Facts { role: Role::Read, ..facts() };
    check_ignored(&comment(FIX), &stranger, "octocat has the role read here, and write is needed to start a run");
}

#[test]
fn a_command_has_the_role_that_the_policy_gives_it() {
    let roles = [("ask", Role::Triage), ("fix", Role::Maintain)].into_iter().collect();
    let policy = with(Triggers { roles, ..Triggers::default() });
    let by =
        |role, body| decide(&comment(Comment { body, ..FIX }), &deployment(), &Facts { role, policy: policy.clone(), ..facts() });
    assert!(matches!(by(Role::Triage, "@codex ask why?"), Decision::Start { .. }));
    assert!(
        matches!(by(Role::Triage, "@codex plan it"), Decision::Ignore { .. }),
        "a command that is not named keeps the other role"
    );
    assert!(matches!(by(Role::Triage, "@codex stop"), Decision::Ignore { .. }));
    assert!(matches!(by(Role::Triage, "@codex help"), Decision::Start { .. }), "who may give one command is answered");
    assert!(matches!(by(Role::Triage, "@codex fxi this"), Decision::Start { .. }));
    assert!(matches!(by(Role::Read, "@codex ask why?"), Decision::Ignore { .. }));
    for asked in ["@codex fix this", "@codex mend the parser of dates"] {
        let facts = Facts { policy: policy.clone(), ..facts() };
        let told = "This takes the role `maintain` here, and you have `write`: `triggers` in `.github/patchwright.yml` says so. Somebody with that role can ask for it in a new comment.";
        check_told(&comment(Comment { body: asked, ..FIX }), &facts, told);
        assert!(matches!(by(Role::Maintain, asked), Decision::Start { .. }));
    }
    let labeled = decide(&labeled("codex"), &deployment(), &Facts { policy: policy.clone(), ..facts() });
    assert!(matches!(labeled, Decision::Ignore { .. }), "the label is a `fix`: {labeled:?}");
}
