"use strict";
globalThis.hicm ??= {};
{
  /** A value that is replaced, never changed, with the way back and forth. */
  class History {
    /** @param {T} first @template T */
    constructor(first) {
      this.first = first;
      this.now = first;
      this.past = [];
      this.future = [];
      this.joint = "";
    }

    /** @returns {boolean} does the value differ from the first one? */
    get changed() {
      return this.now !== this.first;
    }

    /**
     * Replace the value.
     * @param {T} value
     * @param {string} [joint] changes in a row with the same name are one step back, as letters typed are
     */
    replace(value, joint = "") {
      if (value === this.now) return;
      if (!joint || joint !== this.joint || !this.past.length) this.past.push(this.now);
      this.joint = joint;
      this.now = value;
      this.future = [];
    }

    /** The next change is a step of its own. */
    pause() {
      this.joint = "";
    }

    /** @returns {boolean} was there a step to take back? */
    undo() {
      return this.move(this.past, this.future);
    }

    /** @returns {boolean} was there a step to take again? */
    redo() {
      return this.move(this.future, this.past);
    }

    move(from, to) {
      if (!from.length) return false;
      to.push(this.now);
      this.now = from.pop();
      this.pause();
      return true;
    }
  }

  hicm.History = History;
}
