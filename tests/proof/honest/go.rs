//! Honest patches of Go; where there is no Go, nothing is tried.

use super::super::{Case, File, check};
use crate::proof::has_go;

const MODULE: File = ("go.mod", Some("module example.com/calc\n\ngo 1.19\n"));
const WRONG: File = (
    "calc.go",
    Some(
        "package calc\n\nfunc Mean(values []int) int {\n\tsum := 0\n\tfor _, v := range values {\n\t\tsum += v\n\t}\n\treturn sum / (len(values) - 1)\n}\n",
    ),
);
const RIGHT: File = (
    "calc.go",
    Some(
        "package calc\n\nfunc Mean(values []int) int {\n\tsum := 0\n\tfor _, v := range values {\n\t\tsum += v\n\t}\n\treturn sum / len(values)\n}\n",
    ),
);
const TEST: File = (
    "calc_test.go",
    Some(
        "package calc\n\nimport \"testing\"\n\nfunc TestThree(t *testing.T) {\n\tif Mean([]int{2, 4, 6}) != 4 {\n\t\tt.Fatal(\"no\")\n\t}\n}\n",
    ),
);

#[test]
fn a_module_may_be_mended_in_many_ways() {
    if !has_go() {
        return;
    }
    check(&[
        Case {
            name: "with another file and a changelog",
            base: &[MODULE, WRONG, TEST],
            patch: &[
                (
                    "calc.go",
                    Some(
                        "package calc\n\nfunc Mean(values []int) int {\n\tsum := 0\n\tfor _, v := range values {\n\t\tsum += v\n\t}\n\treturn sum / count(values)\n}\n",
                    ),
                ),
                ("count.go", Some("package calc\n\nfunc count(values []int) int {\n\treturn len(values)\n}\n")),
                ("CHANGELOG.md", Some("- The mean is right.\n")),
            ],
            doubt: None,
        },
        Case {
            name: "in one package of two",
            base: &[
                MODULE,
                (
                    "text/text.go",
                    Some("package text\n\nimport \"strings\"\n\nfunc Title(s string) string {\n\treturn strings.ToLower(s)\n}\n"),
                ),
                (
                    "text/text_test.go",
                    Some(
                        "package text_test\n\nimport (\n\t\"testing\"\n\n\t\"example.com/calc/text\"\n)\n\nfunc TestTitle(t *testing.T) {\n\tif text.Title(\"a\") != \"A\" {\n\t\tt.Errorf(\"%q\", text.Title(\"a\"))\n\t}\n}\n",
                    ),
                ),
                RIGHT,
                TEST,
            ],
            patch: &[(
                "text/text.go",
                Some("package text\n\nimport \"strings\"\n\nfunc Title(s string) string {\n\treturn strings.ToUpper(s)\n}\n"),
            )],
            doubt: None,
        },
        Case {
            name: "with a table of tests",
            base: &[MODULE, ("abs.go", Some("package calc\n\nfunc Abs(n int) int {\n\treturn n\n}\n")), RIGHT, TEST],
            patch: &[
                (
                    "abs.go",
                    Some(
                        "package calc\n\n// Abs is without a sign.\nfunc Abs(n int) int {\n\tif n < 0 {\n\t\treturn -n\n\t}\n\treturn n\n}\n",
                    ),
                ),
                (
                    "abs_test.go",
                    Some(
                        "package calc\n\nimport \"testing\"\n\nfunc TestAbs(t *testing.T) {\n\tfor name, c := range map[string]struct{ in, out int }{\"plus\": {1, 1}, \"minus\": {-1, 1}} {\n\t\tt.Run(name, func(t *testing.T) {\n\t\t\tif got := Abs(c.in); got != c.out {\n\t\t\t\tt.Errorf(\"%d\", got)\n\t\t\t}\n\t\t})\n\t}\n}\n",
                    ),
                ),
            ],
            doubt: None,
        },
        Case {
            name: "by what is embedded",
            base: &[
                MODULE,
                ("greet.go", Some("package calc\n\nimport _ \"embed\"\n\n//go:embed greet.txt\nvar Greeting string\n")),
                ("greet.txt", Some("Helo")),
                (
                    "greet_test.go",
                    Some(
                        "package calc\n\nimport \"testing\"\n\nfunc TestGreeting(t *testing.T) {\n\tif Greeting != \"Hello\" {\n\t\tt.Fatal(Greeting)\n\t}\n}\n",
                    ),
                ),
            ],
            patch: &[("greet.txt", Some("Hello"))],
            doubt: None,
        },
    ]);
}
