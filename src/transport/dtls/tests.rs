//! Two ends of DTLS in one thread, on virtual time.

mod handshake;
mod hostile;
pub(in crate::transport) mod pair;

use super::*;
use crate::message::SrtpProfile;
use pair::{End, Pair};

const BROWSER: [SrtpProfile; 2] = [SrtpProfile::AesCm128HmacSha1_80, SrtpProfile::AeadAes128Gcm];
const OLD_TOOL: [SrtpProfile; 1] = [SrtpProfile::AesCm128HmacSha1_80];
