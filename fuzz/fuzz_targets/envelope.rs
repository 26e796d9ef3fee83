#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    lingate_fuzz::envelope(bytes);
});
