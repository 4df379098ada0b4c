//! One sandbox, and a weaker one for machines that give no namespaces. It is made only where the operator has said that the
//! weaker one is enough; which of them it is is found by trying, and is said wherever walls are.

use std::path::Path;

use async_trait::async_trait;
use patchwright_launcher::status::remedy_for_lack_of_namespaces;
use tokio::sync::Mutex;

use crate::sandbox::{Capabilities, Executor, Isolation, Limits, Profile, Refusal, Sandbox, Terms, Tree};

/// Two sandboxes of this machine.
pub struct Fallback {
    strong: Box<dyn Sandbox>,
    weak: Box<dyn Sandbox>,
    /// Which one the last probe chose; before the first there is none.
    chosen: Mutex<Option<Choice>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    Strong,
    Weak,
}

impl Fallback {
    /// Uses `weak` only where `strong` cannot be had for lack of namespaces.
    pub fn new(strong: impl Sandbox + 'static, weak: impl Sandbox + 'static) -> Self {
        Self { strong: Box::new(strong), weak: Box::new(weak), chosen: Mutex::default() }
    }

    fn of(&self, choice: Choice) -> &dyn Sandbox {
        match choice {
            Choice::Strong => self.strong.as_ref(),
            Choice::Weak => self.weak.as_ref(),
        }
    }

    /// What was chosen, or what a probe chooses now.
    async fn chosen(&self) -> Result<(Choice, &dyn Sandbox), Refusal> {
        let last = *self.chosen.lock().await;
        if let Some(choice) = last {
            return Ok((choice, self.of(choice)));
        }
        self.probe().await?;
        let choice = self.chosen.lock().await.unwrap_or(Choice::Strong);
        Ok((choice, self.of(choice)))
    }

    async fn try_both(&self) -> Result<(Choice, Capabilities), Refusal> {
        let refusal = match self.strong.probe().await {
            Ok(found) => return Ok((Choice::Strong, found)),
            Err(refusal) => refusal,
        };
        let Some(remedy) = remedy_for_lack_of_namespaces(&refusal.remedy) else { return Err(refusal) };
        match self.weak.probe().await {
            Ok(mut found) => {
                found.advice.insert(0, format!("the walls could be stronger, but {} is missing; {remedy}", refusal.missing));
                Ok((Choice::Weak, found))
            }
            Err(weaker) => Err(Refusal {
                missing: format!("{}; and in its place {}", refusal.missing, weaker.missing),
                remedy: format!("{remedy} Or {}", weaker.remedy),
            }),
        }
    }
}

#[async_trait]
impl Sandbox for Fallback {
    fn name(&self) -> &'static str {
        self.strong.name()
    }

    fn limits(&self) -> Limits {
        self.strong.limits()
    }

    async fn probe(&self) -> Result<Capabilities, Refusal> {
        let mut chosen = self.chosen.lock().await;
        let tried = self.try_both().await;
        let choice = tried.as_ref().ok().map(|(choice, _)| *choice);
        if choice == Some(Choice::Weak) && *chosen != choice {
            tracing::warn!("this machine gives no namespaces: commands run behind rules on files alone (Landlock), as allowed");
        }
        *chosen = choice;
        tried.map(|(_, found)| found)
    }

    async fn open(&self, tree: Tree<'_>, terms: Terms<'_>) -> Result<Box<dyn Executor>, Refusal> {
        let (choice, sandbox) = self.chosen().await?;
        // Another probe may have chosen anew since somebody looked whether the walls are strong enough.
        if choice == Choice::Weak && terms.isolation > Isolation::Landlock {
            return Err(Refusal {
                missing: format!("walls as strong as is demanded: `{}`, and this machine now gives `landlock`", terms.isolation),
                remedy: "let this machine give namespaces again, which `patchwright doctor` says how to do".to_owned(),
            });
        }
        sandbox.open(tree, terms).await
    }

    async fn layers(&self, place: &Path, profile: Profile) -> bool {
        match self.chosen().await {
            Ok((_, sandbox)) => sandbox.layers(place, profile).await,
            Err(_) => false,
        }
    }

    async fn sweep(&self) -> Result<(), Refusal> {
        self.strong.sweep().await?;
        self.weak.sweep().await
    }
}
