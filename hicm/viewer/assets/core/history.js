"use strict";
globalThis.hicm ??= {};
{
  /** An immutable value with undo and redo. */
  class History {
    /** @param {T} first @template T */
    constructor(first) {
      this.first = first;
      this.now = first;
      this.past = [];
      this.future = [];
      this.joint = "";
    }

    /** @returns {boolean} whether the value differs from the first one, or the one that was saved last */
    get changed() {
      return this.now !== this.first;
    }

    /**
     * Replace the value.
     * @param {T} value
     * @param {string} [joint] consecutive changes with the same name are one step of undo, such as typing
     */
    replace(value, joint = "") {
      if (value === this.now) return;
      if (!joint || joint !== this.joint || !this.past.length) this.past.push(this.now);
      this.joint = joint;
      this.now = value;
      this.future = [];
    }

    /** Let a value be the one that others differ from; what can be undone stays. @param {T} value */
    rebase(value) {
      this.first = value;
      this.pause();
    }

    /** Make the next change a step of its own. */
    pause() {
      this.joint = "";
    }

    /** @returns {boolean} whether there was a step to undo */
    undo() {
      return this.move(this.past, this.future);
    }

    /** @returns {boolean} whether there was a step to redo */
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
