"use strict";
globalThis.hicm ??= {};
{
  /**
   * Rows for events that overlap: an event goes into the first row that is free.
   * @template {{start: number, end: number}} T
   * @param {T[]} events
   * @returns {{placed: {event: T, row: number}[], count: number}} in order of starts; at least one row
   */
  function stack(events) {
    const free = [];
    const ordered = events.toSorted((one, other) => low(one) - low(other));
    const placed = ordered.map((event) => {
      const found = free.findIndex((end) => end <= low(event) + 1e-6);
      const row = found < 0 ? free.length : found;
      free[row] = high(event);
      return {event, row};
    });
    return {placed, count: Math.max(free.length, 1)};
  }

  /**
   * The levels of events, coarse to fine: by the mean length of their events.
   *
   * As `hicm/exports/chapters.py`, which adds the lengths in the same order, so that both order levels alike.
   * @param {{start: number, end: number, level: number | null}[]} events
   * @returns {(number | null)[]}
   */
  function levels(events) {
    const sums = new Map();
    for (const event of events) {
      const sum = sums.get(event.level) ?? {length: 0, count: 0};
      sums.set(event.level, {length: sum.length + (event.end - event.start), count: sum.count + 1});
    }
    const mean = (level) => sums.get(level).length / sums.get(level).count;
    return [...sums.keys()].sort((one, other) => mean(other) - mean(one));
  }

  /**
   * The rows of all lanes, from top to bottom: lane by lane, level by level.
   * @param {{name: string, events: object[]}[]} lanes
   * @returns {{groups: {lane: number, level: number | null, first: number, count: number,
   *            placed: {event: object, row: number}[]}[], rows: number}}
   */
  function rows(lanes) {
    const groups = [];
    let first = 0;
    lanes.forEach((lane, number) => {
      const found = levels(lane.events);
      for (const level of found.length ? found : [null]) {
        const {placed, count} = stack(lane.events.filter((event) => event.level === level));
        groups.push({lane: number, level, first, count, placed});
        first += count;
      }
    });
    return {groups, rows: first};
  }

  const NEAR = 1e-3;  // seconds: after a seek, videos say a time that is rounded down

  /**
   * Whether a time is within an event; an event of zero length holds its start.
   * @param {{start: number, end: number}} event
   * @param {number} time seconds
   * @returns {boolean}
   */
  function contains(event, time) {
    return Math.abs(time - low(event)) <= NEAR || low(event) < time && time < high(event) - NEAR;
  }

  const low = (event) => Math.min(event.start, event.end);
  const high = (event) => Math.max(event.start, event.end);

  const lengthOf = (event) => high(event) - low(event);

  hicm.layout = {stack, levels, rows, contains, low, high, lengthOf};
}
