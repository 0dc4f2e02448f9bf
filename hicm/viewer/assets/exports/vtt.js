"use strict";
globalThis.hicm ??= {};
hicm.exports ??= {};
{
  const {cues, clock} = hicm.clock;

  /** WebVTT captions.  As `hicm/exports/vtt.py`. */
  hicm.exports.vtt = {
    suffix: ".vtt", title: "WebVTT", about: "captions for web players", group: "Subtitles",
    render: (captioned) => "WEBVTT\n\n" + cues(captioned.events).map((cue, place) =>
      `${place + 1}\n${clock(cue.start)} --> ${clock(cue.end)}\n${hicm.text.escaped(cue.text)}\n\n`).join(""),
  };
}
