//! Microsoft Teams by workflows: known and not built, so that it is read, skipped and warned of.

use crate::notify::opaque::Opaque;

/// One item of `msteamsv2_configs`.
pub(in crate::notify) type Settings = Opaque;
