//! The doors: HTTP, WebSocket, tokens, the web page.

pub mod settings;
