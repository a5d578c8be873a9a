//! The little HTTP that WHIP (RFC 9725) and WHEP need: a body up, a body down, and where it lies.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use hyper::header::{CONTENT_TYPE, HOST, LOCATION};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::super::person::PersonError;

/// No server thinks longer.
const PATIENCE: Duration = Duration::from_secs(20);
/// As long as an answer may be.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// What a resource is, once it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Created {
    /// Where it is deleted.
    pub(super) resource: Option<String>,
    /// The answer.
    pub(super) sdp: String,
}

/// Hands an offer in.
///
/// # Errors
/// Where the server is not there, or does not answer with SDP.
pub(super) async fn post_offer(url: &str, sdp: String) -> Result<Created, PersonError> {
    let response = send(Method::POST, url, sdp).await?;
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let resource = location.and_then(|location| resolve(url, location));
    let status = response.status();
    let body = to_bytes(Body::new(response.into_body()), MAX_ANSWER_BYTES).await;
    let body = body.map_err(|error| PersonError::Http(error.to_string()))?;
    let text = String::from_utf8_lossy(&body).into_owned();
    if !status.is_success() {
        let answer = format!("{status}: {}", text.chars().take(200).collect::<String>());
        return Err(PersonError::Refused { method: format!("POST {url}"), answer });
    }
    Ok(Created { resource, sdp: text })
}

/// Gives a resource back. A server that has forgotten it already is fine.
pub(super) async fn delete(url: &str) {
    let _ = send(Method::DELETE, url, String::new()).await;
}

async fn send(
    method: Method,
    url: &str,
    body: String,
) -> Result<hyper::Response<hyper::body::Incoming>, PersonError> {
    let http = |error: &dyn std::fmt::Display| PersonError::Http(format!("{url}: {error}"));
    let uri: Uri = url.parse().map_err(|error| http(&error))?;
    let (Some("http"), Some(host)) = (uri.scheme_str(), uri.authority()) else {
        return Err(http(&"not an http:// address"));
    };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::builder().method(&method).uri(path).header(HOST, host.as_str());
    if method == Method::POST {
        request = request.header(CONTENT_TYPE, "application/sdp");
    }
    let request = request.body(Body::from(body)).map_err(|error| http(&error))?;
    let address = (host.host().trim_matches(['[', ']']).to_owned(), host.port_u16().unwrap_or(80));
    let exchange = async {
        let stream = TcpStream::connect(address).await.map_err(|error| http(&error))?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| http(&error))?;
        tokio::spawn(connection);
        sender.send_request(request).await.map_err(|error| http(&error))
    };
    let late = |_| PersonError::Late(format!("{method} {url}"), PATIENCE);
    tokio::time::timeout(PATIENCE, exchange).await.map_err(late)?
}

/// The address that `location` means in an answer from `base` (RFC 3986 section 5.2, without `..`).
fn resolve(base: &str, location: &str) -> Option<String> {
    let uri: Uri = base.parse().ok()?;
    let door = format!("{}://{}", uri.scheme_str()?, uri.authority()?);
    if location.contains("://") {
        return Some(location.to_owned());
    }
    if location.starts_with('/') {
        return Some(format!("{door}{location}"));
    }
    let folder = uri.path().rsplit_once('/').map_or("", |(folder, _)| folder);
    Some(format!("{door}{folder}/{location}"))
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::{delete as on_delete, post};
    use tokio::sync::mpsc;

    use super::*;

    #[test]
    fn a_location_is_resolved_against_what_was_asked() {
        let base = "http://host:8889/live/whip?x=1";
        for (location, expected) in [
            ("http://other/r/1", "http://other/r/1"),
            ("/r/1", "http://host:8889/r/1"),
            ("r/1", "http://host:8889/live/r/1"),
        ] {
            assert_eq!(resolve(base, location).as_deref(), Some(expected));
        }
        assert_eq!(resolve("no address", "/r/1"), None);
    }

    /// A door that answers as RFC 9725 section 4.2 says, and tells what it was asked.
    async fn door() -> (String, mpsc::Receiver<String>) {
        let (told, asked) = mpsc::channel(8);
        let deleted = told.clone();
        let app = Router::new()
            .route(
                "/live/whip",
                post(move |headers: HeaderMap, body: String| async move {
                    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
                    let _ = told.send(format!("{} {body}", kind.unwrap_or_default())).await;
                    (StatusCode::CREATED, [(LOCATION, "whip/7")], "the answer")
                }),
            )
            .route(
                "/live/whip/7",
                on_delete(move || async move {
                    let _ = deleted.send("deleted".to_owned()).await;
                }),
            );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (url, asked)
    }

    #[tokio::test]
    async fn an_offer_is_handed_in_and_its_resource_given_back() {
        let (door, mut asked) = door().await;
        let created = post_offer(&format!("{door}/live/whip"), "the offer".to_owned()).await.unwrap();
        let resource = format!("{door}/live/whip/7");
        assert_eq!(created, Created { resource: Some(resource.clone()), sdp: "the answer".to_owned() });
        assert_eq!(asked.recv().await.unwrap(), "application/sdp the offer");
        delete(&resource).await;
        assert_eq!(asked.recv().await.unwrap(), "deleted");
        let refused = post_offer(&format!("{door}/nowhere"), String::new()).await.unwrap_err();
        assert!(refused.to_string().contains("404"), "{refused}");
        let other = post_offer("https://127.0.0.1/", String::new()).await.unwrap_err();
        assert!(other.to_string().contains("not an http"), "{other}");
    }
}
