#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| llmproxy_core::properties::sse(input));
