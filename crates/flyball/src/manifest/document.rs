//! The keys at the top of the two files.

use super::config::{MEMORY_MAX, NOT_EMBEDDED, NOT_YET, PROCESS, PROVIDER, SHARED};
use super::table::{FRACTION, Key, Kind, Kinds, Section, Span, Word};

pub(super) const MANIFEST: Section = Section {
    name: "manifest",
    kinds: Kinds::One,
    keys: &[
        Key::new("version", Kind::Choice(&[Word::new("1.0")]), "The format's version.").or("\"1.0\""),
        Key::new("name", Kind::Filled, "The process's name: a letter, then up to 63 letters, digits, `_` or `-`.").required(),
        SHARED[0],
        SHARED[1],
        SHARED[2],
        SHARED[3],
        Key::new("world", Kind::Map(&Kind::Json), "The state of the first start: another name for `context.initial_state`."),
        Key::new("memory", Kind::Section(&MEMORY), "Long-term memory: other names for `context.memory_…`."),
        SHARED[4],
        SHARED[5],
        Key::new(
            "config",
            Kind::Section(&PROCESS),
            "Any other setting of the process, and any of these again that is not set here.",
        ),
        SHARED[6],
        SHARED[7],
        SHARED[8],
        SHARED[9],
        SHARED[10],
        NOT_YET[0],
        NOT_YET[1],
        NOT_YET[2],
        NOT_YET[3],
        NOT_YET[4],
        Key::refused("entrypoint", "leave it out: an agent's code is its instructions and its tools"),
    ],
};

pub(super) const MEMORY: Section = Section {
    name: "memory",
    kinds: Kinds::One,
    keys: &[
        Key::new("provider", PROVIDER, "`context.memory_provider`."),
        Key::new("auto_store", Kind::Bool, "`context.memory_auto_store`."),
        Key::new("max", MEMORY_MAX, "`context.memory_max`."),
        Key::new("min_score", FRACTION, "`context.memory_min_score`."),
        Key::refused("timeout", NOT_EMBEDDED),
        Key::refused("collection", NOT_EMBEDDED),
        Key::refused("persist_directory", NOT_EMBEDDED),
        Key::refused("user_id", NOT_EMBEDDED),
    ],
};

pub(super) const RUNTIME: Section = Section {
    name: "flyball.yaml",
    kinds: Kinds::One,
    keys: &[
        Key::new(
            "until",
            Kind::Choice(&[Word::new("signal"), Word::new("mission")]),
            "When `flyball run` ends: at Ctrl-C, or already when every mission is over.",
        )
        .or("signal"),
        Key::new("listen", Kind::Filled, "The address of the control API, as HOST:PORT. `--listen` is stronger."),
        Key::new("data", Kind::Path, "The data directory. `--data` is stronger."),
        Key::new(
            "keep",
            Kind::Section(&KEEP),
            "How much of the past the journals keep. What is needed to go on, or to know duplicates for 72 hours, is kept in any case.",
        ),
    ],
};

/// A pebibyte, so that no sum overflows; a hundred years.
const KEPT_BYTES: Kind = Kind::Int(0, 1 << 50);
const KEPT_DAYS: Kind = Kind::Float(Span { min: 0.0, open: false, max: 36_525.0 });

pub(super) const KEEP: Section = Section {
    name: "keep",
    kinds: Kinds::One,
    keys: &[
        Key::new("max_bytes", KEPT_BYTES, "So many bytes of each journal, or more where duplicates need it; 0 is all of it.")
            .or("4294967296"),
        Key::new("max_days", KEPT_DAYS, "What is younger than so many days; 0 is however old.").or("0.0"),
    ],
};
