//! Gorilla: values as XOR with the one before.
//!
//! The first value takes 64 bits. Each later one stores `x = bits ^ bits_before`: `0` for no
//! change; `10` and the meaningful bits in the window of the value before; or `11`, five bits of
//! leading zeros (at most 31), six bits of length (0 stands for 64) and the meaningful bits.
//!
//! Source: Pelkonen et al., VLDB 2015, section 4.1.

use super::bits::{BitReader, BitWriter};

/// Writes values as XOR with the one before.
#[derive(Clone, Debug, Default)]
pub(super) struct ValueWriter {
    last: u64,
    leading: u8,
    /// Length of the window; 0 as long as there is none.
    len: u8,
}

impl ValueWriter {
    pub(super) fn put(&mut self, out: &mut BitWriter, bits: u64, first: bool) {
        if first {
            self.last = bits;
            out.put(bits, 64);
            return;
        }
        let x = bits ^ self.last;
        self.last = bits;
        if x == 0 {
            out.put(0, 1);
            return;
        }
        let leading = x.leading_zeros().min(31);
        let trailing = x.trailing_zeros();
        let (old_leading, old_len) = (u32::from(self.leading), u32::from(self.len));
        if old_len > 0 && leading >= old_leading && 64 - trailing <= old_leading + old_len {
            out.put(0b10, 2);
            out.put(x >> (64 - old_leading - old_len), old_len);
            return;
        }
        let len = 64 - leading - trailing;
        out.put(0b11, 2);
        out.put(u64::from(leading), 5);
        out.put(u64::from(len % 64), 6);
        out.put(x >> trailing, len);
        self.leading = u8::try_from(leading).expect("at most 31");
        self.len = u8::try_from(len).expect("at most 64");
    }
}

/// Reads what `ValueWriter` wrote.
#[derive(Debug, Default)]
pub(super) struct ValueReader {
    last: Option<u64>,
    leading: u32,
    len: u32,
}

impl ValueReader {
    /// The next value's bits; `None` at the end.
    #[inline]
    pub(super) fn next(&mut self, bits: &mut BitReader<'_>) -> Option<u64> {
        let Some(last) = self.last else {
            self.last = Some(bits.get(64)?);
            return self.last;
        };
        if !bits.bit()? {
            return Some(last);
        }
        if bits.bit()? {
            self.leading = u32::try_from(bits.get(5)?).ok()?;
            let len = u32::try_from(bits.get(6)?).ok()?;
            self.len = if len == 0 { 64 } else { len };
        }
        // A window that was never set, or that reaches past the word, is damage.
        let shift = 64_u32.checked_sub(self.leading + self.len).filter(|_| self.len > 0)?;
        self.last = Some(last ^ (bits.get(self.len)? << shift));
        self.last
    }
}
