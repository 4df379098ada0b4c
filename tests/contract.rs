//! The contract suites of the ports, one module each.

mod sandbox;
