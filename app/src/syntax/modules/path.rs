//! The paths of files as sources tell them.

use proc_macro2::{TokenStream, TokenTree};

use super::{Meant, word};

/// How deep calls of `concat!` are looked into that stand in each other.
const DEPTH_MAX: usize = 8;

/// A path as far as a source tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// This text.
    Text(String),
    /// From the folder of the source's package.
    InPackage(String),
    /// A file that the build makes, outside of the repository.
    Elsewhere,
    /// Parts of it; the last is empty where its end is not known.
    Parts(Vec<String>),
}

/// A part of a path.
enum Piece {
    Text(String),
    Package,
    Made,
    Unknown,
}

impl Told {
    /// The whole text, where that is it.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::InPackage(_) | Self::Elsewhere | Self::Parts(_) => None,
        }
    }

    /// All files that it may be.
    pub(super) fn like(&self) -> Meant {
        let parts = match self {
            Self::Text(text) | Self::InPackage(text) => vec![text.clone()],
            Self::Elsewhere => Vec::new(),
            Self::Parts(parts) => parts.clone(),
        };
        let is_begun = !matches!(self, Self::Parts(_));
        // What leads up is not known to lead anywhere; what stands behind it is in the path.
        let known = |part: &String| match part.rsplit_once("../").or_else(|| part.strip_prefix("./").map(|rest| ("", rest))) {
            Some((_, rest)) => format!("/{rest}"),
            None if is_begun => format!("/{}", part.trim_start_matches('/')),
            None => part.clone(),
        };
        Meant::Like(parts.iter().map(known).collect())
    }
}

/// The path that these tokens are.
pub(super) fn told(stream: TokenStream) -> Told {
    let mut pieces = Vec::new();
    take(stream, DEPTH_MAX, &mut pieces);
    let texts = |pieces: &[Piece]| -> Option<String> {
        pieces.iter().map(|piece| if let Piece::Text(text) = piece { Some(text.as_str()) } else { None }).collect()
    };
    let joined = match pieces.as_slice() {
        [Piece::Package, rest @ ..] => texts(rest).map(Told::InPackage),
        [Piece::Made, rest @ ..] => texts(rest).filter(|text| !text.split('/').any(|part| part == "..")).map(|_| Told::Elsewhere),
        [] => None,
        pieces => texts(pieces).map(Told::Text),
    };
    joined.unwrap_or_else(|| {
        let has_end = matches!(pieces.last(), Some(Piece::Text(_)));
        let texts = pieces.into_iter().filter_map(|piece| if let Piece::Text(text) = piece { Some(text) } else { None });
        Told::Parts(texts.chain((!has_end).then(String::new)).collect())
    })
}

fn take(stream: TokenStream, depth: usize, pieces: &mut Vec<Piece>) {
    let tokens: Vec<TokenTree> = stream.into_iter().collect();
    for part in tokens.split(|token| matches!(token, TokenTree::Punct(comma) if comma.as_char() == ',')) {
        match (part, depth.checked_sub(1)) {
            ([], _) => {}
            ([TokenTree::Literal(literal)], _) => pieces.push(text(&literal.to_string()).map_or(Piece::Unknown, Piece::Text)),
            ([TokenTree::Ident(name), TokenTree::Punct(_), TokenTree::Group(group)], Some(depth)) if word(name) == "concat" => {
                take(group.stream(), depth, pieces);
            }
            ([TokenTree::Ident(name), TokenTree::Punct(_), TokenTree::Group(group)], Some(_)) if word(name) == "env" => {
                let variable = match group.stream().into_iter().next() {
                    Some(TokenTree::Literal(literal)) => text(&literal.to_string()),
                    _ => None,
                };
                pieces.push(match variable.as_deref() {
                    Some("CARGO_MANIFEST_DIR") => Piece::Package,
                    Some("OUT_DIR") => Piece::Made,
                    _ => Piece::Unknown,
                });
            }
            _ => pieces.push(Piece::Unknown),
        }
    }
}

/// What a literal in quotes says, raw or not; `None` where it is another, or has escapes.
fn text(literal: &str) -> Option<String> {
    let (is_raw, bare) = literal.strip_prefix('r').map_or((false, literal), |rest| (true, rest.trim_matches('#')));
    let text = bare.strip_prefix('"')?.strip_suffix('"')?;
    (is_raw || !text.contains('\\')).then(|| text.to_owned())
}

/// Where the file of a module may be: the compiler's rules, and where they turn on whether a file is the root of a crate, which
/// cannot be told from the file, both ways.
pub(super) fn places(source: &str, folders: &[String], name: &str, path: Option<&str>) -> Vec<String> {
    let (folder, file) = source.rsplit_once('/').unwrap_or(("", source));
    let stem = file.strip_suffix(".rs").unwrap_or(file);
    let (beside, below) = (folder.to_owned(), format!("{folder}/{stem}"));
    let owns_its_folder = matches!(stem, "mod" | "lib" | "main" | "build");
    let roots = if owns_its_folder { [beside, below] } else { [below, beside] };
    let inside = |root: &str| [root, &folders.join("/")].join("/");
    match path {
        Some(path) if folders.is_empty() => vec![format!("{folder}/{path}")],
        Some(path) => roots.iter().map(|root| format!("{}/{path}", inside(root))).collect(),
        None => {
            let both = |root: &String| [format!("{}/{name}.rs", inside(root)), format!("{}/{name}/mod.rs", inside(root))];
            roots.iter().flat_map(both).collect()
        }
    }
}
