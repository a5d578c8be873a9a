//! The web page: static files inside the binary.

use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};

use super::refuse::HttpRefusal;

/// One file of the page.
struct PageFile {
    name: &'static str,
    content_type: &'static str,
    text: &'static str,
}

macro_rules! page_files {
    ($($name:literal: $content_type:ident,)+) => {
        &[$(PageFile {
            name: $name,
            content_type: $content_type,
            text: include_str!(concat!("page/", $name)),
        },)+]
    };
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Everything that `/page/` serves; a test holds it to the folder.
const FILES: &[PageFile] = page_files! {
    "anteroom.js": SCRIPT,
    "avatar.js": SCRIPT,
    "board.js": SCRIPT,
    "capture.js": SCRIPT,
    "connection.js": SCRIPT,
    "create.js": SCRIPT,
    "dock.js": SCRIPT,
    "dom.js": SCRIPT,
    "entry.js": SCRIPT,
    "event-log.js": SCRIPT,
    "fold.js": SCRIPT,
    "icon.svg": SVG,
    "icons.svg": SVG,
    "index.html": HTML,
    "invitations.js": SCRIPT,
    "invite.js": SCRIPT,
    "main.js": SCRIPT,
    "meeting.js": SCRIPT,
    "notices.js": SCRIPT,
    "page.js": SCRIPT,
    "parts.css": CSS,
    "people.js": SCRIPT,
    "publishing.js": SCRIPT,
    "rooms.js": SCRIPT,
    "sentences.js": SCRIPT,
    "signalling.js": SCRIPT,
    "sound.js": SCRIPT,
    "stage.js": SCRIPT,
    "store.js": SCRIPT,
    "style.css": CSS,
    "tabs.js": SCRIPT,
    "top.js": SCRIPT,
};

/// `/`.
pub(super) async fn index() -> Result<Response, HttpRefusal> {
    serve("index.html")
}

/// `/page/{file}`.
pub(super) async fn file(Path(name): Path<String>) -> Result<Response, HttpRefusal> {
    serve(&name)
}

fn serve(name: &str) -> Result<Response, HttpRefusal> {
    let Some(file) = FILES.iter().find(|file| file.name == name) else {
        return Err(HttpRefusal::new(StatusCode::NOT_FOUND, "not_found", "there is no such page"));
    };
    // The files change with the binary, so browsers ask again each time.
    let headers: [(HeaderName, &str); 2] = [(CONTENT_TYPE, file.content_type), (CACHE_CONTROL, "no-cache")];
    Ok((headers, file.text).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_file_of_the_folder() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/api/page");
        let mut there: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let mut served: Vec<&str> = FILES.iter().map(|file| file.name).collect();
        there.sort();
        served.sort_unstable();
        assert_eq!(there, served);
    }
}
