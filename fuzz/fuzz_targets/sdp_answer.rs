#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| (anteroom_fuzz::bodies::target("sdp_answer").body)(data));
