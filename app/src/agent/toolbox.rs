//! Tools beside the built-in ones: where a solve gets them from, and how it calls them.
//!
//! The port knows no protocol. A replay has tools that answer from the record.

use std::time::Duration;

use async_trait::async_trait;
use patchwright_domain::job::Mode;
use patchwright_domain::turn::Tool;
use serde_json::{Map, Value};

use crate::sandbox::Executor;

/// Where tools come from.
#[async_trait]
pub trait Toolbox: Send + Sync {
    /// Gets what there is for a solve in this mode, within this time. Whatever cannot be had is left out: the solve goes on.
    async fn open(&self, mode: Mode, executor: &mut dyn Executor, time_left: Duration) -> Box<dyn Tools>;
}

/// The tools of one solve.
#[async_trait]
pub trait Tools: Send {
    /// What is on offer, in a stable order.
    fn on_offer(&self) -> &[Tool];

    /// What is not, though it was set up.
    fn left_out(&self) -> &[LeftOut];

    /// Calls a tool on offer, in bounded time. The answer is for the model, bounded and fenced.
    ///
    /// # Errors
    /// What the model is told where the tool failed, or could not be called.
    async fn call(&mut self, name: &str, arguments: &Map<String, Value>) -> Result<String, String>;

    /// Lets go of everything; nothing of it runs when this returns.
    async fn close(&mut self);
}

/// Something that was set up and is not on offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its name.
    pub what: String,
    /// Why, for the operator.
    pub reason: String,
}

/// No tools but the built-in ones.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTools;

#[async_trait]
impl Toolbox for NoTools {
    async fn open(&self, _mode: Mode, _executor: &mut dyn Executor, _time_left: Duration) -> Box<dyn Tools> {
        Box::new(Self)
    }
}

#[async_trait]
impl Tools for NoTools {
    fn on_offer(&self) -> &[Tool] {
        &[]
    }

    fn left_out(&self) -> &[LeftOut] {
        &[]
    }

    async fn call(&mut self, _name: &str, _arguments: &Map<String, Value>) -> Result<String, String> {
        Err("this tool is not here".to_owned())
    }

    async fn close(&mut self) {}
}
