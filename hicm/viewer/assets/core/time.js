"use strict";
globalThis.hicm ??= {};
{
  /**
   * Seconds as `M:SS`, from an hour on `H:MM:SS`, rounded to `digits` decimals.
   * @param {number} seconds
   * @param {number} [digits] 0 to 3
   * @returns {string}
   */
  function clock(seconds, digits = 0) {
    const scale = 10 ** digits;
    const units = Math.round(Math.abs(seconds) * scale);
    const whole = Math.floor(units / scale);
    const hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
    const two = (number) => String(number).padStart(2, "0");
    const tail = digits ? `.${String(units % scale).padStart(digits, "0")}` : "";
    const text = hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
    return (seconds < 0 && units ? "−" : "") + text + tail;
  }

  /**
   * `clock` with as many decimals as are needed, up to milliseconds: what an edit field shows.
   * @param {number} seconds
   * @returns {string}
   */
  function exactClock(seconds) {
    return clock(seconds, 3).replace(/\.?0+$/, (zeros) => zeros.startsWith(".") ? "" : zeros.replace(/0+$/, ""));
  }

  /**
   * Seconds of `12.5`, `1:02.5` or `1:02:03`; NaN for anything else.
   * @param {string} text
   * @returns {number}
   */
  function parse(text) {
    const found = /^\s*(?:(?:(\d+):)?(\d+):)?(\d+(?:[.,]\d*)?)\s*$/.exec(text);
    if (!found) return NaN;
    const [, hours, minutes, rest] = found;
    const seconds = Number(rest.replace(",", "."));
    if (minutes !== undefined && seconds >= 60 || hours !== undefined && Number(minutes) >= 60) return NaN;
    return micro(Number(hours ?? 0) * 3600 + Number(minutes ?? 0) * 60 + seconds);
  }

  /**
   * A time in words, for screen readers.
   * @param {number} seconds
   * @returns {string}
   */
  function spoken(seconds) {
    const whole = Math.floor(seconds);
    const parts = [[Math.floor(whole / 3600), "hour"], [Math.floor(whole / 60) % 60, "minute"], [whole % 60, "second"]];
    return parts.filter(([count, unit]) => count || unit === "second")
      .map(([count, unit]) => `${count} ${unit}${count === 1 ? "" : "s"}`).join(" ");
  }

  const STEPS = [0.04, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800,
                 86400];  // seconds

  /**
   * Round times within a range, for the marks of a ruler.
   * @param {number} start seconds
   * @param {number} end seconds
   * @param {number} most how many marks there is room for
   * @returns {{step: number, marks: number[]}}
   */
  function ticks(start, end, most) {
    const step = STEPS.find((one) => (end - start) / one <= most) ?? Math.ceil((end - start) / most / 86400) * 86400;
    const marks = [];
    for (let number = Math.ceil(start / step - 1e-9); number * step <= end + 1e-9; number++) {
      marks.push(number * step + 0);  // never -0
    }
    return {step, marks};
  }

  /**
   * The nearest boundary between frames, or the time itself where the frame rate is not known.
   * @param {number} seconds
   * @param {number | null} frameRate frames per second
   * @returns {number}
   */
  function toFrame(seconds, frameRate) {
    return frameRate ? micro(Math.round(seconds * frameRate) / frameRate) : micro(seconds);
  }

  /**
   * The next boundary between frames, or the one before.
   * @param {number} seconds
   * @param {1 | -1} way
   * @param {number} frameRate frames per second
   * @returns {number}
   */
  function nextFrame(seconds, way, frameRate) {
    const place = seconds * frameRate;
    return micro((way > 0 ? Math.floor(place + 1e-3) + 1 : Math.ceil(place - 1e-3) - 1) / frameRate);
  }

  /**
   * Round to microseconds, which drops floating-point noise.
   * @param {number} seconds
   * @returns {number}
   */
  function micro(seconds) {
    return Math.round(seconds * 1e6) / 1e6;
  }

  hicm.time = {clock, exactClock, parse, spoken, ticks, toFrame, nextFrame, micro};
}
