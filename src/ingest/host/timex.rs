//! The kernel's clock: whether and how well something keeps it right.
//!
//! Source: adjtimex(2); names are node_exporter's.

use super::collector::Host;
use super::error::CollectError;
use super::families::Families;
use rtime_clock::adjtime::{Timex, adjtimex};

/// What the call answers when the clock is not kept by anything.
const TIME_ERROR: i32 = 5;
/// The bit that says that offset and jitter are in nanoseconds.
const STATUS_NANO: i32 = 0x2000;
/// Frequencies are in parts of a million, with 16 bits behind the point.
const FREQUENCY: f64 = 1_000_000.0 * 65_536.0;
const MICROSECONDS: f64 = 1_000_000.0;
const NANOSECONDS: f64 = 1_000_000_000.0;

/// Adds `node_timex_...`: a system call that only reads, so the same under every root.
pub(super) fn collect(_: &Host, out: &mut Families) -> Result<(), CollectError> {
    let mut read = Timex::new();
    let state = adjtimex(&mut read).map_err(CollectError::Clock)?;
    let clock = &read.0;
    let fine = if clock.status & STATUS_NANO == 0 { MICROSECONDS } else { NANOSECONDS };
    let synced = if state == TIME_ERROR { 0.0 } else { 1.0 };
    for (name, help, value) in [
        ("sync_status", "1 if something keeps the clock right.", synced),
        ("offset_seconds", "How far the clock is ahead of its source.", clock.offset as f64 / fine),
        (
            "frequency_adjustment_ratio",
            "By what the clock's frequency is multiplied.",
            1.0 + clock.freq as f64 / FREQUENCY,
        ),
        ("maxerror_seconds", "The largest error.", clock.maxerror as f64 / MICROSECONDS),
        ("estimated_error_seconds", "The likely error.", clock.esterror as f64 / MICROSECONDS),
        ("status", "The bits of the clock's status.", f64::from(clock.status)),
        ("loop_time_constant", "Time constant of the control loop.", clock.constant as f64),
        ("tick_seconds", "Time between the clock's ticks.", clock.tick as f64 / MICROSECONDS),
        ("pps_frequency_hertz", "Frequency of the pulses.", clock.ppsfreq as f64 / FREQUENCY),
        ("pps_jitter_seconds", "Jitter of the pulses.", clock.jitter as f64 / fine),
        ("pps_shift_seconds", "Interval of the pulses.", f64::from(clock.shift)),
        ("pps_stability_hertz", "Stability of the pulses.", clock.stabil as f64 / FREQUENCY),
        ("tai_offset_seconds", "How far TAI is ahead of UTC.", f64::from(clock.tai)),
    ] {
        out.gauge(&format!("node_timex_{name}"), help, &[], value);
    }
    for (name, help, count) in [
        ("pps_jitter_total", "Pulses beyond the limit of jitter.", clock.jitcnt),
        ("pps_calibration_total", "Intervals of calibration by pulses.", clock.calcnt),
        ("pps_error_total", "Intervals of calibration that failed.", clock.errcnt),
        ("pps_stability_exceeded_total", "Pulses beyond the limit of stability.", clock.stbcnt),
    ] {
        out.counter(&format!("node_timex_{name}"), help, &[], count as f64);
    }
    Ok(())
}
