//! The tools that a setup is made of, unchanged, against small registries of our own.
