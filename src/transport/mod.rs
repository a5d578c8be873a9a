//! One participant's connection: ICE-lite, DTLS, SRTP/SRTCP, SDP.
