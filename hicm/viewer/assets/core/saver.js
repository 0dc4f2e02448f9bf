"use strict";
globalThis.hicm ??= {};
{
  /** The lists that a save replaces, in hicm's own format. @param {import("./events").Lanes} lanes @returns {string} */
  function bodyOf(lanes) {
    const events = lanes[0].events.map(({start, end, text, score, level}) => ({
      start, end, sentence: text, ...(score === null ? {} : {score}), ...(level === null ? {} : {level})}));
    const said = lanes.find(({kind}) => kind === "speech");
    const speech = said?.events.map(({start, end, text}) => ({start, end, text}));
    return JSON.stringify({events, ...(speech ? {speech} : {})});
  }

  /**
   * Saves edits on the server of the page, unless somebody else has saved since they were loaded.
   *
   * `requests` is `hicm.requests`: `put(address, body, etag)` gives {status, etag, detail}, where `detail` says why it
   * was refused, and `get(address)` the JSON; both throw when that fails.  `tell(message)` sends a message to the other
   * tabs of the browser, `hear(listener)` receives theirs.
   * Signals: `state`.
   */
  class Saver extends hicm.Signals {
    /** @param {hicm.Session} session @param {hicm.Keeper} keeper of its edits @param {object} requests */
    constructor(session, keeper, requests) {
      super();
      this.session = session;
      this.keeper = keeper;
      this.requests = requests;
      this.latest = session.view.save.etag;  // of the events on the server, as far as known
      this.state = "";  // "saving", "loading", "saved", "failed"; "" otherwise
      this.problem = "";  // why it failed
      session.on("events", () => this.busy || this.set(""));
      requests.hear(({address, etag}) => {
        if (address !== session.view.save.address) return;
        this.latest = etag;
        keeper.elsewhere = "";
        this.emit("state");
      });
    }

    /** @returns {boolean} whether the server is asked now */
    get busy() {
      return this.state === "saving" || this.state === "loading";
    }

    /** @returns {boolean} whether somebody else has saved since the events were loaded */
    get overtaken() {
      return this.latest !== (this.session.history.changed ? this.keeper.base : this.keeper.version);
    }

    /** Save the events. */
    async save() {
      if (this.busy) return undefined;
      const faults = [];
      this.session.emit("settle", faults);
      if (faults.length) return this.fail(faults[0]);
      if (!this.session.history.changed) return this.session.say("There are no edits to save.");
      const {lanes, view: {save}} = this.session;
      this.set("saving");
      try {
        const {status, etag, detail} = await this.requests.put(save.address, bodyOf(lanes), this.keeper.base);
        if (status === 412) await this.compare(lanes);
        else if (status !== 200) this.fail(detail);
        else await this.saved(lanes, etag);
      } catch (error) {
        this.fail(error.message);
      }
      return undefined;
    }

    /** Save the events in place of those that somebody else has saved. */
    overwrite() {
      this.keeper.base = this.latest;
      return this.save();
    }

    /** Show the events that somebody else has saved; undo brings the own ones back. */
    async load() {
      const {session} = this, {changed} = session.history;
      if (this.busy) return;
      this.set("loading");
      try {
        const view = await this.requests.get(session.view.save.view);
        const lanes = hicm.events.lanesOf(view, hicm.events.lastKey(session.lanes));
        session.history.replace(lanes);
        session.history.rebase(lanes);
        this.adopt(view);
        session.edited();
        this.set("");
        session.say(changed ? "Their events are shown; Ctrl Z brings yours back." : "Their events are shown.");
      } catch (error) {
        this.fail(error.message);
      }
    }

    /** Show the events of the captioner, as an edit that can be undone; nothing is saved. */
    async showOriginal() {
      const {session} = this;
      if (this.busy) return;
      this.set("loading");
      try {
        const view = await this.requests.get(session.view.save.original);
        const lanes = hicm.events.lanesOf(view, hicm.events.lastKey(session.lanes));
        const already = hicm.same(lanes, session.lanes);
        if (!already) session.apply(lanes);
        this.set("");
        session.say(already ? "The original captions are shown already."
          : "The original captions are shown; Ctrl Z brings the corrected ones back.");
      } catch (error) {
        this.fail(error.message);
      }
    }

    /** The server refused to replace what it has: that of somebody else, or of an earlier try whose answer was lost. */
    async compare(lanes) {
      const view = await this.requests.get(this.session.view.save.view);
      this.latest = view.save.etag;
      if (hicm.same(hicm.events.lanesOf(view), lanes)) await this.saved(lanes, view.save.etag);
      else this.set("");
    }

    async saved(lanes, etag) {
      const {session} = this, {save} = session.view;
      session.history.rebase(lanes);
      this.latest = etag;
      this.keeper.saved(etag);
      this.requests.tell({address: save.address, etag});
      const view = await this.requests.get(save.view).catch(() => null);  // it is saved in any case
      if (view) this.latest = view.save.etag;
      if (view) save.original = view.save.original;
      if (view && this.latest === etag) session.view.made_by = view.made_by;
      this.set("saved");
    }

    adopt(view) {
      this.session.view.made_by = view.made_by;
      this.session.view.save.original = view.save.original;
      this.latest = view.save.etag;
      this.keeper.saved(this.latest);
    }

    fail(problem) {
      this.problem = problem;
      this.set("failed");
    }

    set(state) {
      this.state = state;
      this.emit("state");
    }
  }

  hicm.Saver = Saver;
}
