"use strict";
globalThis.hicm ??= {};
{
  /**
   * The places of a query in a text, ignoring case.
   * @param {string} text
   * @param {string} query
   * @returns {[number, number][]} start and end, as `slice` takes them
   */
  function matches(text, query) {
    if (!query.trim()) return [];
    const pattern = new RegExp(query.trim().replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"), "giu");
    return [...text.matchAll(pattern)].map((found) => [found.index, found.index + found[0].length]);
  }

  /**
   * A text cut into pieces that match and pieces that do not.
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
