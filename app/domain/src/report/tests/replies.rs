//! What is answered where nothing is changed.

use super::super::replies::comment;
use super::*;
use crate::job::Reply;

#[test]
fn an_answer_is_told_as_the_models_words() {
    let mut tale = Tale::of(proven());
    tale.conclusion = Conclusion::new(Outcome::Answered, "The agent answered; no file was changed.", "Read the answer.");
    tale.answer = "It subtracts: see `src/lib.rs:2`.\n\n@octocat, ![x](https://evil.test/x)".into();
    insta::assert_snapshot!(farewell(&tale.story(), false), @r"
    **Answered.** The agent answered; no file was changed.

    The model's words, which nobody has checked:

    > It subtracts: see `src/lib.rs:2`.
    > 
    > `@octocat,` x (`https://evil.test/x`)

    Next step: Read the answer.

    <sub>7 of 50 model calls of `gpt-large`; 12000 tokens in (9000 cached), 800 out; no prices are configured, so the cost is not known. Job 42832cb716e3f588.</sub>
    ");
}

#[test]
fn replies_are_short() {
    let tale = Tale::of(proven());
    let reply = |reply: &Reply| comment(&tale.story(), reply);
    insta::assert_snapshot!(reply(&Reply::Help { mention: "@codex".into() }), @r"
    | Write | On | What comes of it |
    |---|---|---|
    | `@codex fix` *this, or what is wanted* | either | a pull request with its proof; on a pull request one that goes to its branch, if that is one of the repository. What somebody writes behind the mention in words of his own is a `fix`, too |
    | `@codex ask` *a question* | either, forks too | an answer, with the places in the files that it rests on; nothing is changed |
    | `@codex plan` *what is wanted* | either, forks too | the steps in which it would be done, with files and tests; nothing is changed |
    | `@codex review` *what is to be looked at* | a pull request, forks too | one review of what it changes, beside its lines, with suggestions where other lines alone mend it; it approves and refuses nothing |
    | `@codex approve` *what is to be different* | either, below a plan | a `fix` that carries out the plan that was made there last; the policy file may want that by a second person |
    | `@codex retry` | either | what was asked for there last is done once more, where it did not succeed: on what is there now, in the same words |
    | `@codex prove` *build, where it mends what does not build or load* | a pull request, of whoever and from wherever, forks too | the proof of what it changes, without any model: the check run `patchwright/proof` on its last commit, and a comment |
    | `@codex stop` | either | what is under way there is given up |
    | `@codex status` | either | what is under way there, how far it is, and what it has used |
    | `@codex help` | either | this table |

    Who may push here may give commands, unless `.github/patchwright.yml` says otherwise.

    <sub>For `octocat`. Job 42832cb716e3f588.</sub>
    ");
    insta::assert_snapshot!(reply(&Reply::Status), @r"
    Nothing is under way here.

    <sub>For `octocat`. Job 42832cb716e3f588.</sub>
    ");
    insta::assert_snapshot!(reply(&Reply::Refused { because: "There is no command `fxi`.".into() }), @r"
    There is no command `fxi`.

    <sub>For `octocat`. Job 42832cb716e3f588.</sub>
    ");
}
