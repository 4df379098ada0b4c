//! Where tools go that are not configured and do not tell: the only place in which hosts of registries are named.

/// Cargo's: the index, and what it leads to.
pub const CARGO: &[&str] = &["index.crates.io", "static.crates.io", "crates.io"];

/// uv's index, which is also pip's.
pub const PYTHON: &str = "pypi.org";

/// Where the files are that an index leads to, by the index's host.
pub const PYTHON_FILES: &[(&str, &str)] = &[("pypi.org", "files.pythonhosted.org")];
