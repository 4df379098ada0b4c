//! Text without terminal control, from bytes that come piece by piece: however they are cut, the same comes out.

/// Where in a text, or in an escape sequence of it, the next character stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Text,
    /// Behind a carriage return, of which it is not known yet whether a line feed follows.
    Return,
    /// Behind an escape character.
    Escape,
    /// In a control sequence, which ends with its final byte.
    Sequence,
    /// In a string, such as a title, which ends with BEL, an escape character or the line.
    String,
    /// Behind the escape character that ends a string.
    StringEnd,
    /// Before the one character that belongs to the sequence still.
    Last,
}

/// Leaves out what terminals act on. It keeps no more than one character that is not whole yet.
#[derive(Debug, Default)]
pub struct Plain {
    place: Place,
    /// The beginning of a character whose other bytes are still to come.
    begun: Vec<u8>,
}

impl Plain {
    /// What is to be seen of the next bytes; what is no UTF-8 is replaced.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        let mut plain = String::with_capacity(bytes.len());
        let joined;
        let mut rest = if self.begun.is_empty() {
            bytes
        } else {
            self.begun.extend_from_slice(bytes);
            joined = std::mem::take(&mut self.begun);
            &joined
        };
        while !rest.is_empty() {
            let (valid, invalid) = match std::str::from_utf8(rest) {
                Ok(text) => (text, None),
                Err(error) => {
                    let (valid, after) = rest.split_at(error.valid_up_to());
                    (std::str::from_utf8(valid).unwrap_or_default(), Some((after, error.error_len())))
                }
            };
            self.take_all(valid, &mut plain);
            rest = match invalid {
                None => &[],
                Some((after, Some(n_bytes))) => {
                    self.take(char::REPLACEMENT_CHARACTER, &mut plain);
                    &after[n_bytes..]
                }
                Some((after, None)) => {
                    self.begun = after.to_vec();
                    &[]
                }
            };
        }
        plain
    }

    /// What is to be seen of what was held back, once nothing more comes.
    pub fn end(mut self) -> String {
        let mut plain = String::new();
        if !self.begun.is_empty() {
            self.take(char::REPLACEMENT_CHARACTER, &mut plain);
        }
        if self.place == Place::Return {
            plain.push('\n');
        }
        plain
    }

    fn take_all(&mut self, text: &str, plain: &mut String) {
        for c in text.chars() {
            self.take(c, plain);
        }
    }

    fn take(&mut self, c: char, plain: &mut String) {
        self.place = match (self.place, c) {
            (Place::Escape, '[') => Place::Sequence,
            (Place::Escape, ']' | 'P' | 'X' | '^' | '_') => Place::String,
            (Place::Escape, '(' | ')' | '*' | '+' | '#' | '%' | ' ') => Place::Last,
            (Place::Escape, _) => Place::Text,
            (Place::Sequence, '\u{20}'..='\u{3f}') => Place::Sequence,
            (Place::Sequence, '\u{40}'..='\u{7e}') => Place::Text,
            (Place::String, '\u{7}') => Place::Text,
            (Place::String, '\u{1b}') => Place::StringEnd,
            (Place::StringEnd, '\\') => Place::Text,
            (Place::Last, c) if !c.is_control() => Place::Text,
            (Place::String, c) if c != '\n' => Place::String,
            (Place::Text | Place::Return | Place::Sequence | Place::String | Place::StringEnd | Place::Last, c) => {
                if self.place == Place::Return && c != '\n' {
                    plain.push('\n');
                }
                shown(c, plain)
            }
        };
    }
}

/// A character outside of every sequence.
fn shown(c: char, plain: &mut String) -> Place {
    match c {
        '\u{1b}' => return Place::Escape,
        '\u{9b}' => return Place::Sequence,
        '\r' => return Place::Return,
        '\n' | '\t' => plain.push(c),
        c if c.is_control() => {}
        c => plain.push(c),
    }
    Place::Text
}
