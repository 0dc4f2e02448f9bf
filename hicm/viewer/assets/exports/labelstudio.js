"use strict";
globalThis.hicm ??= {};
hicm.exports ??= {};
{
  const {float, json} = hicm.text;

  /** A task of Label Studio, with the events as predictions to correct.  As `hicm/exports/labelstudio.py`. */
  hicm.exports.labelstudio = {
    suffix: ".labelstudio.json", title: "Label Studio", about: "a task with predictions", group: "Data",
    render(captioned) {
      const rate = hicm.clock.editorRate(captioned.picture?.frame_rate ?? null);
      const result = hicm.clock.cues(captioned.events).flatMap((cue, place) => {
        const [first, last] = hicm.clock.frames(cue, rate, captioned.duration);
        const where = {ranges: [{start: first + 1, end: last + 1}]};
        const region = {id: `event${place + 1}`, to_name: "video",
                        ...(cue.event.score === null ? {} : {score: float(cue.event.score)})};
        return [{...region, from_name: "events", type: "timelinelabels", value: {...where, timelinelabels: ["Event"]}},
                {...region, from_name: "sentence", type: "textarea", value: {...where, text: [cue.text]}}];
      });
      const data = {video: captioned.source, id: captioned.id, duration: float(captioned.duration),
                    fps: float(rate.number())};
      return json([{data, predictions: [{model_version: "hicm", result}]}]) + "\n";
    },
  };
}
