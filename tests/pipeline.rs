//! The whole pipeline, from a signed webhook to what a person reads on GitHub: one test for each way it can go.

mod command_line;
mod crashes;
mod hostile;
mod limits;
mod refusals;
mod requests;
mod trouble;
mod verdicts;
mod webhooks;
