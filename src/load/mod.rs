//! The demo and the load tool.
