"use strict";
globalThis.hicm ??= {};
hicm.exports ??= {};
{
  /** @typedef {{start: number, end: number, title: string, level: number | null, inside: Chapter[]}} Chapter */

  /**
   * Chapters that follow one another or lie one inside the other, in order of time; no title is lost.
   *
   * Of two events that overlap in part, the first ends where the second begins; if the second is of a finer level, it
   * ends with the first instead.
   * @param {object[]} events
   * @returns {Chapter[]}
   */
  function nested(events) {
    const found = [], around = [];  // around: from the outermost to the innermost of those that are open
    const rank = new Map(hicm.layout.levels(events).map((level, place) => [level, place]));
    const ordered = hicm.clock.cues(events).sort((one, other) => one.start - other.start || other.end - one.end ||
      rank.get(one.event.level) - rank.get(other.event.level));
    for (const cue of ordered) {
      const chapter = {start: cue.start, end: cue.end, title: cue.text, level: cue.event.level, inside: []};
      while (around.length && around.at(-1).end < chapter.end) {
        const above = around.at(-1);
        const coarser = rank.get(above.level) < rank.get(chapter.level);
        if (above.start === chapter.start || coarser && above.end > chapter.start) chapter.end = above.end;
        else {
          above.end = Math.min(above.end, chapter.start);
          around.pop();
        }
      }
      (around.length ? around.at(-1).inside : found).push(chapter);
      around.push(chapter);
    }
    return found;
  }

  /**
   * Chapters of which each ends at the latest where the next one begins, in order of time; no title is lost.
   * @param {object[]} events
   * @returns {Chapter[]}
   */
  function inSequence(events) {
    const found = [];
    for (const cue of hicm.clock.cues(events).sort((one, other) => one.start - other.start || other.end - one.end)) {
      const before = found.at(-1);
      if (before?.start === cue.start) {
        before.title += ` / ${cue.text}`;
        continue;
      }
      if (before) before.end = Math.min(before.end, cue.start);
      found.push({start: cue.start, end: cue.end, title: cue.text, level: null, inside: []});
    }
    return found;
  }

  hicm.chapters = {nested, inSequence};
}
