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

  /** What lanes hold, without the keys of their events. */
  function contentOf(lanes) {
    return lanes.map((lane) => [lane.name, lane.kind, lane.events.map((event) =>
      [event.start, event.end, event.text, event.score, event.level])]);
  }

  /** The storage key of the edits of a view, made from its content. @param {object} view */
  function keyOf(view, lanes) {
    return `hicm ${view.id} ${digest(JSON.stringify([view.id, view.duration, contentOf(lanes)]))}`;
  }

  /** Whether lanes hold the same events. */
  const same = (lanes, others) => JSON.stringify(contentOf(lanes)) === JSON.stringify(contentOf(others));

  /** The stored form of lanes; `readBack` reads it. */
  const written = (lanes, exported, base) => JSON.stringify({
    form: 1, saved: new Date().toISOString(), exported, ...(base ? {base} : {}),
    lanes: lanes.map((lane) => lane.events)});

  function readBack(text, first) {
    const {form, saved, exported, base, lanes} = JSON.parse(text);
    const sound = (event) => typeof event.text === "string" && typeof event.key === "number" &&
      Number.isFinite(event.start) && Number.isFinite(event.end);
    const right = form === 1 && Array.isArray(lanes) && lanes.length === first.length &&
      lanes.every((events) => Array.isArray(events) && events.every(sound));
    if (!right) return null;
    return {saved, exported: exported ?? "", base: base ?? "",
            lanes: first.map((lane, number) => ({...lane, events: lanes[number]}))};
  }

  /**
   * Keeps edits in the browser until they are discarded or saved on the server of the page.
   * Signals: `kept` (true or false: storing works or not).
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
      const content = keyOf(view, history.first);
      this.key = view.save ? `hicm ${view.save.address}` : content;
      this.before = view.save ? content : "";  // the key of edits that were made before pages could save
      this.version = view.save?.etag ?? "";  // ETag of `history.first` on the server; "" for a page that cannot save
      this.base = this.version;  // ETag of the events that were edited
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
        this.move();
        const found = this.take(this.storage().getItem(this.key));
        if (found && !this.history.changed) this.now();  // it is what was saved
        return this.history.changed ? found : null;
      } catch {
        return null;
      }
    }

    move() {
      const text = this.before && this.storage().getItem(this.before);
      if (!text) return;
      if (this.storage().getItem(this.key) === null) this.storage().setItem(this.key, text);
      this.storage().removeItem(this.before);
    }

    take(text) {
      const found = text && readBack(text, this.history.first);
      if (!found) return null;
      const saved = same(found.lanes, this.history.first);
      this.exported = found.exported;
      this.base = !saved && found.base ? found.base : this.version;
      this.history.replace(saved ? this.history.first : found.lanes);
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

    /** The events that `history.first` is now are on the server. @param {string} etag */
    saved(etag) {
      this.version = this.base = etag;
      this.exported = "";
      this.elsewhere = "";
      this.now();
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
        if (this.history.changed) this.storage().setItem(this.key, written(this.history.now, this.exported, this.base));
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
  hicm.same = same;
}
