use super::{Allowance, Budget, JobId, JobKey, Usage};
use crate::event::IssueNumber;
use crate::sample::{self, BUDGET, at, spec};

#[test]
fn a_happening_has_one_key_and_a_key_one_id() {
    let (repo, issue) = (sample::repo(), IssueNumber(12));
    assert_eq!(JobKey::of_comment(&repo, issue, 345).as_str(), "99/issue/12/comment/345");
    assert_eq!(JobKey::of_label(&repo, issue, "codex", at(0)).as_str(), "99/issue/12/label/codex/1760000000000");
    assert_eq!(JobKey::of_command_line("abc", "do it", at(0)).as_str(), "local/abc/f51c362d5cc7defb/1760000000000");
    let id = JobId::of(&spec().key);
    assert_eq!((id.as_str(), id.short()), ("42832cb716e3f588", "42832cb"));
    assert_ne!(id, JobId::of(&JobKey::of_comment(&repo, issue, 346)));
}

#[test]
fn a_job_is_stored_as_it_was_decided() {
    for spec in [spec(), sample::local_spec()] {
        let text = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<super::JobSpec>(&text).unwrap(), spec);
    }
}

#[test]
fn usage_adds_up_and_never_overflows() {
    let mut usage = sample::usage();
    usage.add(&sample::usage());
    assert_eq!((usage.turns, usage.tokens(), usage.cached_tokens, usage.cost_microusd), (14, 25_600, 18_000, 246_912));
    let most =
        Usage { turns: u32::MAX, input_tokens: u64::MAX, cached_tokens: u64::MAX, output_tokens: 1, cost_microusd: u64::MAX };
    usage.add(&most);
    assert_eq!((usage.turns, usage.tokens(), usage.cost_microusd), (u32::MAX, u64::MAX, u64::MAX));
}

#[test]
fn what_is_left_is_the_budget_less_what_was_spent() {
    let left = BUDGET.less(&sample::usage(), 800_000);
    assert_eq!(left, Allowance { turns: 43, tokens: 987_200, cost_microusd: 4_876_544, wall_clock_ms: 1_000_000 });
    let nothing = Budget { turns: 1, tokens: 1, cost_microusd: 1, ..BUDGET }.less(&sample::usage(), u64::MAX);
    assert_eq!(nothing, Allowance { turns: 0, tokens: 0, cost_microusd: 0, wall_clock_ms: 0 });
}

#[test]
fn the_first_limit_that_is_used_up_is_named() {
    let left = BUDGET.less(&Usage::default(), 0);
    assert_eq!(left.exhausted(), None);
    assert_eq!(Allowance { turns: 0, tokens: 0, ..left }.exhausted(), Some("limit of model calls is reached"));
    assert_eq!(Allowance { tokens: 0, ..left }.exhausted(), Some("limit of tokens is reached"));
    assert_eq!(Allowance { cost_microusd: 0, ..left }.exhausted(), Some("limit of cost is reached"));
    assert_eq!(Allowance { wall_clock_ms: 0, ..left }.exhausted(), None, "the run sees to the time");
}
