// @ts-check
// The WebSocket to the server: requests with their acks, and events.

/** How long a request may go without its ack, in milliseconds. No ack of the server takes longer. */
const ACK_TIMEOUT = 20_000;

/** How long the socket may take to open, in milliseconds. */
const OPEN_TIMEOUT = 10_000;

/** Close codes from here on are the server's own and final: coming back is of no use. */
const FINAL_CLOSE = 4000;

/** How the server closes after `leaveRoom`. */
const NORMAL_CLOSE = 1000;

/** The HTTP status of a token that does not let its bearer in. */
const UNAUTHORIZED = 401;

/** Why a request failed: a stable code and name, and a text that a person can act on. */
export class AnteroomError extends Error {
  /**
   * @param {number} code the contract's result code; 0 for what the client itself found
   * @param {string} error the contract's error name
   * @param {string} msg the text
   * @param {object} [data] the whole ack
   */
  constructor(code, error, msg, data = {}) {
    super(msg);
    this.name = "AnteroomError";
    this.code = code;
    this.error = error;
    this.msg = msg;
    this.data = data;
  }
}

/**
 * @typedef {object} Pending
 * @property {string} frame
 * @property {(answer: {ack: string, seq: number | null, data: any}) => void} resolve
 * @property {(error: AnteroomError) => void} reject
 * @property {ReturnType<typeof setTimeout>} timer
 * @property {boolean} bound whether it dies with its socket
 */

/**
 * One signalling link, over as many sockets as it takes. It raises `frame` (`detail`: an event
 * frame), `ack` (`detail`: an ack frame, success or not, before its promise settles), `down` (the
 * socket was lost) and `ended` (`detail.reason`: the server closed it for good).
 */
export class Signalling extends EventTarget {
  constructor() {
    super();
    /** @type {WebSocket | null} */
    this.socket = null;
    /** @type {Map<string, Pending>} */
    this.pending = new Map();
    this.prefix = crypto.getRandomValues(new Uint32Array(1))[0].toString(36);
    this.count = 0;
    /** Whether the seat is taken on this socket, so that unbound requests may go out. */
    this.seated = false;
  }

  /** Whether a request would go out now. */
  get isOpen() {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  /**
   * Opens a socket in place of the one before.
   * @param {string} url
   * @returns {Promise<void>}
   */
  open(url) {
    this.#drop();
    const socket = new WebSocket(url);
    this.socket = socket;
    this.seated = false;
    return new Promise((resolve, reject) => {
      const fail = () => {
        clearTimeout(timer);
        void whyNot(url).then(reject);
      };
      const timer = setTimeout(() => {
        this.#drop();
        fail();
      }, OPEN_TIMEOUT);
      socket.onopen = () => {
        clearTimeout(timer);
        socket.onclose = (event) => this.#closed(socket, event);
        socket.onmessage = (event) => this.#received(event.data);
        resolve();
      };
      socket.onclose = fail;
    });
  }

  /**
   * Sends a request. It waits for a seat, and outlives its socket: `resend` sends it again under
   * its old id, and the server does the same id but once. A `bound` request does neither.
   * @param {string} method
   * @param {object} params
   * @param {{bound?: boolean}} [how]
   * @returns {Promise<{ack: string, seq: number | null, data: any}>}
   */
  request(method, params, { bound = false } = {}) {
    this.count += 1;
    const id = `${this.prefix}-${this.count}`;
    const frame = JSON.stringify({ id, method, params });
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.pending.delete(id);
        reject(new AnteroomError(0, "timeout", "The server did not answer. Check your network and try again."));
      }, ACK_TIMEOUT);
      this.pending.set(id, { frame, resolve, reject, timer, bound });
      if (this.isOpen && (bound || this.seated)) this.socket?.send(frame);
    });
  }

  /** The seat is taken: what has no ack yet goes out, again or for the first time. */
  resend() {
    this.seated = true;
    if (!this.isOpen) return;
    for (const { frame } of this.pending.values()) this.socket?.send(frame);
  }

  /**
   * Closes the socket and gives up what is pending.
   * @param {string} [msg]
   */
  close(msg = "The connection was closed.") {
    this.#drop();
    this.#abandon(() => true, msg);
  }

  /** @param {(request: Pending) => boolean} which @param {string} msg */
  #abandon(which, msg) {
    for (const [id, request] of this.pending) {
      if (!which(request)) continue;
      this.pending.delete(id);
      clearTimeout(request.timer);
      request.reject(new AnteroomError(0, "closed", msg));
    }
  }

  #drop() {
    const socket = this.socket;
    this.socket = null;
    if (!socket) return;
    socket.onopen = null;
    socket.onclose = null;
    socket.onmessage = null;
    socket.close();
  }

  /**
   * @param {WebSocket} socket
   * @param {CloseEvent} event
   */
  #closed(socket, event) {
    if (socket !== this.socket) return;
    this.socket = null;
    this.#abandon(({ bound }) => bound, "The connection was lost.");
    if (event.code >= FINAL_CLOSE || event.code === NORMAL_CLOSE) {
      this.dispatchEvent(new CustomEvent("ended", { detail: { reason: event.reason || "closed" } }));
    } else {
      this.dispatchEvent(new Event("down"));
    }
  }

  /** @param {string} text */
  #received(text) {
    const frame = JSON.parse(text);
    if (typeof frame.ack !== "string") {
      this.dispatchEvent(new CustomEvent("frame", { detail: frame }));
      return;
    }
    const waiting = this.pending.get(frame.id);
    if (!waiting) return;
    this.pending.delete(frame.id);
    clearTimeout(waiting.timer);
    this.dispatchEvent(new CustomEvent("ack", { detail: frame }));
    const { result, error, msg } = frame.data;
    if (result === 0 || result === undefined) waiting.resolve(frame);
    else waiting.reject(new AnteroomError(result, error ?? "error", textOf(msg), frame.data));
  }
}

/**
 * Why a socket did not open. Browsers do not tell; a plain request to the same address is answered.
 * It tells a token that will never be accepted from a server that is away for a while.
 * @param {string} url
 */
async function whyNot(url) {
  const response = await fetch(url.replace(/^ws/, "http"), { cache: "no-store" }).catch(() => null);
  if (response?.status !== UNAUTHORIZED) return new AnteroomError(0, "unreachable", "The server could not be reached.");
  const { error, msg } = await response.json().catch(() => ({}));
  return new AnteroomError(UNAUTHORIZED, error ?? "bad_token", `The server refused the token: ${String(msg ?? "it is not valid").replace(/^the token /, "it ")}.`);
}

/** @param {unknown} msg */
function textOf(msg) {
  return typeof msg === "string" ? msg : "The server refused this.";
}
