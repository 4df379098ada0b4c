//! What somebody wants, by the words behind the mention.
//!
//! ```text
//! command = mention [","|":"] (name [request] | free text)
//! ```
//! The mention stands as a word of its own in running text (`markdown`). `fix` and `prove` count wherever it stands; all else,
//! only where it begins its paragraph, for elsewhere people talk about us, and words of one's own and misspelt ones in no list or
//! table. What `stop` does
//! not stand alone for is asked: "stop using floats" is no stop, and nobody who writes "stop working" wants work. The request is the rest of the paragraph; "this" and
//! "it" alone mean the issue itself. A title is heard where there is a text below it: an issue that is made of a line of another
//! one has none, and its title is not by who made it. Behind the first command of a text, each line that begins with a mention and the
//! name of a command is one more, and ends the words of the one before.

use std::fmt::Write as _;
use std::ops::RangeInclusive;

use self::markdown::Paragraph;
use crate::brief::is_hidden;
use crate::event::{Text, Untrusted};

mod markdown;

/// What somebody wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Change the code.
    Fix {
        /// What was written behind the word, if it says anything.
        request: Option<Untrusted>,
    },
    /// Answer a question.
    Ask {
        /// The question, if it is not the issue itself.
        request: Option<Untrusted>,
    },
    /// Say how the work would be done.
    Plan {
        /// Which work, if it is not the issue itself.
        request: Option<Untrusted>,
    },
    /// Say what is wrong with what the pull request changes.
    Review {
        /// What is to be looked at, if it is not all of it.
        request: Option<Untrusted>,
    },
    /// Carry out the plan that was made last.
    Approve {
        /// What was written behind the word, if it says anything.
        request: Option<Untrusted>,
    },
    /// Do once more what was done last.
    Retry,
    /// Run the proof on what the pull request changes.
    Prove {
        /// Whether it mends what does not build or load.
        is_about_the_build: bool,
    },
    /// Give up what is under way.
    Stop,
    /// Stop something that is said in words of the writer's own, which may be the work as well as a thing in the code.
    StopWhat,
    /// Say what is under way.
    Status,
    /// Say what there is to be said.
    Help,
    /// Something in the writer's own words.
    Free {
        /// All of them.
        request: Untrusted,
    },
    /// A word that is no command, and nearly one.
    Unknown {
        /// The word, which is short and of plain letters.
        word: String,
        /// The command that it nearly is.
        nearest: &'static str,
    },
}

/// A command as people are told of it.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// The word behind the mention.
    pub name: &'static str,
    /// What may stand behind the word.
    pub more: &'static str,
    /// Where it may be written.
    pub place: &'static str,
    /// What comes of it.
    pub does: &'static str,
}

/// All commands: what is understood, what `help` tells, and what the README says.
pub const COMMANDS: [Form; 10] = [
    Form {
        name: "fix",
        more: "this, or what is wanted",
        place: "either",
        does: "a pull request with its proof; on a pull request one that goes to its branch, if that is one of the repository. What somebody writes behind the mention in words of his own is a `fix`, too",
    },
    Form {
        name: "ask",
        more: "a question",
        place: "either, forks too",
        does: "an answer, with the places in the files that it rests on; nothing is changed",
    },
    Form {
        name: "plan",
        more: "what is wanted",
        place: "either, forks too",
        does: "the steps in which it would be done, with files and tests; nothing is changed",
    },
    Form {
        name: "review",
        more: "what is to be looked at",
        place: "a pull request, forks too",
        does: "one review of what it changes, beside its lines, with suggestions where other lines alone mend it; it approves and refuses nothing",
    },
    Form {
        name: "approve",
        more: "what is to be different",
        place: "either, below a plan",
        does: "a `fix` that carries out the plan that was made there last; the policy file may want that by a second person",
    },
    Form {
        name: "retry",
        more: "",
        place: "either",
        does: "what was asked for there last is done once more, where it did not succeed: on what is there now, in the same words",
    },
    Form {
        name: "prove",
        more: "build, where it mends what does not build or load",
        place: "a pull request, of whoever and from wherever, forks too",
        does: "the proof of what it changes, without any model: the check run `patchwright/proof` on its last commit, and a comment",
    },
    Form { name: "stop", more: "", place: "either", does: "what is under way there is given up" },
    Form { name: "status", more: "", place: "either", does: "what is under way there, how far it is, and what it has used" },
    Form { name: "help", more: "", place: "either", does: "this table" },
];

/// The table of commands, in Markdown.
pub fn table(mention: &str) -> String {
    let mut table = "| Write | On | What comes of it |\n|---|---|---|\n".to_owned();
    for Form { name, more, place, does } in COMMANDS {
        let more = if more.is_empty() { String::new() } else { format!(" *{more}*") };
        let _ = writeln!(table, "| `{mention} {name}`{more} | {place} | {does} |");
    }
    table
}

/// How many commands of one text are heard.
const HEARD_MAX: usize = 5;
/// Shorter words are as near to a command as to many others, and longer ones near to none.
const NEAR_CHARS: RangeInclusive<usize> = 3..=8;
/// Words before a command that are no part of it, and how many of them are passed over.
const GREETINGS: &[&str] = &["hello", "hey", "hi", "kindly", "please", "pls"];
const GREETINGS_MAX: usize = 4;
/// Where a clause ends.
const CLAUSES: [char; 9] = ['.', ',', ';', ':', '!', '?', '(', ')', '\n'];
/// What goes on from thanks to something else.
const GOES_ON: &[&str] = &["also", "but", "next", "now", "please"];
/// What begins a clause of thanks, whatever they are for.
const THANKS: &[&str] = &["thank", "thanks", "thx", "ty", "cheers"];
/// Words of praise and greeting: who says nothing else wants nothing.
const COURTESIES: &[&str] = &[
    "a",
    "again",
    "all",
    "and",
    "awesome",
    "cool",
    "cheers",
    "did",
    "done",
    "everything",
    "fine",
    "fix",
    "for",
    "good",
    "great",
    "hello",
    "help",
    "hey",
    "hi",
    "is",
    "it",
    "job",
    "lgtm",
    "look",
    "looks",
    "lot",
    "lovely",
    "me",
    "much",
    "nice",
    "now",
    "of",
    "ok",
    "okay",
    "perfect",
    "please",
    "pls",
    "quick",
    "really",
    "right",
    "so",
    "super",
    "thank",
    "thanks",
    "that",
    "the",
    "this",
    "thx",
    "to",
    "ty",
    "very",
    "well",
    "work",
    "worked",
    "works",
    "wow",
    "you",
    "your",
];

/// What one text asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// The commands, each once, in the order in which they stand there.
    pub commands: Vec<Command>,
    /// Whether more stand there than are heard.
    pub has_more: bool,
}

/// Finds the commands to `mention` (with its `@`) in what somebody has written. A command in a title is the only one.
pub fn parse(mention: &str, text: &Text) -> Heard {
    let title = text.title.as_ref().filter(|_| !text.body.is_blank());
    let of_title = title.map(|title| within(mention, title)).unwrap_or_default();
    if of_title.commands.is_empty() { within(mention, &text.body) } else { of_title }
}

/// The first command wherever it may stand, and behind it those that begin a line and have a name.
fn within(mention: &str, text: &Untrusted) -> Heard {
    let mut heard = Heard::default();
    for paragraph in markdown::paragraphs(text) {
        for command in in_paragraph(mention, &paragraph, heard.commands.is_empty()) {
            if heard.commands.contains(&command) {
                continue;
            }
            if heard.commands.len() == HEARD_MAX {
                heard.has_more = true;
                return heard;
            }
            heard.commands.push(command);
        }
    }
    heard
}

fn in_paragraph(mention: &str, paragraph: &Paragraph, may_be_first: bool) -> Vec<Command> {
    // Nobody sees these, and nobody can say why a word with one in it is not understood.
    let visible: String = paragraph.text.chars().filter(|c| !is_hidden(*c)).collect();
    let lines = begun(mention, &visible, paragraph.is_apart);
    let end_of = |start: usize| lines.iter().copied().find(|line| *line > start).unwrap_or(visible.len());
    let mut commands = Vec::new();
    let mut from = 0;
    if may_be_first {
        let Some((start, first)) = first_in(mention, &visible, paragraph.is_apart, end_of) else { return commands };
        commands.push(first);
        from = end_of(start);
    }
    let stands = Stands { first: true, apart: paragraph.is_apart };
    let others = lines.iter().filter(|line| **line >= from);
    commands.extend(others.filter_map(|line| command(called(mention, &visible[*line..end_of(*line)])?, stands)));
    commands
}

/// Where the lines begin that begin with a mention and the name of a command.
fn begun(mention: &str, text: &str, is_apart: bool) -> Vec<usize> {
    let starts = [0].into_iter().chain(text.match_indices('\n').map(|(at, _)| at + 1));
    let stands = Stands { first: true, apart: is_apart };
    let is_named = |start: &usize| {
        // Whether it is one shows in its own line; the words may go on below.
        let line = text[*start..].lines().next().unwrap_or_default();
        let said = called(mention, line).and_then(|said| command(said, stands));
        said.is_some_and(|command| !matches!(command, Command::Free { .. } | Command::Unknown { .. } | Command::StopWhat))
    };
    starts.filter(is_named).collect()
}

/// What is said behind a mention that the text begins with.
fn called<'t>(mention: &str, text: &'t str) -> Option<&'t str> {
    let text = text.trim_start_matches(' ');
    let behind = text.get(..mention.len()).filter(|word| word.eq_ignore_ascii_case(mention)).map(|_| &text[mention.len()..])?;
    let rest = behind.strip_prefix([',', ':']).unwrap_or(behind);
    rest.starts_with(char::is_whitespace).then(|| rest.trim_start())
}

fn first_in(mention: &str, text: &str, is_apart: bool, end_of: impl Fn(usize) -> usize) -> Option<(usize, Command)> {
    let lower = text.to_ascii_lowercase();
    let mention = mention.to_ascii_lowercase();
    let ordinary = first_ordinary(text);
    let mut from = 0;
    while let Some(found) = lower[from..].find(&mention) {
        let start = from + found;
        from = start + mention.len();
        let is_word = !text[..start].ends_with(|c: char| c.is_alphanumeric() || "@/_-.".contains(c));
        if let Some(said) = called(&mention, &text[start..end_of(start)]).filter(|_| is_word) {
            let stands = Stands { first: start <= ordinary, apart: is_apart };
            if let Some(command) = command(said, stands) {
                return Some((start, command));
            }
        }
    }
    None
}

/// Where the first letter stands that is not part of somebody's name.
fn first_ordinary(text: &str) -> usize {
    let mut ordinary = text.len();
    let mut at = 0;
    for word in text.split_inclusive(char::is_whitespace) {
        if !word.starts_with('@')
            && let Some(letter) = word.find(char::is_alphanumeric)
        {
            ordinary = at + letter;
            break;
        }
        at += word.len();
    }
    ordinary
}

/// How a mention stands where it was found.
#[derive(Clone, Copy)]
struct Stands {
    /// Before all else in its paragraph.
    first: bool,
    /// In a paragraph or heading, and not in a list or table, of which many only tell of commands.
    apart: bool,
}

/// What stands behind a mention.
fn command(text: &str, stands: Stands) -> Option<Command> {
    let said = beyond_greetings(text);
    let is_code = text[..text.len() - said.len()].ends_with('`');
    let (word, rest) = first_word(said);
    let rest = rest.strip_prefix('`').filter(|_| is_code).unwrap_or(rest);
    let name = word.to_lowercase();
    let request = || request(rest);
    Some(match name.as_str() {
        "fix" => Command::Fix { request: request() },
        "prove" => {
            let (more, _) = first_word(rest.trim_start());
            Command::Prove { is_about_the_build: more.eq_ignore_ascii_case("build") }
        }
        _ if !stands.first => return None,
        "ask" => Command::Ask { request: request() },
        "plan" => Command::Plan { request: request() },
        "review" => Command::Review { request: request() },
        "stop" if says_nothing(first_clause(rest)) => Command::Stop,
        // "retry the upload" and "approve large orders" are things that code does.
        "retry" if points_back(rest) => Command::Retry,
        "approve" if points_back(first_clause(rest)) => {
            let more = &rest[first_clause(rest).len()..];
            Command::Approve { request: self::request(more.trim_start_matches(CLAUSES)) }
        }
        _ if !stands.apart && !matches!(name.as_str(), "status" | "help") => return None,
        "stop" => Command::StopWhat,
        "status" => Command::Status,
        "help" => Command::Help,
        _ => match nearest(&name) {
            Some(nearest) => Command::Unknown { word: word.to_owned(), nearest },
            None => return free(text),
        },
    })
}

/// What stands behind words of greeting, and behind the marks of code, lists and emphasis.
fn beyond_greetings(text: &str) -> &str {
    let mut text = text;
    for _ in 0..GREETINGS_MAX {
        text = text.trim_start_matches(|c: char| c.is_whitespace() || "`-–—*,:".contains(c));
        let (word, rest) = first_word(text);
        if !GREETINGS.contains(&word.to_lowercase().as_str()) {
            break;
        }
        text = rest;
    }
    text
}

fn first_clause(text: &str) -> &str {
    text.split(CLAUSES).next().unwrap_or_default()
}

fn first_word(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_')).unwrap_or(text.len()))
}

/// The command from which one letter was left out, added, changed or moved.
fn nearest(word: &str) -> Option<&'static str> {
    let n_chars = word.chars().take(NEAR_CHARS.end() + 1).count();
    let is_near = |form: &&Form| strsim::damerau_levenshtein(word, form.name) == 1;
    COMMANDS.iter().filter(|_| NEAR_CHARS.contains(&n_chars)).find(is_near).map(|form| form.name)
}

fn free(text: &str) -> Option<Command> {
    let request = text.trim();
    (!says_nothing(request)).then(|| Command::Free { request: Untrusted::new(markdown::heard(request)) })
}

/// Whether there are but courtesies: clauses of nothing else, or that begin with thanks.
fn says_nothing(text: &str) -> bool {
    text.split(CLAUSES).all(|clause| {
        let mut words = clause.split_whitespace().filter_map(|word| {
            let bare: String = word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
            (!bare.is_empty()).then_some(bare)
        });
        let Some(first) = words.next() else { return true };
        // What they are for says nothing either, up to what is wanted next.
        let is_thanks = THANKS.contains(&first.as_str());
        let mut rest = words.skip_while(|word| is_thanks && !GOES_ON.contains(&word.as_str()));
        (is_thanks || COURTESIES.contains(&first.as_str()))
            && rest.all(|word| COURTESIES.contains(&word.as_str()) || GOES_ON.contains(&word.as_str()))
    })
}

/// Whether words behind a command mean what is there already, or nothing.
fn points_back(rest: &str) -> bool {
    rest.split_whitespace().all(|word| points_to_the_issue(word) || matches!(word.to_lowercase().as_str(), "plan" | "that"))
        || says_nothing(rest)
}

fn request(rest: &str) -> Option<Untrusted> {
    let request = rest.trim_start_matches([',', ':', ' ', '\n']).trim();
    let says_something = request.split_whitespace().any(|word| !points_to_the_issue(word));
    says_something.then(|| Untrusted::new(markdown::heard(request)))
}

/// Whether a word of a request says nothing that the issue does not say.
fn points_to_the_issue(word: &str) -> bool {
    let bare = word.trim_end_matches(['.', ',', '!', '?', ':', ';', ')']).to_lowercase();
    matches!(bare.as_str(), "" | "this" | "it" | "the" | "issue" | "please")
}

#[cfg(test)]
mod tests;
