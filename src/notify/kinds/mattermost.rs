//! Mattermost: known and not built, so that it is read, skipped and warned of.

use crate::notify::opaque::Opaque;

/// One item of `mattermost_configs`.
pub(in crate::notify) type Settings = Opaque;
