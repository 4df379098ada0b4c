//! What an agent prints: JSON objects, one a line, of a bounded length.

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};

use crate::agent::external::pulse::Pulse;

/// The longest line that is read, in bytes.
const LINE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// How much of a bad line is shown, in bytes.
const SHOWN_BYTES_MAX: usize = 200;

/// A line that is none, in words for the operator.
#[derive(Debug)]
pub(super) struct Broken(pub(super) String);

/// Reads lines.
pub(super) struct Lines {
    reader: BufReader<Box<dyn AsyncRead + Send + Unpin>>,
    pulse: Pulse,
}

impl Lines {
    pub(super) fn new(output: Box<dyn AsyncRead + Send + Unpin>, pulse: Pulse) -> Self {
        Self { reader: BufReader::new(output), pulse }
    }

    /// The next object; none at the end. Blank lines are passed over.
    pub(super) async fn next(&mut self) -> Result<Option<Value>, Broken> {
        loop {
            let mut line = Vec::new();
            let read = (&mut self.reader).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await;
            let n_bytes = read.map_err(|error| Broken(error.to_string()))?;
            if n_bytes == 0 {
                return Ok(None);
            }
            self.pulse.beat();
            if n_bytes as u64 == LINE_BYTES_MAX && !line.ends_with(b"\n") {
                return Err(Broken(format!("it printed a line of more than {LINE_BYTES_MAX} bytes")));
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            return match serde_json::from_slice::<Value>(&line) {
                Ok(value) if value.is_object() => Ok(Some(value)),
                Ok(_) | Err(_) => {
                    let shown = String::from_utf8_lossy(&line[..line.len().min(SHOWN_BYTES_MAX)]).trim_end().to_owned();
                    Err(Broken(format!("it printed a line that is no JSON object: {shown:?}")))
                }
            };
        }
    }
}
