//! Other people's agents in the real sandbox: a small one of our own that speaks ACP, and Codex itself where it is there.
//!
//! They ask the scripted model through the proxy. Codex is taken from `PATCHWRIGHT_TEST_CODEX` or the `PATH`.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use patchwright::agent::external::External;
use patchwright::agent::external::presets::{Kind, Preset};
use patchwright::agent::{Agent as _, Assignment, Continued, Ending, Exceeded, Gate, Meter, Open, Reservation, Solution};
use patchwright::gateway::{Endpoint, Gateway};
use patchwright::model::scripted::{Fault, Recorded, Script, ScriptedModel, Step};
use patchwright::sandbox::local::{LocalSandbox, LocalSettings};
use patchwright::sandbox::{Executor, Profile, Sandbox as _, Tree};
use patchwright_domain::brief::Brief;
use patchwright_domain::job::{Allowance, Mode, Usage};
use patchwright_domain::turn::{Closing, Prices};
use serde_json::json;
use tempfile::TempDir;

const AMPLE: Allowance = Allowance { turns: 30, tokens: 1_000_000, cost_microusd: 1_000_000, wall_clock_ms: 600_000 };
const KEY: &str = "sk-true-key-of-the-operator";
const BROKEN: &str = "def mean(v):\n    return sum(v) / 2\n";
const FIXED: &str = "def mean(v):\n    return sum(v) / len(v)\n";

/// Our agent in one of its modes.
fn acp(mode: &str) -> Preset {
    let script =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/external_agent/agent.py").canonicalize().expect("it is there");
    let backwards: String = KEY.chars().rev().collect();
    // Not one of a version manager, whose programs lie elsewhere.
    let words = ["python3".to_owned(), script.display().to_string(), mode.to_owned(), backwards];
    let mut preset =
        Preset::find(&Kind::Custom(words.into()), "scripted", OsStr::new("/usr/bin:/usr/local/bin")).expect("python3 is there");
    preset.read_only.push(script);
    preset
}

/// Counts what is reserved and settled.
#[derive(Default)]
struct Ledger {
    reserved: Mutex<Vec<Reservation>>,
    settled: Mutex<Vec<(Reservation, Reservation)>>,
    is_empty: bool,
}

#[async_trait]
impl Meter for Ledger {
    async fn reserve(&self, most: Reservation) -> Result<(), Exceeded> {
        if self.is_empty {
            return Err(Exceeded { limit: "The day's budget is used up.".to_owned() });
        }
        self.reserved.lock().expect("no panic").push(most);
        Ok(())
    }

    async fn settle(&self, reserved: Reservation, used: Reservation) {
        self.settled.lock().expect("no panic").push((reserved, used));
    }
}

/// Misses something as often as it is told to.
struct Missing(Mutex<u32>);

#[async_trait]
impl Gate for Missing {
    async fn missing(&self, executor: &mut dyn Executor, _closing: &Closing) -> Result<Option<String>, Ending> {
        assert!(executor.read("calc.py").await.expect("it can be read").is_some());
        let mut left = self.0.lock().expect("no panic");
        *left = left.saturating_sub(1);
        Ok((*left > 0).then(|| "MISSING: a test".to_owned()))
    }
}

/// How one solve is set up.
struct Setup<'s> {
    preset: Preset,
    script: Script,
    allowance: Allowance,
    prices: Prices,
    idle_timeout: Duration,
    meter: Option<&'s dyn Meter>,
    gate: &'s dyn Gate,
    feedback: Option<&'s str>,
}

impl Setup<'_> {
    fn of(preset: Preset) -> Self {
        Self {
            preset,
            script: Script::of([Step::Message("Done.".to_owned())]),
            allowance: AMPLE,
            prices: Prices::default(),
            idle_timeout: Duration::from_secs(120),
            meter: None,
            gate: &Open,
            feedback: None,
        }
    }
}

/// What a solve came to.
struct Outcome {
    solution: Solution,
    workspace: TempDir,
    lines: Vec<String>,
    requests: Vec<Recorded>,
}

impl Outcome {
    fn calc(&self) -> String {
        std::fs::read_to_string(self.workspace.path().join("calc.py")).expect("it is there")
    }

    #[track_caller]
    fn check_failed(&self, parts: &[&str]) {
        let Ending::ModelFailed { internal, .. } = &self.solution.ending else { panic!("{:?}", self.solution.ending) };
        for part in parts {
            assert!(internal.contains(part), "{internal}");
        }
    }
}

async fn solve(setup: Setup<'_>) -> Outcome {
    let scripted = ScriptedModel::start(setup.script).await.expect("a free port");
    let workspace = tempfile::tempdir().expect("a folder");
    std::fs::write(workspace.path().join("calc.py"), BROKEN).expect("a file can be written");
    let launcher = PathBuf::from(env!("CARGO_BIN_EXE_patchwright"));
    let sandbox = LocalSandbox::new(launcher, LocalSettings { toolchain_path: None, ..LocalSettings::default() });
    let mut executor =
        sandbox.open(Tree::alone(workspace.path()), Profile::Agent.into()).await.expect("the machine has sandboxes");
    let endpoint = Endpoint {
        base_url: scripted.base_url(),
        model: "scripted".to_owned(),
        api_key: Some(KEY.into()),
        idle_timeout: Duration::from_secs(60),
    };
    let gateway = Gateway::new(endpoint).expect("the settings are right");
    let external = External { idle_timeout: setup.idle_timeout, prices: setup.prices, ..External::new(setup.preset, gateway) };
    let lines = Mutex::new(Vec::new());
    let on_turn = |usage: &Usage, line: &str| lines.lock().expect("no panic").push(format!("{}: {line}", usage.turns));
    let brief =
        Brief { mode: Mode::Fix, instructions: "Work.".into(), task: "Fix the mean in calc.py.".into(), cache_key: "key".into() };
    let ledger = Ledger::default();
    let assignment = Assignment {
        brief: &brief,
        continued: setup.feedback.map(|feedback| Continued { transcript: b"", feedback }),
        allowance: setup.allowance,
        meter: setup.meter.unwrap_or(&ledger),
        gate: setup.gate,
        checks_max: 2,
        on_turn: &on_turn,
    };
    let solution = external.solve(assignment, executor.as_mut()).await;
    // Whatever happened, every reservation is settled.
    assert_eq!(ledger.reserved.lock().expect("no panic").len(), ledger.settled.lock().expect("no panic").len());
    let transcript = String::from_utf8(solution.transcript.clone()).expect("JSON lines");
    assert!(!transcript.contains(KEY) && !transcript.is_empty());
    let requests = scripted.requests();
    scripted.shutdown().await;
    Outcome { solution, workspace, lines: lines.into_inner().expect("no panic"), requests }
}

#[tokio::test]
async fn an_agent_edits_asks_its_model_and_never_sees_the_key() {
    let ledger = Ledger::default();
    let outcome = solve(Setup { meter: Some(&ledger), ..Setup::of(acp("fix")) }).await;
    let closing = outcome.solution.closing.text.as_str();
    assert_eq!((&outcome.solution.ending, closing), (&Ending::Finished, "200 True -32601 [] [404, 404, 404]"));
    assert_eq!(outcome.calc(), FIXED);
    assert_eq!(outcome.lines, ["1: used `Edit calc.py`"]);
    let [request] = &outcome.requests[..] else { panic!("{} requests", outcome.requests.len()) };
    assert_eq!(request.headers["authorization"], format!("Bearer {KEY}"));
    assert!(["cookie", "x-api-key"].iter().all(|name| !request.headers.contains_key(*name)), "{:?}", request.headers);
    assert_eq!(request.body["model"], "scripted");
    let usage = outcome.solution.usage;
    assert!(usage.turns == 1 && usage.tokens() > 0, "{usage:?}");
    let (reserved, settled) = (ledger.reserved.lock().expect("no panic"), ledger.settled.lock().expect("no panic"));
    assert_eq!(settled[..], [(reserved[0], Reservation::of(&usage))]);
    let transcript = String::from_utf8_lossy(&outcome.solution.transcript).into_owned();
    for part in ["external_agent", "Fix the mean in calc.py.", "response.completed", "Edit calc.py", "external_ended"] {
        assert!(transcript.contains(part), "{part}");
    }
}

#[tokio::test]
async fn what_is_missing_is_told_as_often_as_it_may_be() {
    let told = solve(Setup { gate: &Missing(Mutex::new(2)), ..Setup::of(acp("again")) }).await;
    assert_eq!((&told.solution.ending, told.solution.closing.text.as_str()), (&Ending::Finished, "again"));
    assert_eq!(told.lines, ["0: said that it is done, and was told what is missing"]);
    let endless = solve(Setup { gate: &Missing(Mutex::new(u32::MAX)), ..Setup::of(acp("again")) }).await;
    assert_eq!(endless.solution.ending, Ending::Finished);
    assert_eq!(String::from_utf8_lossy(&endless.solution.transcript).matches("\"prompted\"").count(), 3);
    let continued = solve(Setup { feedback: Some("MISSING from before"), ..Setup::of(acp("again")) }).await;
    assert_eq!(continued.solution.closing.text, "again");
}

#[tokio::test]
async fn a_budget_that_is_used_up_is_said_and_ends_the_work() {
    let prices = Prices { input: Some(1_000_000), cached: None, output: Some(1_000_000) };
    for (allowance, prices, n_requests, limit) in [
        (Allowance { turns: 2, ..AMPLE }, Prices::default(), Some(2), "The budget's turns are used up."),
        (Allowance { tokens: 40, ..AMPLE }, Prices::default(), Some(0), "The budget's tokens are used up."),
        (
            Allowance { cost_microusd: 20, ..AMPLE },
            prices,
            Some(0),
            "What is left of the budget is too little for another reply.",
        ),
    ] {
        let limit = limit.to_owned();
        let outcome = solve(Setup { allowance, prices, ..Setup::of(acp("spend")) }).await;
        assert!(matches!(outcome.solution.ending, Ending::BudgetExhausted { .. }), "{:?}", outcome.solution.ending);
        assert!(outcome.solution.closing.text.starts_with("429 the budget is used up: "), "{:?}", outcome.solution.closing);
        if let Some(n_requests) = n_requests.filter(|n_requests| *n_requests > 0) {
            assert_eq!(outcome.solution.ending, Ending::BudgetExhausted { limit });
            assert_eq!(outcome.requests.len(), n_requests);
        }
    }
    let empty = Ledger { is_empty: true, ..Ledger::default() };
    let outcome = solve(Setup { meter: Some(&empty), ..Setup::of(acp("spend")) }).await;
    assert_eq!(outcome.solution.ending, Ending::BudgetExhausted { limit: "The day's budget is used up.".to_owned() });
    assert!(outcome.requests.is_empty());
}

#[tokio::test]
async fn time_that_is_used_up_and_silence_end_the_work() {
    let silent = solve(Setup { idle_timeout: Duration::from_millis(300), ..Setup::of(acp("hang")) }).await;
    silent.check_failed(&["neither a line nor a byte of a reply for 300ms"]);
    let slow = solve(Setup { allowance: Allowance { wall_clock_ms: 300, ..AMPLE }, ..Setup::of(acp("hang")) }).await;
    assert_eq!(slow.solution.ending, Ending::BudgetExhausted { limit: "The budget's time is used up.".to_owned() });
}

#[tokio::test]
async fn an_agent_that_breaks_says_why() {
    for (mode, parts) in [
        ("garbage", &["it printed a line that is no JSON object: \"npm WARN deprecated\""][..]),
        ("exit", &["before it answered `initialize`", "Code(4)", "no such configuration"]),
        ("quit", &["before it answered `session/prompt`", "Code(3)", "something broke"]),
        ("future", &["it speaks version 7 of ACP, not 1"]),
        ("cancelled", &["it stopped for the reason \"cancelled\""]),
    ] {
        let outcome = solve(Setup::of(acp(mode))).await;
        outcome.check_failed(parts);
        assert_eq!(outcome.calc(), BROKEN);
    }
    let refused = solve(Setup::of(acp("refusal"))).await;
    assert_eq!(refused.solution.ending, Ending::Refused);
    let limited = solve(Setup::of(acp("max_tokens"))).await;
    assert!(matches!(limited.solution.ending, Ending::BudgetExhausted { .. }));
}

#[tokio::test]
async fn a_program_that_is_not_there_fails_the_sandbox() {
    let preset = Preset { command: vec!["/usr/bin/no-such-agent".to_owned()], ..acp("fix") };
    let ending = solve(Setup::of(preset)).await.solution.ending;
    assert!(matches!(&ending, Ending::SandboxFailed { internal, .. } if internal.contains("no-such-agent")), "{ending:?}");
}

#[tokio::test]
async fn an_agent_whose_model_never_answered_has_not_finished() {
    let fault = Fault::Status { code: 401, headers: vec![("set-cookie".into(), "a=b".into())], body: "bad key".into() };
    let script = Script::of([]).with_faults([fault]);
    let outcome = solve(Setup { script, ..Setup::of(acp("once")) }).await;
    outcome.check_failed(&["401 bad key"]);
    assert_eq!(outcome.solution.closing.text, "401");
    assert_eq!((outcome.solution.usage.turns, outcome.solution.usage.tokens()), (1, 0));
}

/// Codex, if it is on this machine.
fn codex() -> Option<Preset> {
    let given = std::env::var_os("PATCHWRIGHT_TEST_CODEX").map(PathBuf::from);
    let path = match &given {
        Some(program) => program.parent().map(|folder| folder.as_os_str().to_owned()),
        None => std::env::var_os("PATH"),
    };
    let found = Preset::find(&Kind::Codex, "scripted", &path.unwrap_or_else(OsString::new));
    assert!(found.is_ok() || given.is_none(), "{found:?}");
    found.ok()
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "whoever runs the tests should know what was not tried")]
async fn codex_itself_fixes_a_bug() {
    let Some(preset) = codex() else {
        eprintln!("codex is neither on the PATH nor in PATCHWRIGHT_TEST_CODEX: not tried");
        return;
    };
    let run = |script: &str| Step::Call { name: "exec_command".to_owned(), arguments: json!({ "cmd": script }).to_string() };
    let patch =
        "*** Begin Patch\n*** Update File: calc.py\n@@\n-    return sum(v) / 2\n+    return sum(v) / len(v)\n*** End Patch";
    let steps = [run("cat calc.py"), run(&format!("apply_patch <<'EOF'\n{patch}\nEOF")), Step::Message("Fixed the mean.".into())];
    let gate = Missing(Mutex::new(2));
    let outcome = solve(Setup { script: Script::of(steps), gate: &gate, ..Setup::of(preset) }).await;
    let closing = outcome.solution.closing.text.as_str();
    assert_eq!((&outcome.solution.ending, closing), (&Ending::Finished, "Fixed the mean."), "{:?}", outcome.lines);
    assert_eq!(outcome.calc(), FIXED, "{:?}", outcome.lines);
    assert!(outcome.requests.iter().all(|request| request.headers["authorization"] == format!("Bearer {KEY}")));
    assert_eq!(outcome.solution.usage.turns as usize, outcome.requests.len());
    // It asks for a search at the provider by itself; that must not go out, and nothing is missing without it.
    for Recorded { body, .. } in &outcome.requests {
        let tools = body["tools"].as_array().expect("it has tools");
        assert!(
            !tools.is_empty() && tools.iter().all(|tool| tool["type"] == "function" || tool["type"] == "custom"),
            "{tools:?}"
        );
        assert_eq!(body["store"], false);
    }
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "whoever runs the tests should know what was not tried")]
async fn codex_itself_is_stopped_by_the_budget_and_by_a_bad_key() {
    let Some(preset) = codex() else {
        eprintln!("codex is neither on the PATH nor in PATCHWRIGHT_TEST_CODEX: not tried");
        return;
    };
    let run = Step::Call { name: "exec_command".to_owned(), arguments: json!({ "cmd": "cat calc.py" }).to_string() };
    let script = Script::of(vec![run; 5]);
    let allowance = Allowance { turns: 2, ..AMPLE };
    let outcome = solve(Setup { script, allowance, ..Setup::of(preset.clone()) }).await;
    assert_eq!(outcome.solution.ending, Ending::BudgetExhausted { limit: "The budget's turns are used up.".to_owned() });
    assert_eq!((outcome.requests.len(), outcome.solution.usage.turns), (2, 2));
    let refusal = Fault::Status { code: 401, headers: Vec::new(), body: "{\"error\":{\"message\":\"bad key\"}}".into() };
    let outcome = solve(Setup { script: Script::of([]).with_faults(vec![refusal; 20]), ..Setup::of(preset) }).await;
    outcome.check_failed(&["401", "bad key"]);
}
