"use strict";
globalThis.hicm ??= {};
hicm.exports ??= {};
{
  const {float, json} = hicm.text;

  /** The results file of the ActivityNet challenge.  As `hicm/exports/activitynet.py`. */
  hicm.exports.activitynet = {
    suffix: ".activitynet.json", title: "ActivityNet results", about: "for hicm evaluate", group: "Data",
    render(captioned) {
      const events = captioned.events.map(({start, end, text}) =>
        ({sentence: text, timestamp: [float(start), float(end)]}));
      return json({version: "VERSION 1.0", results: new Map([[captioned.id, events]]),
                   external_data: {used: false, details: ""}}) + "\n";
    },
  };
}
