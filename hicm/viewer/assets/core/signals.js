"use strict";
globalThis.hicm ??= {};
{
  /** A minimal event emitter. */
  class Signals {
    constructor() {
      this.listeners = new Map();
    }

    /** @param {string} names separated by blanks @param {(value: unknown) => void} listener */
    on(names, listener) {
      for (const name of names.split(" ")) {
        this.listeners.set(name, [...this.listeners.get(name) ?? [], listener]);
      }
    }

    /** @param {string} name @param {unknown} [value] */
    emit(name, value) {
      for (const listener of this.listeners.get(name) ?? []) listener(value);
    }
  }

  hicm.Signals = Signals;
}
