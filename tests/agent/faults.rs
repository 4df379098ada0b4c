//! Everything that is known to kill agents, over every wire format: the work goes on, or ends with the truth.

use std::sync::Arc;
use std::time::Duration;

use patchwright::agent::Ending;
use patchwright::agent::turns::{Backoff, Turns};
use patchwright::model::Model;
use patchwright::model::chat::{ChatDialect, ChatModel, LimitField};
use patchwright::model::endpoint::EndpointSettings;
use patchwright::model::messages::MessagesModel;
use patchwright::model::responses::ResponsesModel;
use patchwright::model::scripted::{Fault, Script, ScriptedModel, Step};
use patchwright_domain::turn::tools::EditForm;

use super::{AMPLE, BROKEN, FIX, FIXED, Memory, call, message, shell, status, work};

/// How a fault ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The bug is mended all the same.
    Mended,
    /// The model declined.
    Refused,
    /// The model gets no further.
    Stuck,
    /// The end names its cause, of which these words are part.
    Failed(&'static str),
}

/// What goes wrong.
struct Case {
    name: &'static str,
    faults: Vec<Fault>,
    /// What the model does before it mends the bug.
    first: Vec<Step>,
    end: End,
}

fn faults(name: &'static str, faults: Vec<Fault>, end: End) -> Case {
    Case { name, faults, first: Vec::new(), end }
}

fn steps(name: &'static str, first: Vec<Step>, end: End) -> Case {
    Case { name, faults: Vec::new(), first, end }
}

fn overflow() -> Fault {
    let body = r#"{"error":{"code":"context_length_exceeded","message":"prompt is too long"}}"#.to_owned();
    Fault::Status { code: 400, headers: Vec::new(), body }
}

fn cases() -> Vec<Case> {
    let again = |fault: Fault, n| std::iter::repeat_n(fault, n).collect::<Vec<_>>();
    vec![
        faults("429 without retry-after", again(status(429, &[]), 3), End::Mended),
        faults("429 with retry-after", vec![status(429, &[("retry-after", "0")])], End::Mended),
        faults("429 for ever", again(status(429, &[]), 100), End::Failed("limits the rate")),
        faults("5xx for a while", again(status(503, &[]), 9), End::Mended),
        faults("overloaded", again(status(529, &[]), 3), End::Mended),
        faults("5xx for ever", again(status(500, &[]), 100), End::Failed("was not available")),
        faults("a stream that breaks", (1..9).map(|n| Fault::CutAfter(n * 60)).collect(), End::Mended),
        faults("a stream that ends early", (1..9).map(|n| Fault::EndAfter(n * 40)).collect(), End::Mended),
        faults("a stream that says nothing", again(Fault::Hang, 2), End::Mended),
        faults("rubbish in the stream", vec![Fault::Garbage], End::Mended),
        faults("a key that is refused", vec![status(401, &[])], End::Failed("refused the credentials")),
        faults("a model that is not there", vec![status(404, &[])], End::Failed("rejected the request")),
        faults("a context that is too small for the task", vec![overflow()], End::Failed("no longer fits")),
        steps("a reply that reaches its limit", vec![Step::Cut], End::Mended),
        steps("an empty reply", vec![Step::Empty], End::Mended),
        steps("arguments that are no JSON", vec![call("shell", "{\"command\": \"l")], End::Mended),
        steps("a tool that is not there", vec![call("browse", "{}")], End::Mended),
        steps("the same call three times", vec![shell("ls"); 3], End::Mended),
        steps("the same call for ever", vec![shell("ls"); 40], End::Stuck),
        steps("a refusal", vec![Step::Refuse("I will not.".into())], End::Refused),
    ]
}

fn models(base_url: &str) -> Vec<(&'static str, EditForm, Arc<dyn Model>)> {
    let settings = || EndpointSettings { idle_timeout: Duration::from_millis(60), ..EndpointSettings::new(base_url, "scripted") };
    let dialect = ChatDialect { limit_field: LimitField::MaxTokens, native_tools: true };
    vec![
        ("responses", EditForm::Freeform, Arc::new(ResponsesModel::new(settings()).expect("the settings are right"))),
        ("chat", EditForm::Function, Arc::new(ChatModel::new(settings(), dialect).expect("the settings are right"))),
        ("messages", EditForm::Function, Arc::new(MessagesModel::new(settings()).expect("the settings are right"))),
    ]
}

/// After a nudge or a cut the script is at its beginning again, so the last words decide what is next.
fn script(case: &Case) -> Script {
    let mends = [Step::ApplyPatch(FIX.into()), message("Fixed.")];
    let for_tasks = ["was cut", "neither a message nor a tool call"].map(|told| (told.to_owned(), mends.to_vec()));
    let steps = case.first.iter().cloned().chain(mends.clone());
    Script { for_tasks: for_tasks.into(), ..Script::of(steps) }.with_faults(case.faults.clone())
}

#[tokio::test]
async fn every_fault_is_survived_or_ends_with_the_truth() {
    for case in cases() {
        for format in 0..3 {
            let scripted = ScriptedModel::start(script(&case)).await.expect("a free port");
            let (name, edit_form, model) = models(&scripted.base_url()).swap_remove(format);
            let backoff = Backoff { base: Duration::from_millis(1), attempts_max: 12, wait_max: Duration::from_millis(2) };
            let turns = Turns { backoff, edit_form, ..Turns::new(model) };
            let mut memory = Memory::with("src/calc.py", BROKEN);
            let solution = work(&turns, AMPLE, &mut memory, &|_, _| {}).await;
            let end = match (&solution.ending, memory.text("src/calc.py")) {
                (Ending::Finished, Some(FIXED)) => End::Mended,
                (Ending::Refused, _) => End::Refused,
                (Ending::Stuck { .. }, _) => End::Stuck,
                (Ending::ModelFailed { public, .. }, _) => match case.end {
                    End::Failed(words) if public.contains(words) => case.end,
                    End::Failed(_) | End::Mended | End::Refused | End::Stuck => panic!("{}, {name}: {public}", case.name),
                },
                other => panic!("{}, {name}: {other:?}", case.name),
            };
            assert_eq!(end, case.end, "{}, {name}", case.name);
            drop(turns);
            scripted.shutdown().await;
        }
    }
}
