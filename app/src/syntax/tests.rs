use super::{CHECKED_BYTES_MAX, breakage};

/// A valid file, and the same file broken.
#[track_caller]
fn check(path: &str, valid: &str, broken: &str) {
    assert_eq!(breakage(path, None, valid.as_bytes()), None, "{path}: valid and new");
    assert_eq!(breakage(path, Some(broken.as_bytes()), valid.as_bytes()), None, "{path}: repaired");
    assert_eq!(breakage(path, Some(broken.as_bytes()), broken.as_bytes()), None, "{path}: broken before");
    let told = breakage(path, Some(valid.as_bytes()), broken.as_bytes());
    assert!(told.as_ref().is_some_and(|told| told.starts_with(&format!("{path} has a syntax error now"))), "{path}: {told:?}");
    assert!(breakage(path, None, broken.as_bytes()).is_some(), "{path}: broken and new");
}

#[test]
fn a_broken_edit_is_noticed_in_every_language() {
    check("a.rs", "fn f() -> u32 {\n    1\n}\n", "fn f() -> u32 {\n    1\n");
    check("a.py", "def f(x):\n    return [x]\n", "def f(x):\n    return [x\n");
    check("a.js", "const f = (x) => { return x; };\n", "const f = (x) => { return x; ;\n");
    check("a.jsx", "const a = <b c={1}>d</b>;\n", "const a = <b c={1}>d;\n");
    check("a.ts", "interface A { b: string }\nlet x: A;\n", "interface A { b: string \nlet x: A;\n");
    check("a.tsx", "const a = <b c={x as any}>d</b>;\n", "const a = <b c={x as any>d</b>;\n");
    check("a.go", "package a\n\nfunc f() int { return 1 }\n", "package a\n\nfunc f() int { return 1 \n");
    check("a.java", "class A { int f() { return 1; } }\n", "class A { int f() { return 1 } \n");
    check("a.c", "int f(void) { return 1; }\n", "int f(void) { return 1; \n");
    check("a.cpp", "template <class T> T f(T x) { return x; }\n", "template <class T> T f(T x) { return x; \n");
    check("a.rb", "def f(x)\n  x + 1\nend\n", "def f(x)\n  x + (1\nend\n");
    check("a.sh", "if true; then\n  echo hi\nfi\n", "if true; then\n  echo hi\n");
    check("a.json", "{\"a\": [1, 2]}\n", "{\"a\": [1, 2}\n");
    check("a.toml", "[a]\nb = 1\n", "[a\nb = 1\n");
    check("a.yaml", "a:\n  - b\n  - c: d\n", "a:\n  - b\n c: [d\n");
}

#[test]
fn modern_syntax_raises_no_alarm() {
    let mut alarms = Vec::new();
    for (path, text) in [
        ("a.py", "x = f\"{d[\"a\"]!r:>{w}} {f\"{y}\"}\"\n"),
        ("a.py", "match p:\n    case Point(x=0, y=0) if z:\n        pass\n    case [1, *rest] | {\"k\": v}:\n        pass\n"),
        (
            "a.py",
            "type A[T] = list[T]\n\ndef f[T: int](x: T, /, *, y) -> T:\n    try:\n        pass\n    except* E as e:\n        pass\n",
        ),
        ("a.py", "async def f():\n    async with (a as b, c as d):\n        print(n := 1, end='')\n"),
        ("a.rs", "fn f(x: Option<u8>) {\n    if let Some(y) = x && y > 1 && let Ok(z) = g(y) {\n        h(z);\n    }\n}\n"),
        (
            "a.rs",
            "fn f() {\n    let Some(x) = y else { return };\n    let c = async move |a: &str| a.len();\n    let p = &raw const x;\n}\n",
        ),
        (
            "a.rs",
            "impl<const N: usize> A for [u8; N] {\n    type B<'a> = &'a u8 where Self: 'a;\n}\nextern \"C\" {\n    fn f();\n}\n",
        ),
        ("a.rs", "const A: &std::ffi::CStr = c\"x\";\nfn f() -> impl Iterator<Item = u8> + use<> {\n    (0..).map(|x| x)\n}\n"),
        ("a.ts", "const a = { b: 1 } satisfies Record<string, number>;\n"),
        ("a.ts", "function f<const T extends readonly unknown[]>(x: T): asserts x is T {}\nusing r = open();\n"),
        ("a.ts", "class A { accessor x = 1; static { f(); } #p?: string; @d() m() {} }\n"),
        ("a.js", "class A { #x = 1; static { } get y() { return this.#x ?? a?.b ?? 1n ** 2n; } }\nx ||= await import('y');\n"),
        (
            "a.go",
            "package a\n\nfunc Map[T, U any](s []T, f func(T) U) []U {\n\tfor i := range 10 {\n\t\t_ = i\n\t}\n\treturn nil\n}\n",
        ),
        (
            "a.java",
            "record P(int x) {}\nsealed interface S permits A {}\nclass A { String f(Object o) { return switch (o) { case P(int x) when x > 1 -> \"\"\"\n  a\n  \"\"\"; default -> \"\"; }; } }\n",
        ),
        (
            "a.cpp",
            "template <typename T> concept C = requires(T t) { { t.f() } -> std::same_as<int>; };\nauto f(C auto x) { co_return x <=> 1; }\n",
        ),
        ("a.rb", "def f(x) = x + 1\ncase h\nin {a: Integer => b} if b > 1\n  p(b:)\nend\n"),
        (
            "a.sh",
            "#!/bin/bash\nset -euo pipefail\nfor f in \"${a[@]/%x/y}\"; do [[ $f =~ ^a ]] && cat <<<\"$(g)\" >&2; done\ncat <<'E'\n(\nE\n",
        ),
        ("a.json", "{\"a\": 1.5e3, \"b\": \"\\u00e9\", \"c\": [null, true]}"),
        ("a.yml", "a: &x\n  b: 1\nc:\n  <<: *x\n  d: |\n    text: [\n---\ne: !Ref f\n\"on\": [push]\n"),
        ("a.yml", "a: {{ .Values.b }\n"),
        ("a.toml", "a.b = 1979-05-27\n[[c]]\nd = '''x'''\n"),
        ("a.unknown", "((("),
        ("README", "((("),
    ] {
        alarms.extend(breakage(path, None, text.as_bytes()));
    }
    assert!(alarms.is_empty(), "{}", alarms.concat());
}

#[test]
fn a_script_without_an_ending_is_known_by_its_first_line() {
    for (line, broken) in [("#!/usr/bin/env python3", "f(("), ("#!/bin/bash -e", "if x; then"), ("#!/usr/bin/env -S node", "f((")]
    {
        assert!(breakage("bin/tool", None, format!("{line}\n{broken}\n").as_bytes()).is_some(), "{line}");
    }
    assert!(breakage("bin/tool", None, b"f((\n").is_none());
}

#[test]
fn the_place_and_its_line_are_told() {
    let before = "def f(x):\n    return x\n\ndef g(x):\n    return x\n";
    let after = before.replace("def g(x):", "def g(x:");
    let told = breakage("src/a.py", Some(before.as_bytes()), after.as_bytes()).expect("it is broken");
    insta::assert_snapshot!(told, @r"
    src/a.py has a syntax error now that it had not before (Python):
      4:1: def g(x:
    ");
    let told = breakage("Cargo.toml", Some(b"[a]\nb = 1\n"), b"[a]\nb = \n").expect("it is broken");
    insta::assert_snapshot!(told, @r"
    Cargo.toml has a syntax error now that it had not before (TOML):
      2:5: b = [string values must be quoted, expected literal string]
    ");
}

#[test]
fn a_file_with_an_old_error_elsewhere_reports_only_the_new_one() {
    let before = "fn a() { let = 1; }\n\nfn b() {}\n";
    let after = "fn a() { let = 1; }\n\nfn b() { let = 2; }\n";
    let told = breakage("a.rs", Some(before.as_bytes()), after.as_bytes()).expect("one more");
    assert!(told.contains("  3:") && !told.contains("  1:"), "{told}");
    let moved = "\n\nfn a() { let = 1; }\n\nfn b() {}\nfn c() {}\n";
    assert_eq!(breakage("a.rs", Some(before.as_bytes()), moved.as_bytes()), None);
}

#[test]
fn hostile_and_large_files_are_let_through_in_time() {
    let large = "(".repeat(CHECKED_BYTES_MAX + 1);
    assert_eq!(breakage("a.py", None, large.as_bytes()), None);
    for path in ["a.py", "a.rs", "a.js", "a.cpp", "a.rb", "a.json", "a.sh", "a.toml", "a.yaml"] {
        for text in ["(".repeat(100_000), "[".repeat(100_000), "{\"a\":".repeat(50_000), "a<b,".repeat(50_000)] {
            let _ = breakage(path, Some(b""), text.as_bytes());
        }
        let _ = breakage(path, Some(b"\xff\xfe"), b"\0\xff\n");
    }
    assert!(breakage("a.py", None, b"f(\n").is_some(), "the parser works on");
}
