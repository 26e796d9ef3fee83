//! Frames of a recorded stream, for tests: the whole text at once, cut at blank lines.

use crate::framing::Frame;

/// Feeds each frame of `text` to `each`.
pub(super) fn frames(text: &str, mut each: impl FnMut(&Frame<'_>)) {
    let text = text.replace("\r\n", "\n");
    for block in text.split("\n\n") {
        let (mut event, mut data) = ("", String::new());
        for line in block.lines() {
            if let Some(value) = line.strip_prefix("event:") {
                event = value.trim_start();
            } else if let Some(value) = line.strip_prefix("data:") {
                if !data.is_empty() {
                    data.push('\n');
                }
                data.push_str(value.strip_prefix(' ').unwrap_or(value));
            }
        }
        if !event.is_empty() || !data.is_empty() {
            each(&Frame { event, data: &data });
        }
    }
}
