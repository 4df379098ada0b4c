//! Honest patches of Python, as various as real ones are.

use super::super::{Case, File, PYTHON, PYTHON_FIXED, check};

const INIT: File = ("tests/__init__.py", Some(""));

/// A file of tests that imports this, with these lines in its class.
macro_rules! tests {
    ($import:literal, $($line:literal),* $(,)?) => {
        Some(concat!("import unittest\n", $import, "\n\n\nclass Calc(unittest.TestCase):\n", $("    ", $line, "\n"),*))
    };
}

#[test]
fn a_fix_may_come_with_other_changes() {
    check(&[
        Case {
            name: "a line in the changelog and a page of documentation",
            base: PYTHON,
            patch: &[
                PYTHON_FIXED,
                ("CHANGELOG.md", Some("## 1.0.1\n\n- `mean` divides by the number of values.\n")),
                ("docs/mean.rst", Some("mean\n====\n\n.. code-block:: python\n\n   mean([2, 4])\n")),
            ],
            doubt: None,
        },
        Case {
            name: "a file that nobody uses is gone",
            base: &[PYTHON[0], INIT, PYTHON[3], ("legacy.py", Some("def old():\n    return 1\n"))],
            patch: &[PYTHON_FIXED, ("legacy.py", None)],
            doubt: None,
        },
        Case {
            name: "a helper without dependencies in a folder of its own",
            base: PYTHON,
            patch: &[
                ("support/__init__.py", Some("")),
                ("support/counting.py", Some("def count(values):\n    return sum(1 for _ in values)\n")),
                (
                    "calc.py",
                    Some("from support.counting import count\n\n\ndef mean(values):\n    return sum(values) / count(values)\n"),
                ),
            ],
            doubt: None,
        },
        Case {
            name: "types, a docstring and a constant",
            base: PYTHON,
            patch: &[(
                "calc.py",
                Some(
                    "\"\"\"Means of numbers.\"\"\"\n\nfrom __future__ import annotations\n\nfrom typing import Sequence\n\nNONE = 0\n\n\ndef mean(values: Sequence[float]) -> float:\n    \"\"\"Return the mean of the values.\n\n    >>> mean([2, 4])\n    3.0\n    \"\"\"\n    if len(values) == NONE:\n        raise ValueError('no values')\n    return sum(values) / len(values)\n",
                ),
            )],
            doubt: None,
        },
        Case {
            name: "a script that can be started",
            base: PYTHON,
            patch: &[PYTHON_FIXED, ("+x bin/mean", Some("#!/bin/sh\nexec python3 -c 'import calc; print(calc.mean([2, 4]))'\n"))],
            doubt: None,
        },
        Case {
            name: "a test that is renamed, beside the one that sees the fault",
            base: PYTHON,
            patch: &[
                PYTHON_FIXED,
                (
                    "tests/test_calc.py",
                    tests!(
                        "from calc import mean",
                        "def test_three(self):",
                        "    self.assertEqual(mean([2, 4, 6]), 4)",
                        "",
                        "def test_gives_a_number(self):",
                        "    self.assertIsInstance(mean([2, 4]), float)",
                    ),
                ),
            ],
            doubt: None,
        },
        Case {
            name: "an ignore file and the settings of an editor",
            base: PYTHON,
            patch: &[PYTHON_FIXED, (".gitignore", Some("*.pyc\n")), (".editorconfig", Some("root = true\n"))],
            doubt: None,
        },
    ]);
}

#[test]
fn what_is_mended_may_be_anywhere() {
    check(&[
        Case {
            name: "a refactoring with the fix",
            base: PYTHON,
            patch: &[(
                "calc.py",
                Some(
                    "class Sample:\n    def __init__(self, values):\n        self.values = list(values)\n\n    @property\n    def mean(self):\n        return sum(self.values) / len(self.values)\n\n\ndef mean(values):\n    return Sample(values).mean\n",
                ),
            )],
            doubt: None,
        },
        Case {
            name: "a file of the program is renamed",
            base: &[
                ("calc.py", Some("from _mean import mean\n")),
                ("_mean.py", Some("def mean(values):\n    return sum(values) / (len(values) - 1)\n")),
                INIT,
                PYTHON[3],
            ],
            patch: &[
                ("calc.py", Some("from _means import mean\n")),
                ("_mean.py", None),
                ("_means.py", Some("def mean(values):\n    return sum(values) / len(values)\n")),
            ],
            doubt: None,
        },
        Case {
            name: "a template",
            base: &[
                (
                    "page.py",
                    Some(
                        "from pathlib import Path\nfrom string import Template\n\n\ndef page(name):\n    text = Path(__file__).with_name('templates') / 'page.html'\n    return Template(text.read_text()).substitute(name=name)\n",
                    ),
                ),
                ("templates/page.html", Some("<p>Hello $name</b>\n")),
                INIT,
                (
                    "tests/test_page.py",
                    tests!(
                        "import page",
                        "def test_tags(self):",
                        "    self.assertEqual(page.page('Mona').strip(), '<p>Hello Mona</p>')"
                    ),
                ),
            ],
            patch: &[("templates/page.html", Some("<p>Hello $name</p>\n"))],
            doubt: None,
        },
        Case {
            name: "data",
            base: &[
                (
                    "units.py",
                    Some(
                        "import json\nfrom pathlib import Path\n\nUNITS = json.loads(Path(__file__).with_name('units.json').read_text())\n",
                    ),
                ),
                ("units.json", Some("{\"kilo\": 1024, \"mega\": 1000000}\n")),
                INIT,
                (
                    "tests/test_units.py",
                    tests!(
                        "from units import UNITS",
                        "def test_kilo(self):",
                        "    self.assertEqual(UNITS['kilo'], 1000)",
                        "",
                        "def test_mega(self):",
                        "    self.assertEqual(UNITS['mega'], 1000000)"
                    ),
                ),
            ],
            patch: &[("units.json", Some("{\"kilo\": 1000, \"mega\": 1000000}\n"))],
            doubt: None,
        },
        Case {
            name: "names and values that are not ASCII",
            base: &[
                ("größe.py", Some("def größe(wert):\n    return f'{wert} µ'\n")),
                INIT,
                (
                    "tests/test_größe.py",
                    tests!("from größe import größe", "def test_einheit(self):", "    self.assertEqual(größe(3), '3 µm')"),
                ),
            ],
            patch: &[("größe.py", Some("def größe(wert):\n    return f'{wert} µm'\n"))],
            doubt: None,
        },
        Case {
            name: "lines that end as on Windows, before and after",
            base: &[("calc.py", Some("def mean(values):\r\n    return sum(values) / (len(values) - 1)\r\n")), INIT, PYTHON[3]],
            patch: &[("calc.py", Some("def mean(values):\r\n    return sum(values) / len(values)\r\n"))],
            doubt: None,
        },
        Case {
            name: "one package of several",
            base: &[
                PYTHON[1],
                ("shop/__init__.py", Some("")),
                ("shop/cart.py", Some("def total(prices):\n    return sum(prices[1:])\n")),
                ("shop/tests/__init__.py", Some("")),
                (
                    "shop/tests/test_cart.py",
                    tests!("from shop.cart import total", "def test_two(self):", "    self.assertEqual(total([1, 2]), 3)"),
                ),
                ("mail/__init__.py", Some("NAME = 'mail'\n")),
                INIT,
                ("tests/test_mail.py", tests!("import mail", "def test_name(self):", "    self.assertEqual(mail.NAME, 'mail')")),
            ],
            patch: &[("shop/cart.py", Some("def total(prices):\n    return sum(prices)\n"))],
            doubt: None,
        },
    ]);
}

#[test]
fn a_fix_with_its_own_test_may_be_of_many_kinds() {
    const GREEN: &[File] = &[
        ("text.py", Some("import re\n\n\ndef slug(title):\n    return re.sub(r'[^a-z0-9]', '-', title.lower())\n")),
        INIT,
        (
            "tests/test_text.py",
            tests!("from text import slug", "def test_word(self):", "    self.assertEqual(slug('Word'), 'word')"),
        ),
    ];
    const FIXED: File =
        ("text.py", Some("import re\n\n\ndef slug(title):\n    return re.sub(r'[^a-z0-9]+', '-', title.lower()).strip('-')\n"));
    check(&[
        Case {
            name: "several parts of one test",
            base: GREEN,
            patch: &[
                FIXED,
                (
                    "tests/test_slugs.py",
                    tests!(
                        "from text import slug",
                        "def test_many(self):",
                        "    for title, expected in [('a b', 'a-b'), ('a  b', 'a-b'), ('a!', 'a')]:",
                        "        with self.subTest(title=title):",
                        "            self.assertEqual(slug(title), expected)"
                    ),
                ),
            ],
            doubt: None,
        },
        Case {
            name: "data of the test in a file",
            base: GREEN,
            patch: &[
                FIXED,
                ("tests/data/slugs.txt", Some("a  b=a-b\nwhat?=what\n")),
                (
                    "tests/test_slugs.py",
                    tests!(
                        "from pathlib import Path\nfrom text import slug",
                        "def test_file(self):",
                        "    for line in (Path(__file__).parent / 'data' / 'slugs.txt').read_text().splitlines():",
                        "        self.assertEqual(slug(line.split('=')[0]), line.split('=')[1])"
                    ),
                ),
            ],
            doubt: None,
        },
        Case {
            name: "a test in the file that is there, above the others",
            base: GREEN,
            patch: &[
                FIXED,
                (
                    "tests/test_text.py",
                    tests!(
                        "from text import slug",
                        "def test_blanks(self):",
                        "    self.assertEqual(slug('a  b'), 'a-b')",
                        "",
                        "def test_word(self):",
                        "    self.assertEqual(slug('Word'), 'word')"
                    ),
                ),
            ],
            doubt: None,
        },
        Case {
            name: "tests that are moved to a folder of their own",
            base: GREEN,
            patch: &[
                FIXED,
                ("tests/test_text.py", None),
                ("tests/unit/__init__.py", Some("")),
                ("tests/unit/test_text.py", GREEN[2].1),
                (
                    "tests/unit/test_blanks.py",
                    tests!("from text import slug", "def test_blanks(self):", "    self.assertEqual(slug('a  b'), 'a-b')"),
                ),
            ],
            doubt: None,
        },
        Case {
            name: "a double that the test brings along",
            base: &[
                ("feed.py", Some("def titles(fetch):\n    return [item['title'] for item in fetch()]\n")),
                INIT,
                (
                    "tests/test_feed.py",
                    tests!(
                        "from feed import titles",
                        "def test_one(self):",
                        "    self.assertEqual(titles(lambda: [{'title': 'a'}]), ['a'])"
                    ),
                ),
            ],
            patch: &[
                ("feed.py", Some("def titles(fetch):\n    return [item.get('title', '') for item in fetch()]\n")),
                (
                    "tests/fakes.py",
                    Some(
                        "class Feed:\n    def __init__(self, items):\n        self.items = items\n\n    def fetch(self):\n        return self.items\n",
                    ),
                ),
                (
                    "tests/test_untitled.py",
                    tests!(
                        "from feed import titles\nfrom tests.fakes import Feed",
                        "def test_untitled(self):",
                        "    self.assertEqual(titles(Feed([{}]).fetch), [''])"
                    ),
                ),
            ],
            doubt: None,
        },
        Case {
            name: "a function that waits for another",
            base: &[
                ("later.py", Some("import asyncio\n\n\nasync def both(one, other):\n    return await one\n")),
                INIT,
                (
                    "tests/test_name.py",
                    tests!("import later", "def test_name(self):", "    self.assertEqual(later.__name__, 'later')"),
                ),
            ],
            patch: &[
                (
                    "later.py",
                    Some("import asyncio\n\n\nasync def both(one, other):\n    return await asyncio.gather(one, other)\n"),
                ),
                (
                    "tests/test_later.py",
                    Some(
                        "import asyncio\nimport unittest\nfrom later import both\n\n\nasync def give(value):\n    return value\n\n\nclass Later(unittest.TestCase):\n    def test_both(self):\n        self.assertEqual(asyncio.run(both(give(1), give(2))), [1, 2])\n",
                    ),
                ),
            ],
            doubt: None,
        },
    ]);
}
