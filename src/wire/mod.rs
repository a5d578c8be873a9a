//! Checked views and writers of what is on the wire.
