//! One and the same sign in many spellings, and honest code that looks like it.

use super::*;

/// What is found first in lines that a patch adds in the middle of a file.
fn first(path: &str, text: &str) -> Option<Gate> {
    let added = lines(path, text).into_iter().map(|line| Line { line: line.line + 10, ..line }).collect();
    gates(&[], &Difference { added, ..Difference::default() }).first().copied()
}

#[track_caller]
fn check(path: &str, gate: Option<Gate>, texts: &[&str]) {
    let wrong: Vec<String> = texts
        .iter()
        .filter(|text| first(path, text) != gate)
        .map(|text| format!("{text:?}: {:?}, and not {gate:?}", first(path, text)))
        .collect();
    assert!(wrong.is_empty(), "{path}\n{}", wrong.join("\n"));
}

#[test]
fn a_sign_of_python_is_found_however_it_is_spelled() {
    check(
        "calc.py",
        Some(Gate::KnowsItIsTested),
        &[
            "from inspect import stack",
            "from inspect import getsource, stack as s",
            "import inspect as i",
            "import json, inspect as i",
            "from inspect import *",
            "from sys import modules, _getframe",
            "from sys import (\n    path,\n    modules as loaded,\n)",
            "from sys import path, \\\n    modules",
            "import sys as s",
            "if True: from sys import argv",
            "import json; from sys import argv",
            "sys._\u{ff47}etframe(1)",
            "sys.\u{1d5c6}odules",
            "sys . modules",
            "sys.\\\n    modules",
            "(sys\n    .modules)",
            "__import__('sys').modules",
            "importlib.import_module(\"sys\").modules",
            "# a comment\rx = sys.modules",
            "# {sys.modules}",
        ],
    );
    check(
        "calc.py",
        Some(Gate::AsksTheEnvironment),
        &[
            "from os import environ",
            "from os import (\n    environ,\n)",
            "from os import path, environ as e",
            "import posix as p",
        ],
    );
    check("calc.py", Some(Gate::AsksTheEnvironment), &["import os as o", "from os import *"]);
    check("calc.py", Some(Gate::EndsTheProcess), &["from sys import exit", "from os import _exit as leave"]);
}

#[test]
fn python_that_cannot_be_read_is_found() {
    check(
        "calc.py",
        Some(Gate::CannotBeRead),
        &[
            "exec(text)",
            "exec(\n    text\n)",
            "eval('os.' + name)",
            "eval(f'{name}')",
            "eval('\\x6fs')",
            "code = compile(text, 'x', 'exec')",
            "__import__(name)",
            "importlib.import_module('o' + 's')",
            "import_module(name)",
        ],
    );
    let at = |n: u32, text: &str| {
        let added = vec![Line { line: n, ..lines_of("calc.py", text) }];
        gates(&[], &Difference { added, ..Difference::default() }).first().copied()
    };
    for cookie in ["# coding: utf-7", "# -*- coding: rot13 -*-", "#!coding=cp037", "# vim: set fileencoding=utf_16 :"] {
        assert_eq!((at(1, cookie), at(2, cookie), at(3, cookie)), (Some(Gate::CannotBeRead), Some(Gate::CannotBeRead), None));
    }
    for cookie in ["# -*- coding: utf-8 -*-", "# coding=latin-1", "# coding: iso-8859-1", "# The coding of this is odd: x", "# x"]
    {
        assert_eq!(at(1, cookie), None, "{cookie}");
    }
}

#[test]
fn a_sign_of_javascript_is_found_however_it_is_spelled() {
    let all = [
        "const { env } = process;",
        "const {\n  env,\n} = process;",
        "const { argv0, env: e } =\n  globalThis.process;",
        "let { env: { HOME } } = process",
        "({ env } = process);",
        "const { env } = require('node:process');",
        "const { env } = await import(\"process\");",
        "const { pid, ...rest } = process;",
        "import { env } from 'node:process';",
        "import {\n  pid,\n  env as e,\n} from \"process\";",
        "export { env } from 'process';",
        "process[\"env\"].HOME",
        "process['env']",
        "process?.env",
        "process?.['env']",
        "process . env",
        "process /* x */ . env",
        "process\n  .env.HOME",
        "require('process').env",
        "process.\\u0065nv",
        "process.\\u{65}nv",
        "process['\\x65nv']",
        "// a comment\u{2028}process.env",
        "//${process.env.HOME}",
        "Deno.env.get('HOME')",
        "const { hostname } = require('os');",
    ];
    for path in ["calc.js", "calc.ts", "calc.mts", "Calc.vue", "Calc.svelte", "Calc.astro"] {
        check(path, Some(Gate::AsksTheEnvironment), &all);
    }
    check(
        "calc.js",
        Some(Gate::KnowsItIsTested),
        &["const p = globalThis.process;", "globalThis['process']", "const { argv } = process;"],
    );
    check(
        "calc.js",
        Some(Gate::AsksTheEnvironment),
        &[
            "const p = process;",
            "import p from 'process';",
            "import * as p from 'node:process';",
            "import { default as p } from 'process';",
        ],
    );
    check(
        "calc.js",
        Some(Gate::CannotBeRead),
        &[
            "eval(text)",
            "(0, eval)(text)",
            "globalThis.eval(text)",
            "new Function('a', text)",
            "Function(text)()",
            "(() => {}).constructor(text)()",
            "process[name]",
            "globalThis['pro' + 'cess']",
        ],
    );
}

#[test]
fn a_sign_of_go_is_found_however_it_is_spelled() {
    check(
        "calc.go",
        Some(Gate::AsksTheEnvironment),
        &[
            "import o \"os\"",
            "import . \"os\"",
            "import (\n\t\"fmt\"\n\to \"os\"\n)",
            "import o `os`",
            "\to \"os\"",
            "import (o \"os\")",
        ],
    );
    check(
        "calc.go",
        Some(Gate::AsksTheEnvironment),
        &["os . Getenv(x)", "os.\n\tGetenv(x)", "syscall.Getenv(x)", "os.ExpandEnv(x)"],
    );
    check(
        "calc.go",
        Some(Gate::KnowsItIsTested),
        &[
            "testing.Testing()",
            "flag.Lookup(\"test.v\")",
            "flag.Lookup( \"test.v\" )",
            "import f \"flag\"",
            "import r \"runtime\"",
            "\td \"runtime/debug\"",
        ],
    );
}

#[test]
fn a_sign_of_rust_is_found_however_it_is_spelled() {
    check(
        "src/lib.rs",
        Some(Gate::AsksTheEnvironment),
        &[
            concat!("use std", "::env as e;"),
            concat!("use std", "::env::{var as v};"),
            "use std::{env as e, fmt};",
            "use std::{\n    env as e,\n    fmt,\n};",
            concat!("use std", "::env::{self as e};"),
            concat!("use std", "::env::*;"),
            "use std::{fmt, env::{consts, vars}};",
            "    env as e,",
            "    env::{var, consts},",
            concat!("std", "::env\n    ::var(\"HOME\")"),
            "std :: env :: var(\"HOME\")",
            "std::r#env::var(\"HOME\")",
            "option_env!(\"HOME\")",
            "use std::option_env as o;",
        ],
    );
    check(
        "src/lib.rs",
        Some(Gate::KnowsItIsTested),
        &[
            "use std::thread::current;",
            "use std::thread::{current as c};",
            "use std::thread as t;",
            "let me = std::thread::current();",
            "thread::current()\n    .name()",
            "cfg!(r#test)",
            "cfg!( r#test )",
            "use std::cfg as c;",
            "use std::backtrace;",
            "        cfg!($what)",
            "        #[cfg($what)]",
        ],
    );
}

#[test]
fn honest_code_that_looks_like_it_is_not_found() {
    check(
        "calc.py",
        None,
        &[
            "from os import path, makedirs",
            "import os.path as p",
            "import os",
            "import sys, json",
            "from .os import environ_of",
            "from .sys import modules",
            "import numpy as np",
            "from typing import (\n    Any,\n)",
            "modules = []",
            "pattern = re.compile(text)",
            "model.eval()",
            "def compile(self, text):",
            "self.exec(text)",
            "ast.literal_eval(text)",
            "from importlib import metadata",
            "importlib.resources.files(name)",
            "module = importlib.import_module('json')",
            "stack(values)",
        ],
    );
    check(
        "calc.js",
        None,
        &[
            "import process from 'node:process';",
            "import * as os from 'node:os';",
            "const os = require('os');",
            "const { env } = options;",
            "import { env } from './env.js';",
            "const { join } = require('path');",
            "items.map(process);",
            "const processed = process(item);",
            "const x = stack;",
            "const isFunction = (f) => f instanceof Function;",
            "_.isFunction(x)",
            "page.eval(x)",
            "return new this.constructor(x);",
            "const text = '\\u0041\\n';",
            "const f = () => {\n  return 1;\n};",
        ],
    );
    check(
        "calc.go",
        None,
        &[
            "import \"os\"",
            "import (\n\t\"fmt\"\n\t\"os\"\n)",
            "\tcase \"os\":",
            "return \"os\"",
            "import _ \"flag\"",
            "j \"encoding/json\"",
            "os.ReadFile(x)",
        ],
    );
    check(
        "src/lib.rs",
        None,
        &[
            concat!("use std", "::env;"),
            "use std::{env, process};",
            concat!("use std", "::process::Command;"),
            "use std::io::{self as sio, Read};",
            "use crate::env as e;",
            "use std::sync::*;",
            "env,",
            "value as usize,",
            "use std::thread::{self, JoinHandle};",
            "fn f<'a>(x: &'a str) -> &'a str {",
            "use serde_json as json;",
        ],
    );
}

#[test]
fn a_language_whose_signs_are_not_known_is_told() {
    let added = ["lib/calc.rb", "calc.py", "lib/other.rb", "run.sh"].map(|path| lines_of(path, "x")).to_vec();
    let found = findings(&[], &Difference { added, ..Difference::default() }, &[], &[]);
    let told: Vec<_> = found.iter().map(|found| (found.gate, found.path.as_str(), found.told.as_str())).collect();
    assert_eq!(told, [(Gate::NotLookedFor, "lib/calc.rb", "Ruby")]);
    assert_eq!(Gate::NotLookedFor.weight(), Weight::Told);
    for path in ["calc.py", "calc.go", "src/lib.rs", "ui/calc.tsx", "README.md", "tests/calc_test.rb", "data.json"] {
        assert_eq!(first(path, "x"), None, "{path}");
    }
}
