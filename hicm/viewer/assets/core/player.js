"use strict";
globalThis.hicm ??= {};
{
  /** A clock that runs in place of a video. */
  class Clock {
    constructor() {
      this.base = 0;
      this.since = 0;
      this.rate = 1;
      this.paused = true;
    }

    get time() {
      return this.paused ? this.base : this.base + (performance.now() - this.since) / 1000 * this.rate;
    }

    set time(seconds) {
      this.base = seconds;
      this.since = performance.now();
    }

    set speed(rate) {
      this.time = this.time;
      this.rate = rate;
    }

    async play() {
      this.time = this.base;
      this.paused = false;
    }

    pause() {
      this.base = this.time;
      this.paused = true;
    }
  }

  /** A `<video>` with the interface of a `Clock`. */
  class Video {
    /** @param {HTMLVideoElement} element */
    constructor(element) {
      this.element = element;
    }

    get time() {
      return this.element.currentTime;
    }

    set time(seconds) {
      this.element.currentTime = seconds;
    }

    set speed(rate) {
      this.element.playbackRate = rate;
    }

    get paused() {
      return this.element.paused;
    }

    async play() {
      await this.element.play();
    }

    pause() {
      this.element.pause();
    }
  }

  /** Plays a video, or a clock where there is none.  Signals: `time`, `playing`, `medium`. */
  class Player extends hicm.Signals {
    /** @param {number} duration seconds */
    constructor(duration) {
      super();
      this.duration = duration;
      this.medium = new Clock();
      this.speed = 1;
      this.shown = -1;
      this.target = null;
    }

    /** @returns {number} seconds */
    get time() {
      return this.target ?? Math.min(this.medium.time, this.duration);
    }

    /** @returns {boolean} */
    get playing() {
      return !this.medium.paused;
    }

    /** @returns {boolean} whether a video is played */
    get hasVideo() {
      return this.medium instanceof Video;
    }

    /**
     * Switch to a video element, or to a clock for null.
     * @param {HTMLVideoElement | null} element
     */
    use(element) {
      const time = this.time;
      if (this.playing) this.medium.pause();
      this.medium = element ? new Video(element) : new Clock();
      this.medium.speed = this.speed;
      this.target = null;
      if (time > 0) this.seek(time);
      this.emit("medium");
      this.emit("playing");
    }

    /** Listen to the events of an element; call it once per element. @param {HTMLVideoElement} element */
    watch(element) {
      const mine = (act) => () => this.hasVideo && this.medium.element === element && act();
      for (const name of ["timeupdate", "seeked"]) {
        element.addEventListener(name, mine(() => {
          if (name === "seeked") this.target = null;
          this.notify();
        }));
      }
      for (const name of ["play", "pause", "ended"]) element.addEventListener(name, mine(() => this.started()));
    }

    /** Start, from the beginning where the end is reached. */
    async play() {
      if (this.time >= this.duration - 0.01) this.seek(0);
      try {
        await this.medium.play();
      } catch (error) {
        if (error.name !== "AbortError") this.emit("refused", error);  // paused again before it began
      }
      this.started();
    }

    /** Stop where it is. */
    pause() {
      this.medium.pause();
      this.started();
    }

    /** Play or pause. */
    toggle() {
      if (this.playing) this.pause();
      else this.play();
    }

    /** @param {number} seconds */
    seek(seconds) {
      const time = Math.min(Math.max(seconds, 0), this.duration);
      this.target = this.hasVideo && this.medium.element.readyState > 0 ? time : null;  // until the video is there
      this.medium.time = time;
      this.notify();
    }

    /** @param {number} rate 1 is the speed of the video */
    setSpeed(rate) {
      this.speed = rate;
      this.medium.speed = rate;
    }

    started() {
      this.emit("playing");
      cancelAnimationFrame(this.frame);
      if (this.playing) this.frame = requestAnimationFrame(() => this.tick());
    }

    tick() {
      if (this.medium instanceof Clock && this.medium.time >= this.duration) {
        this.medium.time = this.duration;
        this.pause();
      }
      this.notify();
      if (this.playing) this.frame = requestAnimationFrame(() => this.tick());
    }

    notify() {
      if (this.time === this.shown) return;
      this.shown = this.time;
      this.emit("time");
    }
  }

  hicm.Player = Player;
}
