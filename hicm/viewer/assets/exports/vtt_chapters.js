"use strict";
globalThis.hicm ??= {};
hicm.exports ??= {};
{
  const {clock} = hicm.clock;

  const flat = (chapters) => chapters.flatMap((chapter) => [chapter, ...flat(chapter.inside)]);

  const written = ({start, end, title}, place) =>
    `${place + 1}\n${clock(start)} --> ${clock(end)}\n${hicm.text.escaped(title)}\n\n`;

  /** WebVTT chapters.  As `hicm/exports/vtt_chapters.py`. */
  hicm.exports.vtt_chapters = {
    suffix: ".chapters.vtt", title: "WebVTT chapters", about: "for web players", group: "Chapters",
    render: (captioned) => "WEBVTT\n\n" + flat(hicm.chapters.nested(captioned.events)).map(written).join(""),
  };
}
