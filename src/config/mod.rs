//! Settings: parsed, checked, documented.
