//! Identifiers, each its own type.

use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;

/// A label set's identity in Alertmanager's API: FNV-1a, 64 bits, printed as 16 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// The fingerprint with these bits; `Labels::fingerprint` computes one.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The bits.
    pub const fn bits(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Fingerprint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() != 16 {
            return Err(format!("cannot read fingerprint {text:?}; 16 hex digits are wanted"));
        }
        u64::from_str_radix(text, 16)
            .map(Self)
            .map_err(|_| format!("cannot read fingerprint {text:?}; 16 hex digits are wanted"))
    }
}

/// A silence's identity: a UUID in text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SilenceId(String);

impl SilenceId {
    /// A random (version 4) UUID made of `random` bits.
    pub fn from_random(random: [u8; 16]) -> Self {
        let mut bits = u128::from_be_bytes(random);
        // Version 4, variant 1: RFC 9562, section 5.4.
        bits = (bits & !(0xf << 76)) | (0x4 << 76);
        bits = (bits & !(0x3 << 62)) | (0x2 << 62);
        Self(format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            bits >> 96,
            (bits >> 80) & 0xffff,
            (bits >> 64) & 0xffff,
            (bits >> 48) & 0xffff,
            bits & 0xffff_ffff_ffff
        ))
    }

    /// The identity that a client or the database names.
    pub fn from_text(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SilenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A notification group's identity: route key, colon, group label set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupKey(String);

impl GroupKey {
    /// The key of the group with these labels under this route.
    pub fn new(route_key: &str, group_labels: &super::Labels) -> Self {
        Self(format!("{route_key}:{group_labels}"))
    }

    /// The key as the database or a payload spells it.
    pub fn from_text(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same key for services that want it short: the SHA-256 of the text in 64 hex digits.
    pub fn hash(&self) -> String {
        let digest: [u8; 32] = Sha256::digest(&self.0).into();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Display for GroupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_id_is_a_version_4_uuid() {
        let id = SilenceId::from_random([0xff; 16]);
        assert_eq!(id.as_str(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }

    #[test]
    fn a_fingerprint_reads_what_it_prints() {
        let print = Fingerprint::from_bits(0x0123_4567_89ab_cdef);
        assert_eq!(print.to_string().parse(), Ok(print));
        assert!("12".parse::<Fingerprint>().is_err());
    }
}
