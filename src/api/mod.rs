//! The doors: HTTP, WebSocket, tokens, the web page.
