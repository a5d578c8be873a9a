#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| (anteroom_fuzz::bodies::target("store").body)(data));
