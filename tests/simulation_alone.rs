//! The simulation without the other tests, for `.ci/run`, which builds it optimised and plays many more schedules.

mod simulation;
