//! The browser's process.

use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// Where distributions put it.
const PATHS: [&str; 3] = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/// How long it may take to start on a busy machine.
const START_WITHIN: Duration = Duration::from_secs(30);

const FLAGS: [&str; 16] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    // Only one page can be in front; the others have to go on as if they were.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--allow-loopback-in-peer-connection",
];

/// Ends the browser when its standard input ends, so that it never outlives the test process,
/// however that ends.
const KEEPER: &str = r#""$@" </dev/null >/dev/null 2>&1 & browser=$!; cat >/dev/null; kill $browser; wait $browser; rm -rf "$PROFILE""#;

/// A running browser.
pub(crate) struct Chrome {
    /// Holds the pipe that keeps the browser alive.
    _keeper: Child,
    /// The address of its DevTools.
    pub(crate) address: String,
}

impl Chrome {
    /// Starts the browser and waits until it listens.
    ///
    /// # Errors
    /// A text that says what to install, or what went wrong.
    pub(crate) async fn start() -> Result<Self, String> {
        let path = PATHS
            .iter()
            .find(|path| Path::new(path).exists())
            .ok_or("these tests need Chromium: apt-get install chromium")?;
        let profile = TempDir::with_prefix("anteroom-chromium-").map_err(text)?.keep();
        let keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper", path])
            .args(FLAGS)
            .arg("--remote-debugging-port=0")
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg("about:blank")
            .env("PROFILE", &profile)
            .stdin(Stdio::piped())
            .spawn()
            .map_err(text)?;
        let file = profile.join("DevToolsActivePort");
        let address = tokio::time::timeout(START_WITHIN, address(&file))
            .await
            .map_err(|_| format!("{path} did not start within {START_WITHIN:?}"))?;
        Ok(Self { _keeper: keeper, address })
    }
}

/// Chromium writes the port and the path of its DevTools to a file.
async fn address(file: &Path) -> String {
    loop {
        if let Some((port, path)) =
            std::fs::read_to_string(file).ok().as_deref().and_then(|text| text.trim().split_once('\n'))
        {
            return format!("ws://127.0.0.1:{port}{path}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn text(error: io::Error) -> String {
    error.to_string()
}
