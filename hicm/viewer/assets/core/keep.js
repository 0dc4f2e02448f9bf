"use strict";
globalThis.hicm ??= {};
{
  const WAIT = 300;  // milliseconds after the last edit

  /**
   * A hash of a text.
   * @param {string} text
   * @returns {string} 16 hexadecimal digits
   */
  function digest(text) {
    let [one, two] = [0x811c9dc5, 0x1b873593];
    for (let place = 0; place < text.length; place++) {
      const unit = text.charCodeAt(place);
      one = Math.imul(one ^ unit, 0x01000193);
      two = Math.imul(two ^ unit, 0x85ebca6b) ^ two >>> 13;
    }
    return [one, two].map((half) => (half >>> 0).toString(16).padStart(8, "0")).join("");
  }

  /** The storage key of the edits of a view, made from its content. @param {object} view */
  function keyOf(view, lanes) {
    const events = lanes.map((lane) => [lane.name, lane.kind, lane.events.map((event) =>
      [event.start, event.end, event.text, event.score, event.level])]);
    return `hicm ${view.id} ${digest(JSON.stringify([view.id, view.duration, events]))}`;
  }

  /** The stored form of lanes; `readBack` reads it. */
  const written = (lanes, exported) => JSON.stringify({
    form: 1, saved: new Date().toISOString(), exported,
    lanes: lanes.map((lane) => lane.events)});

  function readBack(text, first) {
    const {form, saved, exported, lanes} = JSON.parse(text);
    const sound = (event) => typeof event.text === "string" && typeof event.key === "number" &&
      Number.isFinite(event.start) && Number.isFinite(event.end);
    const right = form === 1 && Array.isArray(lanes) && lanes.length === first.length &&
      lanes.every((events) => Array.isArray(events) && events.every(sound));
    if (!right) return null;
    return {saved, exported: exported ?? "", lanes: first.map((lane, number) => ({...lane, events: lanes[number]}))};
  }

  /**
   * Keeps edits in the browser until they are discarded.  Signals: `kept` (true or false: storing works or not).
   */
  class Keeper extends hicm.Signals {
    /**
     * @param {object} view JSON of a view
     * @param {hicm.History} history of its lanes
     * @param {() => Storage} storage called each time, because a browser may refuse access
     */
    constructor(view, history, storage = () => globalThis.localStorage) {
      super();
      this.history = history;
      this.storage = storage;
      this.key = keyOf(view, history.first);
      this.works = true;
      this.exported = "";
      this.elsewhere = "";  // what another tab has kept
      this.replaced = false;  // is what this tab kept gone?
      this.timer = null;
    }

    /**
     * Restore the edits that were kept.
     * @returns {{saved: string, exported: string} | null} when they were saved, and the
     *   format they were exported in; null: none were kept
     */
    restore() {
      try {
        return this.take(this.storage().getItem(this.key));
      } catch {
        return null;
      }
    }

    take(text) {
      const found = text && readBack(text, this.history.first);
      if (!found) return null;
      this.exported = found.exported;
      this.history.replace(found.lanes);
      return found;
    }

    /** Another tab has kept this, or discarded its edits where it is null. @param {string | null} text */
    receive(text) {
      if (text === null) {
        if (this.history.changed) this.now();
        return;
      }
      const found = readBack(text, this.history.first);
      const same = found && JSON.stringify(found.lanes) === JSON.stringify(this.history.now);
      this.elsewhere = found && !same ? text : "";
      this.replaced = Boolean(this.elsewhere);
    }

    /** Show what another tab has kept. @returns {boolean} was there anything? */
    load() {
      const found = this.take(this.elsewhere);
      this.elsewhere = "";
      return Boolean(found);
    }

    /** Keep the current lanes, after a pause. */
    soon() {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.now(), WAIT);
    }

    /** Keep the current lanes now. */
    now() {
      clearTimeout(this.timer);
      this.timer = null;
      try {
        if (this.history.changed) this.storage().setItem(this.key, written(this.history.now, this.exported));
        else this.storage().removeItem(this.key);
        this.replaced = false;
        this.set(true);
      } catch {
        this.set(false);
      }
    }

    /** @returns {boolean} whether leaving the page would lose edits */
    get atRisk() {
      return this.history.changed && (!this.works || this.replaced) && !this.exported;
    }

    set(works) {
      if (works === this.works) return;
      this.works = works;
      this.emit("kept", works);
    }
  }

  hicm.Keeper = Keeper;
  hicm.digest = digest;
}
