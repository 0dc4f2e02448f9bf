"use strict";
globalThis.hicm ??= {};
{
  /**
   * Where a text holds what is searched for, whatever the case.
   * @param {string} text
   * @param {string} query
   * @returns {[number, number][]} first place and the place after the last, as `slice` takes them
   */
  function matches(text, query) {
    if (!query.trim()) return [];
    const pattern = new RegExp(query.trim().replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"), "giu");
    return [...text.matchAll(pattern)].map((found) => [found.index, found.index + found[0].length]);
  }

  /**
   * A text in pieces, those that match marked: what a page shows.
   * @param {string} text
   * @param {string} query
   * @returns {{text: string, match: boolean}[]}
   */
  function pieces(text, query) {
    const found = [];
    let place = 0;
    for (const [start, end] of matches(text, query)) {
      if (start > place) found.push({text: text.slice(place, start), match: false});
      found.push({text: text.slice(start, end), match: true});
      place = end;
    }
    if (place < text.length) found.push({text: text.slice(place), match: false});
    return found;
  }

  hicm.search = {matches, pieces};
}
