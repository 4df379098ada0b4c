//! Which language a file is in, and its grammar.

use std::path::Path;

/// A language that we have a parser for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Language {
    Bash,
    C,
    Cpp,
    Go,
    Java,
    JavaScript,
    Json,
    Python,
    Ruby,
    Rust,
    Toml,
    Tsx,
    TypeScript,
    Yaml,
}

impl Language {
    /// The name that people know it by.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bash => "shell",
            Self::C => "C",
            Self::Cpp => "C++",
            Self::Go => "Go",
            Self::Java => "Java",
            Self::JavaScript => "JavaScript",
            Self::Json => "JSON",
            Self::Python => "Python",
            Self::Ruby => "Ruby",
            Self::Rust => "Rust",
            Self::Toml => "TOML",
            Self::Tsx => "TSX",
            Self::TypeScript => "TypeScript",
            Self::Yaml => "YAML",
        }
    }

    /// The grammar; `None` for the data formats that have a parser of their own.
    pub(super) fn grammar(self) -> Option<tree_sitter::Language> {
        Some(match self {
            Self::Bash => tree_sitter_bash::LANGUAGE.into(),
            Self::C => tree_sitter_c::LANGUAGE.into(),
            Self::Cpp => tree_sitter_cpp::LANGUAGE.into(),
            Self::Go => tree_sitter_go::LANGUAGE.into(),
            Self::Java => tree_sitter_java::LANGUAGE.into(),
            Self::JavaScript => tree_sitter_javascript::LANGUAGE.into(),
            Self::Json => tree_sitter_json::LANGUAGE.into(),
            Self::Python => tree_sitter_python::LANGUAGE.into(),
            Self::Ruby => tree_sitter_ruby::LANGUAGE.into(),
            Self::Rust => tree_sitter_rust::LANGUAGE.into(),
            Self::Tsx => tree_sitter_typescript::LANGUAGE_TSX.into(),
            Self::TypeScript => tree_sitter_typescript::LANGUAGE_TYPESCRIPT.into(),
            Self::Toml | Self::Yaml => return None,
        })
    }
}

/// The language of a file by the end of its name, or by the program that its first line names.
pub(super) fn of(path: &str, content: &[u8]) -> Option<Language> {
    let path = Path::new(path);
    match path.extension() {
        Some(extension) => by_extension(extension.to_str()?),
        None => by_name(path.file_name()?.to_str()?).or_else(|| by_interpreter(content)),
    }
}

fn by_extension(extension: &str) -> Option<Language> {
    Some(match extension {
        "bash" | "sh" => Language::Bash,
        "c" => Language::C,
        // A `.h` may be either, and C++ takes nearly all of C.
        "cc" | "cpp" | "cxx" | "h" | "hh" | "hpp" | "hxx" => Language::Cpp,
        "go" => Language::Go,
        "java" => Language::Java,
        "cjs" | "js" | "jsx" | "mjs" => Language::JavaScript,
        "json" => Language::Json,
        "py" | "pyi" => Language::Python,
        "gemspec" | "rake" | "rb" => Language::Ruby,
        "rs" => Language::Rust,
        "toml" => Language::Toml,
        "tsx" => Language::Tsx,
        "cts" | "mts" | "ts" => Language::TypeScript,
        "yaml" | "yml" => Language::Yaml,
        _ => return None,
    })
}

fn by_name(name: &str) -> Option<Language> {
    matches!(name, "Gemfile" | "Rakefile" | "Vagrantfile").then_some(Language::Ruby)
}

/// By `#!/usr/bin/env python3` and its like.
fn by_interpreter(content: &[u8]) -> Option<Language> {
    let line = content.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?;
    let program = line.split_whitespace().find(|word| !word.ends_with("/env") && !word.starts_with('-'))?;
    let name = program.rsplit('/').next()?.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    match name {
        "bash" | "sh" | "dash" | "ksh" => Some(Language::Bash),
        "node" => Some(Language::JavaScript),
        "python" => Some(Language::Python),
        "ruby" => Some(Language::Ruby),
        _ => None,
    }
}
