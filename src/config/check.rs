//! What a type cannot say: ranges, and settings that exclude each other.

use std::fmt;

use super::parse::Config;
use crate::control::settings::ControlSettings;

/// A setting that cannot be had.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) section: &'static str,
    pub(super) key: &'static str,
    pub(super) message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` in [{}]: {}", self.key, self.section, self.message)
    }
}

/// The first setting that cannot be had.
pub(super) fn check(config: &Config) -> Result<(), Fault> {
    let in_section =
        |section: &'static str| move |(key, message): (&'static str, String)| Fault { section, key, message };
    config.listen.check().map_err(in_section("listen"))?;
    config.http.check().map_err(in_section("http"))?;
    config.tokens.check().map_err(in_section("tokens"))?;
    config.admin.check().map_err(in_section("admin"))?;
    config.node.check().map_err(in_section("node"))?;
    config.store.check().map_err(in_section("store"))?;
    config.log.check().map_err(in_section("log"))?;
    check_rooms(config)?;
    check_media(config)?;
    check_exposure(config)?;
    check_ports(config)
}

fn check_rooms(config: &Config) -> Result<(), Fault> {
    let rooms = &config.rooms;
    ControlSettings::check_room(rooms).map_err(|message| {
        // The text names the field; the place is the field's where it can be told.
        let key =
            if message.contains("max_participants") { "max_participants" } else { "max_active_talkers" };
        Fault { section: "rooms", key, message }
    })
}

/// Longer than a round trip to anywhere is silence for nothing.
const MOST_IN_FLIGHT_MS: u64 = 500;

/// More than a packet of sound apart, people would hear that packets are held.
const MOST_HOLD_MS: u64 = 20;

/// From a microphone with a modest camera to more than a network card carries.
const PUBLISHER_KBPS: (u64, u64) = (500, 100_000_000);

fn check_media(config: &Config) -> Result<(), Fault> {
    let media = &config.media;
    let bounds =
        [("in_flight_ms", media.in_flight_ms, MOST_IN_FLIGHT_MS), ("hold_ms", media.hold_ms, MOST_HOLD_MS)];
    let fault = |key, message| Err(Fault { section: "media", key, message });
    if let Some((key, millis, most)) = bounds.into_iter().find(|(_, millis, most)| millis > most) {
        return fault(key, format!("{millis} is above {most}"));
    }
    let (least, most) = PUBLISHER_KBPS;
    if !(least..=most).contains(&media.publisher_kbps) {
        return fault("publisher_kbps", format!("{} is not within {least} to {most}", media.publisher_kbps));
    }
    Ok(())
}

/// Without a secret the server hands tokens to whoever asks, so only this machine may ask; nor is there
/// anybody elsewhere then whose media it could be.
fn check_exposure(config: &Config) -> Result<(), Fault> {
    let listen = &config.listen;
    let exposed = [("http", &listen.http), ("media", &listen.media)]
        .into_iter()
        .find_map(|(key, list)| Some((key, list.iter().find(|address| !address.is_loopback())?)));
    match exposed {
        Some((key, address)) if config.tokens.secret.is_empty() => Err(Fault {
            section: "listen",
            key,
            message: format!(
                "{address} is open to others, and without a token secret everybody could let themselves in; \
                 set `secret` in [tokens] (32 characters or more), or listen on 127.0.0.1 and ::1 only"
            ),
        }),
        _ => Ok(()),
    }
}

/// Worker n has port `media_port` + n.
fn check_ports(config: &Config) -> Result<(), Fault> {
    let (first, workers) = (config.listen.media_port, config.node.worker_count());
    if first == 0 || first.checked_add(workers.saturating_sub(1)).is_some() {
        return Ok(());
    }
    let message = format!("{workers} workers need the ports from {first} on, and the last one is 65535");
    Err(Fault { section: "listen", key: "media_port", message })
}
