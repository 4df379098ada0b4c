use super::{AMPLE, brief, call, open, priced, reply, said, shell, terms};
use crate::job::{Allowance, Mode};
use crate::turn::conversation::{Conversation, OUTPUT_TOKENS_MAX, OUTPUT_TOKENS_MIN};
use crate::turn::{Next, Prices, Reply, Stop, TokenUsage};

const PRICES: Prices = Prices { input: Some(2_000_000), cached: Some(500_000), output: Some(8_000_000) };

#[test]
fn every_limit_ends_it() {
    let used = TokenUsage { input: 10, cached: 0, output: 5 };
    for (allowance, expected) in [
        (Allowance { turns: 1, ..AMPLE }, "limit of model calls is reached"),
        (Allowance { tokens: 32_000 + 15 + 30, ..AMPLE }, "limit of tokens is reached"),
        (Allowance { cost_microusd: 60, ..AMPLE }, "limit of cost is reached"),
    ] {
        let mut talk = Conversation::open(&brief(Mode::Fix), priced(allowance, PRICES));
        for n in 0..8 {
            talk.reply(Reply { usage: Some(TokenUsage { output: 4_500, ..used }), ..reply(vec![shell(&n.to_string())]) });
            talk.result("c", "a".into(), "ran");
        }
        assert_eq!(talk.next(), Next::Exhausted { limit: expected }, "{:?}", talk.usage());
    }
}

#[test]
fn a_request_is_never_worth_more_than_what_is_left() {
    for tokens in (0..200_000).step_by(97) {
        let mut talk =
            Conversation::open(&brief(Mode::Fix), priced(Allowance { tokens, cost_microusd: tokens * 4, ..AMPLE }, PRICES));
        // A model that takes whatever it gets, until there is nothing more to get.
        for n in 0..40 {
            let Next::Ask { output_tokens_max, most } = talk.next() else { break };
            assert!(output_tokens_max >= OUTPUT_TOKENS_MIN);
            let usage = TokenUsage { input: most.input_tokens, cached: 0, output: output_tokens_max };
            talk.reply(Reply { usage: Some(usage), ..reply(vec![shell(&n.to_string())]) });
            talk.result("c", "word ".repeat(n), "ran");
        }
        assert!(talk.usage().tokens() <= tokens, "{:?} of {tokens}", talk.usage());
        assert!(talk.usage().cost_microusd <= tokens * 4, "{:?} of {tokens}", talk.usage());
        assert!(matches!(talk.next(), Next::Exhausted { .. }));
    }
}

#[test]
fn the_limit_of_a_reply_is_halved_rather_than_cut_to_measure() {
    let mut limits = Vec::new();
    for tokens in (500..80_000).rev().step_by(10) {
        let talk = Conversation::open(&brief(Mode::Fix), terms(Allowance { tokens, ..AMPLE }));
        if let Next::Ask { output_tokens_max, .. } = talk.next() {
            limits.push(output_tokens_max);
        }
    }
    limits.dedup();
    assert_eq!(limits.first(), Some(&OUTPUT_TOKENS_MAX));
    assert!(limits.len() <= 10 && limits.iter().all(|limit| OUTPUT_TOKENS_MAX.is_multiple_of(*limit)), "{limits:?}");
}

#[test]
fn what_nobody_counted_is_estimated_and_what_broke_off_is_paid_for() {
    let mut talk = open(AMPLE);
    let used = talk.reply(Reply { usage: None, ..reply(vec![said(&"four".repeat(100))]) });
    assert!(used.output_tokens == 100 && used.input_tokens > 1, "{used:?}");
    let before = talk.usage();
    let lost = talk.broke_off(400);
    assert_eq!((lost.turns, lost.output_tokens), (0, 100));
    assert_eq!(talk.usage().tokens(), before.tokens() + lost.tokens());
}

#[test]
fn a_count_that_cannot_be_is_not_believed() {
    for usage in [TokenUsage::default(), TokenUsage { input: 0, cached: 9, output: 0 }] {
        let mut talk = open(AMPLE);
        let used = talk.reply(Reply { usage: Some(usage), ..reply(vec![said(&"four".repeat(100))]) });
        assert!(used.input_tokens > 1 && used.output_tokens == 100, "{used:?}");
    }
    let mut talk = open(AMPLE);
    let huge = TokenUsage { input: u64::MAX, cached: u64::MAX, output: u64::MAX };
    talk.reply(Reply { usage: Some(huge), ..reply(vec![shell("ls")]) });
    talk.result("c", "a".into(), "ran");
    assert_eq!(talk.next(), Next::Exhausted { limit: "limit of tokens is reached" });
}

#[test]
fn cost_is_counted_by_kind_of_token_and_rounded_up() {
    let usage = TokenUsage { input: 1_000_000, cached: 400_000, output: 100_000 };
    let prices = Prices { input: Some(1_250_000), cached: Some(125_000), output: Some(10_000_000) };
    assert_eq!(prices.cost_microusd(&usage), 750_000 + 50_000 + 1_000_000);
    assert_eq!(Prices { cached: None, ..prices }.cost_microusd(&usage), 1_250_000 + 1_000_000);
    assert_eq!(Prices::default().cost_microusd(&usage), 0);
    assert_eq!(prices.cost_microusd(&TokenUsage { input: 1, cached: 9, output: 0 }), 1);
}

#[test]
fn a_call_that_was_cut_costs_what_it_cost() {
    let mut talk = open(AMPLE);
    let cut = Reply { stop: Stop::OutputLimit, ..reply(vec![call("c", "shell", r#"{"command":"ls"}"#, false)]) };
    talk.reply(cut);
    assert!(matches!(talk.next(), Next::Call(_)), "a whole call is carried out");
}
