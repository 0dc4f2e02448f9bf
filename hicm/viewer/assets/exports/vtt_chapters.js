"use strict";
globalThis.hicm ??= {};
hicm.exports ??= {};
{
  const {clock} = hicm.clock;

  const flat = (chapters) => chapters.flatMap((chapter) => [chapter, ...flat(chapter.inside)]);

  /** WebVTT chapters.  As `hicm/exports/vtt_chapters.py`. */
  hicm.exports.vtt_chapters = {
    suffix: ".chapters.vtt", title: "WebVTT chapters", about: "for web players", group: "Chapters",
    render: (captioned) => "WEBVTT\n\n" + flat(hicm.chapters.nested(captioned.events)).map((chapter, place) =>
      `${place + 1}\n${clock(chapter.start)} --> ${clock(chapter.end)}\n${hicm.text.escaped(chapter.title)}\n\n`).join(""),
  };
}
