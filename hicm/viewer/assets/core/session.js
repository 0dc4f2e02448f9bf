"use strict";
globalThis.hicm ??= {};
{
  const NEW = 5;  // seconds that a new event lasts
  const GRACE = 1e-3;  // seconds by which a seek may miss the start of an event

  /**
   * The state of one viewer (lanes, edits, chosen event, player, zoom), independent of the DOM.
   * Signals: `time`, `playing`, `events`, `choice`, `query`, `view`, `lane`, `loop`, `message`; `save` asks to save,
   * and `settle` (a list of faults, to be added to) to apply what is being typed.
   */
  class Session extends hicm.Signals {
    /** @param {object} view JSON of a view */
    constructor(view) {
      super();
      this.view = view;
      this.duration = view.duration > 0 ? view.duration : longest(view) || 1;
      this.frameRate = view.picture?.frame_rate || null;
      this.history = new hicm.History(hicm.events.lanesOf(view));
      this.player = new hicm.Player(this.duration);
      this.viewport = new hicm.Viewport(this.duration);
      this.lane = Math.max(view.lanes.findIndex(({kind}) => kind === "prediction"), 0);
      this.chosen = null;
      this.query = "";
      this.looping = false;
      this.saves = Boolean(view.save && hicm.requests);  // are edits saved on the server of the page?
      this.player.on("time", () => this.timePassed());
      this.player.on("playing", () => this.emit("playing"));
      this.player.on("refused", (error) => this.say(`The video does not play: ${error.message}`));
    }

    /** @returns {import("./events").Lanes} */
    get lanes() {
      return this.history.now;
    }

    /** @returns {{lane: number, place: number, event: object} | null} the chosen event */
    get found() {
      return hicm.events.find(this.lanes, this.chosen);
    }

    /** @param {string} text for the status line */
    say(text) {
      this.emit("message", text);
    }

    // time

    /** @param {number} seconds */
    seek(seconds) {
      this.player.seek(seconds);
    }

    /** @param {number} seconds forward, or back if negative */
    step(seconds) {
      this.seek(this.player.time + seconds);
    }

    /** @param {1 | -1} way one frame on or back, a tenth of a second where the frame rate is not known */
    stepFrame(way) {
      const rate = this.frameRate ?? 10;
      this.player.pause();
      this.seek((Math.round(this.player.time * rate) + way) / rate + GRACE / 10);
    }

    /** Start or stop looping the chosen event, or the one under the playhead. */
    toggleLoop() {
      if (!this.found) this.choose(this.under(this.lane).at(-1)?.key ?? null);
      if (!this.found) return this.say("Choose an event to loop.");
      this.looping = !this.looping;
      if (this.looping && !hicm.layout.contains(this.found.event, this.player.time)) this.seek(this.found.event.start);
      this.emit("loop");
      return this.say(this.looping ? "The chosen event is looped." : "Looping is off.");
    }

    timePassed() {
      const event = this.looping && this.found?.event;
      if (event && this.player.playing && this.player.time >= event.end) this.player.seek(event.start);
      this.emit("time");
    }

    /** @param {number} lane @returns {object[]} its events under the playhead, the longest first */
    under(lane) {
      return (this.lanes[lane]?.events ?? []).filter((event) => hicm.layout.contains(event, this.player.time))
        .sort((one, other) => hicm.layout.lengthOf(other) - hicm.layout.lengthOf(one));
    }

    // choice

    /**
     * @param {number | null} key of an event; null for none
     * @param {{seek?: boolean}} [options] seek: go to its start
     */
    choose(key, {seek = false} = {}) {
      this.history.pause();
      const changed = key !== this.chosen;
      this.chosen = key;
      const found = this.found;
      if (found) this.setLane(found.lane);
      if (!found && this.looping) this.toggleLoopOff();
      if (changed) this.emit("choice");
      if (found && seek) this.seek(hicm.layout.low(found.event));
      if (found && this.viewport.reveal(hicm.layout.low(found.event), hicm.layout.high(found.event))) this.emit("view");
    }

    toggleLoopOff() {
      this.looping = false;
      this.emit("loop");
    }

    /** @param {number} lane that keys, additions and exports are about */
    setLane(lane) {
      if (lane === this.lane) return;
      this.lane = lane;
      this.emit("lane");
    }

    /** @param {1 | -1} way to the next or the previous event of the lane, by its start */
    stepEvent(way) {
      const events = this.lanes[this.lane]?.events ?? [];
      const at = this.found?.lane === this.lane && Math.abs(this.found.event.start - this.player.time) < 0.05;
      const here = at ? this.found.place : null;
      const {time} = this.player;
      const after = (event) => event.start > time + GRACE, before = (event) => event.start < time - GRACE;
      const next = here !== null ? events[here + way] : way > 0 ? events.find(after) : events.findLast(before);
      if (next) this.choose(next.key, {seek: true});
      else this.say(way > 0 ? "There is no later event in this lane." : "There is no earlier event in this lane.");
    }

    // search

    /** @param {string} query */
    search(query) {
      this.query = query;
      this.emit("query");
    }

    /** @returns {object[]} the events that match, of all lanes, in order of time */
    matching() {
      return this.lanes.flatMap((lane) => lane.events)
        .filter((event) => hicm.search.matches(event.text, this.query).length)
        .sort((one, other) => one.start - other.start);
    }

    /** @param {1 | -1} way to the next or the previous match */
    nextMatch(way) {
      const found = this.matching();
      if (!found.length) return;
      const here = found.findIndex((event) => event.key === this.chosen);
      const first = way > 0 ? found.findIndex((event) => event.start >= this.player.time - GRACE)
        : found.findLastIndex((event) => event.start < this.player.time);
      const next = here >= 0 ? here + way : first;
      this.choose(found[(Math.max(next, -1) + found.length) % found.length].key, {seek: true});
    }

    // edits

    /**
     * Replace the lanes, as a step that can be undone.
     * @param {import("./events").Lanes | null} lanes null: no change
     * @param {string} [joint] see `History.replace`
     */
    apply(lanes, joint = "") {
      if (!lanes || lanes === this.lanes) return;
      this.history.replace(lanes, joint);
      this.edited();
    }

    /** Undo the last step. */
    undo() {
      if (this.history.undo()) this.edited();
      else this.say("There is nothing to undo.");
    }

    /** Redo the last step that was undone. */
    redo() {
      if (this.history.redo()) this.edited();
      else this.say("There is nothing to redo.");
    }

    /** A new event at the playhead, in the lane in use, up to the next event or five seconds long. */
    addHere() {
      const lane = this.lanes[this.lane];
      if (!lane) return;
      const time = Math.min(this.player.time, this.duration - Math.min(NEW, this.duration) / 10);
      const start = hicm.time.toFrame(time, this.frameRate);
      const next = lane.events.find((event) => event.start > start + NEW / 10);
      const end = hicm.time.micro(Math.min(start + NEW, next?.start ?? Infinity, this.duration));
      const {lanes, key} = hicm.events.add(this.lanes, this.lane, {start, end, level: this.levelHere(lane)});
      this.apply(lanes);
      this.choose(key);
      this.emit("edit");
    }

    levelHere(lane) {
      return this.found?.lane === this.lane ? this.found.event.level : hicm.layout.levels(lane.events).at(-1) ?? null;
    }

    /** Delete the chosen event. */
    removeChosen() {
      const found = this.found;
      if (!found) return this.say("Choose an event to delete.");
      const {events} = this.lanes[found.lane];
      const near = events[found.place + 1] ?? events[found.place - 1];
      this.apply(hicm.events.remove(this.lanes, found.event.key));
      this.choose(near?.key ?? null);
      return this.say("The event was deleted; Ctrl Z brings it back.");
    }

    /** Split the chosen event at the playhead. */
    splitChosen() {
      const time = hicm.time.toFrame(this.player.time, this.frameRate);
      const done = this.found && hicm.events.split(this.lanes, this.chosen, time);
      if (!done) return this.say("Move the playhead into the chosen event to split it.");
      this.apply(done.lanes);
      return this.choose(done.key);
    }

    /** Merge the chosen event with the next one of its lane and level. */
    mergeChosen() {
      const lanes = this.found && hicm.events.merge(this.lanes, this.chosen);
      if (!lanes) return this.say("There is no later event of this lane to merge with.");
      this.apply(lanes);
      return this.emit("choice");
    }

    /**
     * Change times of the chosen event.
     * @param {{start?: number, end?: number}} fields seconds
     * @returns {string} what is wrong with them; "" if they were accepted
     */
    setTimes(fields) {
      const event = this.found?.event;
      if (!event) return "Choose an event first.";
      const {start, end} = {...event, ...fields};
      const fault = hicm.events.fault(start, end, "end" in fields ? this.duration : Math.max(this.duration, event.end));
      if (!fault && (start !== event.start || end !== event.end)) {
        this.apply(hicm.events.change(this.lanes, event.key, fields));
      }
      return fault;
    }

    /** Move a boundary of the chosen event to the playhead. @param {"start" | "end"} edge */
    setHere(edge) {
      const fault = this.setTimes({[edge]: hicm.time.toFrame(this.player.time, this.frameRate)});
      if (fault) this.say(fault);
    }

    edited() {
      if (this.chosen !== null && !this.found) this.choose(null);
      this.emit("events");
    }
  }

  function longest(view) {
    return view.lanes.flatMap((lane) => lane.events).reduce((most, event) => Math.max(most, event.end), 0);
  }

  hicm.Session = Session;
}
