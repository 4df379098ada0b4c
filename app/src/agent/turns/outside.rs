//! The tools beside the built-in ones, with a line for each of their answers.

use std::time::Duration;

use patchwright_domain::job::Mode;
use patchwright_domain::turn::Tool;
use serde_json::{Map, Value};
use tokio::time::timeout;

use super::transcript::Line;
use crate::agent::toolbox::{LeftOut, Toolbox, Tools};
use crate::sandbox::Executor;

/// Passes calls on, and keeps what came of them.
pub(super) struct Outside {
    tools: Box<dyn Tools>,
    lines: Vec<Line>,
}

impl Outside {
    pub(super) async fn open(toolbox: &dyn Toolbox, mode: Mode, executor: &mut dyn Executor, time_left: Duration) -> Self {
        let tools = toolbox.open(mode, executor, time_left).await;
        let left_out = |LeftOut { what, reason }: &LeftOut| Line::LeftOut { what: what.clone(), reason: reason.clone() };
        let lines = tools.left_out().iter().map(left_out).collect();
        Self { tools, lines }
    }

    pub(super) fn on_offer(&self) -> &[Tool] {
        self.tools.on_offer()
    }

    /// What the model is told.
    pub(super) async fn call(&mut self, name: &str, arguments: &Map<String, Value>, time_left: Duration) -> String {
        let answered = match timeout(time_left, self.tools.call(name, arguments)).await {
            Ok(answered) => answered,
            Err(_) => Err(format!("{name} gave no answer in the time that is left")),
        };
        let is_error = answered.is_err();
        let (Ok(told) | Err(told)) = answered;
        let (name, arguments) = (name.to_owned(), arguments.clone());
        self.lines.push(Line::External { name, arguments, told: told.clone(), is_error });
        told
    }

    /// The lines since the last time.
    pub(super) fn take(&mut self) -> Vec<Line> {
        std::mem::take(&mut self.lines)
    }

    pub(super) async fn close(mut self) {
        self.tools.close().await;
    }
}
