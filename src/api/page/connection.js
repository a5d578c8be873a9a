// @ts-check
// One WebRTC connection for a whole meeting. Its m-lines are fixed at the start: some send, some
// receive, and nothing is ever renegotiated. What is sent changes by `replaceTrack`, who is heard
// changes on the server.

/** @typedef {"audio" | "video" | "share" | "canvas"} Kind */

/**
 * What a line may cost at most, in bits per second.
 * @type {Record<Kind, number>}
 */
const MAX_BITRATE = { audio: 48_000, video: 700_000, share: 2_500_000, canvas: 1_000_000 };

/** @type {Kind[]} */
const SEND_ORDER = ["audio", "video", "share", "canvas"];

/** Codecs that the server never answers; leaving them out makes a smaller offer. */
const UNUSED_CODEC = /\/(red|ulpfec|flexfec-03|cn|telephone-event|pcmu|pcma|g722)$/i;

/** How long ICE may stay disconnected before it is restarted, in milliseconds. */
const DISCONNECTED_GRACE = 2_000;

/**
 * The connection. It raises `up` when media flows, `weak` when ICE should be restarted and `lost`
 * when the connection cannot be mended and has to be made anew.
 */
export class MediaConnection extends EventTarget {
  /** @param {{audioSlots: number, videoSlots: number}} slots how much it can receive at once */
  constructor({ audioSlots, videoSlots }) {
    super();
    /** The browser's connection, for those who want its statistics. */
    this.pc = new RTCPeerConnection({ bundlePolicy: "max-bundle", rtcpMuxPolicy: "require" });
    /** How many offers were made: one, and one more for each ICE restart. */
    this.offers = 0;
    /** @type {Map<Kind, RTCRtpTransceiver>} */
    this.senders = new Map();
    for (const kind of SEND_ORDER) this.senders.set(kind, this.#addSender(kind));
    for (let i = 0; i < audioSlots; i += 1) this.#addReceiver("audio");
    for (let i = 0; i < videoSlots; i += 1) this.#addReceiver("video");
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.grace = undefined;
    /** Whether media has ever flowed. */
    this.wasUp = false;
    this.pc.onconnectionstatechange = () => this.#stateChanged();
    this.pc.oniceconnectionstatechange = () => this.#stateChanged();
  }

  /**
   * The one offer. The server is ICE-lite and names its candidates in the answer, so the offer
   * needs none and goes out at once.
   * @returns {Promise<{sdp: string, tracks: Record<string, Kind>}>}
   */
  async offer() {
    this.offers += 1;
    await this.pc.setLocalDescription(await this.pc.createOffer());
    /** @type {Record<string, Kind>} */
    const tracks = {};
    for (const [kind, transceiver] of this.senders) {
      if (transceiver.mid !== null) tracks[transceiver.mid] = kind;
    }
    return { sdp: this.pc.localDescription?.sdp ?? "", tracks };
  }

  /** An offer of the same lines with new ICE credentials. */
  async restartOffer() {
    this.offers += 1;
    await this.pc.setLocalDescription(await this.pc.createOffer({ iceRestart: true }));
    return this.pc.localDescription?.sdp ?? "";
  }

  /** Takes back an offer that was refused. */
  async rollback() {
    if (this.pc.signalingState === "have-local-offer") {
      await this.pc.setLocalDescription({ type: "rollback" });
    }
  }

  /** @param {string} sdp the server's answer */
  async answer(sdp) {
    await this.pc.setRemoteDescription({ type: "answer", sdp });
  }

  /**
   * Sends `track` as `kind` from now on, or nothing.
   * @param {Kind} kind
   * @param {MediaStreamTrack | null} track
   */
  async publish(kind, track) {
    if (this.pc.connectionState === "closed") return;
    await this.senders.get(kind)?.sender.replaceTrack(track);
  }

  /**
   * What is received on an m-line.
   * @param {string} mid
   * @returns {MediaStreamTrack | null}
   */
  track(mid) {
    const line = this.pc.getTransceivers().find((transceiver) => transceiver.mid === mid);
    return line ? line.receiver.track : null;
  }

  /** Whether media can flow now. */
  get isUp() {
    return this.pc.connectionState === "connected";
  }

  /** Where media was sent in vain, and what may help. */
  get whyUnreachable() {
    const lines = this.pc.remoteDescription?.sdp.matchAll(/^a=candidate:\S+ \d+ \S+ \d+ (\S+)/gm) ?? [];
    const addresses = [...new Set([...lines].map(([, address]) => address))];
    const help = addresses.every((address) => /^(127\.|::1$)/.test(address))
      ? "It only listens for media on its own machine, which Firefox does not connect to: set `media` in [listen] to another address, and `secret` in [tokens]."
      : "UDP may be blocked on the way.";
    return `No media gets to the server at ${addresses.join(", ")}. ${help}`;
  }

  /** Ends it. */
  close() {
    clearTimeout(this.grace);
    this.pc.onconnectionstatechange = null;
    this.pc.oniceconnectionstatechange = null;
    this.pc.close();
  }

  /** @param {Kind} kind */
  #addSender(kind) {
    const media = kind === "audio" ? "audio" : "video";
    const transceiver = this.pc.addTransceiver(media, {
      direction: "sendonly",
      sendEncodings: [{ maxBitrate: MAX_BITRATE[kind] }],
    });
    preferUsedCodecs(transceiver, RTCRtpSender.getCapabilities(media));
    return transceiver;
  }

  /** @param {"audio" | "video"} media */
  #addReceiver(media) {
    const transceiver = this.pc.addTransceiver(media, { direction: "recvonly" });
    preferUsedCodecs(transceiver, RTCRtpReceiver.getCapabilities(media));
  }

  #stateChanged() {
    const { connectionState, iceConnectionState } = this.pc;
    if (connectionState === "connected") {
      clearTimeout(this.grace);
      this.grace = undefined;
      this.wasUp = true;
      this.dispatchEvent(new Event("up"));
    } else if (iceConnectionState === "failed") {
      this.dispatchEvent(new Event("weak"));
    } else if (connectionState === "failed" || connectionState === "closed") {
      this.dispatchEvent(new Event("lost"));
    } else if (iceConnectionState === "disconnected" && this.grace === undefined) {
      this.grace = setTimeout(() => {
        this.grace = undefined;
        if (!this.isUp) this.dispatchEvent(new Event("weak"));
      }, DISCONNECTED_GRACE);
    }
  }
}

/**
 * @param {RTCRtpTransceiver} transceiver
 * @param {RTCRtpCapabilities | null} capabilities
 */
function preferUsedCodecs(transceiver, capabilities) {
  const used = (capabilities?.codecs ?? []).filter((codec) => !UNUSED_CODEC.test(codec.mimeType));
  if (used.length > 0 && transceiver.setCodecPreferences) transceiver.setCodecPreferences(used);
}
