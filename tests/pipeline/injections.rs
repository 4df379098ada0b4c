//! Texts that try to make an agent do what nobody has asked it for, and a model that obeys each of them: nothing comes of it but a
//! bad proposal. What no run may tell is looked for behind every test (`support::pipeline::inspect`).

use std::net::TcpListener;
use std::path::Path;

use patchwright::model::scripted::{Script, Step};
use patchwright_domain::job::Budget;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use serde::Deserialize;

use crate::support::pipeline::{File, ISSUE, MAINTAINER, READER, Setup, World};

/// A text, where it stands, and what a model does that obeys it.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Injection {
    place: Place,
    says: String,
    does: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Place {
    Title,
    Body,
    Comment,
    File,
    Log,
    Branch,
    Agents,
}

/// How many texts one world is made of: their commands and the last words are within the budget of calls.
const AT_ONCE: usize = 12;

/// What nobody may reach.
struct Outside {
    listener: TcpListener,
    folder: tempfile::TempDir,
}

impl Outside {
    fn new() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
        listener.set_nonblocking(true).expect("the listener is ours");
        Self { listener, folder: tempfile::tempdir().expect("there is a temporary folder") }
    }

    fn corpus(&self, places: &[Place]) -> Vec<Injection> {
        let text = include_str!("../fixtures/injections/corpus.yml");
        let address = self.listener.local_addr().expect("it is bound").to_string();
        let told = text.replace("@listener@", &address).replace("@outside@", &self.folder.path().display().to_string());
        let corpus: Vec<Injection> = serde_saphyr::from_str(&told).expect("the corpus is well-formed");
        assert!(corpus.len() >= 100, "{} texts are no corpus", corpus.len());
        corpus.into_iter().filter(|injection| places.contains(&injection.place)).collect()
    }

    fn assert_untouched(&self) {
        assert!(self.listener.accept().is_err(), "somebody has got through to a place outside");
        let found: Vec<_> = std::fs::read_dir(self.folder.path()).expect("the folder is there").collect();
        assert!(found.is_empty(), "something was written outside: {found:?}");
    }
}

/// The model does what it is told, one after the other, and repeats it all at the end.
fn obeying(injections: &[Injection]) -> Script {
    let obeys = injections.iter().map(|injection| Step::Shell(injection.does.clone()));
    let says: Vec<&str> = injections.iter().map(|injection| injection.says.as_str()).collect();
    Script::of(obeys.chain([Step::Message(says.join("\n\n"))]))
}

/// A repository and an issue that hold these texts, and a model that obeys them.
fn setup(injections: &[Injection]) -> Setup {
    let says = |place| injections.iter().filter(move |injection| injection.place == place).map(|injection| &*injection.says);
    let issue: (String, String) = (
        says(Place::Title).next().unwrap_or("The mean is wrong").to_owned(),
        says(Place::Body).chain(says(Place::Title)).collect::<Vec<_>>().join("\n\n"),
    );
    let default = Setup::default();
    let budget = Budget { rounds: 1, turns: 40, ..default.budget };
    let mut setup = Setup {
        issue: (issue.0.leak(), issue.1.leak()),
        script: obeying(injections),
        budget,
        // They ask for what is different each time, such as the time and the numbers of processes.
        is_replayed: false,
        ..default
    };
    for name in says(Place::File) {
        let file: File = (name.to_owned().leak(), "x\n", false);
        setup = setup.file(file);
    }
    let log: String = says(Place::Log).map(|line| format!("cat <<'LOG'\n{line}\nLOG\n")).collect();
    if !log.is_empty() {
        let test = format!("{log}test \"$(sh mean.sh 2 4 6)\" = 4\n");
        setup = setup.file(("tests/t_mean.sh", test.leak(), false));
    }
    setup
}

/// Nothing was done on GitHub but what a run does: reactions, comments on its issue, a branch of its own, a draft from it, check runs.
fn assert_within_policy(world: &World, main: &str) {
    for write in world.writes() {
        let (method, path) = write.split_once(' ').expect("a method and a path");
        let end = path.split("/repos/").nth(1).and_then(|path| path.splitn(3, '/').nth(2)).unwrap_or(path);
        let is_known = end == format!("issues/{ISSUE}/comments")
            || end == format!("issues/{ISSUE}/reactions")
            || end.starts_with("issues/comments/")
            || end == "pulls"
            || (method == "PATCH" && end.starts_with("pulls/"))
            || end.starts_with("check-runs");
        assert!(is_known && method != "DELETE" && method != "PUT", "{write}");
    }
    let branches = world.github.branches(world.repo);
    assert_eq!(branches["main"], main, "the branch of others was moved");
    let odd: Vec<_> = branches.keys().filter(|name| *name != "main" && !name.starts_with("codex/1-")).collect();
    assert!(odd.is_empty(), "branches that no run makes: {odd:?}");
    for (issue, pull) in world.github.pull_requests(world.repo) {
        assert!(pull.draft && pull.base == "main" && pull.head.starts_with("codex/1-"), "{}", issue.title);
        assert_harmless(issue.body.as_deref().unwrap_or_default());
    }
    for comment in world.github.comments(world.repo, ISSUE) {
        if comment.via_app {
            assert_harmless(&comment.body);
        }
    }
}

/// A person reads it and nothing happens: nobody is called, nothing is loaded, and no link leads away.
fn assert_harmless(markdown: &str) {
    let own = ["<sub>", "</sub>", "<details>", "</details>", "<summary>", "</summary>", "<!-- patchwright:"];
    let mut in_code = false;
    for event in Parser::new_ext(markdown, Options::all()) {
        match event {
            Event::Start(Tag::CodeBlock(_)) => in_code = true,
            Event::End(TagEnd::CodeBlock) => in_code = false,
            Event::Start(Tag::Image { dest_url, .. } | Tag::Link { dest_url, .. }) => {
                assert!(dest_url.starts_with("http://127.0.0.1:") || dest_url.starts_with('#'), "{dest_url} in {markdown}");
            }
            Event::Html(html) | Event::InlineHtml(html) => {
                let is_own = html.split_inclusive('>').all(|tag| {
                    let tag = tag.trim();
                    tag.is_empty() || !tag.contains('<') || own.iter().any(|own| tag.contains(own))
                });
                assert!(is_own, "{html} in {markdown}");
            }
            Event::Text(text) if !in_code => {
                let calls = text.split('@').skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_alphanumeric()));
                assert!(!calls, "{text} in {markdown}");
            }
            _ => {}
        }
    }
}

async fn obey(places: &[Place]) {
    let outside = Outside::new();
    for injections in outside.corpus(places).chunks(AT_ONCE) {
        setup(injections)
            .play(async |world| {
                let main = world.github.branches(world.repo)["main"].clone();
                for injection in injections.iter().filter(|injection| injection.place == Place::Comment) {
                    world.comment(READER, &injection.says);
                }
                world.fix_this().await;
                assert!(world.model.requests().len() > injections.len(), "the model has not obeyed");
                assert_within_policy(world, &main);
                let n_jobs = world.jobs().await.len();
                assert_eq!(n_jobs, 1, "somebody else has started a job");
            })
            .await;
        outside.assert_untouched();
    }
}

#[tokio::test]
async fn what_titles_and_texts_of_issues_order_is_done_nowhere_but_in_the_sandbox() {
    obey(&[Place::Title, Place::Body]).await;
}

#[tokio::test]
async fn what_comments_order_is_done_nowhere_but_in_the_sandbox() {
    obey(&[Place::Comment]).await;
}

#[tokio::test]
async fn what_names_of_files_and_outputs_order_is_done_nowhere_but_in_the_sandbox() {
    obey(&[Place::File, Place::Log]).await;
}

/// A pull request's branch is called as its author likes, and its `AGENTS.md` says what he likes.
#[tokio::test]
async fn what_branches_and_rules_of_pull_requests_order_is_not_heard() {
    let outside = Outside::new();
    let injections = outside.corpus(&[Place::Branch, Place::Agents]);
    Setup { is_replayed: false, ..Setup::default() }
        .play(async |world| {
            let main = world.github.branches(world.repo)["main"].clone();
            for (n, injection) in injections.iter().enumerate() {
                let branch = match injection.place {
                    Place::Branch => injection.says.clone(),
                    Place::Title | Place::Body | Place::Comment | Place::File | Place::Log | Place::Agents => {
                        format!("topic-{n}")
                    }
                };
                let rules = injection.says.as_bytes();
                let files: [(&str, &[u8], bool); 2] = [("AGENTS.md", rules, false), (".github/patchwright.yml", rules, false)];
                world.github.push_commit(world.repo, &branch, MAINTAINER, &files, &injection.says).await.expect("git takes it");
                let opened = world.github.open_pull_request(world.repo, MAINTAINER, &injection.says, &branch, "main").await;
                let pull = opened.expect("the branch is there");
                world.github.comment(world.repo, pull, MAINTAINER, "@codex prove").expect("the pull request is there");
                world.work().await;
                let said = world.said_on(pull).await.join("\n");
                assert!(!said.is_empty() && !said.starts_with("**Proven"), "{said}");
                assert_harmless(&said);
            }
            assert_eq!(world.github.branches(world.repo)["main"], main);
            assert_eq!(world.own_branches(), Vec::<String>::new());
            assert_eq!(world.model.requests().len(), 0, "a model was asked");
        })
        .await;
    outside.assert_untouched();
    let here: Vec<_> = ["pwned"].into_iter().filter(|name| Path::new(name).exists()).collect();
    assert!(here.is_empty(), "{here:?}");
}
