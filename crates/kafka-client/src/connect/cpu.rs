//! Whether this processor has what our TLS is made of.
//!
//! The cryptography (graviola) has no fallback: it panics without these instructions. We ask first and say so plainly.

/// The features that are missing here; empty when TLS can be used.
pub(crate) fn missing_features() -> Vec<&'static str> {
    let mut missing = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        macro_rules! need {
            ($($name:tt),*) => { $(if !std::arch::is_x86_feature_detected!($name) { missing.push($name); })* };
        }
        need!("adx", "aes", "avx", "avx2", "bmi1", "bmi2", "pclmulqdq", "ssse3");
    }
    #[cfg(target_arch = "aarch64")]
    {
        macro_rules! need {
            ($($name:tt),*) => { $(if !std::arch::is_aarch64_feature_detected!($name) { missing.push($name); })* };
        }
        need!("neon", "aes", "pmull", "sha2");
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    missing.push("an x86-64 or AArch64 processor");
    missing
}
