"use strict";
globalThis.hicm ??= {};
hicm.exports ??= {};
{
  const {node, document} = hicm.xml;
  const UNDETERMINED = "und";  // ISO 639: the language is not known

  function atom(chapter, next) {
    const time = (milliseconds) => `${hicm.clock.clock(milliseconds)}000000`;  // nanoseconds
    const number = next();
    return node("ChapterAtom", {}, node("ChapterTimeStart", {}, time(chapter.start)),
      node("ChapterTimeEnd", {}, time(chapter.end)), node("ChapterUID", {}, String(number)),
      node("ChapterDisplay", {}, node("ChapterString", {}, chapter.title), node("ChapterLanguage", {}, UNDETERMINED),
           node("ChapLanguageIETF", {}, UNDETERMINED)),
      ...chapter.inside.map((inner) => atom(inner, next)));
  }

  /** Chapters of a Matroska file.  As `hicm/exports/matroska.py`. */
  hicm.exports.matroska = {
    suffix: ".chapters.xml", title: "Matroska chapters", about: "for mkvmerge and mkvpropedit", group: "Chapters",
    render(captioned) {
      let last = 0;
      const atoms = hicm.chapters.nested(captioned.events).map((chapter) => atom(chapter, () => ++last));
      return document(node("Chapters", {}, node("EditionEntry", {}, ...atoms)));
    },
  };
}
