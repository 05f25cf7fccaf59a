//! What comes over a socket of D-Bus: any bytes are read within their bounds, or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use watchbell::sys::dbus::Reply;

fuzz_target!(|bytes: &[u8]| {
    let Some(Some(reply)) = Reply::decode(bytes) else { return };
    let _ = reply.reader().variant();
    let mut texts = reply.reader();
    while texts.text().is_some() {}
    // As a list of units is read.
    let Some(mut list) = reply.reader().array(8) else { return };
    while !list.is_at_end() {
        if list.align(8).is_none() || list.text().is_none() || list.u32().is_none() {
            return;
        }
    }
});
