"use strict";
globalThis.hicm ??= {};
hicm.exports ??= {};
{
  const {node, document} = hicm.xml;

  /** As a fraction on a frame's boundary. */
  function seconds(frames, rate) {
    return frames ? `${BigInt(frames) * rate.denominator}/${rate.numerator}s` : "0s";
  }

  /** A Final Cut Pro project with a chapter marker per event.  As `hicm/exports/fcpxml.py`. */
  hicm.exports.fcpxml = {
    suffix: ".fcpxml", title: "Final Cut Pro", about: "a project with chapter markers", group: "Editors",
    render(captioned) {
      const {clock} = hicm;
      const {frame_rate: frameRate = null, size = null, sound = false} = captioned.picture ?? {};
      const rate = clock.editorRate(frameRate);
      const length = seconds(clock.lastFrame(rate, captioned.duration) + 1, rate);
      const name = hicm.text.oneLine(captioned.id);
      const shape = size ? {width: String(size[0]), height: String(size[1])} : {};
      const heard = sound ? {hasAudio: "1", audioSources: "1"} : {};
      const markers = clock.markers(captioned.events, rate, captioned.duration).map(([first, , text]) =>
        node("chapter-marker", {start: seconds(first, rate), duration: seconds(1, rate), value: text,
                                posterOffset: "0s"}));
      const clip = node("asset-clip", {ref: "r2", name, offset: "0s", start: "0s", duration: length, format: "r1",
                                       tcFormat: "NDF"}, ...markers);
      const sequence = node("sequence", {format: "r1", duration: length, tcStart: "0s", tcFormat: "NDF"},
                            node("spine", {}, clip));
      return document(node("fcpxml", {version: "1.8"},
        node("resources", {}, node("format", {id: "r1", frameDuration: seconds(1, rate), ...shape}),
             node("asset", {id: "r2", name, src: hicm.place.uri(captioned), start: "0s", duration: length,
                            hasVideo: "1", format: "r1", ...heard})),
        node("library", {}, node("event", {name}, node("project", {name}, sequence)))), "fcpxml");
    },
  };
}
