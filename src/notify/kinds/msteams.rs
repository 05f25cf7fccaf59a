//! Microsoft Teams by the older connectors: known and not built, so that it is read, skipped and warned of.

use crate::notify::opaque::Opaque;

/// One item of `msteams_configs`.
pub(in crate::notify) type Settings = Opaque;
