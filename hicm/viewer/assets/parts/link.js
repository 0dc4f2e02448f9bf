"use strict";
globalThis.hicm ??= {};
hicm.parts ??= {};
{
  /**
   * The fragment of a URL (`#…`) that opens a view at a time.
   * @param {number} time seconds
   * @param {number} view number of the view, from 1
   * @param {number} views how many the page has
   * @returns {string}
   */
  function fragment(time, view, views) {
    return `#${views > 1 ? `view=${view}&` : ""}t=${Math.round(time * 1000) / 1000}`;
  }

  /**
   * The view and time in the fragment of a URL.
   * @param {string} hash
   * @returns {{view: number, time: number | null} | null} null if it has neither
   */
  function asked(hash) {
    const fields = new URLSearchParams(hash.replace(/^#/, ""));
    if (!fields.has("t") && !fields.has("view")) return null;
    const time = hicm.time.parse(fields.get("t") ?? "");
    const view = Number(fields.get("view") ?? 1);
    return {view: Number.isInteger(view) && view > 0 ? view : 1, time: Number.isNaN(time) ? null : time};
  }

  /**
   * Put a link to a time into the address bar, and into the clipboard where the browser allows.
   * @param {hicm.Session} session
   * @param {{number: number, count: number}} place of the view on its page
   */
  async function copyLink(session, place) {
    const hash = fragment(session.player.time, place.number, place.count);
    const address = location.href.replace(/#.*$/, "") + hash;
    try {
      history.replaceState(history.state, "", hash);
    } catch {
      // a page without a URL of its own
    }
    const time = hicm.time.clock(session.player.time, 2);
    const copied = await hicm.parts.copy(address);
    session.say(copied ? `Link to ${time} copied.` : `The link to ${time} is in the address bar.`);
  }

  /** @param {string} text @returns {Promise<boolean>} whether it was copied */
  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      return false;
    }
  }

  hicm.parts.link = {fragment, asked};
  hicm.parts.copyLink = copyLink;
  hicm.parts.copy = copy;
}
