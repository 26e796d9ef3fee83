//! The raw-span envelope: edits to named top-level fields of a JSON body; every other byte stays as it came.
