//! One media worker: groups, slots, fan-out.
