"use strict";
globalThis.hicm ??= {};
{
  const WAIT = 30_000;  // milliseconds
  const tabs = new BroadcastChannel("hicm");

  async function ask(address, options = {}) {
    try {
      return await fetch(address, {...options, signal: AbortSignal.timeout(WAIT)});
    } catch {
      throw new Error("the server does not answer");
    }
  }

  async function reason(answer) {
    const text = await answer.text();
    try {
      return JSON.parse(text).detail;
    } catch {
      return text.trim() || `the server answered with status ${answer.status}`;
    }
  }

  async function put(address, body, etag) {
    const answer = await ask(address, {method: "PUT", body, headers: {"If-Match": etag,
                                                                      "Content-Type": "application/json"}});
    return {status: answer.status, etag: answer.headers.get("ETag"), detail: answer.ok ? "" : await reason(answer)};
  }

  async function get(address) {
    const answer = await ask(address);
    if (!answer.ok) throw new Error(await reason(answer));
    return answer.json();
  }

  const tell = (message) => tabs.postMessage(message);
  const hear = (listener) => tabs.addEventListener("message", ({data}) => listener(data));

  /** What the viewer needs to save on this server: see `hicm.Saver`. */
  hicm.requests = {put, get, tell, hear};
}
