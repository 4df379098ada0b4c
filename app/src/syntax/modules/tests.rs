use super::*;

/// What each declaration means, with a mark where it is not the program's alone.
fn of(path: &str, text: &str) -> Vec<String> {
    let told = |declaration: Declaration| {
        let mark = match declaration.who {
            Who::Program => "",
            Who::Tests => " (tests)",
            Who::Either => " (either)",
        };
        let meant = match declaration.meant {
            Meant::Places(places) => places.first().and_then(|place| plain(place)).unwrap_or_default(),
            Meant::InPackage(path) => format!("package:{path}"),
            Meant::Like(parts) => parts.join("*"),
            Meant::Anything => "anything".to_owned(),
        };
        format!("{meant}{mark}")
    };
    let mut told: Vec<String> = modules(path, text.as_bytes()).declarations.into_iter().map(told).collect();
    told.sort();
    told
}

#[test]
fn what_a_source_declares_is_looked_for_where_the_compiler_does() {
    let text = "mod a;\n#[cfg(test)]\n/// Values.\npub(crate) mod b;\n#[cfg(test)] mod c { fn f() {} mod d; }\nmod e {}\n";
    assert_eq!(of("src/lib.rs", text), ["src/a.rs", "src/b.rs (tests)", "src/c/d.rs (tests)"]);
    assert_eq!(of("src/x.rs", text), ["src/x/a.rs", "src/x/b.rs (tests)", "src/x/c/d.rs (tests)"]);
    assert_eq!(of("lib.rs", "mod a;\n"), ["a.rs"]);
    let Meant::Places(places) = modules("src/x.rs", b"mod a;\n").declarations.remove(0).meant else { panic!("no places") };
    let places: Vec<String> = places.iter().filter_map(|place| plain(place)).collect();
    assert_eq!(places, ["src/x/a.rs", "src/x/a/mod.rs", "src/a.rs", "src/a/mod.rs"]);
    let elsewhere = "#[path = \"../y/a.rs\"]\n#[cfg(test)]\nmod a;\nmod b { #[path=\"c.rs\"] mod c; }\n";
    assert_eq!(of("src/lib.rs", elsewhere), ["src/b/c.rs", "y/a.rs (tests)"]);
    assert_eq!(of("src/lib.rs", "#[path = \"../../a.rs\"]\nmod a;\n"), [""], "it is out of the repository");
    assert_eq!(of("src/lib.rs", "#!/usr/bin/env x\nfn f() {\n    #[path = r#\"y.rs\"#]\n    mod r#a;\n}\n"), ["src/y.rs"]);
}

#[test]
fn what_a_source_includes_is_its_own() {
    let text = "const A: &str = include_str!(\"a.txt\");\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn b() { include! ( \"../b.rs\" ); \
                include_bytes!(concat!(\"c\", r\"d\")); }\n}\n#[test]\nfn e() { f(include_bytes![\"e.bin\"]) }\n";
    assert_eq!(of("src/lib.rs", text), ["b.rs (tests)", "src/a.txt", "src/cd (tests)", "src/e.bin (tests)"]);
    let of_package =
        "include!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/a.rs\"));\ninclude!(concat!(env!(\"OUT_DIR\"), \"/b.rs\"));\n";
    assert_eq!(of("src/lib.rs", of_package), ["package:/a.rs"]);
    assert_eq!(of("src/lib.rs", "include!(concat!(env!(\"OUT_DIR\"), \"/../b.rs\"));\n"), ["/b.rs (either)"]);
    let said = "#![doc = include_str!(\"../README.md\")]\n#[cfg(test)]\nconst A: F = F { a: include_str!(\"a\") }.b(include_str!(\"b\"));\n\
                fn f() { assert_eq!(x, include_str!(\"c\")); }\n";
    assert_eq!(of("src/lib.rs", said), ["README.md", "src/a (tests)", "src/b (tests)", "src/c"]);
}

#[test]
fn a_name_that_is_written_raw_is_the_same_name() {
    assert_eq!(of("src/lib.rs", "r#include!(\"a.rs\");\n"), ["src/a.rs"]);
    assert_eq!(of("src/lib.rs", "r#include!(r#concat!(\"a\", \".rs\"));\n"), ["src/a.rs"]);
    assert_eq!(of("src/lib.rs", "#[r#path = \"b.rs\"]\nmod r#a;\n"), ["src/b.rs"]);
    assert_eq!(
        of("src/lib.rs", "#[r#cfg(test)]\nmod a;\n#[cfg(r#all(r#test))]\nmod b;\n"),
        ["src/a.rs (tests)", "src/b.rs (tests)"]
    );
    assert!(modules("src/lib.rs", b"r#only! { (r#test) mod b; }\n").declarations[0].by.is_empty());
}

#[test]
fn what_is_included_by_another_name_is_uncertain() {
    for renamed in
        ["use std::include as load;", "pub use core::{include_str as load, vec};", "use std::r#include_bytes as _load;"]
    {
        assert_eq!(of("src/lib.rs", renamed), [" (either)"], "{renamed}");
    }
    assert_eq!(of("src/lib.rs", "#[cfg(test)]\nuse std::include as load;\n"), [" (tests)"]);
}

#[test]
fn what_only_tests_compile_is_known_by_its_condition() {
    assert!(modules("src/a.rs", b"//! Values.\n#![cfg(test)]\nfn f() {}\n").is_for_tests);
    assert_eq!(of("src/a.rs", "#![cfg(test)]\nmod b;\n"), ["src/a/b.rs (tests)"]);
    assert!(!modules("src/a.rs", b"#![cfg(unix)]\nfn f() {}\n").is_for_tests);
    for (condition, mark) in [
        ("cfg(any(test, unix))", ""),
        ("cfg(all(test, not(miri)))", " (tests)"),
        ("cfg(any(test, all(unix, test,)))", " (tests)"),
        ("cfg(not(test))", ""),
        ("cfg_attr(unix, cfg(test))", " (either)"),
        ("cfg_attr(test, allow(dead_code))", ""),
    ] {
        assert_eq!(of("src/a.rs", &format!("#[{condition}]\nmod b;\n")), [format!("src/a/b.rs{mark}")], "{condition}");
    }
    assert_eq!(of("src/a.rs", "// #[cfg(test)]\nmod b;\nconst A: &str = \"mod c;\";\n"), ["src/a/b.rs"]);
    let attributed = "#[cfg_attr(test, path = \"c.rs\")]\nmod b;\n#[cfg_attr(unix, path = \"d.rs\")]\nmod e;\n";
    assert_eq!(of("src/lib.rs", attributed), ["src/b.rs", "src/c.rs (tests)", "src/d.rs", "src/e.rs"]);
    let fields = "struct A {\n    #[cfg(test)]\n    a: B<C, D>,\n    e: F,\n}\n#[cfg(test)]\nfn f() {}\nmod g;\n";
    assert_eq!(of("src/lib.rs", fields), ["src/g.rs"]);
    let choice = "cfg_if! { if #[cfg(test)] { mod a; } else if #[cfg(unix)] { mod b; } else { mod c; } }\n";
    assert_eq!(of("src/lib.rs", choice), ["src/a.rs (tests)", "src/b.rs", "src/c.rs"]);
}

#[test]
fn what_a_macro_decides_is_uncertain() {
    assert_eq!(of("src/lib.rs", "only_tests! { mod a; }\n"), ["src/a.rs (either)"]);
    assert_eq!(of("src/lib.rs", "only_tests! { const A: &str = include_str!(\"a.txt\"); }\n"), ["src/a.txt (either)"]);
    assert_eq!(of("src/lib.rs", "#[cfg(test)]\nonly_tests! { mod a; }\n"), ["src/a.rs (tests)"]);
    let made =
        "macro_rules! has { ($name:ident) => { mod $name; }; () => { mod a; const B: &str = include_str!(\"../b.txt\"); } }\n";
    let expected = [".rs (either)", "/a.rs (either)", "/a/mod.rs (either)", "/b.txt (either)"];
    assert_eq!(of("src/lib.rs", made), expected);
    let pieces = "macro_rules! f { ($n:literal) => { include_str!(concat!(\"../values/\", $n, \".json\")) } }\n";
    assert_eq!(of("src/lib.rs", pieces), ["/values/*.json (either)"]);
    assert_eq!(of("src/lib.rs", "include!(env!(\"A\"));\n"), [" (either)"]);
}

#[test]
fn a_macro_that_gives_back_what_it_is_given_is_known_by_its_definition() {
    let of = |definition: &str| modules("src/lib.rs", format!("macro_rules! has {{ {definition} }}\n").as_bytes()).macros;
    let all = "($($item:item)*) => { $( #[cfg(feature = \"net\")] $item )* }";
    assert_eq!(of(all), [("has".to_owned(), Some(Vec::new()))]);
    assert_eq!(of(&all.replace("feature = \"net\"", "test")), [("has".to_owned(), None)]);
    let calling = all.replace("#[cfg(feature = \"net\")] $item )*", "only! { #![x] $item } )*");
    assert_eq!(of(&calling), [("has".to_owned(), Some(vec!["only".to_owned()]))]);
    let found = modules("src/lib.rs", b"a! { mod b; }\nc! { a! { mod d; } }\n").declarations;
    assert_eq!(found.iter().map(|said| said.by.join(" ")).collect::<Vec<_>>(), ["a", "c a"]);
    assert!(modules("src/lib.rs", b"a! { (test) mod b; }\n").declarations[0].by.is_empty());
}

#[test]
fn a_text_that_is_no_source_may_declare_anything() {
    assert_eq!(of("src/lib.rs", "mod a;\nfn f() {\n"), ["anything (either)"]);
    assert_eq!(modules("src/lib.rs", b"mod a;\n\xff\n"), unread());
    let large = format!("mod a;\n{}", " ".repeat(SOURCE_BYTES_MAX));
    assert_eq!(modules("src/lib.rs", large.as_bytes()), unread());
    let many: String = (0..DECLARATIONS_MAX).map(|n| format!("mod m{n};\n")).collect();
    assert!(of("src/lib.rs", &many).contains(&"anything (either)".to_owned()));
    let deep = format!("{}mod b;{}", "mod a {".repeat(DEPTH_MAX + 1), "}".repeat(DEPTH_MAX + 1));
    assert_eq!(of("src/lib.rs", &deep), ["anything (either)"]);
    let deeper = format!("mod a;\nenv!{}{}", "(".repeat(100_000), ")".repeat(100_000));
    assert_eq!(of("src/lib.rs", &deeper), ["src/a.rs"]);
}

#[test]
fn a_source_that_has_no_words_of_a_declaration_is_not_read() {
    for text in ["mod a {\n}\n", "// a mod that is none\nfn modulo() {}\n", "fn f() { model(); }"] {
        assert!(!may_declare(text.as_bytes()), "{text}");
    }
    for text in ["mod\n a\n ;", "mod a/**/;", "mod $a;", "mod r#a;", "mod\u{2028}a;", "# ![cfg(test)]", "include !(x)"] {
        assert!(may_declare(text.as_bytes()), "{text}");
    }
}

#[test]
fn a_path_fits_by_what_is_known_of_it() {
    let like = |parts: &[&str]| Meant::Like(parts.iter().map(|part| (*part).to_owned()).collect());
    assert!(like(&["/values/", ".json"]).fits("src/values/a.json"));
    assert!(like(&["/values/", ""]).fits("values/a/b"));
    assert!(!like(&["/values/", ".json"]).fits("src/evalues/a.json"));
    assert!(like(&["/a.rs"]).fits("a.rs") && !like(&["/a.rs"]).fits("src/ba.rs"));
    assert!(like(&[""]).fits("a") && Meant::Anything.fits("a"));
}
