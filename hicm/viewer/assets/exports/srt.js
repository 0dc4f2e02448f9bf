"use strict";
globalThis.hicm ??= {};
hicm.exports ??= {};
{
  const {cues, clock} = hicm.clock;
  const WIDTH = 42;  // characters per line, by convention

  /** A text too long for one line broken into two of similar length, at a blank. */
  function lines(text) {
    const plain = hicm.text.characters(text.replaceAll("{\\", "(\\").replace(/<(?=[A-Za-z/])/g, "‹"));
    const blanks = plain.flatMap((sign, place) => sign === " " ? [place] : []);
    if (plain.length <= WIDTH || !blanks.length) return plain.join("");
    const apart = (place) => Math.abs(place - plain.length / 2);
    const middle = blanks.reduce((best, place) => apart(place) < apart(best) ? place : best);
    return `${plain.slice(0, middle).join("")}\n${plain.slice(middle + 1).join("")}`;
  }

  /** SubRip subtitles.  As `hicm/exports/srt.py`. */
  hicm.exports.srt = {
    suffix: ".srt", title: "SubRip", about: "subtitles", group: "Subtitles",
    render: (captioned) => cues(captioned.events).map((cue, place) =>
      `${place + 1}\n${clock(cue.start, ",")} --> ${clock(cue.end, ",")}\n${lines(cue.text)}\n\n`).join(""),
  };
}
