"use strict";
globalThis.hicm ??= {};
hicm.exports ??= {};
{
  const {Fraction, round} = hicm.numbers;

  // Frame rates that editors know, and that have a time code.
  const RATES = [[24000, 1001], [24], [25], [30000, 1001], [30], [48], [50], [60000, 1001], [60]]
    .map(([numerator, denominator]) => new Fraction(numerator, denominator ?? 1));
  const USUAL = RATES[2];  // where the frame rate is not known

  /** @typedef {{start: number, end: number, text: string, event: object}} Cue  milliseconds, start < end */

  /**
   * Events in order of time, in milliseconds; texts in one line, blank ones are left out.
   * @param {object[]} events
   * @returns {Cue[]}
   */
  function cues(events) {
    const found = events.map((event) => {
      const [start, end] = [event.start, event.end].map((second) => Math.max(round(second * 1000), 0));
      const text = hicm.text.oneLine(event.text).replaceAll("-->", "→");
      return {start, end: Math.max(end, start + 1), text, event};
    });
    return found.filter((cue) => cue.text).sort((one, other) => one.start - other.start || one.end - other.end);
  }

  const two = (number) => String(number).padStart(2, "0");

  /**
   * `HH:MM:SS.mmm`, hours with two digits or more.
   * @param {number} milliseconds
   * @param {string} [point]
   * @returns {string}
   */
  function clock(milliseconds, point = ".") {
    const seconds = Math.floor(milliseconds / 1000);
    const rest = String(milliseconds % 1000).padStart(3, "0");
    return [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60].map(two).join(":") + point + rest;
  }

  /**
   * `M:SS`, from an hour on `H:MM:SS`.
   * @param {number} seconds whole
   * @returns {string}
   */
  function shortClock(seconds) {
    const minutes = Math.floor(seconds / 60) % 60, hours = Math.floor(seconds / 3600);
    return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
  }

  /**
   * The frame rate that editors know which is nearest to that of a video; 25 where it is not known.
   * @param {number | null} frameRate frames per second
   * @returns {Fraction}
   */
  function editorRate(frameRate) {
    if (!frameRate) return USUAL;
    const apart = (rate) => rate.minus(Fraction.of(frameRate)).absolute();
    return RATES.reduce((best, rate) => apart(rate).less(apart(best)) ? rate : best);
  }

  /** The last frame of a video, counted from 0. @param {Fraction} rate @param {number} duration seconds */
  function lastFrame(rate, duration) {
    return Math.max(Fraction.of(duration).times(rate).round(), 1) - 1;
  }

  /**
   * The first and the last frame of a cue, counted from 0, within a video of `duration` seconds.
   * @param {Cue} cue
   * @param {Fraction} rate
   * @param {number} duration seconds
   * @returns {[number, number]}
   */
  function frames(cue, rate, duration) {
    const last = lastFrame(rate, duration);
    const at = (milliseconds) => new Fraction(milliseconds, 1000).times(rate).round();
    const first = Math.min(at(cue.start), last);
    return [first, Math.min(Math.max(at(cue.end) - 1, first), last)];
  }

  /**
   * First frame, last frame and text, ascending; events that begin in the same frame share a marker.
   * @param {object[]} events
   * @param {Fraction} rate
   * @param {number} duration seconds
   * @returns {[number, number, string][]}
   */
  function markers(events, rate, duration) {
    const found = [];
    for (const cue of cues(events).sort((one, other) => one.start - other.start || other.end - one.end)) {
      const [first, last] = frames(cue, rate, duration);
      const before = found.at(-1);
      if (before?.[0] === first) {
        found[found.length - 1] = [first, Math.max(before[1], last), `${before[2]} / ${cue.text}`];
      } else found.push([first, last, cue.text]);
    }
    return found;
  }

  /** These events cannot be written in this format; other formats can be. */
  class Refused extends Error {}

  hicm.clock = {cues, clock, shortClock, editorRate, lastFrame, frames, markers, two};
  hicm.Refused = Refused;
}
