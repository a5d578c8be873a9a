//! One browser and one server for all stories.

use std::io::Write;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use anteroom::config::Config;
use anteroom::node::{Running, serve};
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::sync::Mutex;

use super::chrome::Chrome;
use super::devtools::{DevTools, Page};
use super::http::metric;

/// The tones of the pages, in hertz: none is near a multiple of another. Two pages more than this
/// are more than two cores can play and hear in time.
pub(crate) const TONES: [u32; 5] = [440, 620, 1_010, 1_390, 1_730];

/// No story takes this long unless something hangs.
const STORY_WITHIN: Duration = Duration::from_secs(90);

/// Such a story waits for the others before it gets its page.
const BESIDE_WITHIN: Duration = Duration::from_secs(300);

const INJECTED: &str = include_str!("inject.js");

struct Setting {
    runtime: Runtime,
    world: Mutex<World>,
}

/// What a story has.
pub(crate) struct World {
    devtools: DevTools,
    _chrome: Chrome,
    server: Running,
    /// The pages: each has its tone, storage of its own, and serves one story after the other.
    pages: Vec<Page>,
    taken: usize,
    rooms: usize,
}

static SETTING: LazyLock<Result<Setting, String>> = LazyLock::new(|| {
    let runtime = Runtime::new().map_err(|error| error.to_string())?;
    let world = runtime.block_on(World::start())?;
    Ok(Setting { runtime, world: Mutex::new(world) })
});

/// Plays a story in a room of its own, alone, and prints how long it took.
pub(crate) fn story(name: &'static str, play: impl AsyncFnOnce(&mut World)) {
    let setting = SETTING.as_ref().unwrap_or_else(|why| panic!("{why}"));
    setting.runtime.block_on(async {
        let mut world = setting.world.lock().await;
        world.clear().await;
        let _told = Told { name, begin: Instant::now() };
        let done = tokio::time::timeout(STORY_WITHIN, play(&mut world)).await;
        assert!(done.is_ok(), "{name}: still not done after {STORY_WITHIN:?}");
        assert_eq!(world.faults().await, Vec::<String>::new(), "{name}: the pages' own errors");
        let malformed = metric(&world.server, "anteroom_packets_dropped_total{reason=\"malformed\"}").await;
        assert_eq!(malformed, 0, "{name}: what a browser sends is understood");
    });
}

/// Plays a story that mostly waits, beside those that need the world for themselves. Its time counts
/// the wait for its page.
pub(crate) fn beside(name: &'static str, play: impl AsyncFnOnce(&Mutex<World>)) {
    let setting = SETTING.as_ref().unwrap_or_else(|why| panic!("{why}"));
    setting.runtime.block_on(async {
        let _told = Told { name, begin: Instant::now() };
        let done = tokio::time::timeout(BESIDE_WITHIN, play(&setting.world)).await;
        assert!(done.is_ok(), "{name}: still not done after {BESIDE_WITHIN:?}");
    });
}

/// Prints a story's name and time when it is over, however it ends.
struct Told {
    name: &'static str,
    begin: Instant,
}

impl Drop for Told {
    fn drop(&mut self) {
        // Past the capture of the test harness: the times are worth seeing when all is well, too.
        let seconds = self.begin.elapsed().as_secs_f32();
        let _ = writeln!(std::io::stderr(), "browser: {}: {seconds:.1} s", self.name);
    }
}

impl World {
    async fn start() -> Result<Self, String> {
        let chrome = Chrome::start().await?;
        let devtools = DevTools::connect(&chrome.address).await?;
        let mut config = Config::default();
        config.listen.port = 0;
        config.listen.metrics.set_port(0);
        config.store.enabled = false;
        let server = serve(&config).await.map_err(|error| error.to_string())?;
        Ok(Self { devtools, _chrome: chrome, server, pages: Vec::new(), taken: 0, rooms: 0 })
    }

    /// The name of a room that nobody was in before.
    pub(crate) fn room(&mut self) -> String {
        self.rooms += 1;
        format!("room-{}", self.rooms)
    }

    /// The server's address for browsers, with a slash at its end.
    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// An empty page and which tone it has.
    pub(crate) async fn page(&mut self) -> (Page, usize) {
        let tone = self.taken;
        self.taken += 1;
        if self.pages.len() == tone {
            let page = self.new_page(tone, &self.url()).await;
            self.pages.push(page);
        }
        (self.pages[tone].clone(), tone)
    }

    /// An empty page for the server at `url`.
    pub(crate) async fn new_page(&self, tone: usize, url: &str) -> Page {
        let page = self.devtools.page(url).await.unwrap();
        let tones = json!(TONES).to_string();
        let injected = INJECTED.replace("__TONES__", &tones).replace("__OWN__", &tone.to_string());
        page.ask("Page.addScriptToEvaluateOnNewDocument", json!({"source": injected})).await.unwrap();
        page
    }

    /// Errors that no script of the pages has caught.
    async fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for page in &self.pages[..self.taken] {
            let found = page.evaluate("test.faults").await.unwrap();
            faults.extend(serde_json::from_value::<Vec<String>>(found).unwrap());
        }
        faults
    }

    /// Ends what the story before left, also one that failed.
    async fn clear(&mut self) {
        for page in &self.pages[..self.taken] {
            let _ = page.evaluate("sessionStorage.clear()").await;
            let _ = page.goes_to("about:blank").await;
            let _ = page.ask("Emulation.clearDeviceMetricsOverride", json!({})).await;
        }
        self.taken = 0;
    }
}
