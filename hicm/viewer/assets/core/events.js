"use strict";
globalThis.hicm ??= {};
{
  /**
   * @typedef {{key: number, start: number, end: number, text: string, score: number | null, level: number | null,
   *            remark: string}} Event  never changed in place; `key` is unique within a viewer
   * @typedef {{name: string, kind: string, events: readonly Event[], recalled: object[]}} Lane
   * @typedef {readonly Lane[]} Lanes
   */

  /**
   * The lanes of a view, with a key for every event.
   * @param {object} view JSON of a view
   * @param {number} [last] the last key that is in use
   * @returns {Lanes}
   */
  function lanesOf(view, last = 0) {
    let key = last;
    return view.lanes.map((lane) => ({
      name: lane.name, kind: lane.kind, recalled: lane.recalled ?? [],
      events: lane.events.map((event) => ({key: ++key, start: event.start, end: event.end, text: event.text,
                                          score: event.score ?? null, level: event.level ?? null,
                                          remark: event.remark ?? ""})),
    }));
  }

  /** The largest key of all events; 0 if there are none. @param {Lanes} lanes @returns {number} */
  function lastKey(lanes) {
    return lanes.reduce((last, one) => one.events.reduce((most, event) => Math.max(most, event.key), last), 0);
  }

  /**
   * Find an event by its key.
   * @param {Lanes} lanes
   * @param {number | null} key
   * @returns {{lane: number, place: number, event: Event} | null}
   */
  function find(lanes, key) {
    for (let lane = 0; lane < lanes.length; lane++) {
      const place = lanes[lane].events.findIndex((event) => event.key === key);
      if (place >= 0) return {lane, place, event: lanes[lane].events[place]};
    }
    return null;
  }

  /**
   * What is wrong with the times of an event; "" when nothing is.
   * @param {number} start seconds
   * @param {number} end seconds
   * @param {number} duration seconds of the video
   * @returns {string}
   */
  function fault(start, end, duration) {
    if (Number.isNaN(start) || Number.isNaN(end)) return "Write times as 12.5, 1:02.5 or 1:02:03.";
    if (start < 0) return "An event cannot start before the video.";
    if (end > duration + 1e-6) return `The video ends at ${hicm.time.exactClock(duration)}.`;
    if (end <= start) return "The end must come after the start.";
    return "";
  }

  /**
   * Change fields of an event.
   * @param {Lanes} lanes
   * @param {number} key
   * @param {Partial<Event>} fields
   * @returns {Lanes}
   */
  function change(lanes, key, fields) {
    const found = find(lanes, key);
    if (!found) return lanes;
    const timed = "start" in fields || "end" in fields;
    const event = {...found.event, ...fields, ...(timed ? {remark: ""} : {})};
    const events = lanes[found.lane].events.with(found.place, event);
    return withEvents(lanes, found.lane, timed ? ordered(events) : events);
  }

  /**
   * Add an event.
   * @param {Lanes} lanes
   * @param {number} lane
   * @param {{start: number, end: number, text?: string, level?: number | null}} fields
   * @returns {{lanes: Lanes, key: number}} with the key of the new event
   */
  function add(lanes, lane, fields) {
    const key = 1 + lastKey(lanes);
    const event = {key, text: "", score: null, level: null, remark: "", ...fields};
    return {lanes: withEvents(lanes, lane, ordered([...lanes[lane].events, event])), key};
  }

  /**
   * Remove an event.
   * @param {Lanes} lanes
   * @param {number} key
   * @returns {Lanes}
   */
  function remove(lanes, key) {
    const found = find(lanes, key);
    return found ? withEvents(lanes, found.lane, lanes[found.lane].events.toSpliced(found.place, 1)) : lanes;
  }

  /**
   * Split an event in two, both with its text.
   * @param {Lanes} lanes
   * @param {number} key
   * @param {number} time seconds, within the event
   * @returns {{lanes: Lanes, key: number} | null} with the key of the second; null where the time is not within it
   */
  function split(lanes, key, time) {
    const found = find(lanes, key);
    if (!found || time <= found.event.start || time >= found.event.end) return null;
    const {end, text, score, level} = found.event;
    return add(change(lanes, key, {end: time}), found.lane, {start: time, end, text, score, level});
  }

  /**
   * Merge an event with the next one of its lane and level; their texts are joined.
   * @param {Lanes} lanes
   * @param {number} key
   * @returns {Lanes | null} null where there is no next one
   */
  function merge(lanes, key) {
    const found = find(lanes, key);
    const next = found && lanes[found.lane].events.find((event, place) =>
      place > found.place && event.level === found.event.level);
    if (!next) return null;
    const text = [found.event.text, next.text].filter((one) => one.trim())
      .filter((one, place, all) => all.indexOf(one) === place).join(" ");
    const fields = {start: Math.min(found.event.start, next.start), end: Math.max(found.event.end, next.end), text};
    return remove(change(lanes, key, fields), next.key);
  }

  function withEvents(lanes, lane, events) {
    return lanes.with(lane, {...lanes[lane], events});
  }

  function ordered(events) {
    return events.toSorted((one, other) => one.start - other.start || one.end - other.end);
  }

  hicm.events = {lanesOf, lastKey, find, fault, change, add, remove, split, merge};
}
