#![no_main]

use lingate_dialect::framing::Framing;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    lingate_fuzz::frames(Framing::Sse, bytes);
});
