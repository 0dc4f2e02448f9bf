"use strict";
globalThis.hicm ??= {};
hicm.exports ??= {};
{
  const {float, json} = hicm.text;

  /** hicm's own form, which loses nothing.  As `hicm/exports/json.py`. */
  hicm.exports.json = {
    suffix: ".json", title: "hicm", about: "times, scores, levels, and how the events were made", group: "Data",
    render(captioned) {
      const events = captioned.events.map(({start, end, text, score, level}) => ({
        start: float(start), end: float(end), sentence: text,
        ...(score === null ? {} : {score: float(score)}), ...(level === null ? {} : {level}),
      }));
      const {frame_rate: rate = null, size = null, sound = false} = captioned.picture ?? {};
      return json({video: captioned.id, source: captioned.source, duration: float(captioned.duration),
                   picture: {frame_rate: float(rate), size, sound}, events,
                   made_by: new hicm.text.Ready(captioned.about)}) + "\n";
    },
  };
}
