"use strict";
globalThis.hicm ??= {};
{
  const SHORTEST = 0.5;  // seconds shown at the closest zoom

  /** The part of a video that a timeline shows: from `start` to `end`, in seconds, on `width` pixels. */
  class Viewport {
    /** @param {number} duration seconds of the video */
    constructor(duration) {
      this.duration = duration;
      this.width = 1;
      this.fit();
    }

    /** Show the whole video. */
    fit() {
      this.start = 0;
      this.end = this.duration;
    }

    /** @returns {boolean} whether the whole video is shown */
    get whole() {
      return this.end - this.start >= this.duration - 1e-9;
    }

    /** @param {number} seconds @returns {number} pixels from the left edge */
    x(seconds) {
      return (seconds - this.start) / (this.end - this.start) * this.width;
    }

    /** @param {number} x pixels from the left edge @returns {number} seconds */
    time(x) {
      return this.start + x / this.width * (this.end - this.start);
    }

    /**
     * Show `factor` times as many seconds, keeping the time `around` in place.
     * @param {number} factor below 1 to zoom in
     * @param {number} around seconds
     */
    zoom(factor, around) {
      const shown = this.end - this.start;
      const length = Math.min(Math.max(shown * factor, Math.min(SHORTEST, this.duration)), this.duration);
      const share = (around - this.start) / shown;
      this.show(around - share * length, length);
    }

    /** @param {number} seconds to move the view by */
    scroll(seconds) {
      this.show(this.start + seconds, this.end - this.start);
    }

    /**
     * Show `length` seconds from `start` on, as near as the ends of the video allow.
     * @param {number} start seconds
     * @param {number} length seconds
     */
    show(start, length) {
      this.start = Math.max(Math.min(start, this.duration - length), 0);
      this.end = Math.min(this.start + length, this.duration);
    }

    /**
     * Move the view so that a span is visible, zooming out where it is longer than the view.
     * @param {number} start seconds
     * @param {number} end seconds
     * @returns {boolean} did the view move?
     */
    reveal(start, end) {
      if (start >= this.start && end <= this.end) return false;
      const length = Math.max(this.end - this.start, (end - start) * 1.2);
      this.show((start + end) / 2 - length / 2, length);
      return true;
    }

    /**
     * Move the view on when the playhead leaves it.
     * @param {number} time seconds
     * @returns {boolean} did the view move?
     */
    follow(time) {
      if (time >= this.start && time <= this.end) return false;
      const length = this.end - this.start;
      this.show(time - length / 10, length);
      return true;
    }
  }

  hicm.Viewport = Viewport;
}
