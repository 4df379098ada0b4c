//! What Patchwright decides, without any input or output.
//!
//! Everything here is a function of its arguments: no clock, no environment, no file, no process, no network, no
//! randomness. The program around it fetches facts, asks this crate what follows, and does it.

pub mod answer;
pub mod attestation;
pub mod brief;
pub mod delay;
pub mod demands;
pub mod ecosystem;
pub mod effect;
pub mod event;
pub mod excerpt;
pub mod instructions;
pub mod job;
pub mod job_log;
pub mod journal;
pub mod patch;
pub mod policy;
pub mod proof;
pub mod report;
pub mod results;
pub mod review;
pub mod run;
pub mod scope;
pub mod triage;
pub mod turn;
pub mod walls;
pub mod workflow;

#[cfg(test)]
mod sample;
