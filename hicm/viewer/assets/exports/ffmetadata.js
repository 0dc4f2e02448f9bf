"use strict";
globalThis.hicm ??= {};
hicm.exports ??= {};
{
  /** Escaped text; a blank follows a final backslash, as ffmpeg would read the next line as part of the text. */
  function escaped(text) {
    return text.replace(/[=;#\\\n]/g, "\\$&") + (text.endsWith("\\") ? " " : "");
  }

  /** Chapters that ffmpeg puts into a video file.  As `hicm/exports/ffmetadata.py`. */
  hicm.exports.ffmetadata = {
    suffix: ".ffmetadata", title: "ffmpeg chapters", about: "-map_chapters", group: "Chapters",
    render: (captioned) => `;FFMETADATA1\ntitle=${escaped(captioned.id)}\n` +
      hicm.chapters.inSequence(captioned.events).map((chapter) => "[CHAPTER]\nTIMEBASE=1/1000\n" +
        `START=${chapter.start}\nEND=${chapter.end}\ntitle=${escaped(chapter.title)}\n`).join(""),
  };
}
