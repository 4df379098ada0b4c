//! What the model is shown of a command's output: bounded, readable, without terminal control.

use std::fmt::Write as _;

use crate::proof::Exit;

/// How much of an output the model is shown, in bytes: the head and the tail, half each.
pub const SHOWN_BYTES_MAX: usize = 10_000;

/// The result of a command as the model reads it.
pub fn of_command(exit: Exit, duration_ms: u64, output: &[u8], omitted_bytes: u64) -> String {
    let mut shown = match exit {
        Exit::Code(code) => format!("Exit code: {code}\n"),
        Exit::Signal(signal) => format!("Ended by signal {signal}\n"),
        Exit::TimedOut => "Timed out: the command and all its processes were ended\n".to_owned(),
    };
    let _ = writeln!(shown, "Wall time: {}.{} seconds\nOutput:", duration_ms / 1000, duration_ms % 1000 / 100);
    shown.push_str(&excerpt(output, omitted_bytes, SHOWN_BYTES_MAX));
    shown
}

/// The head and the tail of an output from whose middle `omitted_bytes` may be missing already.
pub fn excerpt(output: &[u8], omitted_bytes: u64, bytes_max: usize) -> String {
    if omitted_bytes == 0 {
        let text = plain(output);
        return if text.len() <= bytes_max { text } else { cut(&text, &text, 0, bytes_max) };
    }
    let (head, tail) = output.split_at(output.len() / 2);
    cut(&plain(head), &plain(tail), omitted_bytes, bytes_max)
}

/// The beginning of `head` and the end of `tail`, which may be the same text, with the count of what is between.
fn cut(head: &str, tail: &str, omitted_bytes: u64, bytes_max: usize) -> String {
    let mut until = head.len().min(bytes_max / 2);
    while !head.is_char_boundary(until) {
        until -= 1;
    }
    let shown_head = &head[..until];
    let mut from = tail.len().saturating_sub(bytes_max / 2);
    while !tail.is_char_boundary(from) {
        from += 1;
    }
    let is_same = std::ptr::eq(head, tail);
    let all = if is_same { head.len() } else { head.len() + tail.len() };
    let omitted = omitted_bytes + (all - shown_head.len() - (tail.len() - from)) as u64;
    format!("{shown_head}\n[... {omitted} bytes omitted ...]\n{}", &tail[from..])
}

/// Text without escape sequences and control characters; what is no UTF-8 is replaced.
pub fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' | '\u{9b}' => skip_escape(c, &mut chars),
            '\r' if chars.peek() == Some(&'\n') => {}
            '\r' => plain.push('\n'),
            '\n' | '\t' => plain.push(c),
            c if c.is_control() => {}
            c => plain.push(c),
        }
    }
    plain
}

/// Skips an escape sequence: CSI up to its final byte, OSC and its like up to their end, others by their length.
fn skip_escape(start: char, chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    let kind = if start == '\u{9b}' { Some('[') } else { chars.next() };
    match kind {
        Some('[') => {
            while chars.peek().is_some_and(|c| matches!(c, '\u{20}'..='\u{3f}')) {
                chars.next();
            }
            chars.next_if(|c| matches!(c, '\u{40}'..='\u{7e}'));
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while chars.next_if(|c| !matches!(c, '\u{7}' | '\u{1b}' | '\n')).is_some() {}
            match chars.peek() {
                Some('\u{7}') => drop(chars.next()),
                Some('\u{1b}') => {
                    chars.next();
                    chars.next_if_eq(&'\\');
                }
                Some(_) | None => {}
            }
        }
        Some('(' | ')' | '*' | '+' | '#' | '%' | ' ') => drop(chars.next_if(|c| !c.is_control())),
        Some(_) | None => {}
    }
}
