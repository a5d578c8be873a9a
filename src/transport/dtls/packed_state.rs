//! What is kept of an association that has nothing more to say than goodbye.

use std::sync::Arc;

use rtc_crypto::RTCCryptoProvider;
use rtc_dtls::state::State;
use rtc_shared::error::Error;

/// The crate's state, written down: some hundred bytes with the secret, the randoms and the number of
/// the next record. The endpoint around it has 8 KiB of messages, flights and ciphers.
pub(super) struct PackedState(Box<[u8]>);

impl PackedState {
    pub(super) fn of(state: &State, provider: &Arc<dyn RTCCryptoProvider>) -> Result<Self, Error> {
        let is_client = state.is_client();
        let mut own = unpack(&state.marshal_binary()?, provider, is_client)?;
        // Checked already, and the longest part.
        own.peer_certificates = Vec::new();
        let packed = Self(own.marshal_binary()?.into_boxed_slice());
        // Now, while there is something else to go on with.
        packed.unpack(provider, is_client)?;
        Ok(packed)
    }

    pub(super) fn unpack(
        &self,
        provider: &Arc<dyn RTCCryptoProvider>,
        is_client: bool,
    ) -> Result<State, Error> {
        unpack(&self.0, provider, is_client)
    }
}

fn unpack(bytes: &[u8], provider: &Arc<dyn RTCCryptoProvider>, is_client: bool) -> Result<State, Error> {
    let mut state = State::new(Arc::clone(provider), is_client);
    state.unmarshal_binary(bytes)?;
    Ok(state)
}
