"use strict";
globalThis.hicm ??= {};
hicm.exports ??= {};
{
  const {float, json} = hicm.text;

  /** A recalled node, without the fields that are not known. */
  function node({level, text, lowest = null, score = null, replaced = "", source = "", more = 0, below = []}) {
    return {level, text, ...(lowest === null ? {} : {lowest}), ...(score === null ? {} : {score: float(score)}),
            ...(replaced ? {replaced} : {}), ...(source ? {source} : {}), ...(more ? {more} : {}),
            ...(below.length ? {below: below.map(node)} : {})};
  }

  /** hicm's own format, which loses nothing.  As `hicm/exports/json.py`. */
  hicm.exports.json = {
    suffix: ".json", title: "hicm", about: "everything, with speech and what was recalled", group: "Data",
    render(captioned) {
      const events = captioned.events.map(({start, end, text, score, level}) => ({
        start: float(start), end: float(end), sentence: text,
        ...(score === null ? {} : {score: float(score)}), ...(level === null ? {} : {level}),
      }));
      const {frame_rate: rate = null, size = null, sound = false} = captioned.picture ?? {};
      const speech = (captioned.speech ?? []).map(({start, end, text}) =>
        ({start: float(start), end: float(end), text}));
      const recalled = (captioned.recalled ?? []).map(({start, end, nodes}) =>
        ({start: float(start), end: float(end), nodes: nodes.map(node)}));
      return json({video: captioned.id, source: captioned.source, duration: float(captioned.duration),
                   picture: {frame_rate: float(rate), size, sound}, events,
                   made_by: new hicm.text.Ready(captioned.about),
                   ...(speech.length ? {speech} : {}), ...(recalled.length ? {recalled} : {})}) + "\n";
    },
  };
}
