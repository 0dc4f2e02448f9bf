"use strict";
globalThis.hicm ??= {};
hicm.exports ??= {};
{
  const {fixed} = hicm.numbers;

  /** A label track of Audacity.  As `hicm/exports/audacity.py`. */
  hicm.exports.audacity = {
    suffix: ".audacity.txt", title: "Audacity labels", about: "a label track", group: "Editors",
    render: (captioned) => captioned.events.map((event) => ({...event, text: hicm.text.oneLine(event.text)}))
      .filter((event) => event.text)
      .map((event) => `${fixed(event.start, 6)}\t${fixed(event.end, 6)}\t${event.text}\n`).join(""),
  };
}
