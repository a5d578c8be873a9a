//! Which pages may open a WebSocket (RFC 6455 section 10.2).

use axum::http::HeaderMap;
use axum::http::header::{HOST, ORIGIN};

/// Whether a request comes from a page that may: one of this server, one of the list, or from no
/// page at all, since programs that are no browsers send no `Origin`.
pub(super) fn is_allowed(headers: &HeaderMap, allowed: &[String]) -> bool {
    let mut origins = headers.get_all(ORIGIN).iter();
    let Some(origin) = origins.next() else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    if origins.next().is_some() {
        return false;
    }
    if allowed.iter().any(|candidate| candidate.eq_ignore_ascii_case(origin)) {
        return true;
    }
    // The scheme is not compared: behind a TLS proxy the server cannot know its own.
    let host_of_page = origin.split_once("://").map(|(_, host)| host);
    let host_asked = headers.get(HOST).and_then(|host| host.to_str().ok());
    match (host_of_page, host_asked) {
        (Some(page), Some(asked)) => page.eq_ignore_ascii_case(asked),
        _ => false,
    }
}

/// Whether the request names this machine itself. A foreign name that resolves to loopback (DNS
/// rebinding) is how a web page would reach a developer's server.
pub(super) fn is_loopback_host(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) else { return false };
    let name = match host.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next(),
        None => host.split(':').next(),
    };
    name.is_some_and(|name| {
        name.eq_ignore_ascii_case("localhost")
            || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    })
}

/// Whether a proxy passes the request on, whose own name for this server may be one of this machine's.
pub(super) fn is_forwarded(headers: &HeaderMap) -> bool {
    ["forwarded", "x-forwarded-for", "x-real-ip", "via"].iter().any(|name| headers.contains_key(*name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        let mut map = HeaderMap::new();
        pairs.for_each(|(name, value): (axum::http::HeaderName, _)| {
            map.append(name, value);
        });
        map
    }

    #[test]
    fn own_pages_listed_pages_and_programs_may() {
        let list = ["https://meet.example".to_owned()];
        let asked = ("host", "sfu.example:8080");
        assert!(is_allowed(&headers(&[asked]), &[]));
        assert!(is_allowed(&headers(&[asked, ("origin", "https://sfu.example:8080")]), &[]));
        assert!(is_allowed(&headers(&[asked, ("origin", "https://meet.example")]), &list));
    }

    #[test]
    fn other_pages_may_not() {
        let list = ["https://meet.example".to_owned()];
        let asked = ("host", "sfu.example");
        for origin in [
            "https://evil.example",
            "https://meet.example.evil",
            "http://meet.example",
            "null",
            "https://",
            "",
        ] {
            assert!(!is_allowed(&headers(&[asked, ("origin", origin)]), &list), "{origin}");
        }
        let two = [asked, ("origin", "https://meet.example"), ("origin", "https://evil.example")];
        assert!(!is_allowed(&headers(&two), &list));
    }

    #[test]
    fn a_rebound_name_is_not_this_machine() {
        for (host, own) in [
            ("localhost:8080", true),
            ("127.0.0.1", true),
            ("[::1]:8080", true),
            ("evil.example:8080", false),
            ("127.0.0.1.evil.example", false),
            ("10.0.0.1", false),
        ] {
            assert_eq!(is_loopback_host(&headers(&[("host", host)])), own, "{host}");
        }
        assert!(!is_loopback_host(&HeaderMap::new()));
    }
}
