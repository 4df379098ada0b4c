//! The tools beside the built-in ones: they answer what they answered when the run was recorded, and nothing is started.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use patchwright_domain::job::Mode;
use patchwright_domain::turn::Tool;
use serde_json::{Map, Value};

use super::{State, lock};
use crate::agent::toolbox::{LeftOut, Toolbox, Tools};
use crate::agent::turns::transcript::Line;
use crate::sandbox::Executor;

/// What was on offer then.
#[derive(Clone)]
pub(super) struct Answered {
    pub(super) tools: Vec<Tool>,
    pub(super) state: Arc<Mutex<State>>,
}

#[async_trait]
impl Toolbox for Answered {
    async fn open(&self, _mode: Mode, _executor: &mut dyn Executor, _time_left: Duration) -> Box<dyn Tools> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Tools for Answered {
    fn on_offer(&self) -> &[Tool] {
        &self.tools
    }

    fn left_out(&self) -> &[LeftOut] {
        &[]
    }

    async fn call(&mut self, name: &str, arguments: &Map<String, Value>) -> Result<String, String> {
        let mut state = lock(&self.state);
        let Some(Line::External { name: called, arguments: with, told, is_error }) = state.external.pop_front() else {
            state.differs(format!("{name} is called where it was not"));
            return Err("this call is not in the recording".to_owned());
        };
        if called != name || with != *arguments {
            state.differs(format!("{called} was called, and {name} is, or with something else"));
        }
        if is_error { Err(told) } else { Ok(told) }
    }

    async fn close(&mut self) {}
}
