#![no_main]

use lingate_dialect::DialectId;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    lingate_fuzz::request(DialectId::Responses, bytes);
});
