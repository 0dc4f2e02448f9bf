"use strict";
globalThis.hicm ??= {};
hicm.exports ??= {};
{
  const {node, document} = hicm.xml;
  const KIND = "default-lt";
  const DATE = "1970-01-01T00:00:00+00:00";  // required; the current date would make files of equal events differ

  /** Tiers of cues that do not overlap, as few as possible per level. */
  function tiers(found) {
    const lanes = new Map();
    for (const cue of found) {
      const level = lanes.get(cue.event.level) ?? [];
      lanes.set(cue.event.level, level);
      const free = level.find((lane) => lane.at(-1).end <= cue.start);
      if (free) free.push(cue);
      else level.push([cue]);
    }
    return [...lanes].flatMap(([level, all]) => all.map((cues, place) =>
      ({name: (level === null ? "events" : `level ${level}`) + (place ? ` ${place + 1}` : ""), cues})));
  }

  /** The time slots, in order of time, and those of each cue. */
  function slots(found) {
    const ends = found.flatMap(({start, end}, number) =>
      [{time: start, which: 0, number}, {time: end, which: 1, number}])
      .sort((one, other) => one.time - other.time || one.which - other.which || one.number - other.number);
    const names = new Map(found.map((cue) => [cue, []]));
    ends.forEach(({which, number}, place) => {
      names.get(found[number])[which] = `ts${place + 1}`;
    });
    return {names, nodes: ends.map(({time}, place) =>
      node("TIME_SLOT", {TIME_SLOT_ID: `ts${place + 1}`, TIME_VALUE: String(time)}))};
  }

  /** An annotation file of ELAN.  As `hicm/exports/elan.py`. */
  hicm.exports.elan = {
    suffix: ".eaf", title: "ELAN", about: "an annotation file", group: "Data",
    render(captioned) {
      const found = hicm.clock.cues(captioned.events);
      const {names, nodes} = slots(found);
      const lanes = found.length ? tiers(found) : [{name: "events", cues: []}];
      let last = 0;
      const written = (cue) => {
        const [start, end] = names.get(cue);
        return node("ANNOTATION", {}, node("ALIGNABLE_ANNOTATION",
          {ANNOTATION_ID: `a${++last}`, TIME_SLOT_REF1: start, TIME_SLOT_REF2: end},
          node("ANNOTATION_VALUE", {}, cue.text)));
      };
      const media = {MEDIA_URL: hicm.place.uri(captioned), MIME_TYPE: hicm.place.mime(captioned.source)};
      return document(node("ANNOTATION_DOCUMENT",
        {"xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
         "xsi:noNamespaceSchemaLocation": "http://www.mpi.nl/tools/elan/EAFv3.0.xsd", AUTHOR: "hicm", DATE,
         FORMAT: "3.0", VERSION: "3.0"},
        node("HEADER", {MEDIA_FILE: "", TIME_UNITS: "milliseconds"}, node("MEDIA_DESCRIPTOR", media),
             node("PROPERTY", {NAME: "lastUsedAnnotationId"}, String(found.length))),
        node("TIME_ORDER", {}, ...nodes),
        ...lanes.map(({name, cues}) => node("TIER", {LINGUISTIC_TYPE_REF: KIND, TIER_ID: name}, ...cues.map(written))),
        node("LINGUISTIC_TYPE", {GRAPHIC_REFERENCES: "false", LINGUISTIC_TYPE_ID: KIND, TIME_ALIGNABLE: "true"})));
    },
  };
}
