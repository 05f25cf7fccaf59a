//! Limits against hostile or broken senders: on by default, above whatever the file says.

/// Limits of scraping. Each has a flag; a refusal names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SafetyLimits {
    /// Bytes of an answer, decompressed. Flag: `--scrape.max-body-bytes`.
    pub body_bytes_max: usize,
    /// Samples of a scrape. Flag: `--scrape.max-samples`.
    pub samples_max: usize,
    /// Series of a target. Flag: `--scrape.max-series`.
    pub series_max: usize,
    /// Labels of a series. Flag: `--scrape.max-labels`.
    pub labels_max: usize,
    /// Bytes of a label's name. Flag: `--scrape.max-label-name-bytes`.
    pub label_name_bytes_max: usize,
    /// Bytes of a label's value. Flag: `--scrape.max-label-value-bytes`.
    pub label_value_bytes_max: usize,
}

impl Default for SafetyLimits {
    fn default() -> Self {
        Self {
            // The largest honest bodies (kube-state-metrics, cAdvisor) are below 20 MiB.
            body_bytes_max: 32 << 20,
            // Twice the largest honest target known; at 200 bytes a series about 40 MiB.
            samples_max: 200_000,
            series_max: 200_000,
            // cAdvisor's widest series have about 30 labels.
            labels_max: 64,
            label_name_bytes_max: 128,
            // Long enough for a stack of SQL text; longer values are logs, not labels.
            label_value_bytes_max: 4 << 10,
        }
    }
}

/// Bytes of a remote write request's body, decompressed: ten times what agents send at most.
pub const WRITE_BYTES_MAX: usize = 16 << 20;

/// Samples of a remote write request: agents send 2,000, the bound holds memory below 64 MiB.
pub const WRITE_SAMPLES_MAX: usize = 500_000;

/// Bytes of a pushed body, unpacked: as remote write.
pub const PUSH_BYTES_MAX: usize = 16 << 20;

/// Samples of a pushed group: twenty times what a large job leaves behind.
pub const PUSH_SAMPLES_MAX: usize = 20_000;

/// Pushed groups. More come from a label that is never the same twice, and nobody deletes them.
pub const PUSH_GROUPS_MAX: usize = 10_000;

/// Bytes of all pushed groups: they are held in memory until they are deleted.
pub const PUSH_HELD_BYTES_MAX: usize = 32 << 20;

/// Bytes of the labels of one request, written out: senders that name texts once and use them often
/// could otherwise make gigabytes of a small body.
pub const LABEL_BYTES_MAX: usize = 64 << 20;

/// Texts in the table of a remote write 2.0 request: ten times what 10,000 series need.
pub const SYMBOLS_MAX: usize = 1_000_000;

/// Attributes of a resource, a scope or a point: more than labels, as a resource tells them in one
/// series only.
pub const ATTRIBUTES_MAX: usize = 256;

/// Exemplars of one point: SDKs keep one a bucket.
pub const EXEMPLARS_MAX: usize = 1_000;

/// Bytes of a help text that are kept: help is one sentence.
pub const HELP_BYTES_MAX: usize = 1 << 10;

/// Metrics of a target whose type and help are remembered.
pub const METADATA_MAX: usize = 20_000;

/// Bytes of a file of targets.
pub const TARGET_FILE_BYTES_MAX: u64 = 16 << 20;

/// Files that one pattern may name.
pub const TARGET_FILES_MAX: usize = 10_000;

/// Bytes of an answer that names targets, decompressed: the containers of a host many times over.
pub const DISCOVERY_BODY_BYTES_MAX: usize = 8 << 20;

/// Targets that one section, or one file of it, may name: more than one host can scrape, and each
/// has a loop of its own.
pub const DISCOVERED_TARGETS_MAX: usize = 20_000;

/// Bytes of the labels of all these targets: a group's labels are repeated for each of its targets.
pub const DISCOVERED_LABEL_BYTES_MAX: usize = 32 << 20;

/// Dropped targets that are remembered when the file sets no number.
pub const DROPPED_TARGETS_KEPT: usize = 1_000;

/// Targets of a job that are gone and whose ends are still to be marked, unless it has more targets
/// than that: discovery that names others each time must not fill the memory.
pub const LEAVING_TARGETS_KEPT: usize = 1_000;

/// Notes about one target that are kept for the view.
pub const NOTES_MAX: usize = 8;

/// Bodies that are parsed at once: more would only share the same cores and hold more memory.
pub const PARSING_MAX: usize = 4;
