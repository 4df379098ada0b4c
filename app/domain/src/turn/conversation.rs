//! The conversation as a machine: it takes in replies, results and checks, and says what is to be done next.

use std::collections::{BTreeSet, VecDeque};

use crate::brief::Brief;
use crate::job::{Allowance, Mode, Usage};
use crate::turn::context::{self, Size};
use crate::turn::ledger::Ledger;
use crate::turn::{Action, Closing, Item, Next, Prices, Reply, Stop, TokenUsage, Tool, ToolCall, call};

/// How many replies in a row may hold neither words nor calls.
pub const EMPTY_REPLIES_MAX: u32 = 3;
/// How many replies in a row may be cut at their limit without a call.
pub const CUT_REPLIES_MAX: u32 = 5;
/// The same call this many times in a row, and the model is told so.
pub const REPEATS_TOLD: u32 = 3;
/// The same call this many times in a row, and the conversation ends.
pub const REPEATS_MAX: u32 = 6;
/// How many calls of one reply are carried out.
pub const CALLS_PER_REPLY_MAX: usize = 32;
/// The most tokens that one reply may take.
pub const OUTPUT_TOKENS_MAX: u64 = 32_000;
/// A reply with less room is not worth asking for, in tokens.
pub const OUTPUT_TOKENS_MIN: u64 = 64;

/// More tokens than a request can have; an endpoint that says more is not believed.
const TOKENS_MAX: u64 = 1 << 32;
/// A conversation of so few items, such as a task and a summary, is not compacted any further.
const ITEMS_COMPACT_MAX: usize = 2;

const NUDGE: &str = "Your last reply held neither a message nor a tool call. Go on with the task: call a tool, or, if the \
                     work is done, say what you changed and how you checked it.";
const CUT: &str = "Your last reply reached its limit of tokens and was cut. Go on from where it stopped, in smaller steps.";
const TAKEN: &str = "The harness has taken your work and looks at it now.";
const BEHIND_DONE: &str = "not carried out: you had said that you are done";

/// What a conversation is held under.
#[derive(Clone, Debug)]
pub struct Terms {
    /// How the agent works.
    pub mode: Mode,
    /// The tools on offer, in a stable order.
    pub tools: Vec<Tool>,
    /// What may be used.
    pub allowance: Allowance,
    /// What tokens cost.
    pub prices: Prices,
    /// How many tokens the model's context holds.
    pub context_tokens: u64,
    /// The most tokens of one reply.
    pub output_tokens_max: u64,
    /// How often something that is missing is told before the work is taken as it is.
    pub checks_max: u32,
}

/// Where the conversation stands.
#[derive(Clone, Debug)]
enum Phase {
    Asking,
    /// The next reply is the summary that takes the history's place.
    Summarising,
    Calling(VecDeque<Due>),
    /// The model said that it is done, without the tool for it.
    Checking(Closing),
    Finished(Closing),
    Refused(String),
    Stuck(String),
}

/// A call that is still to be answered.
#[derive(Clone, Debug)]
enum Due {
    Call(ToolCall),
    Done { call_id: String, closing: Closing },
}

/// A conversation between a model and the harness.
#[derive(Clone, Debug)]
pub struct Conversation {
    instructions: String,
    cache_key: String,
    terms: Terms,
    items: Vec<Item>,
    revision: u32,
    usage: Usage,
    size: Size,
    ledger: Ledger,
    phase: Phase,
    n_empty: u32,
    n_cut: u32,
    n_checks: u32,
    last_call: Option<(String, String)>,
    n_repeats: u32,
}

impl Conversation {
    /// Opens a conversation with the task.
    pub fn open(brief: &Brief, terms: Terms) -> Self {
        Self::resume(brief, terms, vec![Item::User { text: brief.task.clone() }], &[])
    }

    /// Goes on with a conversation that was held before, whose last item is what the model is to answer now.
    /// `notes` is what was done in it, a line each.
    pub fn resume(brief: &Brief, terms: Terms, items: Vec<Item>, notes: &[String]) -> Self {
        let mut talk = Self {
            instructions: brief.instructions.clone(),
            cache_key: brief.cache_key.clone(),
            size: Size::new(terms.context_tokens),
            terms,
            items,
            revision: 0,
            usage: Usage::default(),
            ledger: Ledger::default(),
            phase: Phase::Asking,
            n_empty: 0,
            n_cut: 0,
            n_checks: 0,
            last_call: None,
            n_repeats: 0,
        };
        notes.iter().for_each(|note| talk.ledger.note(note));
        talk.recount();
        talk.turn_to_asking();
        talk
    }

    /// The static prefix.
    pub fn instructions(&self) -> &str {
        &self.instructions
    }

    /// The tools on offer.
    pub fn tools(&self) -> &[Tool] {
        &self.terms.tools
    }

    /// What requests that share a prefix share.
    pub fn cache_key(&self) -> &str {
        &self.cache_key
    }

    /// What was said so far, oldest first. It only grows as long as the revision stays the same.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Rises when items are rewritten.
    pub fn revision(&self) -> u32 {
        self.revision
    }

    /// What was used so far.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// What is to be done now; the same until something is handed in.
    pub fn next(&self) -> Next {
        match &self.phase {
            Phase::Finished(closing) => Next::Finished(closing.clone()),
            Phase::Refused(words) => Next::Refused { words: words.clone() },
            Phase::Stuck(reason) => Next::Stuck { reason: reason.clone() },
            Phase::Checking(closing) => Next::Check(closing.clone()),
            Phase::Calling(due) => match due.front() {
                Some(Due::Call(call)) => Next::Call(call.clone()),
                Some(Due::Done { closing, .. }) => Next::Check(closing.clone()),
                None => self.ask(),
            },
            Phase::Asking | Phase::Summarising => self.ask(),
        }
    }

    /// Asks with the largest limit that what is left can pay for, in halves of the usual one: a new limit changes the
    /// beginning of the request, which should be rare.
    fn ask(&self) -> Next {
        let left = self.left();
        if let Some(limit) = left.exhausted() {
            return Next::Exhausted { limit };
        }
        let input = self.size.bound();
        let mut output_tokens_max = self.terms.output_tokens_max.max(OUTPUT_TOKENS_MIN);
        loop {
            let most = self.priced(&TokenUsage { input, cached: 0, output: output_tokens_max });
            let fits_tokens = most.tokens() <= left.tokens;
            if fits_tokens && most.cost_microusd <= left.cost_microusd {
                return Next::Ask { output_tokens_max, most };
            }
            output_tokens_max /= 2;
            if output_tokens_max < OUTPUT_TOKENS_MIN {
                let limit = if fits_tokens { "limit of cost is reached" } else { "limit of tokens is reached" };
                return Next::Exhausted { limit };
            }
        }
    }

    /// What may still be used; the time is the shell's business.
    fn left(&self) -> Allowance {
        let allowance = &self.terms.allowance;
        Allowance {
            turns: allowance.turns.saturating_sub(self.usage.turns),
            tokens: allowance.tokens.saturating_sub(self.usage.tokens()),
            cost_microusd: allowance.cost_microusd.saturating_sub(self.usage.cost_microusd),
            wall_clock_ms: allowance.wall_clock_ms,
        }
    }

    /// Takes in what the model added, and returns what the reply used.
    pub fn reply(&mut self, reply: Reply) -> Usage {
        let used = self.used_by(&reply);
        self.usage.add(&used);
        let usage = counted(&reply);
        let Reply { items, stop, .. } = reply;
        let words: Vec<&str> = items.iter().filter_map(said).collect();
        let answer = words.join("\n\n");
        if matches!(self.phase, Phase::Summarising) {
            self.compact(&answer);
            self.phase = Phase::Asking;
            return used;
        }
        let calls: Vec<Item> = items.iter().filter(|item| matches!(item, Item::Call { .. })).cloned().collect();
        self.items.extend(items.iter().cloned());
        match usage {
            Some(usage) => self.size.counted(&usage),
            None => items.iter().for_each(|item| self.size.add_item(item)),
        }
        self.n_empty = if answer.is_empty() && calls.is_empty() && stop == Stop::Complete { self.n_empty + 1 } else { 0 };
        self.n_cut = if calls.is_empty() && stop == Stop::OutputLimit { self.n_cut + 1 } else { 0 };
        match stop {
            Stop::Complete | Stop::OutputLimit if !calls.is_empty() => self.take_calls(&calls),
            Stop::Refused => self.phase = Phase::Refused(answer),
            Stop::OutputLimit if self.n_cut >= CUT_REPLIES_MAX => {
                let reason = format!("The model's replies reached their limit of tokens {CUT_REPLIES_MAX} times in a row.");
                self.phase = Phase::Stuck(reason);
            }
            Stop::OutputLimit => self.tell(CUT),
            Stop::Complete if !answer.is_empty() => self.phase = Phase::Checking(Closing::of(answer)),
            Stop::Complete if self.n_empty >= EMPTY_REPLIES_MAX => {
                self.phase = Phase::Stuck(format!("The model gave {EMPTY_REPLIES_MAX} empty replies in a row."));
            }
            Stop::Complete => self.tell(NUDGE),
        }
        used
    }

    /// Takes in that a reply broke off after so many bytes: nobody has counted it, and it was paid for all the same.
    pub fn broke_off(&mut self, output_bytes: u64) -> Usage {
        let tokens = TokenUsage { input: self.size.estimate(), cached: 0, output: output_bytes.div_ceil(4) };
        let used = Usage { turns: 0, ..self.priced(&tokens) };
        self.usage.add(&used);
        used
    }

    /// What a reply uses, which is not taken in yet.
    pub fn used_by(&self, reply: &Reply) -> Usage {
        self.priced(&counted(reply).unwrap_or_else(|| self.estimated(&reply.items)))
    }

    fn priced(&self, tokens: &TokenUsage) -> Usage {
        Usage {
            turns: 1,
            input_tokens: tokens.input,
            cached_tokens: tokens.cached.min(tokens.input),
            output_tokens: tokens.output,
            cost_microusd: self.terms.prices.cost_microusd(tokens),
        }
    }

    /// What a reply used, where the endpoint does not say.
    fn estimated(&self, items: &[Item]) -> TokenUsage {
        let mut reply = Size::new(0);
        items.iter().for_each(|item| reply.add_item(item));
        TokenUsage { input: self.size.estimate(), cached: 0, output: reply.estimate() }
    }

    /// Queues the calls that can be carried out and answers the others at once.
    fn take_calls(&mut self, calls: &[Item]) {
        let names: BTreeSet<String> = self.terms.tools.iter().map(|tool| tool.name().to_owned()).collect();
        let mut queue = VecDeque::new();
        let mut is_done = false;
        for (index, item) in calls.iter().enumerate() {
            let Item::Call { call_id, name, arguments, freeform } = item else { continue };
            // The same call twice in one reply is carelessness, and no loop.
            let is_again = index > 0 && calls.get(index - 1).is_some_and(|before| is_same_call(before, item));
            if !is_again {
                self.count_repeat(name, arguments);
            }
            let call_id = call_id.clone();
            if is_done {
                self.answer(&call_id, BEHIND_DONE.to_owned());
                continue;
            }
            let understood = if index < CALLS_PER_REPLY_MAX {
                call::understand(name, arguments, *freeform, self.terms.mode, &names)
            } else {
                Err(format!("not carried out: only {CALLS_PER_REPLY_MAX} calls are taken from one reply"))
            };
            match understood {
                Ok(call::Meaning::Act(action)) => queue.push_back(Due::Call(ToolCall { call_id, action })),
                Ok(call::Meaning::Plan(plan)) => {
                    self.ledger.plan(&plan);
                    self.answer(&call_id, "The plan is noted.".to_owned());
                }
                Ok(call::Meaning::Done(closing)) => {
                    is_done = true;
                    queue.push_back(Due::Done { call_id, closing });
                }
                Err(message) => self.answer(&call_id, message),
            }
        }
        if self.n_repeats >= REPEATS_MAX {
            self.phase = Phase::Stuck(format!("The model made the same tool call {REPEATS_MAX} times in a row."));
        } else if queue.is_empty() {
            self.turn_to_asking();
        } else {
            self.phase = Phase::Calling(queue);
        }
    }

    fn count_repeat(&mut self, name: &str, arguments: &str) {
        let is_repeat = self.last_call.as_ref().is_some_and(|(last, with)| last == name && with == arguments);
        self.n_repeats = if is_repeat { self.n_repeats + 1 } else { 1 };
        if !is_repeat {
            self.last_call = Some((name.to_owned(), arguments.to_owned()));
        }
    }

    /// Takes in the result of the call that [`Conversation::next`] named, with a line on what was done; a result of any
    /// other call is ignored.
    pub fn result(&mut self, call_id: &str, output: String, note: &str) {
        let Phase::Calling(due) = &mut self.phase else { return };
        let Some(Due::Call(call)) = due.front() else { return };
        if call.call_id != call_id {
            return;
        }
        self.ledger.changed(edited(&call.action));
        due.pop_front();
        let is_last = due.is_empty();
        self.ledger.note(note);
        self.answer(call_id, output);
        if is_last {
            self.turn_to_asking();
        }
    }

    /// Takes in what is missing of the work that the model called done, and returns what of it the model is told; nothing,
    /// or nothing that may still be told, ends the conversation.
    pub fn checked(&mut self, missing: Option<String>) -> Option<String> {
        let (call_id, closing) = match std::mem::replace(&mut self.phase, Phase::Asking) {
            Phase::Checking(closing) => (None, closing),
            Phase::Calling(mut due) => match due.pop_front() {
                Some(Due::Done { call_id, closing }) => (Some(call_id), closing),
                front @ (Some(Due::Call(_)) | None) => {
                    due.extend(front);
                    self.phase = Phase::Calling(due);
                    return None;
                }
            },
            phase @ (Phase::Asking | Phase::Summarising | Phase::Finished(_) | Phase::Refused(_) | Phase::Stuck(_)) => {
                self.phase = phase;
                return None;
            }
        };
        let missing = missing.filter(|_| self.n_checks < self.terms.checks_max);
        match (&missing, call_id) {
            (Some(missing), Some(call_id)) => {
                self.n_checks += 1;
                self.answer(&call_id, missing.clone());
                self.turn_to_asking();
            }
            (Some(missing), None) => {
                self.n_checks += 1;
                self.tell(missing);
            }
            (None, Some(call_id)) => {
                self.answer(&call_id, TAKEN.to_owned());
                self.phase = Phase::Finished(closing);
            }
            (None, None) => self.phase = Phase::Finished(closing),
        }
        missing
    }

    fn tell(&mut self, text: &str) {
        self.push(Item::User { text: text.to_owned() });
        self.turn_to_asking();
    }

    fn answer(&mut self, call_id: &str, mut output: String) {
        if self.n_repeats >= REPEATS_TOLD {
            output.push_str(&format!(
                "\n[You have made this same call {} times in a row; repeating it changes nothing. Do something else, or \
                 say what keeps you from finishing.]",
                self.n_repeats
            ));
        }
        let is_freeform = |item: &Item| matches!(item, Item::Call { call_id: id, freeform: true, .. } if id == call_id);
        let freeform = self.items.iter().rev().any(is_freeform);
        self.push(Item::Result { call_id: call_id.to_owned(), output, freeform });
    }

    fn push(&mut self, item: Item) {
        self.size.add_item(&item);
        self.items.push(item);
    }

    /// Everything is answered: the model is asked, after room was made if there is little.
    fn turn_to_asking(&mut self) {
        self.phase = Phase::Asking;
        // A task that fills the context by itself cannot be made smaller.
        if !self.size.is_full() || self.items.len() <= ITEMS_COMPACT_MAX {
            return;
        }
        if context::mask(&mut self.items) {
            self.rewritten();
        }
        if !self.size.is_roomy() {
            self.push(Item::User { text: context::SUMMARISE.to_owned() });
            self.phase = Phase::Summarising;
        }
    }

    /// Takes in that the endpoint found the conversation too long: room is made at once, without asking it. False if there
    /// is nothing left to leave out.
    pub fn overflowed(&mut self) -> bool {
        self.size.overflowed();
        if context::mask(&mut self.items) {
            self.rewritten();
            return true;
        }
        let is_compact = self.items.len() <= ITEMS_COMPACT_MAX;
        if !is_compact {
            self.compact("");
        }
        self.phase = Phase::Asking;
        !is_compact
    }

    fn compact(&mut self, summary: &str) {
        self.items = context::compacted(&self.items, summary, &self.ledger.told());
        self.rewritten();
    }

    fn rewritten(&mut self) {
        self.revision += 1;
        self.recount();
    }

    fn recount(&mut self) {
        let tools_bytes = self.terms.tools.iter().map(Tool::n_bytes).sum();
        self.size.recount(&self.instructions, tools_bytes, &self.items);
    }
}

/// What the endpoint says that a reply used, if it says anything that can be: a reply without a token is no reply, and one
/// of more than any model takes is a wrong number.
fn counted(reply: &Reply) -> Option<TokenUsage> {
    let usage = reply.usage.filter(|usage| usage.input > 0 || usage.output > 0)?;
    let most = |tokens: u64| tokens.min(TOKENS_MAX);
    Some(TokenUsage { input: most(usage.input), cached: most(usage.cached), output: most(usage.output) })
}

fn is_same_call(one: &Item, other: &Item) -> bool {
    match (one, other) {
        (Item::Call { name: a, arguments: b, .. }, Item::Call { name, arguments, .. }) => a == name && b == arguments,
        _ => false,
    }
}

/// The files that an action edits by name.
fn edited(action: &Action) -> Vec<String> {
    match action {
        Action::Patch(patch) => patch.paths().into_iter().map(str::to_owned).collect(),
        Action::Replace(replacement) => vec![replacement.path().to_owned()],
        Action::Shell { .. } | Action::Read { .. } | Action::Search(_) | Action::External { .. } => Vec::new(),
    }
}

fn said(item: &Item) -> Option<&str> {
    match item {
        Item::Assistant { text } => Some(text.trim()).filter(|text| !text.is_empty()),
        Item::User { .. } | Item::Reasoning { .. } | Item::Call { .. } | Item::Result { .. } => None,
    }
}
