//! Trees and patches from numbers.

use crate::{Case, Tree};

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("below the bound")
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

const PATHS: [&str; 6] = ["a.py", "b.rs", "dir/c.txt", "dir/sub/d.sh", "e", "new/f.txt"];
const BAD_PATHS: [&str; 5] = ["/tmp/patchwright-differential/x", "../patchwright-differential-x", "a/../b.rs", ".git/x", "dir"];
const WORDS: [&str; 22] = [
    "def f(x):",
    "    return x",
    "        y = 1",
    "fn main() {",
    "}",
    "",
    "  ",
    "\tindented",
    "class A:",
    "class B:",
    "value = \"text\"",
    "value = “text”",
    "a – b",
    "it’s",
    "x",
    "x",
    "trailing  ",
    "日本語",
    "- item",
    "+ plus",
    "@@ at",
    "*** stars",
];

/// The case of a number; always the same one.
pub(crate) fn case(seed: u64, number: u64) -> Case {
    let mut numbers = Numbers(seed.wrapping_mul(0x1_0000_0001).wrapping_add(number.wrapping_mul(0xd134_2543_de82_ef95)));
    let before = tree(&mut numbers);
    let mut body = String::new();
    for _ in 0..1 + numbers.below(3) {
        hunk(&mut numbers, &before, &mut body);
    }
    let patch = envelope(&mut numbers, &body);
    Case { before, patch }
}

fn tree(numbers: &mut Numbers) -> Tree {
    let mut tree = Tree::new();
    for path in PATHS {
        if numbers.one_in(3) {
            continue;
        }
        tree.insert(path.to_owned(), (content(numbers), path.ends_with(".sh") || numbers.one_in(8)));
    }
    tree
}

fn content(numbers: &mut Numbers) -> Vec<u8> {
    let mut text = Vec::new();
    if numbers.one_in(16) {
        text.extend_from_slice("\u{feff}".as_bytes());
    }
    let eol_kind = numbers.below(8);
    let is_unique = numbers.one_in(2);
    for n in 0..numbers.below(14) {
        let word = numbers.of(&WORDS);
        text.extend_from_slice(word.as_bytes());
        if is_unique && !word.trim().is_empty() {
            text.extend_from_slice(format!(" {n}").as_bytes());
        }
        let is_crlf = eol_kind == 0 || eol_kind == 1 && numbers.one_in(2);
        text.extend_from_slice(if is_crlf { b"\r\n" } else { b"\n" });
    }
    if numbers.one_in(8) && text.ends_with(b"\n") {
        text.pop();
        text.truncate(text.strip_suffix(b"\r").unwrap_or(&text).len());
    }
    if numbers.one_in(24) {
        text.extend_from_slice(b"caf\xe9\n");
    }
    text
}

fn hunk(numbers: &mut Numbers, before: &Tree, out: &mut String) {
    let existing: Vec<&str> = before.keys().map(String::as_str).collect();
    let any = |numbers: &mut Numbers| {
        if numbers.one_in(24) { *numbers.of(&BAD_PATHS) } else { *numbers.of(&PATHS) }
    };
    match numbers.below(10) {
        0 | 1 => {
            out.push_str(&format!("*** Add File: {}\n", any(numbers)));
            for _ in 0..numbers.below(4) {
                let eol = if numbers.one_in(24) { "\r\n" } else { "\n" };
                out.push_str(&format!("+{}{eol}", numbers.of(&WORDS)));
            }
        }
        2 => out.push_str(&format!("*** Delete File: {}\n", any(numbers))),
        _ => {
            let path = if existing.is_empty() || numbers.one_in(12) { any(numbers) } else { *numbers.of(&existing) };
            out.push_str(&format!("*** Update File: {path}\n"));
            if numbers.one_in(6) {
                let target = if numbers.one_in(4) { path } else { any(numbers) };
                out.push_str(&format!("*** Move to: {target}\n"));
            }
            let content = before.get(path).map(|(content, _)| String::from_utf8_lossy(content).into_owned()).unwrap_or_default();
            update(numbers, &content, out);
        }
    }
}

/// Chunks that change runs of the file's lines, most of them in order, with small mistakes.
fn update(numbers: &mut Numbers, content: &str, out: &mut String) {
    let lines: Vec<&str> = content.trim_start_matches('\u{feff}').lines().collect();
    let mut from = 0;
    for _ in 0..1 + numbers.below(3) {
        if numbers.one_in(20) {
            from = 0;
        }
        let left = lines.len().saturating_sub(from);
        let start = from + if left == 0 { 0 } else { numbers.below(left) };
        let end = (start + 1 + numbers.below(5)).min(lines.len());
        chunk(numbers, &lines, start..end.max(start), out);
        from = end.max(start);
    }
    if numbers.one_in(10) {
        out.push_str("*** End of File\n");
    }
}

fn chunk(numbers: &mut Numbers, lines: &[&str], range: std::ops::Range<usize>, out: &mut String) {
    header(numbers, lines, range.start, out);
    if numbers.one_in(14) {
        for _ in 0..1 + numbers.below(2) {
            out.push_str(&format!("+{}\n", numbers.of(&WORDS)));
        }
        return;
    }
    let shift = if numbers.one_in(14) { *numbers.of(&["  ", "\t", "    "]) } else { "" };
    let mistakes = numbers.one_in(6);
    for line in &lines[range.start.min(lines.len())..range.end] {
        let mut line = format!("{shift}{line}");
        if mistakes && numbers.one_in(3) {
            line = mistaken(numbers, &line);
        }
        match numbers.below(6) {
            0 | 1 => out.push_str(&format!("-{line}\n")),
            2 => out.push_str(&format!("-{line}\n+{}\n", replaced(numbers, shift))),
            3 => out.push_str(&format!(" {line}\n+{}\n", replaced(numbers, shift))),
            _ if line.is_empty() && numbers.one_in(2) => out.push('\n'),
            _ => out.push_str(&format!(" {line}\n")),
        }
    }
}

fn replaced(numbers: &mut Numbers, shift: &str) -> String {
    format!("{shift}{}", numbers.of(&WORDS))
}

fn header(numbers: &mut Numbers, lines: &[&str], start: usize, out: &mut String) {
    let above = lines[..start.min(lines.len())].iter().rev().find(|line| !line.trim().is_empty());
    match (numbers.below(12), above) {
        (0, _) => out.push_str(&format!("@@ -{},3 +{},3 @@\n", start + 1, start + 1)),
        (1 | 2, Some(line)) => out.push_str(&format!("@@ {}\n", line.trim_end())),
        (3, Some(line)) => out.push_str(&format!("@@ {}\n", line.trim())),
        (4, Some(line)) => out.push_str(&format!("@@ class A:\n@@ {line}\n")),
        (5, _) => out.push_str(&format!("@@ {}\n", numbers.of(&WORDS))),
        (6, _) => {}
        _ => out.push_str("@@\n"),
    }
}

fn mistaken(numbers: &mut Numbers, line: &str) -> String {
    match numbers.below(6) {
        0 => format!("{line}  "),
        1 => line.trim_end().to_owned(),
        2 => line.trim_start().to_owned(),
        3 => line.replace(['“', '”'], "\"").replace('–', "-").replace('’', "'"),
        4 => format!("  {line}"),
        _ => format!("{line}?"),
    }
}

fn envelope(numbers: &mut Numbers, body: &str) -> String {
    let whole = format!("*** Begin Patch\n{body}*** End Patch\n");
    match numbers.below(40) {
        0 => format!("```\n{whole}```\n"),
        1 => format!("*** Begin Patch\n{body}"),
        2 => format!("<<'EOF'\n{whole}EOF\n"),
        3 => whole.replace('\n', "\r\n").replace("\r\r\n", "\r\n"),
        4 => whole.replace("*** Begin", "  *** Begin").replace("*** End Patch", "*** End Patch  "),
        5 => whole.replace("*** Update", "  *** Update"),
        6 => whole.replace("*** Update File", "*** Upgrade File"),
        7 => format!("\n\n{whole}\n\n"),
        8 => whole.trim_end().to_owned(),
        9 => body.to_owned(),
        10 => format!("{whole}thanks\n"),
        11 => whole.replace("*** End Patch", "\n*** End Patch"),
        _ => whole,
    }
}
