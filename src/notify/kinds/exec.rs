//! A command of this host: known and not built, so that it is read, skipped and warned of.

use crate::notify::opaque::Opaque;

/// One item of `exec_configs`.
pub(in crate::notify) type Settings = Opaque;
