"use strict";
globalThis.hicm ??= {};
hicm.exports ??= {};
{
  const {cues, shortClock} = hicm.clock;
  const {round} = hicm.numbers;

  /** Plain text, one line per event.  As `hicm/exports/txt.py`. */
  hicm.exports.txt = {
    suffix: ".txt", title: "Plain text", about: "one line per event", group: "Subtitles",
    render: (captioned) => cues(captioned.events).map((cue) =>
      `${shortClock(round(cue.start / 1000))} - ${shortClock(round(cue.end / 1000))}  ${cue.text}\n`).join(""),
  };
}
