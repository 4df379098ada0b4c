//! Globs for paths, read as lines of `.gitignore` are: `docs/` is that folder wherever it is, `/docs/` the one at the root,
//! `*.sql` every such file, and `**` any number of folders. A folder means all that is in it.

use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// Globs, of which one may fit a path.
#[derive(Clone, Debug)]
pub struct Globs(Gitignore);

impl Globs {
    /// Reads the globs.
    ///
    /// # Errors
    /// Why one of them is none.
    pub fn new<'a>(globs: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut builder = GitignoreBuilder::new("");
        for glob in globs {
            // In such a file these are other things than globs, and one that takes back another would widen what it narrows.
            if glob.starts_with(['!', '#']) {
                return Err("a glob must not begin with `!` or `#`".into());
            }
            if glob.trim().trim_matches('/').is_empty() {
                return Err("that is no glob: it names nothing".into());
            }
            // Paths have no such parts, so the glob would fit none of them, and protect nothing.
            if glob.trim().split('/').any(|part| matches!(part, "." | "..")) {
                return Err("a glob must not have `.` or `..` between its slashes; `/` before it is the root".into());
            }
            builder.add_line(None, glob).map_err(|error| format!("that is no glob: {error}"))?;
        }
        builder.build().map(Self).map_err(|error| format!("these are no globs: {error}"))
    }

    /// Reads globs for branches: the same, from the beginning of a branch's name on, so that `main` is that one alone.
    ///
    /// # Errors
    /// Why one of them is none.
    pub fn of_branches<'a>(globs: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let anchored: Vec<String> = globs.into_iter().map(|glob| format!("/{}", glob.trim_start_matches('/'))).collect();
        Self::new(anchored.iter().map(String::as_str))
    }

    /// Whether one of them fits a file's path from the repository's root, or a folder that it is in.
    pub fn fit(&self, path: &str) -> bool {
        let path = path.trim_start_matches('/');
        self.0.matched_path_or_any_parents(path, false).is_ignore()
    }
}

#[cfg(test)]
mod tests {
    use super::Globs;

    #[test]
    fn globs_are_read_as_in_gitignore() {
        for (glob, fits, fits_not) in [
            ("docs/", "docs/a.md", "src/docs.rs"),
            ("docs/", "app/docs/deep/a.md", "docs"),
            ("/docs/", "docs/a.md", "app/docs/a.md"),
            ("*.sql", "a/b/c.sql", "a/b/c.sql.rs"),
            ("src/**/gen.rs", "src/a/b/gen.rs", "lib/gen.rs"),
            ("migrations", "db/migrations/1.sql", "db/migrations_of_data/1.sql"),
        ] {
            let globs = Globs::new([glob]).unwrap();
            assert!(globs.fit(fits) && !globs.fit(fits_not), "{glob}");
        }
        assert!(!Globs::new([]).unwrap().fit("a"));
    }

    #[test]
    fn globs_of_branches_begin_where_the_name_does() {
        for (glob, fits, fits_not) in [
            ("main", "main", "eve/main"),
            ("/main", "main", "main2"),
            ("release/*", "release/1.2", "old/release/1.2"),
            ("release/", "release/1/x", "release"),
            ("*-stable", "v1-stable", "eve/v1-stable"),
            ("**/stable", "eve/stable", "stables"),
            ("*", "any/thing", ""),
        ] {
            let globs = Globs::of_branches([glob]).unwrap();
            assert!(globs.fit(fits) && (fits_not.is_empty() || !globs.fit(fits_not)), "{glob}");
        }
        assert!(Globs::of_branches(["!main"]).is_ok_and(|globs| !globs.fit("main")));
    }

    #[test]
    fn what_would_fit_nothing_or_everything_by_mistake_is_none() {
        for glob in ["/ ", "// ", "\t/", " ", ".", "./src/", "src/./a", "../src", "src/.. "] {
            assert!(Globs::new([glob]).is_err(), "{glob:?}");
        }
        for glob in [".github/", "*.rs", "a..b", "/.env"] {
            assert!(Globs::new([glob]).is_ok(), "{glob:?}");
        }
    }

    #[test]
    fn what_takes_a_glob_back_is_none() {
        for glob in ["!src/", "# src", "/", "//"] {
            assert!(Globs::new([glob]).is_err(), "{glob}");
        }
    }
}
