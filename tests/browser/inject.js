// Runs in every page before its own scripts: a tone instead of a microphone, a record of what the
// server said, and ears.
(() => {
  const TONES = __TONES__;
  const OWN = __OWN__;
  const FFT_SIZE = 4096;
  // A tone of another page arrives at about -20 dB; what Opus adds around it is below -60 dB.
  const AUDIBLE = -45;

  /** @type {any} */
  const test = { events: [], connections: [], offers: 0, states: [], faults: [] };
  window.test = test;
  window.addEventListener("error", ({ message }) => test.faults.push(message));
  window.addEventListener("unhandledrejection", ({ reason }) => test.faults.push(String(reason)));

  let context;
  const audio = () => (context ??= new AudioContext({ sampleRate: 48000 }));

  const devices = navigator.mediaDevices;
  const original = devices.getUserMedia.bind(devices);
  devices.getUserMedia = async (asked) => {
    if (!asked.audio) return original(asked);
    const tone = audio().createOscillator();
    const volume = audio().createGain();
    const out = audio().createMediaStreamDestination();
    tone.frequency.value = TONES[OWN];
    volume.gain.value = 0.25;
    tone.connect(volume).connect(out);
    tone.start();
    return out.stream;
  };

  const Native = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Native {
    constructor(...how) {
      super(...how);
      test.connections.push(this);
      this.addEventListener("signalingstatechange", () => test.states.push(this.signalingState));
    }
    createOffer(...how) {
      test.offers += 1;
      return super.createOffer(...how);
    }
  };

  // The page puts its room here before it joins.
  let room;
  Object.defineProperty(window, "anteroom", {
    get: () => room,
    set(value) {
      room = value;
      room.addEventListener("frame", ({ detail }) => test.events.push(detail));
    },
  });

  /** Calls a method of the room; a refusal is an answer, too. */
  test.ask = async (method, params) => {
    const track = method === "startCanvas" ? document.createElement("canvas").captureStream(1).getTracks()[0] : undefined;
    try {
      return { data: await room[method](track ? { track } : params) };
    } catch (failure) {
      if (failure.name !== "AnteroomError") throw failure;
      const { code, error, msg } = failure;
      return { refused: { code, error, msg } };
    }
  };

  /** Takes the oldest event of a name out of the record. */
  test.take = (name) => {
    const at = test.events.findIndex((event) => event.name === name);
    return at < 0 ? null : test.events.splice(at, 1)[0].data;
  };

  const ears = new Map();
  const earOf = (track) => {
    if (!ears.has(track)) {
      const analyser = new AnalyserNode(audio(), { fftSize: FFT_SIZE, smoothingTimeConstant: 0 });
      audio().createMediaStreamSource(new MediaStream([track])).connect(analyser);
      ears.set(track, analyser);
    }
    return ears.get(track);
  };

  const levelAt = (spectrum, frequency) => {
    const bin = Math.round((frequency * FFT_SIZE) / 48000);
    return Math.max(...spectrum.subarray(bin - 2, bin + 3));
  };

  /** For each audio slot: who is announced there, and whose tones are heard there. */
  test.hears = () => room.slots.filter(({ kind }) => kind === "audio").map(({ track, clientId }) => {
    const ear = earOf(track);
    const spectrum = new Float32Array(ear.frequencyBinCount);
    ear.getFloatFrequencyData(spectrum);
    return { clientId, tones: TONES.map((_, index) => index).filter((index) => levelAt(spectrum, TONES[index]) > AUDIBLE) };
  });

  const statistics = async () => [...(await room.connection.pc.getStats()).values()];

  /** How many packets have arrived, by kind of media. */
  test.packets = async () => {
    const counts = { audio: 0, video: 0 };
    for (const entry of await statistics()) {
      if (entry.type === "inbound-rtp") counts[entry.kind] += entry.packetsReceived;
    }
    return counts;
  };

  /** What must be the same before and after every move. */
  test.connection = async () => {
    const { pc } = room.connection;
    const entries = await statistics();
    const transport = entries.find(({ type }) => type === "transport");
    return {
      connections: test.connections.length,
      offers: test.offers,
      states: test.states,
      signalingState: pc.signalingState,
      mids: pc.getTransceivers().map(({ mid, currentDirection }) => `${mid} ${currentDirection}`),
      transports: entries.filter(({ type }) => type === "transport").map(({ id }) => id),
      pair: transport?.selectedCandidatePairId,
      dtls: transport?.dtlsState,
      cipher: transport?.srtpCipher,
      fingerprint: pc.localDescription.sdp.match(/a=fingerprint:(\S+ \S+)/)[1],
      remote: pc.remoteDescription.sdp,
    };
  };

  /** The colour in the middle of a video: `[red, green, blue]`, or null while there is none. */
  test.colour = (selector) => {
    const video = document.querySelector(selector);
    if (!video || video.readyState < 2 || video.videoWidth === 0) return null;
    const canvas = new OffscreenCanvas(1, 1);
    const pen = canvas.getContext("2d");
    pen.drawImage(video, video.videoWidth / 2 - 8, video.videoHeight / 2 - 8, 16, 16, 0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };

  /** Presses the button with this text in a part of the page, as a person would. */
  test.press = (text, within = "body") => {
    const shown = [...document.querySelectorAll(`${within} button`)].filter((button) => button.offsetParent !== null && !button.disabled);
    const button = shown.find(({ textContent }) => textContent.trim() === text);
    button?.click();
    return button !== undefined;
  };
})();
