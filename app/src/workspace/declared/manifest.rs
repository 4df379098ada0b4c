//! The sources that a package's `Cargo.toml` names.

use toml::{Table, Value};

use crate::syntax::modules::{Declaration, Meant, Modules, Who, unread};

/// How large a manifest may be that is read, in bytes; a larger one may name any source.
const MANIFEST_BYTES_MAX: usize = 1 << 20;

/// The roots of crates that a manifest names. What cannot be read is not read by cargo either.
pub(super) fn targets(path: &str, text: &[u8]) -> Modules {
    if text.len() > MANIFEST_BYTES_MAX {
        return unread();
    }
    let table = std::str::from_utf8(text).ok().and_then(|text| toml::from_str::<Table>(text).ok()).unwrap_or_default();
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let named = |target: &Value| target.get("path").and_then(Value::as_str).map(str::to_owned);
    let of = |kind: &str| -> Vec<String> {
        match table.get(kind) {
            Some(Value::Array(targets)) => targets.iter().filter_map(named).collect(),
            Some(target) => named(target).into_iter().collect(),
            None => Vec::new(),
        }
    };
    let build = table.get("package").and_then(|package| package.get("build")).and_then(Value::as_str).map(str::to_owned);
    let program = ["lib", "bin", "example", "bench"].into_iter().flat_map(of).chain(build).map(|path| (path, Who::Program));
    let tests = of("test").into_iter().map(|path| (path, Who::Tests));
    let place = |(path, who): (String, Who)| {
        let place = crate::syntax::modules::plain(&format!("{folder}/{path}"))?;
        Some(Declaration { meant: Meant::Places(vec![place]), who, by: Vec::new() })
    };
    Modules { declarations: program.chain(tests).filter_map(place).collect(), ..Modules::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_roots_that_a_manifest_names_are_declared() {
        let text = "[package]\nname = \"a\"\nbuild = \"make.rs\"\n[lib]\npath = \"a.rs\"\n[[bin]]\npath = \"../b.rs\"\n\
                    [[bin]]\nname = \"c\"\n[[test]]\npath = \"checks/d.rs\"\n";
        let found = targets("x/Cargo.toml", text.as_bytes()).declarations;
        let of = |place: &str, who| Declaration { meant: Meant::Places(vec![place.to_owned()]), who, by: Vec::new() };
        let program = [of("x/a.rs", Who::Program), of("b.rs", Who::Program), of("x/make.rs", Who::Program)];
        assert_eq!(found, [&program[..], &[of("x/checks/d.rs", Who::Tests)]].concat());
        assert_eq!(targets("Cargo.toml", b"[[bin]\n"), Modules::default());
        assert_eq!(targets("Cargo.toml", &[b' '; MANIFEST_BYTES_MAX + 1]), unread());
    }
}
