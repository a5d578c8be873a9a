// @ts-check
// The browser's microphone, camera and screen.

import { AnteroomError } from "./signalling.js";

/** What to ask the browser for. */
const MICROPHONE = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
const CAMERA = { width: { ideal: 640 }, height: { ideal: 360 }, frameRate: { ideal: 24, max: 30 } };
const SCREEN = { frameRate: { ideal: 15, max: 30 } };

/** Names for people. */
const NAMES = { audio: "microphone", video: "camera", share: "screen" };

/**
 * Asks the browser, and so the person, for a source.
 * @param {"audio" | "video" | "share"} kind
 * @returns {Promise<MediaStreamTrack>}
 */
export async function capture(kind) {
  const devices = navigator.mediaDevices;
  if (!devices) {
    throw new AnteroomError(0, "insecure_page", "Browsers give microphone and camera to https pages and to localhost only.");
  }
  try {
    const stream = kind === "share"
      ? await devices.getDisplayMedia({ video: SCREEN, audio: false })
      : await devices.getUserMedia(kind === "audio" ? { audio: MICROPHONE } : { video: CAMERA });
    const [track] = stream.getTracks();
    if (kind === "share") track.contentHint = "detail";
    return track;
  } catch (error) {
    throw new AnteroomError(0, "no_device", refusalText(NAMES[kind], error));
  }
}

/**
 * @param {string} name
 * @param {unknown} error
 */
function refusalText(name, error) {
  const cause = error instanceof DOMException ? error.name : "";
  if (cause === "NotAllowedError") return `The browser was not allowed to use your ${name}.`;
  if (cause === "NotFoundError") return `No ${name} was found.`;
  if (cause === "NotReadableError") return `Your ${name} is in use by another program.`;
  return `Your ${name} could not be used.`;
}
