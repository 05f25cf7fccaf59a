//! Stub: the storage part defines the seam for files here.
