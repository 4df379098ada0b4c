//! The built-in agent with a scripted model over HTTP and an executor that is a map of files.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use patchwright::agent::turns::{Backoff, Turns};
use patchwright::agent::{Agent as _, Assignment, Ending, OnTurn, Open, Solution, Unmetered};
use patchwright::model::endpoint::EndpointSettings;
use patchwright::model::responses::ResponsesModel;
use patchwright::model::scripted::{Fault, Script, ScriptedModel, Step};
use patchwright::sandbox::{Command, Executor, Output, Process, Running, SandboxError};
use patchwright_domain::brief::Brief;
use patchwright_domain::excerpt::search::{Found, Hit, Search};
use patchwright_domain::job::{Allowance, Mode, Usage};
use patchwright_domain::patch::FileState;
use patchwright_domain::proof::Exit;
use patchwright_domain::turn::tools::EditForm;
use serde_json::Value;

mod faults;

const AMPLE: Allowance = Allowance { turns: 30, tokens: 1_000_000, cost_microusd: 1_000_000, wall_clock_ms: 600_000 };
const FIX: &str = "*** Begin Patch\n*** Update File: src/calc.py\n@@ def mean(v):\n-    return sum(v) / 2\n+    return sum(v) / len(v)\n*** End Patch";
const BROKEN: &str = "def mean(v):\n    return sum(v) / 2\n";
const FIXED: &str = "def mean(v):\n    return sum(v) / len(v)\n";

/// Files in memory, a few directories that are links, and a shell that answers every script alike.
#[derive(Default)]
struct Memory {
    files: BTreeMap<String, FileState>,
    /// Reading and writing these is refused.
    refused: Vec<&'static str>,
    is_broken: bool,
    commands: Vec<Command>,
}

impl Memory {
    fn with(path: &str, content: &str) -> Self {
        Self { files: BTreeMap::from([(path.to_owned(), regular(content))]), ..Self::default() }
    }

    fn text(&self, path: &str) -> Option<&str> {
        match self.files.get(path)? {
            FileState::Regular { content, .. } => std::str::from_utf8(content).ok(),
            FileState::Symlink { .. } => None,
        }
    }

    fn refusal(&self, path: &str) -> Result<(), SandboxError> {
        let is_directory = self.files.keys().any(|file| file.starts_with(&format!("{path}/")));
        if is_directory || self.refused.contains(&path) {
            return Err(SandboxError::Path { path: path.to_owned(), reason: "is no regular file".to_owned() });
        }
        Ok(())
    }
}

fn regular(content: &str) -> FileState {
    FileState::Regular { content: content.as_bytes().to_vec(), executable: false }
}

#[async_trait]
impl Executor for Memory {
    async fn execute(&mut self, command: &Command) -> Result<Output, SandboxError> {
        self.commands.push(command.clone());
        if self.is_broken {
            let source = std::io::Error::other("no more processes");
            return Err(SandboxError::Machine { context: "starting a command".to_owned(), source });
        }
        let output = format!("\u{1b}[1mran\u{1b}[0m {}\n", command.script).into_bytes();
        Ok(Output { exit: Exit::Code(0), output, omitted_bytes: 0, duration: Duration::from_millis(5) })
    }

    async fn spawn(&mut self, process: &Process) -> Result<Running, SandboxError> {
        Err(SandboxError::Path { path: process.argv.join(" "), reason: "files in memory run nothing".to_owned() })
    }

    async fn read(&mut self, path: &str) -> Result<Option<FileState>, SandboxError> {
        self.refusal(path)?;
        Ok(self.files.get(path).cloned())
    }

    async fn write(&mut self, changes: &[(String, Option<FileState>)]) -> Result<(), SandboxError> {
        for (path, state) in changes {
            self.refusal(path)?;
            match state {
                Some(state) => self.files.insert(path.clone(), state.clone()),
                None => self.files.remove(path),
            };
        }
        Ok(())
    }

    async fn collect(&mut self) -> Result<PathBuf, SandboxError> {
        Err(SandboxError::Path { path: String::new(), reason: "files in memory are in no folder".to_owned() })
    }

    async fn search(&mut self, search: &Search) -> Result<Found, SandboxError> {
        let mut found = Found::default();
        for path in self.files.keys().filter(|path| path.starts_with(&search.directory)) {
            found.n_files_searched += 1;
            for (at, line) in self.text(path).unwrap_or_default().lines().enumerate() {
                if line.contains(&search.pattern) {
                    let text = line.as_bytes().to_vec();
                    found.hits.push(Hit { path: path.clone(), line: at as u64 + 1, text, is_context: false });
                }
            }
        }
        Ok(found)
    }
}

/// What a solve came to.
struct Outcome {
    solution: Solution,
    memory: Memory,
    lines: Vec<String>,
    /// The bodies of the requests.
    requests: Vec<Value>,
}

impl Outcome {
    /// What the model was told as the result of its last call.
    fn last_result(&self) -> &str {
        let items = self.requests.last().and_then(|body| body["input"].as_array()).expect("a request");
        items.iter().rev().find_map(|item| item["output"].as_str()).expect("a result")
    }

    #[track_caller]
    fn check_finished(&self, answer: &str) {
        assert_eq!((&self.solution.ending, self.solution.closing.text.as_str()), (&Ending::Finished, answer));
    }
}

fn turns(base_url: String) -> Turns {
    let model = ResponsesModel::new(EndpointSettings::new(base_url, "scripted")).expect("the settings are right");
    let backoff = Backoff { base: Duration::from_millis(1), attempts_max: 4, wait_max: Duration::from_millis(4) };
    Turns { backoff, ..Turns::new(Arc::new(model)) }
}

fn brief() -> Brief {
    Brief { mode: Mode::Fix, instructions: "Work.".into(), task: "Fix the mean.".into(), cache_key: "key".into() }
}

async fn work(turns: &Turns, allowance: Allowance, memory: &mut Memory, on_turn: OnTurn<'_>) -> Solution {
    let assignment =
        Assignment { brief: &brief(), continued: None, allowance, meter: &Unmetered, gate: &Open, checks_max: 2, on_turn };
    turns.solve(assignment, memory).await
}

async fn solve(script: Script, allowance: Allowance, mut memory: Memory) -> Outcome {
    let scripted = ScriptedModel::start(script).await.expect("a free port");
    let lines = Mutex::new(Vec::new());
    let turns = turns(scripted.base_url());
    let on_turn = |_: &Usage, line: &str| lines.lock().expect("no panic").push(line.to_owned());
    let solution = work(&turns, allowance, &mut memory, &on_turn).await;
    let requests = scripted.requests().into_iter().map(|request| request.body).collect();
    drop(turns);
    scripted.shutdown().await;
    Outcome { solution, memory, lines: lines.into_inner().expect("no panic"), requests }
}

fn shell(script: &str) -> Step {
    Step::Shell(script.to_owned())
}

fn call(name: &str, arguments: &str) -> Step {
    Step::Call { name: name.to_owned(), arguments: arguments.to_owned() }
}

fn message(text: &str) -> Step {
    Step::Message(text.to_owned())
}

fn status(code: u16, headers: &[(&str, &str)]) -> Fault {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Fault::Status { code, headers, body: String::new() }
}

#[tokio::test]
async fn a_bug_is_read_patched_and_reported() {
    let think = Step::Reasoned { summary: "Look first.".into(), then: Box::new(shell("cat src/calc.py")) };
    let script = Script::of([think, Step::ApplyPatch(FIX.into()), shell("pytest -q"), message("Fixed the mean.")]);
    let outcome = solve(script, AMPLE, Memory::with("src/calc.py", BROKEN)).await;
    outcome.check_finished("Fixed the mean.");
    assert_eq!(outcome.memory.text("src/calc.py"), Some(FIXED));
    assert_eq!(outcome.lines, ["ran `cat src/calc.py`", "edited src/calc.py", "ran `pytest -q`", "replied without a call"]);
    assert_eq!(outcome.last_result(), "Exit code: 0\nWall time: 0.0 seconds\nOutput:\nran pytest -q\n");
    assert_eq!(outcome.solution.usage.turns, 4);
    let command = outcome.memory.commands.last().expect("two were run");
    assert_eq!((command.timeout, command.directory.as_str()), (Duration::from_secs(120), ""));
    let transcript = String::from_utf8(outcome.solution.transcript).expect("JSON lines");
    let kinds: Vec<String> = transcript
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["kind"].as_str().expect("a kind").to_owned())
        .collect();
    let (ran, edited) = (["request", "reply", "ran", "result"], ["request", "reply", "result"]);
    assert_eq!(kinds, [&["opened"][..], &ran, &edited, &ran, &["request", "reply", "checked", "ended"]].concat());
    for part in ["Look first.", "Fix the mean.", "len(v)", "ran pytest -q", "Fixed the mean."] {
        assert!(transcript.contains(part), "{part}");
    }
}

#[tokio::test]
async fn a_patch_comes_through_the_shell_and_as_a_function_too() {
    let heredoc = shell(&format!("apply_patch <<'EOF'\n{FIX}\nEOF"));
    let outcome = solve(Script::of([heredoc, message("ok")]), AMPLE, Memory::with("src/calc.py", BROKEN)).await;
    assert_eq!((outcome.memory.text("src/calc.py"), outcome.memory.commands.len()), (Some(FIXED), 0));
    assert_eq!(outcome.last_result(), "Success. Updated the following files:\nM src/calc.py\n");

    let scripted = ScriptedModel::start(Script::of([Step::ApplyPatch(FIX.into())])).await.expect("a free port");
    let turns = Turns { edit_form: EditForm::Function, ..turns(scripted.base_url()) };
    let mut memory = Memory::with("src/calc.py", BROKEN);
    let solution = work(&turns, AMPLE, &mut memory, &|_, _| {}).await;
    assert_eq!((solution.ending, memory.text("src/calc.py")), (Ending::Finished, Some(FIXED)));
    assert_eq!(scripted.requests()[0].body["tools"][1]["type"], "function");
    scripted.shutdown().await;
}

#[tokio::test]
async fn what_the_model_gets_wrong_is_told_and_the_work_goes_on() {
    let miss = FIX.replace("sum(v) / 2", "sum(v) / 3");
    let outside = FIX.replace("src/calc.py", "../calc.py");
    for (step, expected) in [
        (call("shell", "{\"command\": \"l"), "failed to parse function arguments: EOF"),
        (call("web", "{}"), "unsupported call: web"),
        (Step::ApplyPatch(miss), "     2|     return sum(v) / 2"),
        (Step::ApplyPatch(outside), "leaves the tree"),
        (Step::ApplyPatch("*** Begin Patch\n*** Delete File: src\n*** End Patch".into()), "src: is no regular file"),
    ] {
        let outcome = solve(Script::of([step, message("ok")]), AMPLE, Memory::with("src/calc.py", BROKEN)).await;
        outcome.check_finished("ok");
        assert!(outcome.last_result().contains(expected), "{}", outcome.last_result());
        assert_eq!(outcome.memory.text("src/calc.py"), Some(BROKEN));
    }
}

#[tokio::test]
async fn a_patch_does_not_go_through_a_linked_directory() {
    let mut memory = Memory::with("f", "x\n");
    memory.files.insert("lib".to_owned(), FileState::Symlink { target: b".git".to_vec() });
    let patch = "*** Begin Patch\n*** Add File: lib/hooks/post-commit\n+x\n*** End Patch";
    let outcome = solve(Script::of([Step::ApplyPatch(patch.into()), message("ok")]), AMPLE, memory).await;
    assert!(outcome.last_result().contains("lib is a symbolic link"), "{}", outcome.last_result());
    assert_eq!(outcome.memory.files.len(), 2);
}

#[tokio::test]
async fn a_patch_that_cannot_be_written_whole_is_taken_back() {
    let mut memory = Memory::with("a", "1\n");
    memory.files.insert("b".to_owned(), regular("2\n"));
    let patch = "*** Begin Patch\n*** Update File: a\n@@\n-1\n+one\n*** Delete File: b\n*** Add File: c/d\n+x\n*** End Patch";
    memory.refused = vec!["c/d"];
    let outcome = solve(Script::of([Step::ApplyPatch(patch.into()), message("ok")]), AMPLE, memory).await;
    assert!(outcome.last_result().contains("nothing was changed: c/d"), "{}", outcome.last_result());
    assert_eq!((outcome.memory.text("a"), outcome.memory.text("b"), outcome.memory.files.len()), (Some("1\n"), Some("2\n"), 2));
}

#[tokio::test]
async fn a_loop_ends_and_so_do_empty_replies() {
    let script = Script::of(std::iter::repeat_n(shell("ls"), 30));
    let outcome = solve(script, AMPLE, Memory::default()).await;
    assert!(matches!(&outcome.solution.ending, Ending::Stuck { reason } if reason.contains("same tool call")));
    assert!(outcome.last_result().contains("same call"), "{}", outcome.last_result());
    let outcome = solve(Script::of([Step::Empty]), AMPLE, Memory::default()).await;
    assert!(matches!(&outcome.solution.ending, Ending::Stuck { reason } if reason.contains("empty replies")));
}

#[tokio::test]
async fn turns_tokens_and_time_are_bounded() {
    let steps = || Script::of((0..30).map(|n| shell(&format!("echo {n}"))));
    for (allowance, expected, n_requests) in [
        (Allowance { turns: 3, ..AMPLE }, "The budget's limit of model calls is reached.", 3),
        (Allowance { tokens: 1, ..AMPLE }, "The budget's limit of tokens is reached.", 0),
        (Allowance { wall_clock_ms: 0, ..AMPLE }, "The budget's time is used up.", 0),
    ] {
        let outcome = solve(steps(), allowance, Memory::default()).await;
        assert_eq!(outcome.solution.ending, Ending::BudgetExhausted { limit: expected.to_owned() });
        assert_eq!((outcome.requests.len(), outcome.lines.len()), (n_requests, n_requests));
    }
}

#[tokio::test]
async fn tokens_are_reserved_before_they_are_used() {
    let tokens = 20_000;
    let steps = Script::of((0..30).map(|n| shell(&format!("echo {n}"))));
    let outcome = solve(steps, Allowance { tokens, ..AMPLE }, Memory::default()).await;
    assert_eq!(outcome.solution.ending, Ending::BudgetExhausted { limit: "The budget's limit of tokens is reached.".to_owned() });
    assert!(outcome.requests.len() > 2 && outcome.solution.usage.tokens() <= tokens, "{:?}", outcome.solution.usage);
    let limits: Vec<u64> = outcome.requests.iter().filter_map(|request| request["max_output_tokens"].as_u64()).collect();
    assert!(limits.is_sorted_by(|a, b| a >= b) && limits.first() > limits.last(), "{limits:?}");
}

#[tokio::test]
async fn replies_that_break_off_are_within_the_budget_too() {
    let tokens = 20_000;
    let script = Script::of([message("ok")]).with_faults(std::iter::repeat_n(Fault::CutAfter(900), 60));
    let scripted = ScriptedModel::start(script).await.expect("a free port");
    let backoff = Backoff { base: Duration::from_millis(1), attempts_max: 100, wait_max: Duration::from_millis(1) };
    let turns = Turns { backoff, ..turns(scripted.base_url()) };
    let solution = work(&turns, Allowance { tokens, ..AMPLE }, &mut Memory::default(), &|_, _| {}).await;
    assert_eq!(solution.ending, Ending::BudgetExhausted { limit: "The budget's limit of tokens is reached.".to_owned() });
    assert!((tokens / 2..=tokens).contains(&solution.usage.tokens()), "{:?}", solution.usage);
    drop(turns);
    scripted.shutdown().await;
}

#[tokio::test]
async fn a_hanging_endpoint_costs_no_more_than_the_time_of_the_budget() {
    let script = Script::of([message("late")]).with_faults([Fault::Hang]);
    let outcome = solve(script, Allowance { wall_clock_ms: 30, ..AMPLE }, Memory::default()).await;
    assert_eq!(outcome.solution.ending, Ending::BudgetExhausted { limit: "The budget's time is used up.".to_owned() });
}

#[tokio::test]
async fn what_passes_is_waited_for() {
    let faults = [status(429, &[]), status(503, &[]), Fault::CutAfter(300)];
    let outcome = solve(Script::of([message("ok")]).with_faults(faults), AMPLE, Memory::default()).await;
    outcome.check_finished("ok");
    assert_eq!((outcome.requests.len(), outcome.solution.usage.turns), (4, 1));
    let faults = [status(429, &[("retry-after-ms", "1")]), status(429, &[("retry-after", "0")])];
    let outcome = solve(Script::of([message("ok")]).with_faults(faults), AMPLE, Memory::default()).await;
    outcome.check_finished("ok");
}

#[tokio::test]
async fn a_wait_longer_than_the_time_left_is_not_begun() {
    let script = Script::of([message("ok")]).with_faults([status(429, &[("retry-after", "7200")])]);
    let outcome = solve(script, AMPLE, Memory::default()).await;
    assert!(matches!(&outcome.solution.ending, Ending::ModelFailed { public, .. } if public.contains("limits the rate")));
    assert_eq!(outcome.requests.len(), 1);
}

#[tokio::test]
async fn what_does_not_pass_ends_the_work_with_a_sentence() {
    let many = |code: u16| std::iter::repeat_n(status(code, &[]), 10);
    for (code, n_requests, expected) in [
        (401, 1, "The operator has to check the model's API key"),
        (404, 1, "The operator has to check the model's name"),
        (500, 4, "was not available"),
        (429, 4, "limits the rate"),
        (413, 1, "no longer fits"),
    ] {
        let outcome = solve(Script::default().with_faults(many(code)), AMPLE, Memory::default()).await;
        let Ending::ModelFailed { public, internal } = &outcome.solution.ending else { panic!("{:?}", outcome.solution.ending) };
        assert!(public.contains(expected) && !public.contains("127.0.0.1"), "{public}");
        assert!(!internal.is_empty());
        assert_eq!(outcome.requests.len(), n_requests, "{code}");
    }
}

#[tokio::test]
async fn a_dead_endpoint_ends_the_work_with_a_sentence() {
    let scripted = ScriptedModel::start(Script::default()).await.expect("a free port");
    let turns = turns(scripted.base_url());
    scripted.shutdown().await;
    let solution = work(&turns, AMPLE, &mut Memory::default(), &|_, _| {}).await;
    let Ending::ModelFailed { public, internal } = solution.ending else { panic!("{:?}", solution.ending) };
    assert!(public.contains("was not available") && internal.contains("after 4 attempts"), "{public} {internal}");
}

#[tokio::test]
async fn a_full_context_is_made_room_in_once() {
    let long = "x".repeat(1_000);
    let overflow =
        Fault::Status { code: 400, headers: Vec::new(), body: r#"{"error":{"code":"context_length_exceeded"}}"#.to_owned() };
    let scripted =
        ScriptedModel::start(Script::of((0..12).map(|n| shell(&format!("echo {n} {long}"))))).await.expect("a free port");
    let turns = turns(scripted.base_url());
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let on_turn = |_: &_, _: &str| {
        if asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 11 {
            scripted.add_fault(overflow.clone());
        }
    };
    let solution = work(&turns, AMPLE, &mut Memory::default(), &on_turn).await;
    assert_eq!(solution.ending, Ending::Finished);
    let last = scripted.requests().pop().expect("a request").body;
    let masked = last["input"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|item| item["output"].as_str().is_some_and(|text| text.contains("left out to make room")));
    assert_eq!(masked.count(), 4);
    drop(turns);
    scripted.shutdown().await;
}

#[tokio::test]
async fn a_broken_machine_ends_the_work_as_the_sandboxs_failure() {
    let memory = Memory { is_broken: true, ..Memory::default() };
    let outcome = solve(Script::of([shell("ls")]), AMPLE, memory).await;
    let Ending::SandboxFailed { internal, .. } = &outcome.solution.ending else { panic!("{:?}", outcome.solution.ending) };
    assert_eq!(internal, "starting a command: no more processes");
    assert_eq!(outcome.lines.len(), 1);
}

#[tokio::test]
async fn scripts_are_chosen_by_the_task() {
    let other = ("the \"median\"".to_owned(), vec![message("other")]);
    let ours = ("Fix the mean.".to_owned(), vec![message("ours")]);
    let script = Script { for_tasks: vec![other, ours], ..Script::of([message("any")]) };
    solve(script, AMPLE, Memory::default()).await.check_finished("ours");
}
